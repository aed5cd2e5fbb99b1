//! A plotters backend that writes SVG: whole numbers on a fine grid, text as shared outlines.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, DrawingBackend, DrawingErrorKind,
};

use crate::mark::Stroke;
use crate::scene::{GRID, Grid, Lettering, Paint, Pen, grid, grid_point};
use crate::text::{GlyphKey, Weight, outline};
use crate::theme::{BOLD_STROKE, REGULAR_STROKE};

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

/// Text made safe inside XML elements and attributes.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The words that go into an SVG beside the picture.
pub(crate) struct Words<'a> {
    pub(crate) title: &'a str,
    pub(crate) description: &'a str,
    pub(crate) metadata: &'a str,
    /// The `width` and `height` attributes, with their unit.
    pub(crate) size: (String, String),
}

/// Elements drawn so far and the glyphs that they use.
pub(crate) struct Svg {
    size: (u32, u32),
    body: Vec<String>,
    glyphs: BTreeSet<GlyphKey>,
}

impl Svg {
    /// An empty picture of this size on the grid.
    pub(crate) fn new(size: (u32, u32)) -> Self {
        Self { size, body: Vec::new(), glyphs: BTreeSet::new() }
    }

    /// A path with a pen, which a plotters style cannot say.
    pub(crate) fn stroke_path(&mut self, points: impl IntoIterator<Item = Grid>, pen: &Pen) {
        let data = path_data(points);
        if !data.is_empty() {
            self.body.push(format!("<path d=\"{data}\" fill=\"none\"{}/>\n", stroke(pen)));
        }
    }

    /// A box with an outline.
    pub(crate) fn rectangle(&mut self, [a, b]: [Grid; 2], paint: Paint, outline: Option<&Pen>) {
        let (left, top) = (a.0.min(b.0), a.1.min(b.1));
        let (width, height) = ((a.0 - b.0).abs(), (a.1 - b.1).abs());
        let style = fill(paint) + &outline.map_or(String::new(), stroke);
        self.body.push(format!(
            "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\"{style}/>\n"
        ));
    }

    /// A disk with an outline; the radius is in points.
    pub(crate) fn disk(&mut self, center: Grid, radius: f64, paint: Paint, outline: Option<&Pen>) {
        let style = fill(paint) + &outline.map_or(String::new(), stroke);
        let (x, y) = center;
        let r = grid(radius);
        self.body.push(format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\"{style}/>\n"));
    }

    /// A filled polygon.
    pub(crate) fn polygon(&mut self, points: impl IntoIterator<Item = Grid>, paint: Paint) {
        let data = path_data(points);
        if !data.is_empty() {
            self.body.push(format!("<path d=\"{data}Z\"{}/>\n", fill(paint)));
        }
    }

    /// Gray pixels without smoothing: a background of the commonest level, and for each other level the runs
    /// of its pixels.
    pub(crate) fn raster(&mut self, corner: Grid, side: i32, columns: usize, pixels: &[u8]) {
        let mut runs: BTreeMap<u8, Vec<(Grid, i32)>> = BTreeMap::new();
        let mut counts = [0_usize; 256];
        let mut top = corner.1;
        for row in pixels.chunks(columns) {
            let mut left = corner.0;
            for run in row.chunk_by(|a, b| a == b) {
                let width = side * i32::try_from(run.len()).unwrap_or(0);
                runs.entry(run[0]).or_default().push(((left, top), width));
                counts[usize::from(run[0])] += run.len();
                left += width;
            }
            top += side;
        }
        let commonest = runs.keys().copied().max_by_key(|level| counts[usize::from(*level)]);
        let Some(background) = commonest else { return };
        let width = side * i32::try_from(columns).unwrap_or(0);
        let (left, upper, height) = (corner.0, corner.1, top - corner.1);
        self.body.push(format!(
            "<g shape-rendering=\"crispEdges\">\n<path fill=\"{}\" d=\"M{left} {upper}h{width}v{height}h{}z\"/>\n",
            hex([background; 3]),
            -width
        ));
        runs.remove(&background);
        for (level, runs) in runs {
            let mut last = (0, 0);
            let boxes = runs.into_iter().map(|((x, y), width)| {
                // After z the pen is back where the last run began.
                let (dx, dy) = (x - last.0, y - last.1);
                last = (x, y);
                format!("m{dx} {dy}h{width}v{side}h{}z", -width)
            });
            let data: String = boxes.collect();
            self.body.push(format!("<path fill=\"{}\" d=\"{data}\"/>\n", hex([level; 3])));
        }
        self.body.push("</g>\n".to_owned());
    }

    /// A line of text with the left end of its baseline at a place.
    pub(crate) fn lettering(&mut self, lettering: &Lettering, (x, y): Grid) {
        let text = &lettering.text;
        let rotation = if lettering.upward { "rotate(-90)" } else { "" };
        let weight = match text.weight {
            Weight::Regular => REGULAR_STROKE,
            Weight::Bold => BOLD_STROKE,
        };
        let color = hex(lettering.rgb);
        self.body.push(format!(
            "<g aria-label=\"{}\" transform=\"translate({x} {y}){rotation}\" fill=\"{color}\" \
             stroke=\"{color}\" stroke-width=\"{weight}\">",
            escape(&text.source)
        ));
        for run in &text.runs {
            let place = match grid_point((run.x, run.y)) {
                (0, 0) => String::new(),
                (x, y) => format!("translate({x} {y})"),
            };
            // Four decimals place the last glyph of a long line to a hundredth of a point.
            let scale = format!("{:.4}", run.scale * GRID);
            self.body.push(format!("<g transform=\"{place}scale({scale})\">"));
            for &(key, x) in &run.glyphs {
                self.glyphs.insert(key);
                self.body.push(format!("<use href=\"#{}\" x=\"{x}\"/>", glyph_id(key)));
            }
            self.body.push("</g>".to_owned());
        }
        self.body.push("</g>\n".to_owned());
    }

    /// The whole document.
    pub(crate) fn document(&self, words: &Words<'_>) -> String {
        let (width, height) = self.size;
        let head = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{}\" height=\"{}\" \
             viewBox=\"0 0 {width} {height}\" stroke-linejoin=\"round\">\n\
             <title>{}</title>\n<desc>{}</desc>\n<metadata>{}</metadata>\n",
            words.size.0,
            words.size.1,
            escape(words.title),
            escape(words.description),
            escape(words.metadata)
        );
        let definition =
            |&key: &GlyphKey| format!("<path id=\"{}\" d=\"{}\"/>\n", glyph_id(key), outline(key));
        let glyphs: String = self.glyphs.iter().map(definition).collect();
        format!("{head}<defs>\n{glyphs}</defs>\n{}</svg>\n", self.body.concat())
    }
}

