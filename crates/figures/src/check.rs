//! Refuses data that could only be drawn wrongly or with a silent gap.

use crate::axis::{Axis, Scale};
use crate::figure::panel_name;
use crate::mark::{Data, Mark};
use crate::{Error, Figure, Location, Panel};

pub(crate) fn check(figure: &Figure) -> Result<(), Error> {
    if figure.panels.is_empty() {
        return Err(Error::NoPanels { figure: figure.id.clone() });
    }
    let mixed = |scale: fn(&Panel) -> Scale| {
        figure.panels.windows(2).any(|pair| scale(&pair[0]) != scale(&pair[1]))
    };
    let shared = [
        ('x', figure.share_x && mixed(|panel| panel.x.scale)),
        ('y', figure.share_y && mixed(|panel| panel.y.scale)),
    ];
    if let Some((axis, _)) = shared.into_iter().find(|(_, mixed)| *mixed) {
        return Err(Error::MixedScales { figure: figure.id.clone(), axis });
    }
    for (index, panel) in figure.panels.iter().enumerate() {
        let name = panel_name(index);
        check_panel(&figure.id, &name, panel)?;
        if let Some((inset, _)) = &panel.inset {
            check_panel(&figure.id, &format!("{name} inset"), inset)?;
        }
    }
    Ok(())
}

fn check_panel(figure: &str, name: &str, panel: &Panel) -> Result<(), Error> {
    if panel.marks.is_empty() {
        return Err(Error::NoMarks { figure: figure.to_owned(), panel: name.to_owned() });
    }
    for axis in [&panel.x, &panel.y] {
        check_axis(figure, name, axis)?;
    }
    for (index, mark) in panel.marks.iter().enumerate() {
        let location = Location {
            figure: figure.to_owned(),
            panel: name.to_owned(),
            series: mark.name(index),
        };
        check_mark(location, panel, mark)?;
    }
    Ok(())
}

fn check_axis(figure: &str, panel: &str, axis: &Axis) -> Result<(), Error> {
    let shown = |value: f64| value.is_finite() && (axis.scale == Scale::Linear || value > 0.0);
    let invalid = |low, high| Error::InvalidRange {
        figure: figure.to_owned(),
        panel: panel.to_owned(),
        axis: axis.label.clone(),
        low,
        high,
    };
    if let Some((low, high)) = axis.range
        && !(shown(low) && shown(high) && low < high)
    {
        return Err(invalid(low, high));
    }
    match axis.ticks.iter().flatten().find(|(at, _)| !shown(*at)) {
        Some((at, _)) => Err(invalid(*at, *at)),
        None => Ok(()),
    }
}

/// One column of a mark.
struct Column<'a> {
    name: &'static str,
    values: &'a [f64],
    scale: Scale,
    /// Gaps are never allowed in x.
    gaps: bool,
}

fn check_mark(location: Location, panel: &Panel, mark: &Mark) -> Result<(), Error> {
    let x = |values| Column { name: "x", values, scale: panel.x.scale, gaps: false };
    let y = |name, values| Column { name, values, scale: panel.y.scale, gaps: mark.allow_gaps };
    let columns = match &mark.data {
        Data::Line { x: xs, y: ys }
        | Data::Steps { x: xs, y: ys }
        | Data::Points { x: xs, y: ys, .. } => vec![x(xs), y("y", ys)],
        Data::Band { x: xs, low, high } => vec![x(xs), y("low", low), y("high", high)],
        Data::Interval { x: xs, y: ys, low, high, .. } => {
            vec![x(xs), y("y", ys), y("low", low), y("high", high)]
        }
        Data::Histogram { edges, counts } => {
            // A count of 0 is a bar of no height on any scale.
            let counts =
                Column { name: "counts", values: counts, scale: Scale::Linear, gaps: false };
            return check_histogram(location, edges, panel.x.scale, &counts);
        }
        Data::VLine { x: at } => vec![x(std::slice::from_ref(at))],
        Data::HLine { y: at } => vec![y("y", std::slice::from_ref(at))],
        Data::Image { columns, pixels, .. } if pixels.is_empty() || *columns == 0 => {
            return Err(Error::EmptySeries { location });
        }
        Data::Image { columns, pixels, .. } if !pixels.len().is_multiple_of(*columns) => {
            let (expected, got) = (pixels.len().next_multiple_of(*columns), pixels.len());
            return Err(Error::LengthMismatch { location, column: "pixels", expected, got });
        }
        Data::Text { x: at_x, y: at_y } | Data::Image { x: at_x, y: at_y, .. } => {
            vec![x(std::slice::from_ref(at_x)), y("y", std::slice::from_ref(at_y))]
        }
    };
    let expected = columns[0].values.len();
    if expected == 0 {
        return Err(Error::EmptySeries { location });
    }
    for column in &columns {
        let got = column.values.len();
        if got != expected {
            return Err(Error::LengthMismatch { location, column: column.name, expected, got });
        }
        check_values(&location, column)?;
    }
    match &mark.data {
        Data::Band { low, high, .. } | Data::Interval { low, high, .. } => {
            match low.iter().zip(high).position(|(low, high)| low > high) {
                None => Ok(()),
                Some(index) => {
                    let (low, high) = (low[index], high[index]);
                    Err(Error::InvertedInterval { location, index, low, high })
                }
            }
        }
        _ => Ok(()),
    }
}

