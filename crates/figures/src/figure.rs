use crate::csv::figure_csv;
use crate::draw::draw;
use crate::layout::lay_out;
use crate::notebook;
use crate::png::rasterize;
use crate::svg::Words;
use crate::theme::POINTS_PER_MM;
use crate::{Error, Panel};

/// The printed width of a figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Width {
    /// One text column, 85 mm.
    #[default]
    Column,
    /// The whole page, 178 mm.
    Page,
}

impl Width {
    pub(crate) fn mm(self) -> f64 {
        match self {
            Self::Column => 85.0,
            Self::Page => 178.0,
        }
    }

    /// Larger than in print, and still narrower than a notebook.
    fn notebook_pixels(self) -> f64 {
        match self {
            Self::Column => 540.0,
            Self::Page => 900.0,
        }
    }
}

/// A figure: panels in a grid, filled row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) caption: String,
    pub(crate) columns: usize,
    pub(crate) width: Width,
    pub(crate) panel_height_mm: f64,
    pub(crate) share_x: bool,
    pub(crate) share_y: bool,
    pub(crate) panels: Vec<Panel>,
}

impl Figure {
    /// A figure without panels, one text column wide. An empty title draws none.
    pub fn new(id: &str, title: &str) -> Self {
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            caption: String::new(),
            columns: 1,
            width: Width::Column,
            panel_height_mm: 45.0,
            share_x: false,
            share_y: false,
            panels: Vec::new(),
        }
    }

    /// A plain sentence for the caption and the SVG's description; it is not drawn.
    #[must_use]
    pub fn caption(mut self, caption: &str) -> Self {
        caption.clone_into(&mut self.caption);
        self
    }

    /// The number of panels side by side; 0 counts as 1.
    #[must_use]
    pub fn columns(mut self, columns: usize) -> Self {
        self.columns = columns.max(1);
        self
    }

    /// The printed width.
    #[must_use]
    pub fn width(mut self, width: Width) -> Self {
        self.width = width;
        self
    }

    /// The height of each panel's plotting area, without labels; 45 mm unless told.
    #[must_use]
    pub fn panel_height_mm(mut self, height: f64) -> Self {
        self.panel_height_mm = height;
        self
    }

    /// Gives all panels the same x range and labels it below the lowest ones only.
    #[must_use]
    pub fn share_x(mut self) -> Self {
        self.share_x = true;
        self
    }

    /// Gives all panels the same y range and labels it beside the leftmost ones only.
    #[must_use]
    pub fn share_y(mut self) -> Self {
        self.share_y = true;
        self
    }

    /// Adds a panel to the right of the last one, or below where the row is full.
    #[must_use]
    pub fn panel(mut self, panel: Panel) -> Self {
        self.panels.push(panel);
        self
    }

    /// The figure's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The figure's title.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The caption given with [`Figure::caption`].
    pub fn caption_text(&self) -> &str {
        &self.caption
    }

    /// The data behind the figure as tidy CSV with the columns
    /// `panel,series,kind,x,y,low,high`. A panel is its letter; a histogram's bar runs from `low` to
    /// `high` in x and has its count as `y`; an image's pixel has its gray level as `low` and `high`.
    pub fn csv(&self) -> String {
        figure_csv(self)
    }

    /// The picture as SVG, at its printed size. The `stamp`, by custom the short hash of the
    /// configuration, is printed small beside the id, and both stand in the metadata.
    ///
    /// The same description and stamp give the same bytes.
    ///
    /// # Errors
    /// Any variant of [`Error`] about a figure: data that cannot be shown, texts that overlap or do
    /// not fit, characters without a glyph.
    pub fn svg(&self, stamp: &str) -> Result<String, Error> {
        let mm = |points: f64| format!("{:.2}mm", points / POINTS_PER_MM);
        self.document(stamp, mm)
    }

    fn document(&self, stamp: &str, length: impl Fn(f64) -> String) -> Result<String, Error> {
        let canvas = lay_out(self, stamp)?;
        let words = Words {
            title: if self.title.is_empty() { &self.id } else { &self.title },
            description: &self.caption,
            metadata: &format!("figure: {}; config: {stamp}", self.id),
            size: (length(canvas.width), length(canvas.height)),
        };
        draw(&self.id, &canvas, &words)
    }

    /// The picture as PNG: the SVG at 300 dots per inch of its printed width.
    ///
    /// # Errors
    /// As [`Figure::svg`].
    pub fn png(&self, stamp: &str) -> Result<Vec<u8>, Error> {
        rasterize(&self.id, &self.svg(stamp)?, self.width.mm())
    }

    /// Shows the figure, or the reason why it cannot be drawn, in a notebook with an evcxr kernel.
    pub fn evcxr_display(&self) {
        let zoom = self.width.notebook_pixels() / (self.width.mm() * POINTS_PER_MM);
        let pixels = |points: f64| format!("{:.0}", points * zoom);
        match self.document("", pixels) {
            Ok(svg) => notebook::show("image/svg+xml", &svg),
            Err(error) => notebook::show("text/plain", &error.to_string()),
        }
    }
}

