//! Labels at the right of the plotting area, each beside the end of its line.

use crate::Error;
use crate::mark::{Data, Mark};
use crate::panel::Panel;
use crate::scale::View;
use crate::text::{Text, Weight};
use crate::theme::{END_LABEL_GAP, LEADER_LENGTH};

/// Labels moved less than this need no leaders.
const NEAR: f64 = 1.2;

/// Line ends nearer to each other than this cannot be told apart.
const TELLABLE: f64 = 1.3;
/// Baseline to baseline of neighbouring labels, relative to the size.
const LABEL_SPACING: f64 = 1.14;

/// One label with the height of its line's end and its own, in points below the top.
pub(crate) struct EndLabel {
    pub(crate) mark: usize,
    pub(crate) text: Text,
    /// The position of the line's end as a fraction of the x axis.
    pub(crate) line_x: f64,
    pub(crate) line_y: f64,
    pub(crate) label_y: f64,
}

/// The labels of a panel's line ends.
#[derive(Default)]
pub(crate) struct Ends {
    pub(crate) labels: Vec<EndLabel>,
    /// Whether leaders connect lines and labels.
    pub(crate) led: bool,
    /// From the plotting area to the labels.
    pub(crate) gap: f64,
}

impl Ends {
    /// Labels all lines that end at the right side, or none where the labels would not fit in this
    /// width or height.
    pub(crate) fn plan(
        panel: &Panel,
        views: (View, View),
        size: f64,
        max_width: f64,
        height: f64,
    ) -> Result<Self, Error> {
        let mut found: Vec<(usize, f64, f64)> = Vec::new();
        for (index, mark) in panel.marks.iter().enumerate() {
            let end = if mark.label.is_some() { end(mark, views) } else { None };
            found.extend(end.map(|(x, y)| (index, x, (1.0 - y) * height)));
        }
        let only_references =
            found.iter().all(|(index, ..)| matches!(panel.marks[*index].data, Data::HLine { .. }));
        let desired: Vec<f64> = found.iter().map(|(_, _, y)| *y).collect();
        if closest(&desired) < TELLABLE {
            return Ok(Self::default());
        }
        let spacing = size * LABEL_SPACING;
        let Some(placed) = spread(&desired, spacing, -2.0, height + 2.0) else {
            return Ok(Self::default());
        };
        let mut labels = Vec::new();
        for ((mark, line_x, line_y), label_y) in found.into_iter().zip(placed) {
            let source = panel.marks[mark].label.as_deref().unwrap_or_default();
            let text = Text::new(source, size, Weight::Regular)?;
            labels.push(EndLabel { mark, text, line_x, line_y, label_y });
        }
        let led = labels.iter().any(|label| (label.line_y - label.label_y).abs() > NEAR);
        let gap = if led { LEADER_LENGTH } else { END_LABEL_GAP };
        let ends = Self { labels, led, gap };
        let fits = !only_references && ends.room_right() <= max_width;
        Ok(if fits { ends } else { Self::default() })
    }

    /// The room that the labels need at the right.
    pub(crate) fn room_right(&self) -> f64 {
        let widest = self.labels.iter().map(|label| label.text.width).fold(0.0, f64::max);
        if self.labels.is_empty() { 0.0 } else { self.gap + widest }
    }
}

fn closest(heights: &[f64]) -> f64 {
    let mut sorted = heights.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min)
}

/// The place of a line's end as fractions of the axes, where the line ends at the right side.
fn end(mark: &Mark, (x_view, y_view): (View, View)) -> Option<(f64, f64)> {
    const AT_THE_SIDE: f64 = 0.93;
    let (x, y): (f64, f64) = match &mark.data {
        Data::HLine { y } => (x_view.high, y_view.measure(*y)?),
        Data::Line { x, y } | Data::Steps { x, y } => {
            let visible = x.iter().zip(y).rev().find_map(|(x, y)| {
                let at = x_view.measure(*x).zip(y_view.measure(*y))?;
                x_view.shows(at.0).then_some(at)
            });
            visible?
        }
        Data::Band { x, low, high } => {
            let ends = x.iter().zip(low.iter().zip(high));
            let visible = ends.rev().find_map(|(x, (low, high))| {
                let (low, high) = y_view.measure(*low).zip(y_view.measure(*high))?;
                let x = x_view.measure(*x)?;
                x_view.shows(x).then_some((x, f64::midpoint(low, high)))
            });
            visible?
        }
        _ => return None,
    };
    let at_the_side = x_view.fraction(x) >= AT_THE_SIDE && y_view.shows(y);
    at_the_side.then(|| (x_view.fraction(x), y_view.fraction(y)))
}

/// Moves positions as little as possible (in the sense of least squares) until neighbours are
/// `spacing` apart, all between `min` and `max`. None where there is not enough room.
pub(crate) fn spread(desired: &[f64], spacing: f64, min: f64, max: f64) -> Option<Vec<f64>> {
    if desired.is_empty() {
        return Some(Vec::new());
    }
    let intervals = (desired.len() - 1) as f64;
    if intervals * spacing > max - min {
        return None;
    }
    let mut order: Vec<usize> = (0..desired.len()).collect();
    order.sort_by(|&a, &b| desired[a].total_cmp(&desired[b]));
    // Blocks of touching labels: the sum of the first label's wishes, and the number of labels.
    let mut blocks: Vec<(f64, f64)> = Vec::new();
    let start = |(sum, n): (f64, f64)| (sum / n).clamp(min, max - (n - 1.0) * spacing);
    for &index in &order {
        let mut block = (desired[index], 1.0);
        while let Some(&before) = blocks.last() {
            if start(before) + before.1 * spacing <= start(block) {
                break;
            }
            blocks.pop();
            // Each wish of the later block, seen from the start of the earlier one.
            let merged = before.0 + block.0 - block.1 * before.1 * spacing;
            block = (merged, before.1 + block.1);
        }
        blocks.push(block);
    }
    let mut placed = vec![0.0; desired.len()];
    let mut order = order.into_iter();
    for block in blocks {
        let mut at = start(block);
        for index in order.by_ref().take(count(block.1)) {
            placed[index] = at;
            at += spacing;
        }
    }
    Some(placed)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number")]
fn count(n: f64) -> usize {
    n as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_are_apart_stay() {
        assert_eq!(spread(&[30.0, 10.0], 8.0, 0.0, 50.0), Some(vec![30.0, 10.0]));
    }

    #[test]
    fn labels_that_collide_share_the_move() {
        assert_eq!(spread(&[20.0, 20.0, 20.0], 8.0, 0.0, 50.0), Some(vec![12.0, 20.0, 28.0]));
        // Two blocks that touch after each was spread become one.
        assert_eq!(
            spread(&[10.0, 10.0, 20.0, 20.0], 8.0, -9.0, 50.0),
            Some(vec![3.0, 11.0, 19.0, 27.0])
        );
    }

    #[test]
    fn labels_stay_between_the_ends_or_give_up() {
        assert_eq!(spread(&[0.0, 0.0], 8.0, 0.0, 50.0), Some(vec![0.0, 8.0]));
        assert_eq!(spread(&[49.0, 50.0], 8.0, 0.0, 50.0), Some(vec![42.0, 50.0]));
        assert_eq!(spread(&[1.0, 2.0, 3.0], 8.0, 0.0, 15.0), None);
    }
}
