//! The data behind a figure as tidy CSV.

use crate::figure::{Figure, panel_name};
use crate::mark::{Data, Mark};
use crate::panel::Panel;

/// A CSV field, quoted where it must be.
pub(crate) fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// The shortest decimal that reads back as the same number; empty for NaN.
pub(crate) fn number(value: f64) -> String {
    if value.is_nan() {
        return String::new();
    }
    let text = format!("{value:?}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// All marks of a figure, one value per line.
pub(crate) fn figure_csv(figure: &Figure) -> String {
    let mut lines = vec!["panel,series,kind,x,y,low,high\n".to_owned()];
    for (index, panel) in figure.panels.iter().enumerate() {
        let name = panel_name(index);
        lines.extend(panel_lines(&name, panel));
        if let Some((inset, _)) = &panel.inset {
            lines.extend(panel_lines(&format!("{name} inset"), inset));
        }
    }
    lines.concat()
}

fn panel_lines(panel_name: &str, panel: &Panel) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, mark) in panel.marks.iter().enumerate() {
        let head = format!("{},{},{}", field(panel_name), field(&mark.name(index)), mark.kind());
        for values in rows(mark) {
            let values = values.map(|value| value.map_or(String::new(), number));
            lines.push(format!("{head},{}\n", values.join(",")));
        }
    }
    lines
}

/// x, y, low and high of each value of a mark; a histogram's bar runs from low to high in x, with its
/// center as x and its count as y; an image's pixel has its gray level as low and high.
fn rows(mark: &Mark) -> Vec<[Option<f64>; 4]> {
    let xy = |x: &[f64], y: &[f64]| -> Vec<[Option<f64>; 4]> {
        x.iter().zip(y).map(|(x, y)| [Some(*x), Some(*y), None, None]).collect()
    };
    match &mark.data {
        Data::Line { x, y } | Data::Steps { x, y } | Data::Points { x, y, .. } => xy(x, y),
        Data::Band { x, low, high } => {
            let ends = low.iter().zip(high);
            x.iter().zip(ends).map(|(x, (l, h))| [Some(*x), None, Some(*l), Some(*h)]).collect()
        }
        Data::Interval { x, y, low, high, .. } => {
            let ends = low.iter().zip(high);
            let values = x.iter().zip(y).zip(ends);
            values.map(|((x, y), (l, h))| [Some(*x), Some(*y), Some(*l), Some(*h)]).collect()
        }
        Data::Histogram { edges, counts } => {
            let bars = edges.windows(2).zip(counts);
            bars.map(|(edge, count)| {
                let center = f64::midpoint(edge[0], edge[1]);
                [Some(center), Some(*count), Some(edge[0]), Some(edge[1])]
            })
            .collect()
        }
        Data::VLine { x } => vec![[Some(*x), None, None, None]],
        Data::HLine { y } => vec![[None, Some(*y), None, None]],
        Data::Text { x, y } => vec![[Some(*x), Some(*y), None, None]],
        Data::Image { x, y, columns, pixels } => {
            let rows = pixels.len().div_ceil((*columns).max(1));
            let share = |at: usize, of: usize| (at as f64 + 0.5) / of as f64 - 0.5;
            let pixel = |(place, level): (usize, &u8)| {
                let (row, column) = (place / (*columns).max(1), place % (*columns).max(1));
                let level = Some(f64::from(*level));
                [Some(x + share(column, *columns)), Some(y - share(row, rows)), level, level]
            };
            pixels.iter().enumerate().map(pixel).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_the_same() {
        for value in [0.1, 1.0, -2.5e-300, 1.0 / 3.0, 6.02e23, f64::MIN_POSITIVE] {
            let read: f64 = number(value).parse().unwrap();
            assert_eq!(read.to_bits(), value.to_bits(), "{value}");
        }
        assert_eq!(number(3.0), "3");
        assert_eq!(number(f64::NAN), "");
    }

    #[test]
    fn fields_are_quoted_where_needed() {
        assert_eq!(field("a,b"), "\"a,b\"");
        assert_eq!(field("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(field("plain"), "plain");
    }
}
