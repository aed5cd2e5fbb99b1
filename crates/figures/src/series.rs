//! From the values of a mark to shapes at their place, cut off at the sides of the plotting area.

use plotters::coord::CoordTranslate;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;

use crate::geometry::{Point, Rect};
use crate::mark::{Data, Mark, Marker};
use crate::scale::View;
use crate::scene::{Grid, Paint, Pen, Shape, grid, points};
use crate::theme::{
    BAND_OPACITY, BAR_GAP, BAR_OPACITY, CROWD, CROWD_OPACITY, CROWD_RADIUS, INTERVAL_WIDTH,
    LINE_WIDTH, POINT_RADIUS, REFERENCE_WIDTH, SWATCH, WHITE,
};

/// A plotting area with its two views.
pub(crate) struct Frame {
    pub(crate) plot: Rect,
    pub(crate) x: View,
    pub(crate) y: View,
    coordinates: Cartesian2d<RangedCoordf64, RangedCoordf64>,
}

impl Frame {
    pub(crate) fn new(plot: Rect, x: View, y: View) -> Self {
        let across = grid(plot.left)..grid(plot.right);
        let up = grid(plot.bottom)..grid(plot.top);
        let coordinates = Cartesian2d::new(x.low..x.high, y.low..y.high, (across, up));
        Self { plot, x, y, coordinates }
    }

    /// The place of a pair of measures.
    pub(crate) fn at(&self, measures: Point) -> Grid {
        self.coordinates.translate(&measures)
    }

    /// The shown measures, as a box whose `top` is the low end of y.
    fn shown(&self) -> Rect {
        Rect { left: self.x.low, right: self.x.high, top: self.y.low, bottom: self.y.high }
    }

    fn shows(&self, measures: Point) -> bool {
        self.x.shows(measures.0) && self.y.shows(measures.1)
    }

    fn measures(&self, x: f64, y: f64) -> Option<Point> {
        self.x.measure(x).zip(self.y.measure(y))
    }

    /// The visible pieces of a line; a piece of one point stands between two gaps.
    fn pieces(&self, line: &[Option<Point>]) -> Vec<Vec<Point>> {
        let shown = self.shown();
        let mut pieces: Vec<Vec<Point>> = Vec::new();
        for run in line.split(Option::is_none) {
            let run: Vec<Point> = run.iter().flatten().copied().collect();
            if let [point] = run[..]
                && self.shows(point)
            {
                pieces.push(vec![point]);
            }
            let mut current: Vec<Point> = Vec::new();
            for pair in run.windows(2) {
                let Some((from, to)) = shown.clip_segment(pair[0], pair[1]) else {
                    pieces.extend((!current.is_empty()).then(|| std::mem::take(&mut current)));
                    continue;
                };
                if current.last() != Some(&from) {
                    pieces.extend((!current.is_empty()).then(|| std::mem::take(&mut current)));
                    current.push(from);
                }
                current.push(to);
            }
            pieces.extend((!current.is_empty()).then_some(current));
        }
        pieces
    }
}

