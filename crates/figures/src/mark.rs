use crate::Color;

/// How a line is stroked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stroke {
    /// An unbroken line.
    #[default]
    Solid,
    /// Long dashes.
    Dashed,
    /// Dots.
    Dotted,
}

/// The shape of a point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Marker {
    /// A filled circle.
    #[default]
    Circle,
    /// A circle filled with white.
    Ring,
    /// A filled square.
    Square,
    /// A filled triangle.
    Triangle,
}

/// The data of a mark.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    Line { x: Vec<f64>, y: Vec<f64> },
    Steps { x: Vec<f64>, y: Vec<f64> },
    Points { x: Vec<f64>, y: Vec<f64>, marker: Marker },
    Band { x: Vec<f64>, low: Vec<f64>, high: Vec<f64> },
    Interval { x: Vec<f64>, y: Vec<f64>, low: Vec<f64>, high: Vec<f64>, marker: Marker },
    Histogram { edges: Vec<f64>, counts: Vec<f64> },
    VLine { x: f64 },
    HLine { y: f64 },
    Text { x: f64, y: f64 },
    Image { x: f64, y: f64, columns: usize, pixels: Vec<u8> },
}

/// One series of a panel, or one annotation, in the data's own coordinates.
///
/// A constructor takes the data, the other methods how it looks:
///
/// ```
/// use figures::{Color, Mark};
/// let x = [1.0, 2.0, 3.0];
/// let theory = Mark::line(&x, &[0.5, 0.25, 0.125]).color(Color::Blue).label("theory");
/// let runs = Mark::points(&x, &[0.52, 0.24, 0.13]).color(Color::Ink).label("simulation");
/// let radius = Mark::vline(2.0).dashed().label("d = 2");
/// # let _ = (theory, runs, radius);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    pub(crate) data: Data,
    pub(crate) color: Color,
    pub(crate) stroke: Stroke,
    pub(crate) label: Option<String>,
    pub(crate) series: Option<String>,
    pub(crate) allow_gaps: bool,
}

impl Mark {
    fn new(data: Data, color: Color) -> Self {
        let stroke = Stroke::Solid;
        Self { data, color, stroke, label: None, series: None, allow_gaps: false }
    }

    /// A line through `(x[i], y[i])`, in the order given.
    pub fn line(x: &[f64], y: &[f64]) -> Self {
        Self::new(Data::Line { x: x.to_vec(), y: y.to_vec() }, Color::Blue)
    }

    /// A staircase that keeps `y[i]` from `x[i]` up to `x[i + 1]`, as an empirical distribution does.
    pub fn steps(x: &[f64], y: &[f64]) -> Self {
        Self::new(Data::Steps { x: x.to_vec(), y: y.to_vec() }, Color::Blue)
    }

    /// A point at each `(x[i], y[i])`. More than 400 of them are drawn smaller and let each other
    /// show through.
    pub fn points(x: &[f64], y: &[f64]) -> Self {
        let marker = Marker::Circle;
        Self::new(Data::Points { x: x.to_vec(), y: y.to_vec(), marker }, Color::Blue)
    }

    /// The area between `low` and `high`, in a light tint: an interval around a line.
    pub fn band(x: &[f64], low: &[f64], high: &[f64]) -> Self {
        Self::new(Data::Band { x: x.to_vec(), low: low.to_vec(), high: high.to_vec() }, Color::Blue)
    }

    /// Estimates `y` at `x` with intervals from `low` to `high` (the ends themselves, not distances
    /// from `y`).
    pub fn error_bars(x: &[f64], y: &[f64], low: &[f64], high: &[f64]) -> Self {
        let (x, y, low, high) = (x.to_vec(), y.to_vec(), low.to_vec(), high.to_vec());
        Self::new(Data::Interval { x, y, low, high, marker: Marker::Circle }, Color::Blue)
    }

    /// Bars of height `counts[i]` from `edges[i]` to `edges[i + 1]`.
    pub fn histogram(edges: &[f64], counts: &[f64]) -> Self {
        Self::new(Data::Histogram { edges: edges.to_vec(), counts: counts.to_vec() }, Color::Blue)
    }

    /// A vertical reference line. Its label stands above the plotting area.
    pub fn vline(x: f64) -> Self {
        Self::new(Data::VLine { x }, Color::Gray)
    }

    /// A horizontal reference line.
    pub fn hline(y: f64) -> Self {
        Self::new(Data::HLine { y }, Color::Gray)
    }

