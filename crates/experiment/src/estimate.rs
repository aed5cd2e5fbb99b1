//! A quantity that was measured several times, and how such quantities are drawn.

use anyhow::Result;
use figures::{Axis, Color, Mark, Panel};
use record::Number;
use seed::Rng;

/// A quantity that was measured once for each seed, order or data set.
#[derive(Clone, Debug)]
pub struct Estimate {
    /// What was measured each time.
    pub each: Vec<f64>,
    /// Their mean with its 95 % interval by percentile bootstrap.
    pub mean: Number,
}

impl Estimate {
    /// Sums up repeated measurements.
    ///
    /// # Errors
    /// No value, or one that is not finite.
    ///
    /// # Examples
    /// ```
    /// let mut rng = seed::Seed::new(0).stream("example", "bootstrap");
    /// let estimate = experiment::Estimate::of(&[0.5, 0.7], 1000, &mut rng)?;
    /// assert_eq!((estimate.mean.value, estimate.mean.n), (0.6, Some(2)));
    /// assert_eq!(estimate.mean.ci(), Some([0.5, 0.7]));
    /// # Ok::<(), anyhow::Error>(())
    /// ```
    pub fn of(values: &[f64], n_resamples: usize, rng: &mut Rng) -> Result<Self> {
        let (mean, ci) = stats::bootstrap_mean(values, n_resamples, rng)?;
        let mean = Number::estimate(mean, [ci.low, ci.high]).n(values.len() as u64);
        Ok(Self { each: values.to_vec(), mean })
    }

    /// The ends of the interval.
    pub fn ends(&self) -> [f64; 2] {
        self.mean.ci().unwrap_or([self.mean.value; 2])
    }

    /// The interval in words, to three decimals: `0.605 to 0.668`.
    pub fn interval(&self) -> String {
        let [low, high] = self.ends();
        format!("{low:.3} to {high:.3}")
    }
}

/// Named estimates below each other, the first on top: each measurement, the mean and its interval.
pub fn dot_plot(axis: Axis, rows: &[(&str, &Estimate)]) -> Panel {
    // Categories are counted from below.
    let names: Vec<&str> = rows.iter().rev().map(|(name, _)| *name).collect();
    let mut panel = Panel::new(axis, Axis::categories("", &names));
    for (place, (name, estimate)) in rows.iter().rev().enumerate() {
        let y = place as f64;
        let each = Mark::points(&estimate.each, &vec![y; estimate.each.len()]).color(Color::Sky);
        let interval = Mark::line(&estimate.ends(), &[y, y]).color(Color::Blue);
        let mean = Mark::points(&[estimate.mean.value], &[y]).color(Color::Blue);
        panel = panel
            .mark(each.series(&format!("{name}, each")))
            .mark(interval.series(&format!("{name}, interval")))
            .mark(mean.series(name));
    }
    panel
}

/// A curve of estimates with the band of their intervals.
pub fn curve(x: &[f64], estimates: &[Estimate], label: &str, color: Color) -> [Mark; 2] {
    let end = |which: usize| estimates.iter().map(|e| e.ends()[which]).collect::<Vec<f64>>();
    let mean: Vec<f64> = estimates.iter().map(|estimate| estimate.mean.value).collect();
    let band = Mark::band(x, &end(0), &end(1)).color(color);
    [band.series(&format!("{label}, interval")), Mark::line(x, &mean).color(color).label(label)]
}
