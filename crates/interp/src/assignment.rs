//! Which partners make the largest sum.

use kernels::Matrix;

use crate::error::{Result, finite, small, some};

/// Partners of rows among columns, each column at most once, with the largest sum of similarities.
///
/// Prices prove it: on each pair of row and column the two prices sum to at least the similarity, and to the similarity
/// of partners; what has no partner has the price 0, and no price of the longer side is negative. So no other partners can
/// have a larger sum than all prices, which is the sum of these.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The column of each row; `None` for some rows where there are fewer columns.
    pub of_row: Vec<Option<u32>>,
    /// The sum of the similarities of partners.
    pub total: f64,
    /// A price of each row.
    pub row_prices: Vec<f64>,
    /// A price of each column.
    pub column_prices: Vec<f64>,
}

/// The partners with the largest sum of similarities, by shortest augmenting paths.
///
/// # Shapes
/// `similarity` `[row, column]`, as many rows and columns as you like; all of the shorter side get a partner.
///
/// # Cost
/// At most n²m for n of the shorter side and m of the longer; much less where most have a clear partner.
///
/// # Determinism
/// Sums are of 64 bits in a fixed order. Of several best assignments always the same.
///
/// # Errors
/// [`InterpError::Empty`](crate::InterpError::Empty) without rows or columns,
/// [`InterpError::NotFinite`](crate::InterpError::NotFinite).
///
/// # Source
/// Jonker and Volgenant 1987, without their reductions but the first; the Hungarian method.
///
/// # Examples
///
/// The first row would like the first column most, but the second row more so:
///
/// ```
/// use kernels::Matrix;
///
/// let similarity = Matrix::from_rows(2, 3, vec![0.9, 0.8, 0.0, 0.9, 0.1, 0.0])?;
/// let found = interp::assign(&similarity)?;
/// assert_eq!(found.of_row, [Some(1), Some(0)]);
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn assign(similarity: &Matrix) -> Result<Assignment> {
    some("rows of the similarities", similarity.n_rows())?;
    some("columns of the similarities", similarity.n_columns())?;
    finite("the similarities", similarity)?;
    if similarity.n_rows() > similarity.n_columns() {
        let turned = solve(&similarity.transposed());
        let mut of_row = vec![None; similarity.n_rows()];
        for (column, row) in turned.of_row.iter().enumerate() {
            if let Some(row) = row {
                of_row[*row as usize] = Some(small(column));
            }
        }
        return Ok(Assignment {
            of_row,
            row_prices: turned.column_prices,
            column_prices: turned.row_prices,
            ..turned
        });
    }
    Ok(solve(similarity))
}

/// Rows and columns while partners are sought: costs are the similarities' negatives, and prices u and v are at most
/// costs, u + v ≤ c, and equal to them for partners.
struct Search<'a> {
    similarity: &'a Matrix,
    u: Vec<f64>,
    v: Vec<f64>,
    of_row: Vec<Option<usize>>,
    of_column: Vec<Option<usize>>,
}

/// With at most as many rows as columns.
fn solve(similarity: &Matrix) -> Assignment {
    let (n, m) = (similarity.n_rows(), similarity.n_columns());
    let mut search = Search {
        similarity,
        u: vec![0.0; n],
        v: vec![0.0; m],
        of_row: vec![None; n],
        of_column: vec![None; m],
    };
    // Each row takes what it likes most, if nobody has it.
    for (row, likes) in similarity.rows().enumerate() {
        let better = |best: usize, at: usize| if likes[at] > likes[best] { at } else { best };
        let column = (1..m).fold(0, better);
        search.u[row] = -f64::from(likes[column]);
        if search.of_column[column].is_none() {
            search.of_column[column] = Some(row);
            search.of_row[row] = Some(column);
        }
    }
    let mut path = Path::new(m);
    for row in 0..n {
        if search.of_row[row].is_none() {
            search.augment(row, &mut path);
        }
    }
    let pairs = search.of_row.iter().enumerate();
    let total =
        pairs.filter_map(|(row, column)| Some(f64::from(similarity.row(row)[(*column)?]))).sum();
    Assignment {
        of_row: search.of_row.iter().map(|column| column.map(small)).collect(),
        total,
        row_prices: search.u.iter().map(|u| -u).collect(),
        column_prices: search.v.iter().map(|v| 0.0 - v).collect(),
    }
}

/// The tree of shortest paths from a row.
struct Path {
    /// How far each column is, and the row from which it is reached.
    distance: Vec<f64>,
    from: Vec<usize>,
    /// Columns not reached yet, in the order of their places.
    open: Vec<usize>,
    reached: Vec<usize>,
}

impl Path {
    fn new(m: usize) -> Self {
        Self { distance: vec![0.0; m], from: vec![0; m], open: Vec::new(), reached: Vec::new() }
    }
}

