//! W10: small images, each with a caption that names what it shows.

use super::entities::Entities;
use super::geography::Geography;
use crate::build::Builder;
use crate::concept::ConceptId;
use crate::config::ImageOptions;
use crate::document::{Patch, Role};
use crate::template::Template;
use crate::vocabulary::Glue;
use crate::writer::Writer;

/// Pixels of a side of an image, and of a patch.
const SIDE: usize = 12;
const PATCH: usize = 4;

/// The 40 things that have an image: five of each category of W1, 10 cities and 10 landmarks of W2.
pub(crate) struct Images {
    things: Vec<(u16, ConceptId)>,
    patch: u16,
    captions: Vec<Template>,
}

impl Images {
    pub(crate) fn new(b: &mut Builder, entities: &Entities, geography: &Geography) -> Self {
        let mut things: Vec<_> =
            (0..4).flat_map(|category| entities.names(category).step_by(20)).collect();
        for places in [&geography.cities, &geography.landmarks] {
            things.extend(places.iter().step_by(5).map(|place| (place.token, place.concept)));
        }
        assert_eq!(things.len(), 40, "as many as there are shapes with textures");
        let captions = ["A picture of {0!} .", "This shows {0!} .", "Here one sees {0!} ."];
        Self {
            things,
            patch: b.vocabulary.intern("\u{fffc}", Glue::BOTH, Role::Patch),
            captions: b.templates(&captions),
        }
    }

    /// One image and its caption.
    pub(crate) fn write(&self, options: ImageOptions, w: &mut Writer) {
        let shown = w.draw.choose(self.things.len());
        let shift = [w.draw.noise(), w.draw.noise()].map(|noise| noise.clamp(-1.0, 1.0));
        let pixels = picture(shown, shift, options.noise, w);
        for row in 0..SIDE / PATCH {
            for column in 0..SIDE / PATCH {
                let patch: Patch = core::array::from_fn(|at| {
                    let (y, x) = (row * PATCH + at / PATCH, column * PATCH + at % PATCH);
                    pixels[y * SIDE + x]
                });
                w.patch(self.patch, patch, &[self.things[shown].1]);
            }
        }
        w.newline();
        let named =
            if options.shuffled_captions { w.draw.choose(self.things.len()) } else { shown };
        w.any(&self.captions, &[&[self.things[named].0]], &[]);
    }
}

/// Thing i is drawn as shape i mod 10 in texture i div 10, shifted by less than two pixels, with noise, clamped to
/// [0, 1].
fn picture(thing: usize, shift: [f64; 2], noise: f64, w: &mut Writer) -> [f32; SIDE * SIDE] {
    core::array::from_fn(|at| {
        let (y, x) = (at / SIDE, at % SIDE);
        let middle = |pixel: usize, shift: f64| pixel as f64 - 5.5 - shift;
        let inside = shape(thing % 10, middle(y, shift[0]), middle(x, shift[1]));
        let texture = match thing / 10 {
            0 => 1.0,
            1 => 0.5,
            2 => [1.0, 0.25][y % 2],
            _ => [1.0, 0.25][x % 2],
        };
        let value = if inside { texture } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, reason = "pixels are single precision")]
        let pixel = (value + noise * w.draw.noise()).clamp(0.0, 1.0) as f32;
        pixel
    })
}

/// Whether a point, in pixels from the middle, lies inside a shape.
fn shape(shape: usize, y: f64, x: f64) -> bool {
    let (radius, square) = ((y * y + x * x).sqrt(), y.abs().max(x.abs()));
    match shape {
        0 => radius < 4.5,
        1 => (2.5..4.5).contains(&radius),
        2 => square < 5.0,
        3 => (3.5..5.5).contains(&square),
        4 => y > -4.0 && y < 4.0 && 2.0 * x.abs() < y + 4.0,
        5 => (y.abs() < 1.5 || x.abs() < 1.5) && square < 4.5,
        6 => (y - x).abs() < 2.0 && square < 4.5,
        7 => (y + x).abs() < 2.0 && square < 4.5,
        8 => y.abs() + x.abs() < 4.5,
        _ => square < 4.5 && (y < -1.5 || x.abs() < 1.5),
    }
}
