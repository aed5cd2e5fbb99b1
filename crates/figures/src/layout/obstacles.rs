//! What a label inside the plotting area must keep clear of.

use crate::geometry::{Point, Rect};
use crate::scene::{GRID, Shape, points};

/// Lines and boxes, each with the number of the mark it belongs to.
#[derive(Clone, Default)]
pub(crate) struct Obstacles {
    segments: Vec<(Point, Point, usize)>,
    boxes: Vec<(Rect, usize)>,
}

/// The owner of obstacles that belong to no mark.
pub(crate) const NOBODY: usize = usize::MAX;

impl Obstacles {
    /// Adds a mark's shape. Of a band only the outline counts: text on its tint can be read.
    pub(crate) fn add(&mut self, shape: &Shape, owner: usize) {
        match shape {
            Shape::Path { points: path, .. } => {
                let ends = path.windows(2).map(|pair| (points(pair[0]), points(pair[1]), owner));
                self.segments.extend(ends);
            }
            Shape::Area { points: outline, fill } if fill.opacity >= 1.0 => {
                let spots = outline.iter().map(|at| spot(points(*at), 0.0));
                self.boxes.extend(spots.reduce(Rect::union).map(|bounds| (bounds, owner)));
            }
            Shape::Area { points: outline, .. } => {
                let next = outline.iter().cycle().skip(1);
                let sides = outline.iter().zip(next).map(|(a, b)| (points(*a), points(*b), owner));
                self.segments.extend(sides);
            }
            Shape::Bar { corners, .. } => {
                let [a, b] = corners.map(|at| spot(points(at), 0.0));
                self.boxes.push((a.union(b), owner));
            }
            Shape::Dot { center, radius, .. } => {
                self.boxes.push((spot(points(*center), *radius), owner));
            }
            Shape::Raster { corner, side, columns, pixels } => {
                let (left, top) = points(*corner);
                let side = f64::from(*side) / GRID;
                let (columns, rows) = (*columns as f64, pixels.len().div_ceil(*columns) as f64);
                let (right, bottom) = (left + side * columns, top + side * rows);
                self.boxes.push((Rect { left, top, right, bottom }, owner));
            }
            Shape::Lettering(lettering) => self.boxes.push((lettering.bounds(), owner)),
        }
    }

    pub(crate) fn add_box(&mut self, bounds: Rect) {
        self.boxes.push((bounds, NOBODY));
    }

    pub(crate) fn meet(&self, bounds: Rect) -> bool {
        self.boxes.iter().any(|(other, _)| bounds.overlaps(*other))
            || self.segments.iter().any(|(a, b, _)| bounds.clip_segment(*a, *b).is_some())
    }

    /// The distances from a box to the nearest obstacle of `owner` and to the nearest of another
    /// mark.
    pub(crate) fn distances(&self, bounds: Rect, owner: usize) -> (f64, f64) {
        let (mut own, mut other) = (f64::INFINITY, f64::INFINITY);
        let mut note = |distance: f64, of: usize| {
            let nearest = if of == owner { &mut own } else { &mut other };
            *nearest = nearest.min(distance);
        };
        for (a, b, of) in &self.segments {
            note(bounds.distance_to_segment(*a, *b), *of);
        }
        for (other_bounds, of) in &self.boxes {
            if *of != NOBODY {
                let diagonal = [
                    (other_bounds.left, other_bounds.top),
                    (other_bounds.right, other_bounds.bottom),
                ];
                note(bounds.distance_to_segment(diagonal[0], diagonal[1]), *of);
            }
        }
        (own, other)
    }

    /// Points along the shapes of a mark, at most about `n` of them.
    pub(crate) fn anchors(&self, owner: usize, n: usize) -> Vec<Point> {
        let mut anchors = Vec::new();
        let own_segments = || self.segments.iter().filter(|(_, _, of)| *of == owner);
        let length = |a: &Point, b: &Point| {
            let (dx, dy) = (b.0 - a.0, b.1 - a.1);
            (dx * dx + dy * dy).sqrt()
        };
        let total: f64 = own_segments().map(|(a, b, _)| length(a, b)).sum();
        let step = total / n as f64;
        let (mut passed, mut next) = (0.0, 0.0);
        for (a, b, _) in own_segments() {
            let long = length(a, b);
            while long > 0.0 && next <= passed + long {
                let t = (next - passed) / long;
                anchors.push((a.0 + t * (b.0 - a.0), a.1 + t * (b.1 - a.1)));
                next += step;
            }
            passed += long;
        }
        let own_boxes: Vec<&Rect> =
            self.boxes.iter().filter(|(_, of)| *of == owner).map(|(bounds, _)| bounds).collect();
        let stride = own_boxes.len().div_ceil(n).max(1);
        anchors.extend(
            own_boxes
                .into_iter()
                .step_by(stride)
                .map(|bounds| (f64::midpoint(bounds.left, bounds.right), bounds.top)),
        );
        anchors
    }
}

fn spot((x, y): Point, radius: f64) -> Rect {
    Rect { left: x, top: y, right: x, bottom: y }.expanded(radius)
}
