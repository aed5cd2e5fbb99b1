/// How an axis maps values to positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    Log10,
}

/// One axis of a panel: its label, its scale, and optionally its range and ticks.
///
/// ```
/// use figures::Axis;
/// let fraction = Axis::linear("fraction of neurons").range(0.0, 1.0);
/// let distance = Axis::log10("distance _{H}").ticks(vec![1.0, 10.0, 100.0]);
/// let method = Axis::categories("method", &["SDM", "attention"]);
/// # let _ = (fraction, distance, method);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    pub(crate) label: String,
    pub(crate) scale: Scale,
    pub(crate) range: Option<(f64, f64)>,
    pub(crate) ticks: Option<Vec<(f64, Option<String>)>>,
}

impl Axis {
    /// A linear axis. An empty label draws none.
    pub fn linear(label: &str) -> Self {
        Self { label: label.to_owned(), scale: Scale::Linear, range: None, ticks: None }
    }

    /// A logarithmic axis with decades as `10^k`. Every value on it must be above zero.
    pub fn log10(label: &str) -> Self {
        Self { scale: Scale::Log10, ..Self::linear(label) }
    }

    /// A linear axis with a named tick at 0, 1, 2, … and half a step of room at both ends.
    pub fn categories(label: &str, names: &[&str]) -> Self {
        let ticks = names
            .iter()
            .enumerate()
            .map(|(i, name)| (i as f64, Some((*name).to_owned())))
            .collect();
        let range = Some((-0.5, names.len() as f64 - 0.5));
        Self { range, ticks: Some(ticks), ..Self::linear(label) }
    }

    /// Shows exactly this range instead of one that fits the data. What lies outside is cut off in
    /// the picture and stays in the CSV. `low` above `high` is an error when the figure is drawn.
    #[must_use]
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// Puts ticks at these values instead of round ones.
    #[must_use]
    pub fn ticks(mut self, values: Vec<f64>) -> Self {
        self.ticks = Some(values.into_iter().map(|value| (value, None)).collect());
        self
    }

    /// Puts ticks with these names at these values.
    #[must_use]
    pub fn named_ticks(mut self, ticks: &[(f64, &str)]) -> Self {
        self.ticks = Some(ticks.iter().map(|(at, name)| (*at, Some((*name).to_owned()))).collect());
        self
    }
}
