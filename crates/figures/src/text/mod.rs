//! Text as glyph outlines: shaping, measuring, breaking into lines.

mod font;
mod markup;

pub(crate) use font::{GlyphKey, outline};

use crate::Error;
use crate::geometry::Rect;
use crate::theme::{SCRIPT_SIZE, SUBSCRIPT_DROP, SUPERSCRIPT_RISE};
use markup::Level;

/// A thin space separates groups of three digits; it needs no glyph.
pub(crate) const THIN_SPACE: char = '\u{2009}';

/// How heavy the strokes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    Regular,
    Bold,
}

/// Glyphs of one face, size and level, at positions in font units from the run's origin.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// Points per font unit.
    pub(crate) scale: f64,
    pub(crate) glyphs: Vec<(GlyphKey, i32)>,
}

/// One line of shaped text; lengths in points, origin at the left end of the baseline, y downward.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Text {
    pub(crate) source: String,
    pub(crate) size: f64,
    pub(crate) weight: Weight,
    pub(crate) width: f64,
    /// The box around the outlines.
    pub(crate) ink: Rect,
    pub(crate) runs: Vec<Run>,
}

impl Text {
    /// Shapes one line.
    pub(crate) fn new(source: &str, size: f64, weight: Weight) -> Result<Self, Error> {
        let mut text = Self {
            source: source.to_owned(),
            size,
            weight,
            width: 0.0,
            ink: Rect { left: 0.0, top: 0.0, right: 0.0, bottom: 0.0 },
            runs: Vec::new(),
        };
        // A subscript beside a superscript stands under it.
        let (mut last, mut start, mut widest) = (Level::Base, 0.0, 0.0_f64);
        for (level, piece) in markup::parse(source)? {
            if last != Level::Base && level != Level::Base && level != last {
                widest = text.width;
                text.width = start;
            } else {
                start = text.width;
            }
            text.append(level, piece)?;
            text.width = text.width.max(widest);
            last = level;
        }
        text.ink = text.measure_ink();
        Ok(text)
    }

    fn append(&mut self, level: Level, piece: &str) -> Result<(), Error> {
        let (size, y) = match level {
            Level::Base => (self.size, 0.0),
            Level::Subscript => (self.size * SCRIPT_SIZE, self.size * SUBSCRIPT_DROP),
            Level::Superscript => (self.size * SCRIPT_SIZE, -self.size * SUPERSCRIPT_RISE),
        };
        let mut last: Option<GlyphKey> = None;
        let mut cursor = 0; // font units from the start of the current run
        for character in piece.chars() {
            if character == THIN_SPACE {
                self.width += size / 6.0;
                last = None;
                continue;
            }
            let Some(key) = font::glyph(character) else {
                return Err(Error::MissingGlyph { text: self.source.clone(), character });
            };
            let scale = size / font::units_per_em(key.0);
            match last {
                Some(before) if before.0 == key.0 => {
                    let kerning = font::kerning(before, key);
                    cursor += kerning;
                    self.width += f64::from(kerning) * scale;
                }
                _ => {
                    cursor = 0;
                    self.runs.push(Run { x: self.width, y, scale, glyphs: Vec::new() });
                }
            }
            if let Some(run) = self.runs.last_mut()
                && font::ink(key).is_some()
            {
                run.glyphs.push((key, cursor));
            }
            let advance = font::advance(key);
            cursor += advance;
            self.width += f64::from(advance) * scale;
            last = Some(key);
        }
        Ok(())
    }

    fn measure_ink(&self) -> Rect {
        let boxes = self.runs.iter().flat_map(|run| {
            run.glyphs.iter().filter_map(|&(key, x)| {
                let ink = font::ink(key)?;
                Some(Rect {
                    left: run.x + run.scale * (f64::from(x) + ink.left),
                    top: run.y + run.scale * ink.top,
                    right: run.x + run.scale * (f64::from(x) + ink.right),
                    bottom: run.y + run.scale * ink.bottom,
                })
            })
        });
        boxes.reduce(Rect::union).unwrap_or(Rect { left: 0.0, top: 0.0, right: 0.0, bottom: 0.0 })
    }
}

/// Shapes a text in as few lines as the width allows; a word wider than that stays whole. An empty
/// text has no lines.
pub(crate) fn wrap(
    source: &str,
    size: f64,
    weight: Weight,
    max_width: f64,
) -> Result<Vec<Text>, Error> {
    let mut lines: Vec<Text> = Vec::new();
    let mut current = String::new();
    for word in markup::words(source) {
        let longer = if current.is_empty() { word.to_owned() } else { format!("{current} {word}") };
        if !current.is_empty() && Text::new(&longer, size, weight)?.width > max_width {
            lines.push(Text::new(&current, size, weight)?);
            word.clone_into(&mut current);
        } else {
            current = longer;
        }
    }
    if !current.is_empty() {
        lines.push(Text::new(&current, size, weight)?);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn width(source: &str) -> f64 {
        Text::new(source, 10.0, Weight::Regular).unwrap().width
    }

    #[test]
    fn widths_add_up_and_scale() {
        assert!((width("nn") - 2.0 * width("n")).abs() < 1e-12);
        let double = Text::new("nn", 20.0, Weight::Regular).unwrap().width;
        assert!((double - 2.0 * width("nn")).abs() < 1e-12);
        assert!(width("AV") < width("A") + width("V"));
        // A subscript is smaller by the theme's factor.
        assert!((width("x_{n}") - width("x") - SCRIPT_SIZE * width("n")).abs() < 1e-12);
    }

    #[test]
    fn the_ink_box_follows_the_letters() {
        let x = Text::new("x", 10.0, Weight::Regular).unwrap().ink;
        let y = Text::new("y", 10.0, Weight::Regular).unwrap().ink;
        assert!(x.bottom.abs() < 0.2, "x stands on the baseline: {x:?}");
        assert!(y.bottom > 1.0, "y descends: {y:?}");
    }

    #[test]
    fn a_missing_glyph_is_an_error() {
        let error = Text::new("漢", 7.0, Weight::Regular).unwrap_err();
        assert_eq!(error, Error::MissingGlyph { text: "漢".to_owned(), character: '漢' });
    }

    #[test]
    fn wrapping_keeps_every_word_and_the_width() {
        let lines = wrap("one two three four", 10.0, Weight::Regular, width("three four")).unwrap();
        let sources: Vec<&str> = lines.iter().map(|line| line.source.as_str()).collect();
        assert_eq!(sources, ["one two", "three four"]);
        assert!(wrap("", 10.0, Weight::Regular, 50.0).unwrap().is_empty());
    }
}