/// The name of a panel: a, b, … z, aa, ab, …
pub(crate) fn panel_name(index: usize) -> String {
    let mut name = if index >= 26 { panel_name(index / 26 - 1) } else { String::new() };
    name.push(char::from(b'a' + u8::try_from(index % 26).unwrap_or(0)));
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Axis, Mark};

    fn figure() -> Figure {
        let panel = |title: &str| {
            Panel::new(Axis::linear("distance d_{v}"), Axis::log10("weight"))
                .title(title)
                .mark(Mark::line(&[0.0, 1.0, 2.0], &[1.0, 0.1, 0.01]).label("β = 8 & more"))
        };
        Figure::new("A-x00", "Weights <fall>")
            .caption("A caption.")
            .panel(panel(""))
            .panel(panel("t"))
    }

    #[test]
    fn the_same_description_gives_the_same_bytes() {
        assert_eq!(figure().svg("c0ffee").unwrap(), figure().svg("c0ffee").unwrap());
        assert_eq!(figure().png("c0ffee").unwrap(), figure().png("c0ffee").unwrap());
        assert_ne!(figure().svg("c0ffee").unwrap(), figure().svg("decade").unwrap());
    }

    #[test]
    fn words_can_be_found_in_the_svg_and_no_font_is_asked_for() {
        let svg = figure().svg("c0ffee").unwrap();
        for words in [
            "<title>Weights &lt;fall&gt;</title>",
            "<desc>A caption.</desc>",
            "<metadata>figure: A-x00; config: c0ffee</metadata>",
            "aria-label=\"β = 8 &amp; more\"",
            "role=\"img\"",
            "width=\"85.00mm\"",
        ] {
            assert!(svg.contains(words), "{words}");
        }
        assert!(!svg.contains("<text") && !svg.contains("font"));
    }

    #[test]
    fn the_csv_names_panels_and_series() {
        let csv = figure().csv();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines.len(), 1 + 6);
        assert_eq!(lines[2], "a,β = 8 & more,line,1,0.1,,");
        assert_eq!(lines[6], "b,β = 8 & more,line,2,0.01,,");
    }

    #[test]
    fn a_figure_without_room_or_panels_is_an_error() {
        let many = figure().columns(9);
        let panel = many.panels[0].clone();
        let crowded = (0..7).fold(many, |figure, _| figure.panel(panel.clone()));
        assert!(matches!(crowded.svg(""), Err(Error::NoRoom { .. })));
        let flat = figure().panel_height_mm(0.0);
        assert!(matches!(flat.svg(""), Err(Error::NoRoom { .. })));
        let empty = Figure::new("f", "").svg("");
        assert_eq!(empty, Err(Error::NoPanels { figure: "f".to_owned() }));
    }

    #[test]
    fn texts_that_cannot_be_kept_apart_are_an_error() {
        let crowded = [(0.0, "a long name"), (0.01, "another long name"), (1.0, "end")];
        let panel = Panel::new(Axis::linear("x").named_ticks(&crowded), Axis::linear("y"))
            .mark(Mark::line(&[0.0, 1.0], &[0.0, 1.0]));
        let error = Figure::new("f", "").panel(panel).svg("").unwrap_err();
        assert!(matches!(error, Error::Overlap { .. }), "{error}");
    }

    #[test]
    fn panels_past_z_go_on_with_two_panel_name() {
        assert_eq!(
            [panel_name(0), panel_name(25), panel_name(26), panel_name(52)],
            ["a", "z", "aa", "ba"]
        );
    }
}
