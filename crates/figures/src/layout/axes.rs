//! Axes: which ticks, how much room their labels need, and their shapes.

use crate::Error;
use crate::axis::Axis;
use crate::geometry::Rect;
use crate::scale::View;
use crate::scene::{Lettering, Pen, Shape, grid};
use crate::text::{Text, Weight, wrap};
use crate::theme::{
    AXIS_LABEL_GAP, AXIS_LABEL_SIZE, AXIS_WIDTH, CAPITAL, DESCENT, INK, INSET_TEXT_SIZE,
    LINE_SPACING, MIDDLE, MINOR_TICK_LENGTH, TEXT_SIZE, TICK_GAP, TICK_LABEL_GAP, TICK_LENGTH,
};
use crate::ticks::{self, Tick};

/// Text sizes of a panel.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) text: f64,
    pub(crate) label: f64,
}

impl Sizes {
    pub(crate) const PANEL: Self = Self { text: TEXT_SIZE, label: AXIS_LABEL_SIZE };
    pub(crate) const INSET: Self = Self { text: INSET_TEXT_SIZE, label: INSET_TEXT_SIZE };
}

/// Which texts an axis shows: inner panels of shared axes have none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Labels {
    Shown,
    Hidden,
}

/// A tick's position as a fraction of the axis, and the lines of its label; none for a minor tick.
type PlacedTick = (f64, Option<Vec<Text>>);

/// One axis with its texts measured.
pub(crate) struct AxisPlan {
    ticks: Vec<PlacedTick>,
    label: Vec<Text>,
    sizes: Sizes,
    shown: Labels,
}

impl AxisPlan {
    /// The x axis of a plotting area of this width: as many ticks as stand apart.
    pub(crate) fn x(
        axis: &Axis,
        view: View,
        width: f64,
        sizes: Sizes,
        shown: Labels,
    ) -> Result<Self, Error> {
        let label = wrap(&axis.label, sizes.label, Weight::Regular, width * 1.1)?;
        if let Some(values) = &axis.ticks {
            let chosen = ticks::chosen(view, values);
            let closest = chosen
                .windows(2)
                .map(|pair| (view.fraction(pair[1].at) - view.fraction(pair[0].at)).abs() * width)
                .fold(width, f64::min);
            let ticks = shape(view, chosen, sizes.text, closest - 3.0)?;
            return Ok(Self { ticks, label, sizes, shown });
        }
        // Every label has at least two digits and the gap to its neighbour.
        let most = whole(width / (sizes.text + TICK_LABEL_GAP)).clamp(2, 8);
        for count in (2..=most).rev() {
            let ticks = shape(view, ticks::ticks(view, count), sizes.text, width)?;
            if count == 2 || stand_apart(&ticks, width) {
                return Ok(Self { ticks, label, sizes, shown });
            }
        }
        Ok(Self { ticks: Vec::new(), label, sizes, shown })
    }

    /// The y axis of a plotting area of this height.
    pub(crate) fn y(
        axis: &Axis,
        view: View,
        height: f64,
        sizes: Sizes,
        shown: Labels,
    ) -> Result<Self, Error> {
        let label = wrap(&axis.label, sizes.label, Weight::Regular, height * 1.1)?;
        let ticks = match &axis.ticks {
            Some(values) => ticks::chosen(view, values),
            None => ticks::ticks(view, whole(height / (2.4 * sizes.text)).clamp(2, 7)),
        };
        Ok(Self { ticks: shape(view, ticks, sizes.text, f64::INFINITY)?, label, sizes, shown })
    }

    fn tick_label_width(&self) -> f64 {
        self.lines().map(|line| line.width).fold(0.0, f64::max)
    }

    fn lines(&self) -> impl Iterator<Item = &Text> {
        self.ticks.iter().filter_map(|(_, label)| label.as_ref()).flatten()
    }

    /// The room that a y axis needs at its left.
    pub(crate) fn room_left(&self) -> f64 {
        match self.shown {
            Labels::Hidden => TICK_LENGTH,
            Labels::Shown => {
                let label = self.label.len() as f64 * self.sizes.label * LINE_SPACING;
                let gap = if self.label.is_empty() { 0.0 } else { AXIS_LABEL_GAP };
                TICK_LENGTH + TICK_GAP + self.tick_label_width() + gap + label
            }
        }
    }

    /// The room that an x axis needs below.
    pub(crate) fn room_below(&self) -> f64 {
        match self.shown {
            Labels::Hidden => TICK_LENGTH,
            Labels::Shown if self.label.is_empty() => self.tick_room() + self.sizes.text * DESCENT,
            Labels::Shown => {
                let label = (self.label.len() - 1) as f64 * LINE_SPACING + CAPITAL + DESCENT;
                self.tick_room() + AXIS_LABEL_GAP + self.sizes.label * label
            }
        }
    }

    /// From the axis to the baseline of the last line of tick labels.
    fn tick_room(&self) -> f64 {
        let lines = self.ticks.iter().filter_map(|(_, label)| label.as_ref()).map(Vec::len);
        let lines = lines.max().unwrap_or(0) as f64;
        let spacing = self.sizes.text * LINE_SPACING;
        TICK_LENGTH + TICK_GAP + self.rise() + (lines - 1.0).max(0.0) * spacing
    }

