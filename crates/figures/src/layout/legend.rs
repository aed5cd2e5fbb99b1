//! A compact legend, for the case that labels beside their series do not fit.

use crate::geometry::{Point, Rect};
use crate::mark::Mark;
use crate::scene::{Lettering, Shape};
use crate::series::swatch;
use crate::text::Text;
use crate::theme::{INK, LINE_SPACING, MIDDLE, SWATCH};

use super::obstacles::Obstacles;

const SWATCH_GAP: f64 = 3.0;
const ENTRY_GAP: f64 = 9.0;
const INDENT: f64 = 4.0;
/// Room around a legend inside the plotting area.
const CLEAR: f64 = 3.0;

/// One line of the legend.
pub(crate) struct Entry<'a> {
    pub(crate) mark: &'a Mark,
    pub(crate) text: Text,
}

impl Entry<'_> {
    fn width(&self) -> f64 {
        SWATCH + SWATCH_GAP + self.text.width
    }

    /// Whether another entry says the same: the label, the kind, and all that can be seen of it.
    fn same(&self, other: &Self) -> bool {
        let (a, b) = (self.mark, other.mark);
        (&a.label, a.kind(), a.color, a.stroke, a.marker_shape())
            == (&b.label, b.kind(), b.color, b.stroke, b.marker_shape())
    }

    /// The entry with its left end at `x`, centered on `y`.
    fn draw(&self, (x, y): Point) -> Vec<Shape> {
        let mut shapes = swatch(self.mark, (x + SWATCH / 2.0, y));
        let at = (x + SWATCH + SWATCH_GAP, y + MIDDLE * self.text.size);
        let lettering = Lettering { text: self.text.clone(), at, upward: false, rgb: INK };
        shapes.push(Shape::Lettering(Box::new(lettering)));
        shapes
    }
}

/// The longest of several legends, where there are at least two and it says all that the others say:
/// it can stand once for all of them.
pub(crate) fn common<'a, 'b>(legends: &[&'b [Entry<'a>]]) -> Option<&'b [Entry<'a>]> {
    let longest = legends.iter().copied().max_by_key(|entries| entries.len())?;
    let known = |entry: &Entry<'_>| longest.iter().any(|other| entry.same(other));
    let all_known = legends.iter().copied().flatten().all(known);
    (legends.len() > 1 && all_known).then_some(longest)
}

