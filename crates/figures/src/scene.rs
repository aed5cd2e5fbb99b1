//! What is drawn, at its place on the canvas.

use crate::geometry::{Point, Rect};
use crate::mark::Stroke;
use crate::text::Text;

/// A place on the canvas in hundredths of a point, the unit of the SVG.
pub(crate) type Grid = (i32, i32);

/// Units of the grid in a point.
pub(crate) const GRID: f64 = 100.0;

/// Points to the grid.
#[expect(clippy::cast_possible_truncation, reason = "a canvas is far smaller than 2^31 units")]
pub(crate) fn grid(points: f64) -> i32 {
    (points * GRID).round() as i32
}

/// A place in points on the grid.
pub(crate) fn grid_point(point: Point) -> Grid {
    (grid(point.0), grid(point.1))
}

/// A place on the grid in points.
pub(crate) fn points(at: Grid) -> Point {
    (f64::from(at.0) / GRID, f64::from(at.1) / GRID)
}

/// A colour with its opacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Paint {
    pub(crate) rgb: [u8; 3],
    pub(crate) opacity: f64,
}

impl Paint {
    pub(crate) fn solid(rgb: [u8; 3]) -> Self {
        Self { rgb, opacity: 1.0 }
    }
}

/// How a path is stroked; the width is in points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pen {
    pub(crate) paint: Paint,
    pub(crate) width: f64,
    pub(crate) stroke: Stroke,
}

impl Pen {
    pub(crate) fn solid(rgb: [u8; 3], width: f64) -> Self {
        Self { paint: Paint::solid(rgb), width, stroke: Stroke::Solid }
    }
}

/// A line of text at its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lettering {
    pub(crate) text: Text,
    /// The left end of the baseline, in points.
    pub(crate) at: Point,
    /// Whether the text runs upward.
    pub(crate) upward: bool,
    pub(crate) rgb: [u8; 3],
}

impl Lettering {
    /// The box around the outlines on the canvas, in points.
    pub(crate) fn bounds(&self) -> Rect {
        let ink = self.text.ink;
        let (x, y) = self.at;
        if self.upward {
            // (x, y) of the text goes to (y, −x) of the canvas.
            Rect { left: ink.top, right: ink.bottom, top: -ink.right, bottom: -ink.left }
                .shifted(x, y)
        } else {
            ink.shifted(x, y)
        }
    }
}

/// One thing to draw.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Path {
        points: Vec<Grid>,
        pen: Pen,
    },
    Area {
        points: Vec<Grid>,
        fill: Paint,
    },
    /// A box with an optional outline.
    Bar {
        corners: [Grid; 2],
        fill: Paint,
        outline: Option<Pen>,
    },
    Dot {
        center: Grid,
        radius: f64,
        fill: Paint,
        outline: Option<Pen>,
    },
    /// Gray pixels, row after row from the top.
    Raster {
        /// The upper left corner.
        corner: Grid,
        /// The side of a pixel.
        side: i32,
        columns: usize,
        pixels: Vec<u8>,
    },
    Lettering(Box<Lettering>),
}

impl Shape {
    pub(crate) fn shift(&mut self, dx: f64, dy: f64) {
        let move_by = |at: &mut Grid| {
            at.0 += grid(dx);
            at.1 += grid(dy);
        };
        match self {
            Self::Path { points, .. } | Self::Area { points, .. } => {
                points.iter_mut().for_each(move_by);
            }
            Self::Bar { corners, .. } => corners.iter_mut().for_each(move_by),
            Self::Dot { center, .. } => move_by(center),
            Self::Raster { corner, .. } => move_by(corner),
            Self::Lettering(lettering) => {
                lettering.at.0 += dx;
                lettering.at.1 += dy;
            }
        }
    }
}

/// The finished picture.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Canvas {
    /// In points.
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) shapes: Vec<Shape>,
}