/// The shapes of a mark; reference lines and texts are the layout's business.
pub(crate) fn shapes(mark: &Mark, frame: &Frame) -> Vec<Shape> {
    match &mark.data {
        Data::Line { x, y } => {
            let line = x.iter().zip(y).map(|(x, y)| frame.measures(*x, *y));
            polyline(&line.collect::<Vec<_>>(), mark, frame)
        }
        Data::Steps { x, y } => polyline(&staircase(x, y, frame), mark, frame),
        Data::Points { x, y, marker } => {
            let shown = x.iter().zip(y).filter_map(|(x, y)| frame.measures(*x, *y));
            let shown: Vec<Point> = shown.filter(|at| frame.shows(*at)).collect();
            let crowd = shown.len() > CROWD;
            shown.iter().map(|at| point(points(frame.at(*at)), *marker, mark, crowd)).collect()
        }
        Data::Band { x, low, high } => band(x, low, high, mark, frame),
        Data::Interval { x, y, low, high, marker } => {
            let ends = low.iter().zip(high);
            let values = x.iter().zip(y).zip(ends);
            let shapes = values
                .map(|((x, y), (low, high))| interval([*x, *y, *low, *high], *marker, mark, frame));
            shapes.flatten().collect()
        }
        Data::Histogram { edges, counts } => histogram(edges, counts, mark, frame),
        Data::Image { x, y, columns, pixels } => {
            raster((*x, *y), *columns, pixels, frame).into_iter().collect()
        }
        Data::HLine { y } => {
            let measure = frame.y.measure(*y).filter(|at| frame.y.shows(*at));
            let ends = measure.map(|at| [(frame.x.low, at), (frame.x.high, at)]);
            let points = ends.map(|ends| ends.map(|at| frame.at(at)).to_vec());
            points.map(|points| Shape::Path { points, pen: pen(mark) }).into_iter().collect()
        }
        Data::VLine { .. } | Data::Text { .. } => Vec::new(),
    }
}

/// The pen of a mark's line.
pub(crate) fn pen(mark: &Mark) -> Pen {
    let width = match mark.data {
        Data::VLine { .. } | Data::HLine { .. } => REFERENCE_WIDTH,
        Data::Interval { .. } => INTERVAL_WIDTH,
        _ => LINE_WIDTH,
    };
    Pen { paint: Paint::solid(mark.color.rgb()), width, stroke: mark.stroke }
}

fn polyline(line: &[Option<Point>], mark: &Mark, frame: &Frame) -> Vec<Shape> {
    let drawn = frame.pieces(line).into_iter().map(|piece| {
        let points: Vec<Grid> = piece.into_iter().map(|at| frame.at(at)).collect();
        if let [center] = points[..] {
            let fill = Paint::solid(mark.color.rgb());
            return Shape::Dot { center, radius: LINE_WIDTH, fill, outline: None };
        }
        Shape::Path { points, pen: pen(mark) }
    });
    drawn.collect()
}

fn staircase(x: &[f64], y: &[f64], frame: &Frame) -> Vec<Option<Point>> {
    let mut corners = Vec::new();
    let mut level = None;
    for (&x, &y) in x.iter().zip(y) {
        let at = frame.measures(x, y);
        // The tread ends at the next x even where the next value is a gap.
        corners.extend(level.zip(frame.x.measure(x)).map(|(level, x)| Some((x, level))));
        corners.push(at);
        level = at.map(|(_, y)| y);
    }
    corners
}

/// A point of the mark; a lone one has a halo that sets it off from lines and other points.
fn point((x, y): Point, marker: Marker, mark: &Mark, crowd: bool) -> Shape {
    let (radius, opacity) = if crowd { (CROWD_RADIUS, CROWD_OPACITY) } else { (POINT_RADIUS, 1.0) };
    let fill = Paint { rgb: mark.color.rgb(), opacity };
    let on_stem = matches!(mark.data, Data::Interval { .. });
    let halo = (!crowd && !on_stem).then(|| Pen::solid(WHITE, 0.35));
    let center = (grid(x), grid(y));
    match marker {
        Marker::Circle => Shape::Dot { center, radius, fill, outline: halo },
        Marker::Ring => {
            let fill = Paint::solid(WHITE);
            let outline = Some(Pen::solid(mark.color.rgb(), 0.8));
            Shape::Dot { center, radius: radius - 0.2, fill, outline }
        }
        Marker::Square => {
            // The same area as the circle.
            let half = 0.886 * radius;
            let corners = [(grid(x - half), grid(y - half)), (grid(x + half), grid(y + half))];
            Shape::Bar { corners, fill, outline: halo }
        }
        Marker::Triangle => {
            // The same area as the circle, centered on its mass.
            let (half, rise) = (1.347 * radius, 1.555 * radius);
            let corners = [(x, y - rise), (x + half, y + rise / 2.0), (x - half, y + rise / 2.0)];
            let points = corners.map(|(x, y)| (grid(x), grid(y))).to_vec();
            Shape::Area { points, fill }
        }
    }
}

