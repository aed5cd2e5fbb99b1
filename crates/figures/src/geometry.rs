//! Boxes and segments in the plane; y grows downward.

/// A point.
pub(crate) type Point = (f64, f64);

/// A box with sides parallel to the axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rect {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

impl Rect {
    pub(crate) fn width(self) -> f64 {
        self.right - self.left
    }

    pub(crate) fn height(self) -> f64 {
        self.bottom - self.top
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    pub(crate) fn expanded(self, by: f64) -> Self {
        Self {
            left: self.left - by,
            top: self.top - by,
            right: self.right + by,
            bottom: self.bottom + by,
        }
    }

    pub(crate) fn shifted(self, dx: f64, dy: f64) -> Self {
        Self {
            left: self.left + dx,
            top: self.top + dy,
            right: self.right + dx,
            bottom: self.bottom + dy,
        }
    }

    /// Whether the insides meet; boxes that only touch do not.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        self.left <= other.left
            && self.top <= other.top
            && self.right >= other.right
            && self.bottom >= other.bottom
    }

    /// The part of the segment from `a` to `b` inside the box (Liang and Barsky's method).
    pub(crate) fn clip_segment(self, a: Point, b: Point) -> Option<(Point, Point)> {
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let sides = [
            (-dx, a.0 - self.left),
            (dx, self.right - a.0),
            (-dy, a.1 - self.top),
            (dy, self.bottom - a.1),
        ];
        let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
        for (slope, room) in sides {
            if slope == 0.0 {
                if room < 0.0 {
                    return None;
                }
            } else if slope < 0.0 {
                enter = enter.max(room / slope);
            } else {
                leave = leave.min(room / slope);
            }
        }
        let at = |t: f64| {
            // The ends themselves, not a rounding of them.
            if t <= 0.0 {
                a
            } else if t >= 1.0 {
                b
            } else {
                (a.0 + t * dx, a.1 + t * dy)
            }
        };
        (enter <= leave).then(|| (at(enter), at(leave)))
    }

    /// The part of a polygon inside the box (Sutherland and Hodgman's method).
    pub(crate) fn clip_polygon(self, polygon: &[Point]) -> Vec<Point> {
        type Inside = fn(&Rect, Point) -> f64;
        let sides: [Inside; 4] =
            [|r, p| p.0 - r.left, |r, p| r.right - p.0, |r, p| p.1 - r.top, |r, p| r.bottom - p.1];
        let mut points = polygon.to_vec();
        for side in sides {
            let before = std::mem::take(&mut points);
            for (index, &b) in before.iter().enumerate() {
                let a = before[(index + before.len() - 1) % before.len()];
                let (at_a, at_b) = (side(&self, a), side(&self, b));
                if (at_a < 0.0) != (at_b < 0.0) {
                    let t = at_a / (at_a - at_b);
                    points.push((a.0 + t * (b.0 - a.0), a.1 + t * (b.1 - a.1)));
                }
                if at_b >= 0.0 {
                    points.push(b);
                }
            }
        }
        points
    }

    /// The distance between the box and a segment; 0 where they meet.
    pub(crate) fn distance_to_segment(self, a: Point, b: Point) -> f64 {
        if self.clip_segment(a, b).is_some() {
            return 0.0;
        }
        let corners = [
            (self.left, self.top),
            (self.right, self.top),
            (self.left, self.bottom),
            (self.right, self.bottom),
        ];
        let from_corners = corners.map(|corner| point_to_segment(corner, a, b));
        let from_ends = [a, b].map(|end| {
            let dx = (self.left - end.0).max(end.0 - self.right).max(0.0);
            let dy = (self.top - end.1).max(end.1 - self.bottom).max(0.0);
            (dx * dx + dy * dy).sqrt()
        });
        from_corners.into_iter().chain(from_ends).fold(f64::INFINITY, f64::min)
    }
}

fn point_to_segment(p: Point, a: Point, b: Point) -> f64 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let squared = dx * dx + dy * dy;
    let along = ((p.0 - a.0) * dx + (p.1 - a.1) * dy) / squared;
    let t = if squared > 0.0 { along.clamp(0.0, 1.0) } else { 0.0 };
    let (ex, ey) = (p.0 - a.0 - t * dx, p.1 - a.1 - t * dy);
    (ex * ex + ey * ey).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: Rect = Rect { left: 0.0, top: 0.0, right: 1.0, bottom: 1.0 };

    #[test]
    fn segments_are_cut_at_the_sides() {
        assert_eq!(UNIT.clip_segment((-1.0, 0.5), (3.0, 0.5)), Some(((0.0, 0.5), (1.0, 0.5))));
        assert_eq!(UNIT.clip_segment((0.25, 0.25), (0.75, 0.5)), Some(((0.25, 0.25), (0.75, 0.5))));
        assert_eq!(UNIT.clip_segment((-1.0, 0.5), (0.5, 2.0)), None);
        assert_eq!(UNIT.clip_segment((2.0, 2.0), (3.0, 2.0)), None);
    }

    #[test]
    fn polygons_are_cut_at_the_sides() {
        // A square moved by half its width keeps half its area.
        let moved = [(0.5, 0.0), (1.5, 0.0), (1.5, 1.0), (0.5, 1.0)];
        let cut = UNIT.clip_polygon(&moved);
        let twice_area: f64 = (0..cut.len())
            .map(|i| {
                let (a, b) = (cut[i], cut[(i + 1) % cut.len()]);
                a.0 * b.1 - b.0 * a.1
            })
            .sum();
        assert!((twice_area - 1.0).abs() < 1e-12, "{cut:?}");
        assert!(UNIT.clip_polygon(&[(2.0, 2.0), (3.0, 2.0), (3.0, 3.0)]).is_empty());
    }

    #[test]
    fn distances_to_segments() {
        let distances = [
            UNIT.distance_to_segment((-1.0, 0.5), (2.0, 0.5)),
            UNIT.distance_to_segment((-1.0, 3.0), (2.0, 3.0)),
            UNIT.distance_to_segment((4.0, 5.0), (9.0, 5.0)),
        ];
        assert_eq!(format!("{distances:?}"), "[0.0, 2.0, 5.0]");
    }

    #[test]
    fn touching_boxes_do_not_overlap() {
        assert!(!UNIT.overlaps(UNIT.shifted(1.0, 0.0)));
        assert!(UNIT.overlaps(UNIT.shifted(0.9, 0.9)));
    }
}
