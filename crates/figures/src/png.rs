//! Pixels from the SVG; nothing of the system, its fonts included, takes part.

use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use crate::Error;
use crate::theme::{PNG_DPI, POINTS_PER_MM};

/// The SVG at [`PNG_DPI`] for a print of this width.
pub(crate) fn rasterize(figure: &str, svg: &str, width_mm: f64) -> Result<Vec<u8>, Error> {
    let failed = |reason: String| Error::Drawing { figure: figure.to_owned(), reason };
    let tree = Tree::from_str(svg, &Options::default()).map_err(|e| failed(e.to_string()))?;
    let width = (width_mm * POINTS_PER_MM / 72.0 * PNG_DPI).round();
    let scale = width / f64::from(tree.size().width());
    let height = (f64::from(tree.size().height()) * scale).ceil();
    let mut pixels = Pixmap::new(whole(width), whole(height))
        .ok_or_else(|| failed(format!("no picture of {width} by {height} pixels")))?;
    pixels.fill(Color::WHITE);
    let scale = single(scale);
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    pixels.encode_png().map_err(|e| failed(e.to_string()))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size in pixels")]
fn whole(pixels: f64) -> u32 {
    pixels as u32
}

#[expect(clippy::cast_possible_truncation, reason = "the rasterizer computes in single precision")]
fn single(scale: f64) -> f32 {
    scale as f32
}
