//! Outlines of characters.

use std::sync::LazyLock;

use ab_glyph_rasterizer::{Point, Rasterizer, point};
use epaint_default_fonts::{HACK_REGULAR, UBUNTU_LIGHT};
use ttf_parser::{Face, OutlineBuilder};

use crate::GlyphError;

/// The typefaces: those that have all Latin letters and digits.
pub(crate) static FACES: LazyLock<Vec<Face<'static>>> = LazyLock::new(|| {
    let fonts = typst_assets::fonts().chain([UBUNTU_LIGHT, HACK_REGULAR]);
    let faces = fonts.filter_map(|font| Face::parse(font, 0).ok());
    faces
        .filter(|face| ('0'..='z').filter(char::is_ascii_alphanumeric).all(|c| has(face, c)))
        .collect()
});

fn has(face: &Face, character: char) -> bool {
    of(face, character).is_some_and(|outline| !outline.0.is_empty())
}

fn of(face: &Face, character: char) -> Option<Outline> {
    let mut pen = Pen::default();
    face.outline_glyph(face.glyph_index(character)?, &mut pen)?;
    Some(pen.outline)
}

/// The outline of a character in each typeface.
pub(crate) fn outlines(character: char) -> Result<Vec<Outline>, GlyphError> {
    let each = FACES.iter().map(|face| of(face, character).filter(|outline| !outline.0.is_empty()));
    each.collect::<Option<_>>().ok_or(GlyphError::Character(character))
}

/// Pieces of closed curves, each by its points: two of a line, three and four of Bézier curves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outline(Vec<Vec<[f64; 2]>>);

impl Outline {
    pub(crate) fn map(&self, f: impl Fn([f64; 2]) -> [f64; 2]) -> Self {
        Self(self.0.iter().map(|piece| piece.iter().map(|at| f(*at)).collect()).collect())
    }

    /// The smallest and the largest coordinates of its points, which bound it.
    pub(crate) fn ends(&self) -> [[f64; 2]; 2] {
        let mut ends = [[f64::INFINITY; 2], [f64::NEG_INFINITY; 2]];
        for at in self.0.iter().flatten() {
            for axis in 0..2 {
                ends[0][axis] = ends[0][axis].min(at[axis]);
                ends[1][axis] = ends[1][axis].max(at[axis]);
            }
        }
        ends
    }

    pub(crate) fn fill(&self, rasterizer: &mut Rasterizer) {
        #[expect(clippy::cast_possible_truncation, reason = "pixels in 32 bits")]
        let at = |[x, y]: [f64; 2]| -> Point { point(x as f32, y as f32) };
        for piece in &self.0 {
            match piece[..] {
                [a, b] => rasterizer.draw_line(at(a), at(b)),
                [a, b, c] => rasterizer.draw_quad(at(a), at(b), at(c)),
                [a, b, c, d] => rasterizer.draw_cubic(at(a), at(b), at(c), at(d)),
                _ => {}
            }
        }
    }
}

#[derive(Default)]
struct Pen {
    outline: Outline,
    start: [f64; 2],
    at: [f64; 2],
}

impl Pen {
    fn to(&mut self, between: &[[f64; 2]], end: [f64; 2]) {
        let mut piece = vec![self.at];
        piece.extend(between);
        piece.push(end);
        self.outline.0.push(piece);
        self.at = end;
    }
}

fn wide(x: f32, y: f32) -> [f64; 2] {
    [f64::from(x), f64::from(y)]
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.start = wide(x, y);
        self.at = self.start;
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.to(&[], wide(x, y));
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.to(&[wide(x1, y1)], wide(x, y));
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.to(&[wide(x1, y1), wide(x2, y2)], wide(x, y));
    }

    fn close(&mut self) {
        self.to(&[], self.start);
    }
}