fn check_histogram(
    location: Location,
    edges: &[f64],
    x_scale: Scale,
    counts: &Column<'_>,
) -> Result<(), Error> {
    if counts.values.is_empty() {
        return Err(Error::EmptySeries { location });
    }
    let (expected, got) = (counts.values.len() + 1, edges.len());
    if got != expected {
        return Err(Error::LengthMismatch { location, column: "edges", expected, got });
    }
    check_values(&location, counts)?;
    let edge_column = Column { name: "edges", values: edges, scale: x_scale, gaps: false };
    check_values(&location, &edge_column)?;
    match edges.windows(2).position(|pair| pair[0] >= pair[1]) {
        None => Ok(()),
        Some(before) => Err(Error::UnorderedEdges { location, index: before + 1 }),
    }
}

fn check_values(location: &Location, column: &Column<'_>) -> Result<(), Error> {
    for (index, &value) in column.values.iter().enumerate() {
        let (location, column_name) = (location.clone(), column.name);
        if !(value.is_finite() || column.gaps && value.is_nan()) {
            return Err(Error::NonFinite { location, column: column_name, index, value });
        }
        if column.scale == Scale::Log10 && value <= 0.0 && !column.gaps {
            return Err(Error::NonPositive { location, column: column_name, index, value });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(y: Axis, mark: Mark) -> Error {
        let panel = Panel::new(Axis::linear("x"), y).mark(mark.series("s"));
        check(&Figure::new("f", "").panel(panel)).unwrap_err()
    }

    #[test]
    fn each_flaw_names_its_place() {
        let linear = || Axis::linear("y");
        let at = Location { figure: "f".into(), panel: "a".into(), series: "s".into() };
        let location = || at.clone();
        assert_eq!(
            error_of(linear(), Mark::line(&[0.0, 1.0], &[0.0])),
            Error::LengthMismatch { location: location(), column: "y", expected: 2, got: 1 }
        );
        assert_eq!(
            error_of(linear(), Mark::points(&[], &[])),
            Error::EmptySeries { location: location() }
        );
        assert_eq!(
            error_of(linear(), Mark::line(&[0.0, 1.0], &[0.0, f64::INFINITY])),
            Error::NonFinite { location: location(), column: "y", index: 1, value: f64::INFINITY }
        );
        assert_eq!(
            error_of(Axis::log10("y"), Mark::line(&[0.0, 1.0], &[0.0, 1.0])),
            Error::NonPositive { location: location(), column: "y", index: 0, value: 0.0 }
        );
        assert_eq!(
            error_of(linear(), Mark::band(&[0.0], &[2.0], &[1.0])),
            Error::InvertedInterval { location: location(), index: 0, low: 2.0, high: 1.0 }
        );
        assert_eq!(
            error_of(linear(), Mark::histogram(&[0.0, 1.0, 1.0], &[3.0, 4.0])),
            Error::UnorderedEdges { location: location(), index: 2 }
        );
        assert_eq!(
            error_of(linear(), Mark::histogram(&[0.0, 1.0], &[3.0, 4.0])),
            Error::LengthMismatch { location: location(), column: "edges", expected: 3, got: 2 }
        );
    }

    #[test]
    fn an_image_has_whole_rows() {
        let ragged = error_of(Axis::linear("y"), Mark::image(0.0, 0.0, 2, &[1, 2, 3]));
        assert!(matches!(ragged, Error::LengthMismatch { expected: 4, got: 3, .. }), "{ragged}");
        let empty = error_of(Axis::linear("y"), Mark::image(0.0, 0.0, 0, &[1]));
        assert!(matches!(empty, Error::EmptySeries { .. }), "{empty}");
    }

    #[test]
    fn gaps_are_fine_where_they_are_allowed_but_infinity_is_not() {
        let panel = |mark: Mark| Panel::new(Axis::linear("x"), Axis::log10("y")).mark(mark);
        let gap = Mark::line(&[0.0, 1.0, 2.0], &[1.0, f64::NAN, 0.0]).allow_gaps();
        assert_eq!(check(&Figure::new("f", "").panel(panel(gap))), Ok(()));
        let infinite = Mark::line(&[0.0], &[f64::INFINITY]).allow_gaps();
        let error = check(&Figure::new("f", "").panel(panel(infinite)));
        assert!(matches!(error, Err(Error::NonFinite { .. })));
    }

    #[test]
    fn a_linear_and_a_log_axis_cannot_share_a_range() {
        let panel = |y| Panel::new(Axis::linear("x"), y).mark(Mark::line(&[0.0, 1.0], &[1.0, 2.0]));
        let panels = [Axis::linear("y"), Axis::log10("y")].map(panel);
        let figure = panels.into_iter().fold(Figure::new("f", "").share_x(), Figure::panel);
        assert_eq!(check(&figure), Ok(()));
        let mixed = Error::MixedScales { figure: "f".to_owned(), axis: 'y' };
        assert_eq!(check(&figure.share_y()), Err(mixed));
    }

    #[test]
    fn a_range_that_is_empty_or_not_positive_on_a_log_axis_is_an_error() {
        for axis in [Axis::linear("y").range(1.0, 1.0), Axis::log10("y").range(0.0, 1.0)] {
            let error = error_of(axis, Mark::line(&[0.0, 1.0], &[1.0, 2.0]));
            assert!(matches!(error, Error::InvalidRange { .. }), "{error}");
        }
    }
}
