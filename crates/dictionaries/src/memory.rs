//! Rows of a matrix in random order.

use kernels::KernelError;
use seed::Seed;

use crate::error::{DictionariesError, Result};
use crate::source::{Rows, Source};

/// Rows of a matrix, each once in an epoch, in an order that is drawn for each epoch. What is left at the end of an epoch and
/// is less than a batch is left out of it.
///
/// # Examples
///
/// ```
/// use dictionaries::{MemoryRows, Rows, Source};
/// use kernels::Matrix;
/// use seed::Seed;
///
/// let rows = Rows { inputs: Matrix::from_rows(4, 1, vec![1.0, 2.0, 3.0, 4.0])?, targets: None };
/// let mut rows = MemoryRows::new(rows, 2, Seed::new(0))?;
/// let epoch = [rows.next()?, rows.next()?].map(|batch| batch.inputs.values().to_vec()).concat();
/// assert_eq!(epoch.iter().sum::<f32>(), 10.0);
/// # Ok::<(), dictionaries::DictionariesError>(())
/// ```
pub struct MemoryRows {
    rows: Rows,
    batch_rows: usize,
    seed: Seed,
    epoch: u64,
    /// Rows of the epoch that were dealt out.
    row: usize,
    order: Vec<usize>,
}

impl MemoryRows {
    /// All rows.
    ///
    /// # Errors
    /// [`DictionariesError::TooFew`] for fewer than a batch, [`DictionariesError::Sizes`] for another number of targets.
    pub fn new(rows: Rows, batch_rows: usize, seed: Seed) -> Result<Self> {
        let n = rows.inputs.n_rows();
        if let Some(targets) = &rows.targets {
            KernelError::check("rows of the targets", n, targets.n_rows())?;
        }
        if n < batch_rows.max(1) {
            let what = "the matrix".to_owned();
            return Err(DictionariesError::TooFew { what, got: n as u64, batch: batch_rows });
        }
        let order = order(n, seed, "epoch 0");
        Ok(Self { rows, batch_rows, seed, epoch: 0, row: 0, order })
    }

    fn select(&self, places: &[usize]) -> Rows {
        let Rows { inputs, targets } = &self.rows;
        let targets = targets.as_ref().map(|targets| targets.select(places));
        Rows { inputs: inputs.select(places), targets }
    }
}

fn order(n: usize, seed: Seed, purpose: &str) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    seed.stream("rows of a matrix", purpose).shuffle(&mut order);
    order
}

impl Source for MemoryRows {
    fn sample(&mut self, n_rows: usize) -> Result<Rows> {
        let mut places = order(self.order.len(), self.seed, "sample");
        places.truncate(n_rows);
        Ok(self.select(&places))
    }

    fn next(&mut self) -> Result<Rows> {
        if self.row + self.batch_rows > self.order.len() {
            self.epoch += 1;
            self.row = 0;
            self.order = order(self.order.len(), self.seed, &format!("epoch {}", self.epoch));
        }
        let batch = self.select(&self.order[self.row..self.row + self.batch_rows]);
        self.row += self.batch_rows;
        Ok(batch)
    }

    fn place(&self) -> String {
        format!("{} {}", self.epoch, self.row)
    }

    fn go_to(&mut self, place: &str) -> Result<()> {
        let numbers = place
            .split_once(' ')
            .and_then(|(epoch, row)| Some((epoch.parse().ok()?, row.parse().ok()?)));
        let Some((epoch, row)) = numbers.filter(|(_, row)| *row <= self.order.len()) else {
            return Err(DictionariesError::Place { place: place.to_owned() });
        };
        self.order = order(self.order.len(), self.seed, &format!("epoch {epoch}"));
        (self.epoch, self.row) = (epoch, row);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use kernels::Matrix;

    use super::*;

    fn rows() -> MemoryRows {
        let inputs = Matrix::from_rows(7, 1, (0..7_u8).map(f32::from).collect()).unwrap();
        let targets = Matrix::from_rows(7, 1, (0..7_u8).map(|x| 10.0 * f32::from(x)).collect());
        let rows = Rows { inputs, targets: Some(targets.unwrap()) };
        MemoryRows::new(rows, 3, Seed::new(1)).unwrap()
    }

    #[test]
    fn epochs_differ_and_can_be_taken_up_anywhere() {
        let mut source = rows();
        let mut places = Vec::new();
        let mut all = Vec::new();
        for _ in 0..5 {
            places.push(source.place());
            let batch = source.next().unwrap();
            let targets = batch.targets.clone().unwrap();
            assert!(
                batch.inputs.values().iter().zip(targets.values()).all(|(x, y)| 10.0 * x == *y)
            );
            all.push(batch);
        }
        assert_eq!(places, ["0 0", "0 3", "0 6", "1 3", "1 6"]);
        assert_ne!(all[0], all[2]);
        for (place, batch) in places.iter().zip(&all) {
            let mut other = rows();
            other.go_to(place).unwrap();
            assert_eq!(other.next().unwrap(), *batch);
        }
        let sample = source.sample(5).unwrap();
        assert_eq!(sample, rows().sample(5).unwrap());
        assert_eq!(sample.inputs.n_rows(), 5);
    }

    #[test]
    fn too_few_rows_and_places_of_other_runs_are_refused() {
        let few = Rows { inputs: Matrix::zeros(2, 1), targets: None };
        let error = MemoryRows::new(few, 3, Seed::new(1)).err().unwrap().to_string();
        assert!(error.contains("2 rows, fewer than the 3"), "{error}");
        for place in ["", "x 1", "0 9", "1"] {
            assert!(rows().go_to(place).is_err(), "{place}");
        }
    }
}
