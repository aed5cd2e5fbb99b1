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

/// One line of the legend.
pub(crate) struct Entry<'a> {
    pub(crate) mark: &'a Mark,
    pub(crate) text: Text,
}

impl Entry<'_> {
    fn width(&self) -> f64 {
        SWATCH + SWATCH_GAP + self.text.width
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

/// The legend in the first corner where it hides nothing, if there is one.
pub(crate) fn in_corner(
    entries: &[Entry<'_>],
    obstacles: &Obstacles,
    area: Rect,
) -> Option<Vec<Shape>> {
    let spacing = entries.first()?.text.size * LINE_SPACING;
    let width = entries.iter().map(Entry::width).fold(0.0, f64::max);
    let height = spacing * entries.len() as f64;
    let (right, low) = (area.right - INDENT - width, area.bottom - INDENT - height);
    let (left, high) = (area.left + INDENT + 2.0, area.top + 2.0);
    let middle = f64::midpoint(left, right);
    let places = [(right, high), (left, high), (right, low), (left, low), (middle, high)];
    let (left, top) = places.into_iter().find(|&(left, top)| {
        let bounds = Rect { left, top, right: left + width, bottom: top + height };
        area.contains(bounds) && !obstacles.meet(bounds.expanded(3.0))
    })?;
    let rows = entries.iter().enumerate();
    let shapes =
        rows.flat_map(|(row, entry)| entry.draw((left, top + (row as f64 + 0.5) * spacing)));
    Some(shapes.collect())
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
