//! The built-in fonts: outlines, advance widths and kerning.

use std::sync::LazyLock;

use epaint_default_fonts::{HACK_REGULAR, UBUNTU_LIGHT};
use ttf_parser::gpos::{PairAdjustment, PositioningSubtable};
use ttf_parser::opentype_layout::LayoutTable;
use ttf_parser::{Face, GlyphId, OutlineBuilder, Tag};

use crate::geometry::Rect;

/// One glyph: which face, and its number there.
pub(crate) type GlyphKey = (usize, u16);

/// The text face first, then the one that lends it the mathematical signs it lacks. Both licences
/// leave documents that contain outlines free of conditions.
static FACES: LazyLock<Vec<Typeface>> =
    LazyLock::new(|| [UBUNTU_LIGHT, HACK_REGULAR].into_iter().map(Typeface::new).collect());

struct Typeface {
    face: Face<'static>,
    kerning: Vec<PairAdjustment<'static>>,
}

impl Typeface {
    fn new(data: &'static [u8]) -> Self {
        let face = Face::parse(data, 0).expect("a font that is compiled in is valid");
        let kerning = face.tables().gpos.as_ref().map_or_else(Vec::new, kerning_pairs);
        Self { face, kerning }
    }
}

fn kerning_pairs(table: &LayoutTable<'static>) -> Vec<PairAdjustment<'static>> {
    let Some(feature) = table.features.find(Tag::from_bytes(b"kern")) else { return Vec::new() };
    let lookups = feature.lookup_indices.into_iter().filter_map(|index| table.lookups.get(index));
    let subtables =
        lookups.flat_map(|lookup| lookup.subtables.into_iter::<PositioningSubtable<'static>>());
    subtables
        .filter_map(|subtable| match subtable {
            PositioningSubtable::Pair(pairs) => Some(pairs),
            _ => None,
        })
        .collect()
}

/// The glyph of a character in the first face that has it.
pub(crate) fn glyph(character: char) -> Option<GlyphKey> {
    let found = |(index, typeface): (usize, &Typeface)| {
        typeface.face.glyph_index(character).map(|glyph| (index, glyph.0))
    };
    FACES.iter().enumerate().find_map(found)
}

/// Font units per em.
pub(crate) fn units_per_em(face: usize) -> f64 {
    f64::from(FACES[face].face.units_per_em())
}

/// The advance width in font units.
pub(crate) fn advance(key: GlyphKey) -> i32 {
    FACES[key.0].face.glyph_hor_advance(GlyphId(key.1)).map_or(0, i32::from)
}

/// What to add to the advance of `left` when `right` follows, in font units.
pub(crate) fn kerning(left: GlyphKey, right: GlyphKey) -> i32 {
    if left.0 != right.0 {
        return 0;
    }
    let (first, second) = (GlyphId(left.1), GlyphId(right.1));
    // The first subtable that covers the left glyph and knows the pair decides.
    let adjustment = |pairs: &PairAdjustment<'static>| {
        let covered = pairs.coverage().get(first)?;
        let (value, _) = match pairs {
            PairAdjustment::Format1 { sets, .. } => sets.get(covered)?.get(second)?,
            PairAdjustment::Format2 { classes, matrix, .. } => {
                matrix.get((classes.0.get(first), classes.1.get(second)))?
            }
        };
        Some(i32::from(value.x_advance))
    };
    FACES[left.0].kerning.iter().find_map(adjustment).unwrap_or(0)
}

/// The box of a glyph's outline in font units with y downward; none for a space.
pub(crate) fn ink(key: GlyphKey) -> Option<Rect> {
    let bounds = FACES[key.0].face.glyph_bounding_box(GlyphId(key.1))?;
    Some(Rect {
        left: f64::from(bounds.x_min),
        top: -f64::from(bounds.y_max),
        right: f64::from(bounds.x_max),
        bottom: -f64::from(bounds.y_min),
    })
}

/// The outline as SVG path data in font units with y downward.
pub(crate) fn outline(key: GlyphKey) -> String {
    let mut path = PathData(Vec::new());
    FACES[key.0].face.outline_glyph(GlyphId(key.1), &mut path);
    path.0.concat()
}

/// One string for each command.
struct PathData(Vec<String>);

impl PathData {
    fn push(&mut self, command: char, coordinates: &[f32]) {
        // Adding 0 turns −0 into 0.
        let pair = |pair: &[f32]| format!("{} {}", pair[0] + 0.0, -pair[1] + 0.0);
        let pairs: Vec<String> = coordinates.chunks(2).map(pair).collect();
        self.0.push(format!("{command}{}", pairs.join(" ")));
    }
}

impl OutlineBuilder for PathData {
    fn move_to(&mut self, x: f32, y: f32) {
        self.push('M', &[x, y]);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.push('L', &[x, y]);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.push('Q', &[x1, y1, x, y]);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.push('C', &[x1, y1, x2, y2, x, y]);
    }

    fn close(&mut self) {
        self.0.push("Z".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kerning_pulls_the_classic_pair_together() {
        let key = |character| glyph(character).unwrap();
        assert!(kerning(key('A'), key('V')) < 0);
        assert_eq!(kerning(key('n'), key('n')), 0);
    }

    #[test]
    fn the_signs_of_the_papers_have_glyphs() {
        for character in "αβγδεθκλμνπρστφχψωΓΔΘΛΣΦΨΩ−–×·±≤≥≠≈∞→′∈‖⟨⟩∝²½√∑".chars()
        {
            assert!(glyph(character).is_some(), "{character}");
        }
        assert_eq!(glyph('漢'), None);
    }

    #[test]
    fn an_outline_is_closed_path_data_and_a_space_has_none() {
        let path = outline(glyph('l').unwrap());
        assert!(path.starts_with('M') && path.ends_with('Z'), "{path}");
        assert_eq!(outline(glyph(' ').unwrap()), "");
    }
}
