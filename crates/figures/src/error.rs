use std::fmt;

/// Where in a figure something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Location {
    /// The figure's id.
    pub figure: String,
    /// The panel's letter, with its title where it has one; an inset says so.
    pub panel: String,
    /// The series' name as in the CSV.
    pub series: String,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "figure {}, panel {}, series {}", self.figure, self.panel, self.series)
    }
}

/// What can be wrong with a figure or a table.
#[derive(Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A figure without panels has nothing to draw.
    #[error("figure {figure} has no panels: add one with `Figure::panel`")]
    NoPanels {
        /// The figure's id.
        figure: String,
    },
    /// A panel without marks has nothing to draw.
    #[error("figure {figure}, panel {panel} has no marks: add one with `Panel::mark`")]
    NoMarks {
        /// The figure's id.
        figure: String,
        /// The panel's name.
        panel: String,
    },
    /// A series without values.
    #[error("{location}: the series is empty")]
    EmptySeries {
        /// The series.
        location: Location,
    },
    /// Two columns of a series whose lengths do not go together.
    #[error("{location}: `{column}` has {got} values, expected {expected}")]
    LengthMismatch {
        /// The series.
        location: Location,
        /// The column of the wrong length.
        column: &'static str,
        /// The length that the other columns ask for.
        expected: usize,
        /// The length found.
        got: usize,
    },
    /// A value that is NaN or infinite.
    #[error(
        "{location}: `{column}[{index}]` is {value}: drop the value, or say `Mark::allow_gaps` \
         where a gap is meant"
    )]
    NonFinite {
        /// The series.
        location: Location,
        /// The column.
        column: &'static str,
        /// The position in the column, from 0.
        index: usize,
        /// The value found.
        value: f64,
    },
    /// A value that a logarithmic axis cannot show.
    #[error(
        "{location}: `{column}[{index}]` is {value}, which a log axis cannot show: drop it, or say \
         `Mark::allow_gaps` where a gap is meant"
    )]
    NonPositive {
        /// The series.
        location: Location,
        /// The column.
        column: &'static str,
        /// The position in the column, from 0.
        index: usize,
        /// The value found.
        value: f64,
    },
    /// An interval whose low end lies above its high end.
    #[error("{location}: interval {index} runs from {low} up to {high}: swap the ends")]
    InvertedInterval {
        /// The series.
        location: Location,
        /// The position in the series, from 0.
        index: usize,
        /// The low end.
        low: f64,
        /// The high end.
        high: f64,
    },
    /// Histogram edges that do not increase.
    #[error("{location}: edge {index} does not lie above the edge before it")]
    UnorderedEdges {
        /// The series.
        location: Location,
        /// The position of the edge that is too low.
        index: usize,
    },
    /// An axis whose range or ticks cannot be drawn.
    #[error(
        "figure {figure}, panel {panel}, axis `{axis}`: {low} to {high} is not a range that the \
         axis can show"
    )]
    InvalidRange {
        /// The figure's id.
        figure: String,
        /// The panel's name.
        panel: String,
        /// The axis label.
        axis: String,
        /// The low end.
        low: f64,
        /// The high end.
        high: f64,
    },
    /// Panels that share a range of which some are linear and some logarithmic.
    #[error("figure {figure}: panels that share their {axis} range need the same scale")]
    MixedScales {
        /// The figure's id.
        figure: String,
        /// `x` or `y`.
        axis: char,
    },
    /// A size of zero or below, or one that leaves no room for the data.
    #[error(
        "figure {figure}: a panel's plotting area would be {width_mm:.1} by {height_mm:.1} mm: use \
         fewer columns, a larger width or height, or shorter labels"
    )]
    NoRoom {
        /// The figure's id.
        figure: String,
        /// The width that is left.
        width_mm: f64,
        /// The height that is left.
        height_mm: f64,
    },
    /// A character that the built-in fonts lack.
    #[error("the text `{text}` needs the character `{character}`, which the built-in fonts lack")]
    MissingGlyph {
        /// The whole text.
        text: String,
        /// The missing character.
        character: char,
    },
    /// A `_{` or `^{` without its closing brace, or one inside another.
    #[error("the text `{text}` has a `_{{` or `^{{` that is not closed before the next one")]
    Markup {
        /// The whole text.
        text: String,
    },
    /// Two texts that would be printed over each other.
    #[error("figure {figure}: the texts `{first}` and `{second}` overlap: shorten or move one")]
    Overlap {
        /// The figure's id.
        figure: String,
        /// One text.
        first: String,
        /// The other text.
        second: String,
    },
    /// A text that would leave the canvas.
    #[error("figure {figure}: the text `{text}` leaves the canvas: shorten it")]
    OffCanvas {
        /// The figure's id.
        figure: String,
        /// The text.
        text: String,
    },
    /// An inset that would hide data of its panel.
    #[error(
        "figure {figure}, panel {panel}: the inset covers data: choose another corner or extend \
         the axis range"
    )]
    InsetCoversData {
        /// The figure's id.
        figure: String,
        /// The panel's name.
        panel: String,
    },
    /// The drawing library refused.
    #[error("figure {figure}: drawing failed: {reason}")]
    Drawing {
        /// The figure's id.
        figure: String,
        /// What the library said.
        reason: String,
    },
    /// A table row that has more or fewer cells than the table has columns.
    #[error("table {table}, row {row} has {got} cells, expected {expected}")]
    RowLength {
        /// The table's id.
        table: String,
        /// The row, from 0.
        row: usize,
        /// The number of columns.
        expected: usize,
        /// The number of cells found.
        got: usize,
    },
    /// A number in a table that is NaN or infinite.
    #[error("table {table}, row {row}, column `{column}` is {value}: use `Cell::Missing`")]
    NonFiniteCell {
        /// The table's id.
        table: String,
        /// The row, from 0.
        row: usize,
        /// The column's name.
        column: String,
        /// The value found.
        value: f64,
    },
}
