//! Labeled images of characters from fonts that ship in crates, for where no real images can be had.
//!
//! Each image is one character of one typeface, sheared, turned, scaled and shifted at random, with noise: an image
//! set of any size that the project draws itself, seeded. The typefaces are those of two crates, among them serif,
//! sans, monospaced, bold and italic ones ([`n_faces`]).
//!
//! # Examples
//!
//! ```
//! use glyphs::Drawing;
//!
//! let drawing = Drawing::new(&['0', '1', '2'], 28);
//! let mut rng = seed::Seed::new(0).stream("example", "glyphs");
//! let glyphs = drawing.draw(5, &mut rng)?;
//! assert_eq!((glyphs.pixels.len(), glyphs.labels.len()), (15 * 28 * 28, 15));
//! assert_eq!(glyphs.labels[..4], [0, 1, 2, 0]);
//! # Ok::<(), glyphs::GlyphError>(())
//! ```
#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact values"))]

mod outline;

use ab_glyph_rasterizer::Rasterizer;
use outline::{FACES, Outline};
use seed::Rng;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What cannot be drawn.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum GlyphError {
    /// No typeface has the character, or only as a blank.
    #[error(
        "no typeface has an outline for {0:?}; the sets of Latin letters and digits have one in each"
    )]
    Character(char),
    /// The images are too small to show a character, or of no class.
    #[error("{what} is {got}, but must be at least {minimum}")]
    Size {
        /// What is too small.
        what: &'static str,
        /// Its size.
        got: usize,
        /// The smallest that makes sense.
        minimum: usize,
    },
}

/// The number of typefaces.
pub fn n_faces() -> usize {
    FACES.len()
}

/// How images are drawn. Ranges are uniform and symmetric about 0, but for the scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drawing {
    /// The character of each class.
    pub characters: Vec<char>,
    /// Pixels of a row of an image, and rows.
    pub side: usize,
    /// The largest angle, in radians.
    pub turn: f64,
    /// The largest shear: the shift of the top against the bottom, as a part of the height.
    pub shear: f64,
    /// The smallest and the largest part of the image that the longer side of a character fills.
    pub scale: [f64; 2],
    /// The largest stretch of the width: from 1/(1 + stretch) to 1 + stretch.
    pub stretch: f64,
    /// The standard deviation of the noise of a pixel, whose ink is from 0 to 1.
    pub noise: f64,
}

/// Images with the class and the typeface of each.
#[derive(Clone, Debug, PartialEq)]
pub struct Glyphs {
    /// Ink from 0 to 1, `[image, row, column]`.
    pub pixels: Vec<f32>,
    /// The class of each image.
    pub labels: Vec<usize>,
    /// The typeface of each image.
    pub faces: Vec<usize>,
}

impl Drawing {
    /// Characters at moderate distortion: 0.3 radians (17°), shear 0.3, half to nine tenths of the image, a fifth of
    /// stretch, noise 0.1.
    pub fn new(characters: &[char], side: usize) -> Self {
        let characters = characters.to_vec();
        Self {
            characters,
            side,
            turn: 0.3,
            shear: 0.3,
            scale: [0.5, 0.9],
            stretch: 0.2,
            noise: 0.1,
        }
    }

    /// The same number of images of each class, one class after the other in turn, each in a random typeface.
    ///
    /// # Determinism
    ///
    /// A function of the random numbers alone; the last bits of a pixel may differ between classes of CPUs.
    ///
    /// # Errors
    ///
    /// A character that a typeface lacks, no character, or images of fewer than 8 pixels a side.
    pub fn draw(&self, n_per_class: usize, rng: &mut Rng) -> Result<Glyphs, GlyphError> {
        let size = |what, got, minimum| Err(GlyphError::Size { what, got, minimum });
        if self.characters.is_empty() {
            return size("the number of characters", 0, 1);
        }
        if self.side < 8 {
            return size("the side of an image", self.side, 8);
        }
        let outlines = self.characters.iter().map(|character| outline::outlines(*character));
        let outlines: Vec<Vec<Outline>> = outlines.collect::<Result<_, _>>()?;
        let n = n_per_class * outlines.len();
        let mut glyphs = Glyphs {
            pixels: vec![0.0; n * self.side * self.side],
            labels: Vec::with_capacity(n),
            faces: Vec::with_capacity(n),
        };
        let mut rasterizer = Rasterizer::new(self.side, self.side);
        for (image, pixels) in glyphs.pixels.chunks_exact_mut(self.side * self.side).enumerate() {
            let label = image % outlines.len();
            let face = rng.below(outlines[label].len());
            rasterizer.clear();
            self.placed(&outlines[label][face], rng).fill(&mut rasterizer);
            rasterizer.for_each_pixel(|at, ink| pixels[at] = ink);
            for pixel in pixels {
                #[expect(clippy::cast_possible_truncation, reason = "rounded to 32 bits")]
                let noise = (self.noise * rng.normal()) as f32;
                *pixel = (*pixel + noise).clamp(0.0, 1.0);
            }
            glyphs.labels.push(label);
            glyphs.faces.push(face);
        }
        Ok(glyphs)
    }

