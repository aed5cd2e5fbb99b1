//! The grid of panels: margins, rows and columns, titles and the stamp.

use crate::Error;
use crate::check::check;
use crate::figure::{Figure, panel_name};
use crate::geometry::{Point, Rect};
use crate::panel::Panel;
use crate::scale::{Direction, View, shared_view, view};
use crate::scene::{Canvas, Lettering, Shape};
use crate::series::Frame;
use crate::text::{Text, Weight, wrap};
use crate::theme::{
    AXIS_LABEL_SIZE, CAPITAL, COLUMN_GAP, FAINT, INK, LETTER_SIZE, LINE_SPACING, MARGIN,
    POINTS_PER_MM, ROW_GAP, STAMP_SIZE, TITLE_SIZE,
};

use super::axes::{AxisPlan, Labels, Sizes};
use super::ends::Ends;
use super::legend::{self, Entry};
use super::panel::{Composed, PanelPlan, compose};
use super::verify::verify;

/// Between a header and what stands below it.
const HEADER_GAP: f64 = 4.0;
/// Between the panels and the stamp.
const STAMP_GAP: f64 = 2.5;
/// A plotting area smaller than this shows nothing.
const LEAST_SIDE: f64 = 30.0;

/// A panel before the width of its column is known.
struct Draft<'a> {
    panel: &'a Panel,
    name: String,
    column: usize,
    row: usize,
    x_view: View,
    y_view: View,
    x_labels: Labels,
    y: AxisPlan,
    ends: Ends,
}

/// The column of panels with the room that labels need at both sides.
#[derive(Clone, Copy, Default)]
struct Sides {
    left: f64,
    right: f64,
}

/// Places everything in a figure and checks that no two texts overlap.
pub(crate) fn lay_out(figure: &Figure, stamp: &str) -> Result<Canvas, Error> {
    check(figure)?;
    let total = figure.width.mm() * POINTS_PER_MM;
    let height = figure.panel_height_mm * POINTS_PER_MM;
    let drafts = drafts(figure, height, total)?;
    let columns = figure.columns.min(figure.panels.len());
    let mut sides = vec![Sides::default(); columns];
    for draft in &drafts {
        let side = &mut sides[draft.column];
        side.left = side.left.max(draft.y.room_left());
        side.right = side.right.max(draft.ends.room_right());
    }
    // Tick labels may stand out at the right, which changes the width and so the ticks: two rounds.
    let mut x_axes = Vec::new();
    for _ in 0..2 {
        let width = plot_width(figure, total, height, &sides)?;
        let axis = |draft: &Draft<'_>| {
            AxisPlan::x(&draft.panel.x, draft.x_view, width, Sizes::PANEL, draft.x_labels)
        };
        x_axes = drafts.iter().map(axis).collect::<Result<Vec<_>, _>>()?;
        for (draft, axis) in drafts.iter().zip(&x_axes) {
            let side = &mut sides[draft.column];
            side.right = side.right.max(axis.overhang(width));
        }
    }
    let width = plot_width(figure, total, height, &sides)?;
    let mut lefts = Vec::new();
    let mut x = MARGIN;
    for side in &sides {
        lefts.push(x + side.left);
        x += side.left + width + side.right + COLUMN_GAP;
    }

    let mut shapes = Vec::new();
    let mut y = MARGIN;
    for line in wrap(&figure.title, TITLE_SIZE, Weight::Bold, total - 2.0 * MARGIN)? {
        shapes.push(letter(line, (MARGIN, y + CAPITAL * TITLE_SIZE), INK));
        y += TITLE_SIZE * LINE_SPACING;
    }
    if y > MARGIN {
        y += HEADER_GAP;
    }

    let rows = drafts.last().map_or(0, |draft| draft.row + 1);
    let mut panels = Vec::new();
    for (draft, axis) in drafts.into_iter().zip(x_axes) {
        panels.push(Placed::new(figure, draft, axis, &lefts, &sides, (width, height))?);
    }
    let (legend, legend_height) = place_legends(&mut panels, total, y);
    shapes.extend(legend);
    y += legend_height;

    let mut panels = panels.into_iter().peekable();
    for row in 0..rows {
        let placed: Vec<Placed<'_>> =
            std::iter::from_fn(|| panels.next_if(|panel| panel.row == row)).collect();
        let most = |size: fn(&Placed<'_>) -> f64| placed.iter().map(size).fold(0.0, f64::max);
        let header = most(|panel| panel.header);
        let above = most(|panel| panel.composed.above);
        let below = most(|panel| panel.below);
        let top = y + header + above.max(2.0);
        for panel in placed {
            shapes.extend(panel.into_shapes(y, top));
        }
        y = top + height + below + if row + 1 < rows { ROW_GAP } else { 0.0 };
    }

    y += STAMP_GAP + STAMP_SIZE;
    let words =
        if stamp.is_empty() { figure.id.clone() } else { format!("{} · {stamp}", figure.id) };
    let stamp = Text::new(&words, STAMP_SIZE, Weight::Regular)?;
    let at = (total - MARGIN - stamp.width, y);
    shapes.push(letter(stamp, at, FAINT));
    let canvas = Canvas { width: total, height: y + MARGIN, shapes };
    verify(&figure.id, &canvas)?;
    Ok(canvas)
}

fn letter(text: Text, at: Point, rgb: [u8; 3]) -> Shape {
    Shape::Lettering(Box::new(Lettering { text, at, upward: false, rgb }))
}