    /// How far the highest tick label rises above its baseline.
    fn rise(&self) -> f64 {
        self.lines().map(|line| -line.ink.top).fold(self.sizes.text * CAPITAL, f64::max)
    }

    /// How far tick labels of an x axis of this width stand out at the right.
    pub(crate) fn overhang(&self, width: f64) -> f64 {
        let ends = self.ticks.iter().filter_map(|(at, label)| {
            let widest = label.as_ref()?.iter().map(|line| line.width).fold(0.0, f64::max);
            Some((at - 1.0) * width + widest / 2.0)
        });
        if self.shown == Labels::Hidden { 0.0 } else { ends.fold(0.0, f64::max) }
    }

    /// The shapes of an x axis below the plotting area.
    pub(crate) fn draw_x(&self, plot: Rect) -> Vec<Shape> {
        let mut shapes = vec![line((plot.left, plot.bottom), (plot.right, plot.bottom))];
        for (at, label) in &self.ticks {
            let x = plot.left + at * plot.width();
            let length = if label.is_some() { TICK_LENGTH } else { MINOR_TICK_LENGTH };
            shapes.push(line((x, plot.bottom), (x, plot.bottom + length)));
            let first = plot.bottom + TICK_LENGTH + TICK_GAP + self.rise();
            for (index, text) in self.shown_lines(label.as_ref()).iter().enumerate() {
                let y = first + index as f64 * self.sizes.text * LINE_SPACING;
                shapes.push(lettering(text, (x - text.width / 2.0, y), false));
            }
        }
        let first = plot.bottom + self.tick_room() + AXIS_LABEL_GAP;
        for (index, text) in self.shown_lines(Some(&self.label)).iter().enumerate() {
            let middle = f64::midpoint(plot.left, plot.right);
            let y = first + self.sizes.label * (CAPITAL + index as f64 * LINE_SPACING);
            shapes.push(lettering(text, (middle - text.width / 2.0, y), false));
        }
        shapes
    }

    /// The shapes of a y axis at the left of the plotting area.
    pub(crate) fn draw_y(&self, plot: Rect) -> Vec<Shape> {
        let mut shapes = vec![line((plot.left, plot.bottom), (plot.left, plot.top))];
        for (at, label) in &self.ticks {
            let y = plot.bottom - at * plot.height();
            let length = if label.is_some() { TICK_LENGTH } else { MINOR_TICK_LENGTH };
            shapes.push(line((plot.left, y), (plot.left - length, y)));
            for text in self.shown_lines(label.as_ref()) {
                let x = plot.left - TICK_LENGTH - TICK_GAP - text.width;
                shapes.push(lettering(text, (x, y + MIDDLE * self.sizes.text), false));
            }
        }
        let lines = self.shown_lines(Some(&self.label));
        let right = plot.left - TICK_LENGTH - TICK_GAP - self.tick_label_width() - AXIS_LABEL_GAP;
        for (index, text) in lines.iter().enumerate() {
            let back = (lines.len() - 1 - index) as f64 * LINE_SPACING + DESCENT;
            let x = right - back * self.sizes.label;
            let y = f64::midpoint(plot.top, plot.bottom) + text.width / 2.0;
            shapes.push(lettering(text, (x, y), true));
        }
        shapes
    }

    fn shown_lines<'a>(&self, lines: Option<&'a Vec<Text>>) -> &'a [Text] {
        match lines {
            Some(lines) if self.shown == Labels::Shown => lines,
            _ => &[],
        }
    }
}

fn line(from: (f64, f64), to: (f64, f64)) -> Shape {
    let points = [from, to].map(|(x, y)| (grid(x), grid(y))).to_vec();
    Shape::Path { points, pen: Pen::solid(INK, AXIS_WIDTH) }
}

fn lettering(text: &Text, at: (f64, f64), upward: bool) -> Shape {
    Shape::Lettering(Box::new(Lettering { text: text.clone(), at, upward, rgb: INK }))
}

fn shape(
    view: View,
    ticks: Vec<Tick>,
    size: f64,
    max_width: f64,
) -> Result<Vec<PlacedTick>, Error> {
    let shaped = ticks.into_iter().map(|tick| {
        let label = tick.label.map(|label| wrap(&label, size, Weight::Regular, max_width));
        Ok((view.fraction(tick.at), label.transpose()?))
    });
    shaped.collect()
}

fn stand_apart(ticks: &[PlacedTick], width: f64) -> bool {
    let labels = ticks.iter().filter_map(|(at, label)| {
        let half = label.as_ref()?.iter().map(|line| line.width).fold(0.0, f64::max) / 2.0;
        Some((at * width - half, at * width + half))
    });
    let labels: Vec<(f64, f64)> = labels.collect();
    labels.windows(2).all(|pair| pair[1].0 - pair[0].1 >= TICK_LABEL_GAP)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
fn whole(count: f64) -> usize {
    count.max(0.0) as usize
}