    /// A remark beside the point `(x, y)`, on the side where there is room.
    pub fn text(x: f64, y: f64, text: &str) -> Self {
        Self::new(Data::Text { x, y }, Color::Ink).label(text)
    }

    /// A gray image in the cell from `x − ½` to `x + ½` and from `y − ½` to `y + ½`, as large as square
    /// pixels fit: `pixels` row after row from the top, `columns` of them in a row, from 0 (black) to 255
    /// (white). On an [`Axis::categories`](crate::Axis::categories) each category has such a cell.
    ///
    /// ```
    /// use figures::{Axis, Figure, Mark, Panel};
    /// let axis = |names: &[&str]| Axis::categories("", names);
    /// let panel = Panel::new(axis(&["query", "read"]), axis(&["softmax"]))
    ///     .mark(Mark::image(0.0, 0.0, 2, &[0, 255, 255, 0]).series("query"))
    ///     .mark(Mark::image(1.0, 0.0, 2, &[0, 0, 255, 255]).series("read"));
    /// let figure = Figure::new("A-x00", "").panel(panel);
    /// // A pixel is a line of the CSV: its center, and its gray level in `low` and `high`.
    /// assert!(figure.csv().contains("\na,query,image,-0.25,0.25,0,0\n"));
    /// # figure.svg("")?;
    /// # Ok::<(), figures::Error>(())
    /// ```
    pub fn image(x: f64, y: f64, columns: usize, pixels: &[u8]) -> Self {
        Self::new(Data::Image { x, y, columns, pixels: pixels.to_vec() }, Color::Ink)
    }

    /// Draws in this colour.
    #[must_use]
    pub fn color(mut self, color: Color) -> Self {
        self.color = color;
        self
    }

    /// Draws the line dashed.
    #[must_use]
    pub fn dashed(self) -> Self {
        self.stroke(Stroke::Dashed)
    }

    /// Draws the line dotted.
    #[must_use]
    pub fn dotted(self) -> Self {
        self.stroke(Stroke::Dotted)
    }

    /// Draws the line in this stroke.
    #[must_use]
    pub fn stroke(mut self, stroke: Stroke) -> Self {
        self.stroke = stroke;
        self
    }

    /// Draws points in this shape; lines and areas have none and stay as they are.
    #[must_use]
    pub fn marker(mut self, shape: Marker) -> Self {
        if let Data::Points { marker, .. } | Data::Interval { marker, .. } = &mut self.data {
            *marker = shape;
        }
        self
    }

    /// Names the mark in the picture and in the CSV. The label stands at the line's end, else beside
    /// the series where there is room, else in a legend; panels that need the same one share it.
    /// `_{…}` and `^{…}` are subscript and superscript.
    #[must_use]
    pub fn label(mut self, label: &str) -> Self {
        self.label = Some(label.to_owned());
        self
    }

    /// Names the mark in the CSV and in error messages only; the label is the default.
    #[must_use]
    pub fn series(mut self, name: &str) -> Self {
        self.series = Some(name.to_owned());
        self
    }

    /// Lets NaN in `y`, `low` or `high`, and values that a log axis cannot show, interrupt the
    /// series: lines break there and points are left out. The CSV has an empty field for NaN.
    /// Without this they are errors.
    #[must_use]
    pub fn allow_gaps(mut self) -> Self {
        self.allow_gaps = true;
        self
    }

    /// The kind as the CSV spells it.
    pub(crate) fn kind(&self) -> &'static str {
        match self.data {
            Data::Line { .. } => "line",
            Data::Steps { .. } => "steps",
            Data::Points { .. } => "points",
            Data::Band { .. } => "band",
            Data::Interval { .. } => "interval",
            Data::Histogram { .. } => "histogram",
            Data::VLine { .. } => "vline",
            Data::HLine { .. } => "hline",
            Data::Text { .. } => "text",
            Data::Image { .. } => "image",
        }
    }

    pub(crate) fn marker_shape(&self) -> Option<Marker> {
        match self.data {
            Data::Points { marker, .. } | Data::Interval { marker, .. } => Some(marker),
            _ => None,
        }
    }

    /// The name of mark number `index` of a panel in the CSV and in messages.
    pub(crate) fn name(&self, index: usize) -> String {
        let name = self.series.as_ref().or(self.label.as_ref());
        name.cloned().unwrap_or_else(|| format!("{} {}", self.kind(), index + 1))
    }
}