/// The legend inside the area where it hides nothing, as near to a corner as possible; none where it
/// finds no room.
pub(crate) fn inside(
    entries: &[Entry<'_>],
    obstacles: &Obstacles,
    area: Rect,
) -> Option<Vec<Shape>> {
    const STEPS: u8 = 12;
    let spacing = entries.first()?.text.size * LINE_SPACING;
    let width = entries.iter().map(Entry::width).fold(0.0, f64::max);
    let height = spacing * entries.len() as f64;
    let free = Rect {
        left: area.left + INDENT,
        top: area.top + INDENT / 2.0,
        right: area.right - INDENT - width,
        bottom: area.bottom - INDENT - height,
    };
    if free.width() < 0.0 || free.height() < 0.0 {
        return None;
    }
    // From the right and from the top, as shares of the free room.
    let shares = || (0..=STEPS).map(|step| f64::from(step) / f64::from(STEPS));
    let places = shares().flat_map(|right| shares().map(move |down| (right, down)));
    let mut best: Option<(f64, Point)> = None;
    for (from_right, from_top) in places {
        let place = (free.right - from_right * free.width(), free.top + from_top * free.height());
        let bounds =
            Rect { left: place.0, top: place.1, right: place.0 + width, bottom: place.1 + height };
        // Of equal places the one found first stays: the right ones, and of these the upper.
        let from_corner = from_right.min(1.0 - from_right) + from_top.min(1.0 - from_top);
        let better = best.is_none_or(|(least, _)| from_corner < least);
        if better && !obstacles.meet(bounds.expanded(CLEAR)) {
            best = Some((from_corner, place));
        }
    }
    let (_, (left, top)) = best?;
    let middle = |row: usize| top + (row as f64 + 0.5) * spacing;
    let rows = entries.iter().enumerate();
    Some(rows.flat_map(|(row, entry)| entry.draw((left, middle(row)))).collect())
}

/// The legend in rows that end at `bottom`, and the height they take.
pub(crate) fn in_rows(
    entries: &[Entry<'_>],
    left: f64,
    width: f64,
    bottom: f64,
) -> (Vec<Shape>, f64) {
    let Some(first) = entries.first() else { return (Vec::new(), 0.0) };
    let spacing = first.text.size * LINE_SPACING;
    let mut rows: Vec<Vec<(f64, &Entry<'_>)>> = Vec::new();
    let mut x = f64::INFINITY;
    for entry in entries {
        if x + entry.width() > width {
            rows.push(Vec::new());
            x = 0.0;
        }
        if let Some(row) = rows.last_mut() {
            row.push((x, entry));
        }
        x += entry.width() + ENTRY_GAP;
    }
    let height = spacing * rows.len() as f64;
    let mut shapes = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let y = bottom - height + (index as f64 + 0.5) * spacing;
        shapes.extend(row.iter().flat_map(|(x, entry)| entry.draw((left + x, y))));
    }
    (shapes, height)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Color;
    use crate::text::Weight;

    const AREA: Rect = Rect { left: 0.0, top: 0.0, right: 100.0, bottom: 60.0 };

    fn text_place(shapes: &[Shape]) -> Point {
        let place = shapes.iter().find_map(|shape| match shape {
            Shape::Lettering(lettering) => Some(lettering.at),
            _ => None,
        });
        place.unwrap()
    }

    #[test]
    fn the_legend_evades_what_is_drawn_and_gives_up_where_it_must() {
        let mark = Mark::line(&[0.0], &[0.0]);
        let text = Text::new("label", 7.0, Weight::Regular).unwrap();
        let entries = [Entry { mark: &mark, text }];
        let mut obstacles = Obstacles::default();
        let (x, y) = text_place(&inside(&entries, &obstacles, AREA).unwrap());
        assert!(x > 50.0 && y < 30.0, "top right: {x}, {y}");
        obstacles.add_box(Rect { bottom: 30.0, ..AREA });
        let (x, y) = text_place(&inside(&entries, &obstacles, AREA).unwrap());
        assert!(x > 50.0 && y > 30.0, "bottom right: {x}, {y}");
        obstacles.add_box(AREA);
        assert!(inside(&entries, &obstacles, AREA).is_none());
    }

    #[test]
    fn legends_that_say_the_same_become_one() {
        let text = || Text::new("label", 7.0, Weight::Regular).unwrap();
        let line = |color| Mark::line(&[0.0], &[0.0]).color(color).label("label");
        let [blue, green] = [Color::Blue, Color::Green].map(line);
        let entry = |mark| Entry { mark, text: text() };
        let (both, one) = ([entry(&blue), entry(&green)], [entry(&green)]);
        assert_eq!(common(&[&one, &both]).map(<[_]>::len), Some(2));
        assert!(common(&[&both]).is_none(), "one panel keeps its own");
        assert!(common(&[&[entry(&blue)], &one]).is_none(), "one label, two colors");
    }

    #[test]
    fn rows_break_at_the_width() {
        let mark = Mark::line(&[0.0], &[0.0]);
        let entry = || {
            let text = Text::new("label", 10.0, Weight::Regular).unwrap();
            Entry { mark: &mark, text }
        };
        let entries = [entry(), entry(), entry()];
        let one = entries[0].width();
        let (_, height) = in_rows(&entries, 0.0, 2.0 * one + ENTRY_GAP, 0.0);
        assert!((height - 2.0 * 10.0 * LINE_SPACING).abs() < 1e-12);
    }
}