/// Panels that need the same legend share one at `y`, and its height is returned; others draw their
/// own.
fn place_legends(panels: &mut [Placed<'_>], total: f64, y: f64) -> (Vec<Shape>, f64) {
    let needed = panels.iter().map(|panel| panel.composed.legend.as_slice());
    let needed: Vec<&[Entry<'_>]> = needed.filter(|entries| !entries.is_empty()).collect();
    if let Some(entries) = legend::common(&needed) {
        let width = total - 2.0 * MARGIN;
        let (mut rows, height) = legend::in_rows(entries, MARGIN, width, 0.0);
        for shape in &mut rows {
            shape.shift(0.0, y + height);
        }
        return (rows, height + HEADER_GAP);
    }
    for panel in panels {
        panel.composed.draw_legend(panel.plot);
    }
    (Vec::new(), 0.0)
}

fn drafts(figure: &Figure, height: f64, total: f64) -> Result<Vec<Draft<'_>>, Error> {
    let (columns, n) = (figure.columns, figure.panels.len());
    let shared = |share: bool, direction| {
        let view = || shared_view(&figure.panels, direction);
        if share { view() } else { None }
    };
    let shared_x = shared(figure.share_x, Direction::X);
    let shared_y = shared(figure.share_y, Direction::Y);
    let share_of_width = total / columns.min(n) as f64;
    let labels = |hidden: bool| if hidden { Labels::Hidden } else { Labels::Shown };
    let draft = |(index, panel)| {
        let x_view = shared_x.unwrap_or_else(|| view(panel, Direction::X));
        let y_view = shared_y.unwrap_or_else(|| view(panel, Direction::Y));
        let y_labels = labels(figure.share_y && index % columns > 0);
        let size = Sizes::PANEL.text;
        let ends = if panel.legend {
            Ends::default()
        } else {
            Ends::plan(panel, (x_view, y_view), size, 0.36 * share_of_width, height)?
        };
        Ok(Draft {
            name: panel_name(index),
            column: index % columns,
            row: index / columns,
            x_view,
            y_view,
            x_labels: labels(figure.share_x && index + columns < n),
            y: AxisPlan::y(&panel.y, y_view, height, Sizes::PANEL, y_labels)?,
            ends,
            panel,
        })
    };
    figure.panels.iter().enumerate().map(draft).collect()
}

fn plot_width(figure: &Figure, total: f64, height: f64, sides: &[Sides]) -> Result<f64, Error> {
    let n = sides.len() as f64;
    let taken: f64 = sides.iter().map(|side| side.left + side.right).sum();
    let width = (total - 2.0 * MARGIN - (n - 1.0) * COLUMN_GAP - taken) / n;
    if width >= LEAST_SIDE && height >= LEAST_SIDE {
        return Ok(width);
    }
    Err(Error::NoRoom {
        figure: figure.id.clone(),
        width_mm: width / POINTS_PER_MM,
        height_mm: height / POINTS_PER_MM,
    })
}

/// A panel drawn with the top of its plotting area at 0.
struct Placed<'a> {
    row: usize,
    plot: Rect,
    composed: Composed<'a>,
    letter: Option<(Text, f64)>,
    title: Vec<Text>,
    title_x: f64,
    header: f64,
    below: f64,
}

impl<'a> Placed<'a> {
    fn new(
        figure: &'a Figure,
        draft: Draft<'a>,
        x: AxisPlan,
        lefts: &[f64],
        sides: &[Sides],
        (width, height): (f64, f64),
    ) -> Result<Self, Error> {
        let (left, side) = (lefts[draft.column], sides[draft.column]);
        let plot = Rect { left, top: 0.0, right: left + width, bottom: height };
        let plan = PanelPlan {
            panel: draft.panel,
            place: (&figure.id, draft.name.clone()),
            x,
            y: draft.y,
            ends: draft.ends,
            sizes: Sizes::PANEL,
        };
        let frame = Frame::new(plot, draft.x_view, draft.y_view);
        let composed = compose(&plan, &frame, plot.right + side.right)?;

        let letter = if figure.panels.len() > 1 {
            let text = Text::new(&draft.name, LETTER_SIZE, Weight::Bold)?;
            Some((text, left - side.left))
        } else {
            None
        };
        let title_x = letter.as_ref().map_or(left, |(text, x)| x + text.width + 4.0);
        let room = plot.right + side.right - title_x;
        let title = wrap(&draft.panel.title, AXIS_LABEL_SIZE, Weight::Regular, room)?;
        let lines = title.len().max(usize::from(letter.is_some())) as f64;
        let header = if lines > 0.0 {
            lines * AXIS_LABEL_SIZE * LINE_SPACING + HEADER_GAP - 1.0
        } else {
            0.0
        };
        let (row, below) = (draft.row, plan.x.room_below());
        Ok(Self { row, plot, composed, letter, title, title_x, header, below })
    }

    /// The shapes with the header at `y` and the plotting area at `top`.
    fn into_shapes(self, y: f64, top: f64) -> Vec<Shape> {
        let mut shapes = self.composed.shapes;
        for shape in &mut shapes {
            shape.shift(0.0, top);
        }
        let baseline = y + CAPITAL * LETTER_SIZE;
        if let Some((text, x)) = self.letter {
            shapes.push(letter(text, (x, baseline), INK));
        }
        for (index, line) in self.title.into_iter().enumerate() {
            let at = (self.title_x, baseline + index as f64 * AXIS_LABEL_SIZE * LINE_SPACING);
            shapes.push(letter(line, at, INK));
        }
        shapes
    }
}
