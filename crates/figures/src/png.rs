//! Pixels from the SVG; nothing of the system, its fonts included, takes part.

use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use crate::Error;
use crate::theme::{PNG_DPI, POINTS_PER_MM};

/// Length of the signature and the header chunk that open every PNG.
const PNG_HEADER: usize = 8 + 25;
/// The chunk `pHYs`: 11811 pixels per meter, which is 300 per inch, in x and y.
const RESOLUTION: [u8; 21] = [
    0, 0, 0, 9, b'p', b'H', b'Y', b's', 0, 0, 0x2E, 0x23, 0, 0, 0x2E, 0x23, 1, 0x78, 0xA5, 0x3F,
    0x76,
];

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
    let mut png = pixels.encode_png().map_err(|e| failed(e.to_string()))?;
    // Right after the signature and the header, where the format wants it.
    png.splice(PNG_HEADER..PNG_HEADER, RESOLUTION);
    Ok(png)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size in pixels")]
fn whole(pixels: f64) -> u32 {
    pixels as u32
}

#[expect(clippy::cast_possible_truncation, reason = "the rasterizer computes in single precision")]
fn single(scale: f64) -> f32 {
    scale as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const SVG: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"20mm\" height=\"10mm\" \
                       viewBox=\"0 0 2 1\"><rect width=\"1\" height=\"1\"/></svg>";

    #[test]
    fn the_size_is_the_print_size_at_300_dpi() {
        let png = rasterize("f", SVG, 25.4).unwrap();
        // Width and height are the first fields of the header chunk.
        let field = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
        assert_eq!((field(16), field(20)), (300, 150));
        assert_eq!(png[PNG_HEADER..PNG_HEADER + 21], RESOLUTION);
        assert_eq!(&png[PNG_HEADER + 21 + 4..][..4], b"IDAT");
    }

    #[test]
    fn the_checksum_of_the_resolution_is_right() {
        let mut crc = u32::MAX;
        for byte in &RESOLUTION[4..17] {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
            }
        }
        assert_eq!((!crc).to_be_bytes(), RESOLUTION[17..]);
        assert!((PNG_DPI / 0.0254 - 11811.0).abs() < 0.5);
    }

    #[test]
    fn pixels_of_an_image_keep_their_levels() {
        use crate::{Axis, Figure, Mark, Panel};
        let levels: Vec<u8> = (0..25_u8).map(|place| place.wrapping_mul(37)).collect();
        let axis = || Axis::categories("", &[""]);
        let panel = Panel::new(axis(), axis()).mark(Mark::image(0.0, 0.0, 5, &levels));
        let figure = Figure::new("f", "").panel(panel);
        let png = figure.png("").unwrap();
        assert_eq!(png, figure.png("").unwrap());
        assert_eq!(figure.svg("").unwrap(), figure.svg("").unwrap());
        // The largest box of levels in the SVG, in hundredths of a point; a point is 300/72 pixels.
        let svg = figure.svg("").unwrap();
        let (_, path) = svg.split_once("crispEdges\">").unwrap();
        let (_, path) = path.split_once(" d=\"M").unwrap();
        let fields: Vec<f64> = path[..path.find('z').unwrap()]
            .split([' ', 'h', 'v'])
            .map(|field| field.parse().unwrap())
            .collect();
        let [left, top, width, ..] = fields[..] else { panic!("{path}") };
        let pixels = Pixmap::decode_png(&png).unwrap();
        let scale = PNG_DPI / 72.0 / 100.0;
        for (place, level) in levels.iter().enumerate() {
            let at = |start: f64, step: usize| (start + width * (step as f64 + 0.5) / 5.0) * scale;
            let (x, y) = (whole(at(left, place % 5)), whole(at(top, place / 5)));
            let pixel = pixels.pixel(x, y).unwrap();
            assert_eq!([pixel.red(), pixel.green(), pixel.blue()], [*level; 3], "{place}");
        }
    }

    #[test]
    fn what_is_not_an_svg_is_an_error() {
        let error = rasterize("f", "<svg", 25.4).unwrap_err();
        assert!(matches!(error, Error::Drawing { .. }));
    }
}