fn band(x: &[f64], low: &[f64], high: &[f64], mark: &Mark, frame: &Frame) -> Vec<Shape> {
    let ends: Vec<Option<(Point, Point)>> = (x.iter().zip(low.iter().zip(high)))
        .map(|(x, (low, high))| frame.measures(*x, *low).zip(frame.measures(*x, *high)))
        .collect();
    let fill = Paint { rgb: mark.color.rgb(), opacity: BAND_OPACITY };
    let runs = ends.split(Option::is_none).map(|run| {
        let lower = run.iter().flatten().map(|(low, _)| *low);
        let upper = run.iter().flatten().rev().map(|(_, high)| *high);
        let outline: Vec<Point> = lower.chain(upper).collect();
        frame.shown().clip_polygon(&outline)
    });
    let drawn = runs.filter(|outline| !outline.is_empty()).map(|outline| {
        let points = outline.into_iter().map(|at| frame.at(at)).collect();
        Shape::Area { points, fill }
    });
    drawn.collect()
}

fn interval([x, y, low, high]: [f64; 4], marker: Marker, mark: &Mark, frame: &Frame) -> Vec<Shape> {
    let ends = frame.measures(x, low).zip(frame.measures(x, high));
    let stem = ends.and_then(|(low, high)| frame.shown().clip_segment(low, high));
    let stem = stem.map(|(low, high)| Shape::Path {
        points: vec![frame.at(low), frame.at(high)],
        pen: pen(mark),
    });
    let center = frame.measures(x, y).filter(|at| frame.shows(*at));
    let center = center.map(|at| point(points(frame.at(at)), marker, mark, false));
    stem.into_iter().chain(center).collect()
}

fn histogram(edges: &[f64], counts: &[f64], mark: &Mark, frame: &Frame) -> Vec<Shape> {
    let shown = frame.shown();
    let fill = Paint { rgb: mark.color.rgb(), opacity: BAR_OPACITY };
    let bars = edges.windows(2).zip(counts).filter_map(|(edge, count)| {
        let (left, right) = (frame.x.measure(edge[0])?, frame.x.measure(edge[1])?);
        let height = frame.y.measure(*count)?;
        // The foot of a bar: 0, or the low end of a log axis.
        let foot = frame.y.measure(0.0).unwrap_or(shown.top);
        let bar = [(left, foot), (right, foot), (right, height), (left, height)];
        let cut = shown.clip_polygon(&bar);
        let low = cut.iter().copied().reduce(|a, b| (a.0.min(b.0), a.1.min(b.1)))?;
        let high = cut.iter().copied().reduce(|a, b| (a.0.max(b.0), a.1.max(b.1)))?;
        let corners = [frame.at(low), frame.at(high)];
        let wide = (corners[1].0 - corners[0].0).abs() > grid(5.0 * BAR_GAP);
        let outline = wide.then(|| Pen::solid(WHITE, BAR_GAP));
        (height > foot).then_some(Shape::Bar { corners, fill, outline })
    });
    bars.collect()
}

/// The image in the middle of its cell, with pixels of a whole number of grid units; none where the axes do
/// not show the cell.
fn raster((x, y): Point, columns: usize, pixels: &[u8], frame: &Frame) -> Option<Shape> {
    /// The share of the cell that an image takes.
    const SHARE: f64 = 0.94;
    let low = frame.measures(x - 0.5, y - 0.5).filter(|at| frame.shows(*at))?;
    let high = frame.measures(x + 0.5, y + 0.5).filter(|at| frame.shows(*at))?;
    let (a, b) = (points(frame.at(low)), points(frame.at(high)));
    let rows = pixels.len().div_ceil(columns.max(1)).max(1);
    let side = ((b.0 - a.0).abs() / columns as f64).min((b.1 - a.1).abs() / rows as f64);
    let side = grid(SHARE * side);
    let left = grid(f64::midpoint(a.0, b.0) - points((side, 0)).0 * columns as f64 / 2.0);
    let top = grid(f64::midpoint(a.1, b.1) - points((side, 0)).0 * rows as f64 / 2.0);
    let pixels = pixels.to_vec();
    (side > 0).then_some(Shape::Raster { corner: (left, top), side, columns, pixels })
}

