//! What part of the number line an axis shows.

use crate::axis::{Axis, Scale};
use crate::mark::{Data, Mark};
use crate::panel::Panel;

/// The shown range in the axis's own measure: the value itself, or its decimal logarithm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct View {
    pub(crate) scale: Scale,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl View {
    /// A value in the axis's measure; none for a gap.
    pub(crate) fn measure(self, value: f64) -> Option<f64> {
        match self.scale {
            Scale::Linear => value.is_finite().then_some(value),
            Scale::Log10 => (value.is_finite() && value > 0.0).then(|| libm::log10(value)),
        }
    }

    /// The position of a measure between 0 (low end) and 1 (high end).
    pub(crate) fn fraction(self, measure: f64) -> f64 {
        (measure - self.low) / (self.high - self.low)
    }

    pub(crate) fn shows(self, measure: f64) -> bool {
        // A value at the end of a range may come out a rounding error outside.
        let tolerance = 1e-9 * (self.high - self.low);
        (self.low - tolerance..=self.high + tolerance).contains(&measure)
    }

    fn union(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high), ..self }
    }
}

/// Which of a panel's two axes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    X,
    Y,
}

/// The views that all these panels share on one of their axes.
pub(crate) fn shared_view<'a>(
    panels: impl IntoIterator<Item = &'a Panel>,
    direction: Direction,
) -> Option<View> {
    panels.into_iter().map(|panel| view(panel, direction)).reduce(View::union)
}

/// The range that was asked for, or one that fits the data: lines run from side to side, points keep
/// clear of the axes, and a histogram stands on 0.
pub(crate) fn view(panel: &Panel, direction: Direction) -> View {
    let axis: &Axis = if direction == Direction::X { &panel.x } else { &panel.y };
    let scale = axis.scale;
    let unbounded = View { scale, low: f64::NEG_INFINITY, high: f64::INFINITY };
    if let Some((low, high)) = axis.range {
        let ends = unbounded.measure(low).zip(unbounded.measure(high));
        let (low, high) = ends.unwrap_or((0.0, 1.0));
        return View { scale, low, high };
    }
    let values = || panel.marks.iter().flat_map(|mark| reach(mark, direction));
    let measures = values().filter_map(|value| unbounded.measure(value));
    let (low, high) = measures.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), measure| {
        (low.min(measure), high.max(measure))
    });
    if low > high {
        return View { scale, low: 0.0, high: 1.0 };
    }
    if low >= high {
        return View { scale, low: low - 0.5, high: high + 0.5 };
    }
    let padding = 0.05 * (high - low) * f64::from(u8::from(needs_padding(panel, direction)));
    let bars = panel.marks.iter().any(|mark| matches!(mark.data, Data::Histogram { .. }));
    let spots = panel.marks.iter().any(is_spot);
    let near_zero = low >= 0.0 && low - padding <= 0.0 && !(low <= 0.0 && spots);
    let stands_on_zero = near_zero || bars && direction == Direction::Y;
    let low = if stands_on_zero && scale == Scale::Linear { low.min(0.0) } else { low - padding };
    View { scale, low, high: high + padding }
}

fn needs_padding(panel: &Panel, direction: Direction) -> bool {
    direction == Direction::Y || panel.marks.iter().any(is_spot)
}

/// Whether a mark has extent beside its values, so that an axis would cut through it.
fn is_spot(mark: &Mark) -> bool {
    matches!(mark.data, Data::Points { .. } | Data::Interval { .. })
}

/// The values that a mark wants to be shown.
fn reach(mark: &Mark, direction: Direction) -> Vec<f64> {
    match (&mark.data, direction) {
        (
            Data::Line { x, .. }
            | Data::Steps { x, .. }
            | Data::Points { x, .. }
            | Data::Band { x, .. }
            | Data::Interval { x, .. },
            Direction::X,
        ) => x.clone(),
        (Data::Line { y, .. } | Data::Steps { y, .. } | Data::Points { y, .. }, Direction::Y) => {
            y.clone()
        }
        (Data::Band { low, high, .. }, Direction::Y) => [low.as_slice(), high].concat(),
        (Data::Interval { y, low, high, .. }, Direction::Y) => [y.as_slice(), low, high].concat(),
        (Data::Histogram { edges, .. }, Direction::X) => edges.clone(),
        (Data::Histogram { counts, .. }, Direction::Y) => {
            let mut values = counts.clone();
            values.push(0.0);
            values
        }
        (Data::Image { x: at, .. }, Direction::X) | (Data::Image { y: at, .. }, Direction::Y) => {
            vec![at - 0.5, at + 0.5]
        }
        (Data::VLine { x }, Direction::X) => vec![*x],
        (Data::HLine { y }, Direction::Y) => vec![*y],
        (Data::VLine { .. }, Direction::Y)
        | (Data::HLine { .. }, Direction::X)
        | (Data::Text { .. }, _) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(mark: Mark) -> Panel {
        Panel::new(Axis::linear("x"), Axis::linear("y")).mark(mark)
    }

    #[test]
    fn a_line_touches_the_sides_and_keeps_clear_of_the_top() {
        let line = panel(Mark::line(&[2.0, 4.0], &[10.0, 30.0]));
        let x = view(&line, Direction::X);
        assert_eq!((x.low, x.high), (2.0, 4.0));
        let y = view(&line, Direction::Y);
        assert_eq!((y.low, y.high), (9.0, 31.0));
    }

    #[test]
    fn data_near_zero_and_histograms_stand_on_zero() {
        let low = view(&panel(Mark::line(&[0.0, 1.0], &[0.2, 10.0])), Direction::Y);
        assert_eq!((low.low, low.high), (0.0, 10.49));
        let points = view(&panel(Mark::points(&[0.0, 1.0], &[0.0, 10.0])), Direction::Y);
        assert_eq!((points.low, points.high), (-0.5, 10.5));
        let bars = view(&panel(Mark::histogram(&[0.0, 1.0, 2.0], &[8.0, 10.0])), Direction::Y);
        assert_eq!((bars.low, bars.high), (0.0, 10.5));
    }

    #[test]
    fn constant_data_and_logs_have_a_range_too() {
        let constant = view(&panel(Mark::points(&[1.0], &[3.0])), Direction::Y);
        assert_eq!((constant.low, constant.high), (2.5, 3.5));
        let log = Panel::new(Axis::log10("x"), Axis::linear("y"))
            .mark(Mark::line(&[1.0, 100.0], &[0.0, 1.0]));
        let x = view(&log, Direction::X);
        assert_eq!((x.low, x.high), (0.0, 2.0));
    }
}