impl Search<'_> {
    /// Gives a row a partner along the cheapest chain of exchanges.
    fn augment(&mut self, start: usize, path: &mut Path) {
        path.distance.fill(f64::INFINITY);
        path.open.clear();
        path.open.extend(0..self.v.len());
        path.reached.clear();
        let (mut row, mut far) = (start, 0.0);
        let end = loop {
            let similar = self.similarity.row(row);
            let offset = far - self.u[row];
            let mut nearest = (f64::INFINITY, 0, false);
            for (at, column) in path.open.iter().enumerate() {
                let column = *column;
                let distance = offset - f64::from(similar[column]) - self.v[column];
                if distance < path.distance[column] {
                    path.distance[column] = distance;
                    path.from[column] = row;
                }
                let distance = path.distance[column];
                let is_free = self.of_column[column].is_none();
                // Of equally near ones one that is free, since the search ends there.
                if distance < nearest.0 || (distance <= nearest.0 && is_free && !nearest.2) {
                    nearest = (distance, at, is_free);
                }
            }
            far = nearest.0;
            let column = path.open.swap_remove(nearest.1);
            path.reached.push(column);
            match self.of_column[column] {
                Some(next) => row = next,
                None => break column,
            }
        };
        self.u[start] += far;
        for column in &path.reached {
            let gap = far - path.distance[*column];
            self.v[*column] -= gap;
            if let Some(row) = self.of_column[*column] {
                self.u[row] += gap;
            }
        }
        let mut column = end;
        loop {
            let row = path.from[column];
            self.of_column[column] = Some(row);
            let before = self.of_row[row].replace(column);
            match before {
                Some(before) if row != start => column = before,
                _ => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::narrowed;
    use seed::Seed;

    /// The largest sum over all ways to give each row of the shorter side a partner.
    fn brute(similarity: &Matrix, row: usize, taken: &mut Vec<bool>) -> f64 {
        if row == similarity.n_rows() {
            return 0.0;
        }
        let mut best = f64::NEG_INFINITY;
        for column in 0..similarity.n_columns() {
            if !taken[column] {
                taken[column] = true;
                let value = f64::from(similarity.row(row)[column]);
                best = best.max(value + brute(similarity, row + 1, taken));
                taken[column] = false;
            }
        }
        best
    }

    fn check_prices(similarity: &Matrix, found: &Assignment) {
        let tolerance = 1e-9;
        let mut has_partner = vec![false; similarity.n_columns()];
        for (row, values) in similarity.rows().enumerate() {
            for (column, value) in values.iter().enumerate() {
                let slack = found.row_prices[row] + found.column_prices[column] - f64::from(*value);
                assert!(slack >= -tolerance, "{slack}");
                if found.of_row[row] == Some(small(column)) {
                    assert!(slack.abs() <= tolerance && !has_partner[column]);
                    has_partner[column] = true;
                }
            }
        }
        let (n, m) = (similarity.n_rows(), similarity.n_columns());
        let longer = if n > m { &found.row_prices } else { &found.column_prices };
        assert!(longer.iter().all(|price| *price >= 0.0));
        let n = n.min(m);
        assert_eq!(has_partner.iter().filter(|has| **has).count(), n);
        let prices: f64 = found.row_prices.iter().chain(&found.column_prices).sum();
        assert!((prices - found.total).abs() < 1e-7, "{prices} and {}", found.total);
    }

    #[test]
    fn the_sum_is_the_largest_of_all() {
        let mut rng = Seed::new(6).stream("assignment", "brute");
        for trial in 0..300 {
            let (n, m) = (1 + rng.below(6), 1 + rng.below(7));
            // Small integers in every other trial, so that there are ties.
            let mut draw = || match trial % 2 {
                0 => narrowed(rng.normal()),
                _ => rng.below(4) as f32 - 1.0,
            };
            let similarity = Matrix::from_rows(n, m, (0..n * m).map(|_| draw()).collect()).unwrap();
            let found = assign(&similarity).unwrap();
            check_prices(&similarity, &found);
            let shorter = if n > m { similarity.transposed() } else { similarity };
            let best = brute(&shorter, 0, &mut vec![false; n.max(m)]);
            assert!((found.total - best).abs() < 1e-6, "{} and {best}", found.total);
        }
    }

    #[test]
    fn prices_prove_large_assignments() {
        let mut rng = Seed::new(6).stream("assignment", "large");
        for (n, m) in [(120, 120), (60, 200), (200, 60)] {
            let values = (0..n * m).map(|_| narrowed(rng.uniform())).collect();
            let similarity = Matrix::from_rows(n, m, values).unwrap();
            check_prices(&similarity, &assign(&similarity).unwrap());
        }
    }

    #[test]
    fn a_permutation_is_found() {
        let n = 50;
        let mut similarity = Matrix::zeros(n, n);
        (0..n).for_each(|row| similarity.row_mut(row)[row * 7 % n] = 1.0);
        let found = assign(&similarity).unwrap();
        let expected: Vec<_> = (0..n).map(|row| Some(small(row * 7 % n))).collect();
        assert_eq!((found.of_row, found.total), (expected, 50.0));
    }

    #[test]
    fn nothing_and_nan_are_refused() {
        assert!(assign(&Matrix::zeros(0, 3)).is_err() && assign(&Matrix::zeros(3, 0)).is_err());
        assert!(assign(&Matrix::from_rows(1, 1, vec![f32::NAN]).unwrap()).is_err());
    }
}