    /// An outline, distorted and somewhere in the image, wholly.
    fn placed(&self, outline: &Outline, rng: &mut Rng) -> Outline {
        let mut symmetric = |most: f64| most * (2.0 * rng.uniform() - 1.0);
        let (turn, shear) = (symmetric(self.turn), symmetric(self.shear));
        let stretch = libm::exp(symmetric(libm::log(1.0 + self.stretch)));
        let (sin, cos) = (libm::sin(turn), libm::cos(turn));
        let bent = outline.map(|[x, y]| {
            let x = stretch * x + shear * y;
            [cos * x - sin * y, sin * x + cos * y]
        });
        let [low, high] = bent.ends();
        let extent = [high[0] - low[0], high[1] - low[1]];
        let side = self.side as f64;
        let part = self.scale[0] + (self.scale[1] - self.scale[0]) * rng.uniform();
        let scale = part * side / extent[0].max(extent[1]);
        // A pixel is left free on each side.
        let room = extent.map(|extent| (side - 2.0 - scale * extent).max(0.0));
        let shift = room.map(|room| 1.0 + room * rng.uniform());
        // Rows are counted from above.
        bent.map(|[x, y]| [shift[0] + scale * (x - low[0]), shift[1] + scale * (high[1] - y)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seed::Seed;

    const DIGITS: [char; 10] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];

    /// More than the rounding of sums along a row leaves behind.
    const INK: f32 = 1e-3;

    fn rng(purpose: &str) -> Rng {
        Seed::new(4).stream("glyph-tests", purpose)
    }

    fn plain(characters: &[char]) -> Drawing {
        let none =
            Drawing { turn: 0.0, shear: 0.0, stretch: 0.0, noise: 0.0, ..Drawing::new(&[], 32) };
        Drawing { characters: characters.to_vec(), ..none }
    }

    #[test]
    fn every_letter_and_digit_has_an_outline_in_every_face() {
        for character in ('a'..='z').chain('A'..='Z').chain('0'..='9') {
            assert_eq!(outline::outlines(character).unwrap().len(), n_faces(), "{character}");
        }
        assert_eq!(
            Drawing::new(&['漢'], 28).draw(1, &mut rng("x")),
            Err(GlyphError::Character('漢'))
        );
        assert_eq!(
            Drawing::new(&[' '], 28).draw(1, &mut rng("x")),
            Err(GlyphError::Character(' '))
        );
    }

    #[test]
    fn ink_lies_inside_and_fills_what_was_asked() {
        let drawing = Drawing { scale: [0.75, 0.75], ..plain(&DIGITS) };
        let glyphs = drawing.draw(20, &mut rng("inside")).unwrap();
        for (image, label) in glyphs.pixels.chunks(32 * 32).zip(&glyphs.labels) {
            let inked: Vec<usize> = (0..32 * 32).filter(|at| image[*at] > INK).collect();
            let extent = |of: fn(&usize) -> usize| {
                let all = || inked.iter().map(of);
                all().max().unwrap() - all().min().unwrap() + 1
            };
            let longer = extent(|at| at % 32).max(extent(|at| at / 32));
            // 24 pixels, which may touch one more.
            assert!((23..=25).contains(&longer), "{label}: {longer}");
            let at_border = |at: usize| at == 0 || at == 31;
            assert!(!inked.iter().any(|at| at_border(at % 32) || at_border(at / 32)));
        }
    }

    #[test]
    fn a_bar_is_tall_and_a_dash_is_wide() {
        let glyphs = plain(&['|', '-']).draw(4, &mut rng("bar")).unwrap();
        for (image, label) in glyphs.pixels.chunks(32 * 32).zip(&glyphs.labels) {
            let ink = |of: fn(usize) -> usize| {
                let mut sums = [0.0_f32; 32];
                image.iter().enumerate().for_each(|(at, ink)| sums[of(at)] += ink);
                sums.iter().filter(|sum| **sum > INK).count()
            };
            let (columns, rows) = (ink(|at| at % 32), ink(|at| at / 32));
            assert_eq!(rows > columns, *label == 0);
        }
    }

    #[test]
    fn the_same_numbers_draw_the_same_images_and_classes_are_even() {
        let drawing = Drawing::new(&DIGITS, 28);
        let glyphs = drawing.draw(30, &mut rng("same")).unwrap();
        assert_eq!(glyphs, drawing.draw(30, &mut rng("same")).unwrap());
        assert_ne!(glyphs, drawing.draw(30, &mut rng("other")).unwrap());
        for class in 0..10 {
            assert_eq!(glyphs.labels.iter().filter(|label| **label == class).count(), 30);
        }
        assert!((0..n_faces()).all(|face| glyphs.faces.contains(&face)));
        assert!(glyphs.pixels.iter().all(|ink| (0.0..=1.0).contains(ink)));
    }

    #[test]
    fn what_cannot_be_is_an_error() {
        assert!(Drawing::new(&[], 28).draw(1, &mut rng("x")).is_err());
        assert!(Drawing::new(&['0'], 7).draw(1, &mut rng("x")).is_err());
        assert!(Drawing::new(&['0'], 8).draw(0, &mut rng("x")).unwrap().labels.is_empty());
    }
}
