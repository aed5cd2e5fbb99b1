//! Puts a label inside the plotting area beside its series, where there is room.

use crate::geometry::{Point, Rect};
use crate::text::Text;

use super::obstacles::Obstacles;

/// Distances from the series that are tried.
const GAPS: [f64; 3] = [2.5, 4.5, 7.5];
/// Room that is kept around a label.
const CLEAR: f64 = 1.5;

/// The left end of the baseline of the best free place beside one of the anchors, if there is any:
/// near its own series, nearer to it than to others, and rather at the right.
pub(crate) fn place(
    text: &Text,
    anchors: &[Point],
    owner: usize,
    obstacles: &Obstacles,
    area: Rect,
) -> Option<Point> {
    let mut best: Option<(f64, Point)> = None;
    for &anchor in anchors {
        for gap in GAPS {
            for (toward_right, toward_bottom) in DIRECTIONS {
                let at = beside(text.ink, anchor, gap, toward_right, toward_bottom);
                let bounds = text.ink.shifted(at.0, at.1).expanded(CLEAR);
                if !area.contains(bounds) || obstacles.meet(bounds) {
                    continue;
                }
                let (own, other) = obstacles.distances(bounds, owner);
                let ambiguity = 4.0 * (own + 4.0 - other).max(0.0);
                let from_right = (area.right - anchor.0) / area.width();
                let below = if toward_bottom > 0.0 { 0.3 } else { 0.0 };
                let cost = 0.4 * gap + ambiguity + 4.0 * from_right + below;
                if best.is_none_or(|(least, _)| cost < least) {
                    best = Some((cost, at));
                }
            }
        }
    }
    // A place nearer to another series would mislead.
    best.filter(|(cost, _)| *cost < 20.0).map(|(_, at)| at)
}

/// Left, middle or right, and above, level or below.
const DIRECTIONS: [(f64, f64); 8] = [
    (0.0, -1.0),
    (1.0, -1.0),
    (1.0, 0.0),
    (1.0, 1.0),
    (0.0, 1.0),
    (-1.0, 1.0),
    (-1.0, 0.0),
    (-1.0, -1.0),
];

/// The baseline's left end of a text whose ink stands beside an anchor in a direction.
pub(crate) fn beside(
    ink: Rect,
    anchor: Point,
    gap: f64,
    toward_right: f64,
    toward_bottom: f64,
) -> Point {
    let center_x = anchor.0 + toward_right * (gap + ink.width() / 2.0);
    let center_y = anchor.1 + toward_bottom * (gap + ink.height() / 2.0);
    let middle_x = f64::midpoint(ink.left, ink.right);
    let middle_y = f64::midpoint(ink.top, ink.bottom);
    (center_x - middle_x, center_y - middle_y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Weight;

    const AREA: Rect = Rect { left: 0.0, top: 0.0, right: 100.0, bottom: 60.0 };

    #[test]
    fn a_label_stands_near_the_right_end_and_hides_nothing() {
        let text = Text::new("label", 7.0, Weight::Regular).unwrap();
        let anchors = [(10.0, 30.0), (80.0, 30.0)];
        let mut obstacles = Obstacles::default();
        let above = place(&text, &anchors, 0, &obstacles, AREA).unwrap();
        assert!(above.0 > 50.0 && above.1 < 30.0, "{above:?}");
        obstacles.add_box(Rect { bottom: 30.0, ..AREA });
        let below = place(&text, &anchors, 0, &obstacles, AREA).unwrap();
        assert!(below.1 > 30.0, "{below:?}");
        assert!(!obstacles.meet(text.ink.shifted(below.0, below.1)));
        obstacles.add_box(AREA);
        assert_eq!(place(&text, &anchors, 0, &obstacles, AREA), None);
    }
}