/// The same in every figure, so that several on one page may share the definition.
fn glyph_id(key: GlyphKey) -> String {
    format!("figures-glyph-{}-{}", key.0, key.1)
}

fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn opacity(name: &str, value: f64) -> String {
    if value < 1.0 { format!(" {name}=\"{value:.2}\"") } else { String::new() }
}

fn fill(paint: Paint) -> String {
    format!(" fill=\"{}\"{}", hex(paint.rgb), opacity("fill-opacity", paint.opacity))
}

fn stroke(pen: &Pen) -> String {
    let width = grid(pen.width);
    // Multiples of the width, so that thin and thick lines look alike.
    let dashes = |on: i32, off: i32| {
        format!(" stroke-dasharray=\"{} {}\"", on * width / 10, off * width / 10)
    };
    let pattern = match pen.stroke {
        Stroke::Solid => String::new(),
        Stroke::Dashed => dashes(40, 25),
        // Round caps make dots of dashes without length.
        Stroke::Dotted => dashes(0, 21) + " stroke-linecap=\"round\"",
    };
    let color = hex(pen.paint.rgb);
    let opacity = opacity("stroke-opacity", pen.paint.opacity);
    format!(" stroke=\"{color}\" stroke-width=\"{width}\"{opacity}{pattern}")
}

/// `M` and then relative moves, without moves of length 0.
fn path_data(points: impl IntoIterator<Item = Grid>) -> String {
    let mut points = points.into_iter();
    let Some(first) = points.next() else { return String::new() };
    let mut last = first;
    let moves: Vec<String> = points
        .filter_map(|point| {
            let (dx, dy) = (point.0 - last.0, point.1 - last.1);
            last = point;
            ((dx, dy) != (0, 0)).then(|| format!("{dx} {dy}"))
        })
        .collect();
    if moves.is_empty() {
        return String::new();
    }
    format!("M{} {}l{}", first.0, first.1, moves.join(" "))
}

fn paint(color: BackendColor) -> Paint {
    Paint { rgb: [color.rgb.0, color.rgb.1, color.rgb.2], opacity: color.alpha }
}

fn pen<S: BackendStyle>(style: &S) -> Pen {
    let width = f64::from(style.stroke_width()) / GRID;
    Pen { paint: paint(style.color()), width, stroke: Stroke::Solid }
}

impl DrawingBackend for Svg {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, at: BackendCoord, color: BackendColor) -> Drawn {
        self.rectangle([at, (at.0 + 1, at.1 + 1)], paint(color), None);
        Ok(())
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Drawn {
        self.stroke_path([from, to], &pen(style));
        Ok(())
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        if fill {
            self.rectangle([upper_left, bottom_right], paint(style.color()), None);
        } else {
            let none = Paint { opacity: 0.0, ..paint(style.color()) };
            self.rectangle([upper_left, bottom_right], none, Some(&pen(style)));
        }
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        self.stroke_path(path, &pen(style));
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        center: BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Drawn {
        let radius = f64::from(radius) / GRID;
        if fill {
            self.disk(center, radius, paint(style.color()), None);
        } else {
            let none = Paint { opacity: 0.0, ..paint(style.color()) };
            self.disk(center, radius, none, Some(&pen(style)));
        }
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        vertices: I,
        style: &S,
    ) -> Drawn {
        self.polygon(vertices, paint(style.color()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_and_skip_what_does_not_move() {
        assert_eq!(path_data([(10, 20), (10, 20), (13, 20), (13, 15)]), "M10 20l3 0 0 -5");
        assert_eq!(path_data([(1, 1), (1, 1)]), "");
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("a<b & \"c\""), "a&lt;b &amp; &quot;c&quot;");
    }
}