/// A sample of the mark for a legend, centered at `middle`, at most [`SWATCH`] wide.
pub(crate) fn swatch(mark: &Mark, (x, y): Point) -> Vec<Shape> {
    let half = SWATCH / 2.0;
    let corners =
        |height: f64| [(grid(x - half), grid(y - height)), (grid(x + half), grid(y + height))];
    let line = |dx: f64, dy: f64| Shape::Path {
        points: vec![(grid(x - dx), grid(y + dy)), (grid(x + dx), grid(y - dy))],
        pen: pen(mark),
    };
    let rgb = mark.color.rgb();
    match &mark.data {
        Data::Points { marker, x: values, .. } => {
            vec![point((x, y), *marker, mark, values.len() > CROWD)]
        }
        Data::Interval { marker, .. } => {
            vec![line(0.0, 3.2), point((x, y), *marker, mark, false)]
        }
        Data::Band { .. } => {
            let fill = Paint { rgb, opacity: BAND_OPACITY };
            vec![Shape::Bar { corners: corners(2.5), fill, outline: None }]
        }
        Data::Histogram { .. } => {
            let fill = Paint { rgb, opacity: BAR_OPACITY };
            vec![Shape::Bar { corners: corners(2.5), fill, outline: None }]
        }
        _ => vec![line(half, 0.0)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axis::Scale;

    fn frame() -> Frame {
        let view = |low, high| View { scale: Scale::Linear, low, high };
        let plot = Rect { left: 10.0, top: 20.0, right: 110.0, bottom: 70.0 };
        Frame::new(plot, view(0.0, 10.0), view(0.0, 5.0))
    }

    fn path(shape: &Shape) -> &[Grid] {
        match shape {
            Shape::Path { points, .. } => points,
            other => panic!("not a path: {other:?}"),
        }
    }

    #[test]
    fn a_line_is_mapped_and_cut_at_the_sides() {
        let shapes = shapes(&Mark::line(&[0.0, 20.0], &[0.0, 5.0]), &frame());
        // At x = 10, the right side, the line is at half the height.
        assert_eq!(path(&shapes[0]), [(1000, 7000), (11000, 4500)]);
    }

    #[test]
    fn a_gap_breaks_the_line_and_a_lone_value_is_a_dot() {
        let y = [1.0, 1.0, f64::NAN, 2.0, f64::NAN, 1.0, 1.0];
        let x = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let shapes = shapes(&Mark::line(&x, &y).allow_gaps(), &frame());
        assert_eq!(shapes.len(), 3);
        assert!(matches!(shapes[1], Shape::Dot { center: (4000, 5000), .. }));
    }

    #[test]
    fn steps_keep_their_level_until_the_next_x() {
        let shapes = shapes(&Mark::steps(&[0.0, 5.0], &[1.0, 2.0]), &frame());
        assert_eq!(path(&shapes[0]), [(1000, 6000), (6000, 6000), (6000, 5000)]);
    }

    #[test]
    fn points_outside_the_range_are_left_out() {
        let shapes = shapes(&Mark::points(&[0.0, 11.0, 5.0], &[5.0, 1.0, 6.0]), &frame());
        assert_eq!(shapes.len(), 1);
        assert!(matches!(shapes[0], Shape::Dot { center: (1000, 2000), .. }));
    }

    #[test]
    fn bars_stand_on_zero_and_empty_ones_are_left_out() {
        let shapes = shapes(&Mark::histogram(&[0.0, 5.0, 10.0], &[2.0, 0.0]), &frame());
        assert_eq!(shapes.len(), 1);
        assert!(
            matches!(shapes[0], Shape::Bar { corners: [(1000, 7000), (6000, 5000)], .. }),
            "{shapes:?}"
        );
    }
}
