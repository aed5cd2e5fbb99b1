use crate::{Axis, Mark};

/// A corner of a panel's plotting area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corner {
    /// Top left.
    TopLeft,
    /// Top right.
    TopRight,
    /// Bottom left.
    BottomLeft,
    /// Bottom right.
    BottomRight,
}

/// One pair of axes with its marks.
///
/// ```
/// use figures::{Axis, Mark, Panel};
/// let panel = Panel::new(Axis::linear("distance"), Axis::log10("weight"))
///     .title("β = 8")
///     .mark(Mark::line(&[0.0, 1.0], &[1.0, 0.1]).label("softmax"));
/// # let _ = panel;
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) title: String,
    pub(crate) marks: Vec<Mark>,
    pub(crate) inset: Option<(Box<Panel>, Corner)>,
    pub(crate) legend: bool,
}

impl Panel {
    /// A panel without marks.
    pub fn new(x: Axis, y: Axis) -> Self {
        Self { x, y, title: String::new(), marks: Vec::new(), inset: None, legend: false }
    }

    /// A short title above the panel.
    #[must_use]
    pub fn title(mut self, title: &str) -> Self {
        title.clone_into(&mut self.title);
        self
    }

    /// Adds a mark, drawn over those before it.
    #[must_use]
    pub fn mark(mut self, mark: Mark) -> Self {
        self.marks.push(mark);
        self
    }

    /// Adds several marks.
    #[must_use]
    pub fn marks(mut self, marks: impl IntoIterator<Item = Mark>) -> Self {
        self.marks.extend(marks);
        self
    }

    /// Collects the labels of all series in a legend instead of placing each beside its series.
    #[must_use]
    pub fn legend(mut self) -> Self {
        self.legend = true;
        self
    }

    /// Draws a smaller panel in a corner of this one. It must not cover data; its title and an inset
    /// of its own are not drawn.
    #[must_use]
    pub fn inset(mut self, panel: Self, corner: Corner) -> Self {
        self.inset = Some((Box::new(panel), corner));
        self
    }
}
