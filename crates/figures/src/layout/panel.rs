//! One panel: marks, reference lines, labels, legend, inset and axes.

use crate::Error;
use crate::geometry::{Point, Rect};
use crate::mark::Data;
use crate::panel::{Corner, Panel};
use crate::scale::{Direction, view};
use crate::scene::{Lettering, Pen, Shape, grid_point};
use crate::series::{Frame, pen, shapes};
use crate::text::{Text, Weight};
use crate::theme::{INSET_SHARE, LEADER, LEADER_WIDTH, LINE_SPACING, MIDDLE, TEXT_GAP};

use super::axes::{AxisPlan, Labels, Sizes};
use super::beside::{beside, place};
use super::ends::Ends;
use super::flags::{self, Flag};
use super::legend::{self, Entry};
use super::obstacles::{NOBODY, Obstacles};

/// Between a legend and the flags or the plotting area below it.
const LEGEND_GAP: f64 = 3.0;

/// A panel whose axes are planned.
pub(crate) struct PanelPlan<'a> {
    pub(crate) panel: &'a Panel,
    /// The figure's id and the panel's name, for messages.
    pub(crate) place: (&'a str, String),
    pub(crate) x: AxisPlan,
    pub(crate) y: AxisPlan,
    pub(crate) ends: Ends,
    pub(crate) sizes: Sizes,
}

/// A panel's shapes and the room they need above the plotting area.
pub(crate) struct Composed<'a> {
    pub(crate) shapes: Vec<Shape>,
    pub(crate) above: f64,
    /// What is still to be said in a legend.
    pub(crate) legend: Vec<Entry<'a>>,
    obstacles: Obstacles,
}

impl Composed<'_> {
    /// Draws the panel's own legend, inside the plotting area or above it.
    pub(crate) fn draw_legend(&mut self, plot: Rect) {
        if self.legend.is_empty() {
            return;
        }
        if let Some(inside) = legend::inside(&self.legend, &self.obstacles, plot) {
            self.shapes.extend(inside);
            return;
        }
        let bottom = plot.top - self.above - LEGEND_GAP;
        let (rows, height) = legend::in_rows(&self.legend, plot.left, plot.width(), bottom);
        self.shapes.extend(rows);
        self.above += LEGEND_GAP + height;
    }
}

/// Draws a panel but for its legend; flags may reach as far as `right_limit`.
pub(crate) fn compose<'a>(
    plan: &PanelPlan<'a>,
    frame: &Frame,
    right_limit: f64,
) -> Result<Composed<'a>, Error> {
    let (panel, plot) = (plan.panel, frame.plot);
    let mut layers: [Vec<Shape>; 3] = Default::default();
    let mut obstacles = Obstacles::default();
    for (index, mark) in panel.marks.iter().enumerate() {
        let drawn = shapes(mark, frame);
        for shape in &drawn {
            obstacles.add(shape, index);
        }
        layers[layer(&mark.data)].extend(drawn);
    }
    let inset = inset(plan, plot, &mut obstacles)?;
    let (flags, above) = flags_above(plan, frame, right_limit, &mut obstacles)?;
    let mut labels = remarks(plan, frame, &mut obstacles)?;
    labels.extend(end_labels(plan, plot));
    let mut legend = Vec::new();
    match inside_labels(plan, obstacles.clone(), plot)? {
        Some(inside) => labels.extend(inside),
        None => legend = legend_entries(plan)?,
    }
    let axes = plan.x.draw_x(plot).into_iter().chain(plan.y.draw_y(plot));
    let [areas, references, data] = layers;
    let marks = areas.into_iter().chain(references).chain(flags).chain(data);
    let shapes = marks.chain(axes).chain(inset).chain(labels).collect();
    Ok(Composed { shapes, above, legend, obstacles })
}

/// Areas lie under reference lines, and these under lines and points.
fn layer(data: &Data) -> usize {
    match data {
        Data::Band { .. } | Data::Histogram { .. } => 0,
        Data::HLine { .. } | Data::VLine { .. } => 1,
        _ => 2,
    }
}

fn letter(text: Text, at: Point, rgb: [u8; 3]) -> Shape {
    Shape::Lettering(Box::new(Lettering { text, at, upward: false, rgb }))
}

/// The vertical reference lines with their flags, and the height of the rows of flags.
fn flags_above(
    plan: &PanelPlan<'_>,
    frame: &Frame,
    right_limit: f64,
    obstacles: &mut Obstacles,
) -> Result<(Vec<Shape>, f64), Error> {
    const LIFT: f64 = 2.5;
    let (plot, size) = (frame.plot, plan.sizes.text);
    let row_height = size * LINE_SPACING;
    let mut lines = Vec::new();
    for mark in &plan.panel.marks {
        let Data::VLine { x } = mark.data else { continue };
        let Some(at) = frame.x.measure(x).filter(|at| frame.x.shows(*at)) else { continue };
        let text = mark.label.as_ref().map(|label| Text::new(label, size, Weight::Regular));
        lines.push((mark, plot.left + frame.x.fraction(at) * plot.width(), text.transpose()?));
    }
    let labelled =
        lines.iter().filter_map(|(_, x, text)| Some(Flag { x: *x, width: text.as_ref()?.width }));
    let hung = flags::hang(&labelled.collect::<Vec<_>>(), (plot.left - 4.0, right_limit));
    let rows = hung.iter().map(|flag| flag.row + 1).max().unwrap_or(0);
    let above = if rows == 0 { 0.0 } else { LIFT + rows as f64 * row_height };
    let mut hung = hung.into_iter();
    let mut drawn = Vec::new();
    for (index, (mark, x, text)) in lines.into_iter().enumerate() {
        let flag = if text.is_some() { hung.next() } else { None };
        let top = match flag {
            Some(flag) => plot.top - LIFT - (flag.row + 1) as f64 * row_height + 1.2,
            None => plot.top,
        };
        let points = vec![grid_point((x, plot.bottom)), grid_point((x, top))];
        let line = Shape::Path { points, pen: pen(mark) };
        obstacles.add(&line, NOBODY - 1 - index);
        drawn.push(line);
        if let Some((flag, text)) = flag.zip(text) {
            let middle = plot.top - LIFT - (flag.row as f64 + 0.5) * row_height;
            let at = (flag.left, middle + MIDDLE * size);
            drawn.push(letter(text, at, mark.color.text_rgb()));
        }
    }
    Ok((drawn, above))
}

/// The texts of [`crate::Mark::text`], each on the side of its point where there is room.
fn remarks(
    plan: &PanelPlan<'_>,
    frame: &Frame,
    obstacles: &mut Obstacles,
) -> Result<Vec<Shape>, Error> {
    let mut drawn = Vec::new();
    for (index, mark) in plan.panel.marks.iter().enumerate() {
        let Data::Text { x, y } = mark.data else { continue };
        let Some(at) = frame.x.measure(x).zip(frame.y.measure(y)) else { continue };
        if !(frame.x.shows(at.0) && frame.y.shows(at.1)) {
            continue;
        }
        let anchor = crate::scene::points(frame.at(at));
        let source = mark.label.as_deref().unwrap_or_default();
        let text = Text::new(source, plan.sizes.text, Weight::Regular)?;
        let free = place(&text, &[anchor], index, obstacles, frame.plot);
        let place = free.unwrap_or_else(|| beside(text.ink, anchor, 2.0, 1.0, 0.0));
        let shape = letter(text, place, mark.color.text_rgb());
        obstacles.add(&shape, index);
        drawn.push(shape);
    }
    Ok(drawn)
}

fn end_labels(plan: &PanelPlan<'_>, plot: Rect) -> Vec<Shape> {
    let mut drawn = Vec::new();
    for label in &plan.ends.labels {
        let mark = &plan.panel.marks[label.mark];
        let (from, to) = (plot.top + label.line_y, plot.top + label.label_y);
        let x = plot.right + plan.ends.gap;
        if plan.ends.led {
            let end = plot.left + label.line_x * plot.width();
            let leader = [(end + 1.5, from), (x - 1.2, to)];
            let points = leader.map(grid_point).to_vec();
            drawn.push(Shape::Path { points, pen: Pen::solid(LEADER, LEADER_WIDTH) });
        }
        let at = (x, to + 0.3 * plan.sizes.text);
        drawn.push(letter(label.text.clone(), at, mark.color.text_rgb()));
    }
    drawn
}

/// Whether a mark's label stands inside the plotting area (or in the legend).
fn wants_label(plan: &PanelPlan<'_>, index: usize) -> bool {
    let mark = &plan.panel.marks[index];
    let elsewhere = matches!(mark.data, Data::VLine { .. } | Data::Text { .. });
    let at_the_end = plan.ends.labels.iter().any(|label| label.mark == index);
    mark.label.is_some() && !elsewhere && !at_the_end
}

/// The labels beside their series; none where one of them finds no room.
fn inside_labels(
    plan: &PanelPlan<'_>,
    mut obstacles: Obstacles,
    plot: Rect,
) -> Result<Option<Vec<Shape>>, Error> {
    const ANCHORS: usize = 48;
    let mut drawn = Vec::new();
    let wanted = (0..plan.panel.marks.len()).filter(|&index| wants_label(plan, index));
    for index in wanted {
        if plan.panel.legend {
            return Ok(None);
        }
        let mark = &plan.panel.marks[index];
        let source = mark.label.as_deref().unwrap_or_default();
        let text = Text::new(source, plan.sizes.text, Weight::Regular)?;
        let anchors = obstacles.anchors(index, ANCHORS);
        let Some(at) = place(&text, &anchors, index, &obstacles, plot) else { return Ok(None) };
        let shape = letter(text, at, mark.color.text_rgb());
        obstacles.add(&shape, NOBODY);
        drawn.push(shape);
    }
    Ok(Some(drawn))
}

fn legend_entries<'a>(plan: &PanelPlan<'a>) -> Result<Vec<Entry<'a>>, Error> {
    let labelled = plan.panel.marks.iter().enumerate().filter_map(|(index, mark)| {
        let label = mark.label.as_ref().filter(|_| wants_label(plan, index))?;
        let text = Text::new(label, plan.sizes.text, Weight::Regular);
        Some(text.map(|text| Entry { mark, text }))
    });
    labelled.collect()
}

/// The inset's shapes; its room becomes an obstacle.
fn inset(plan: &PanelPlan<'_>, plot: Rect, obstacles: &mut Obstacles) -> Result<Vec<Shape>, Error> {
    const INDENT: f64 = 3.0;
    let Some((inner, corner)) = &plan.panel.inset else { return Ok(Vec::new()) };
    let (width, height) = (INSET_SHARE * plot.width(), INSET_SHARE * plot.height());
    let (x, y) = (view(inner, Direction::X), view(inner, Direction::Y));
    let sizes = Sizes::INSET;
    let inner_plan = PanelPlan {
        panel: inner,
        place: plan.place.clone(),
        x: AxisPlan::x(&inner.x, x, width, sizes, Labels::Shown)?,
        y: AxisPlan::y(&inner.y, y, height, sizes, Labels::Shown)?,
        ends: Ends::default(),
        sizes,
    };
    let at_origin = Rect { left: 0.0, top: 0.0, right: width, bottom: height };
    let mut composed = compose(&inner_plan, &Frame::new(at_origin, x, y), width)?;
    composed.draw_legend(at_origin);
    let room = Rect {
        left: -inner_plan.y.room_left(),
        top: -composed.above - sizes.text / 2.0,
        right: width + inner_plan.x.overhang(width),
        bottom: height + inner_plan.x.room_below(),
    };
    let dx = match corner {
        Corner::TopLeft | Corner::BottomLeft => plot.left + INDENT - room.left,
        Corner::TopRight | Corner::BottomRight => plot.right - room.right,
    };
    let dy = match corner {
        Corner::TopLeft | Corner::TopRight => plot.top - room.top - sizes.text / 2.0,
        Corner::BottomLeft | Corner::BottomRight => plot.bottom - INDENT - room.bottom,
    };
    let bounds = room.shifted(dx, dy);
    if obstacles.meet(bounds) {
        let (figure, panel) = (plan.place.0.to_owned(), plan.place.1.clone());
        return Err(Error::InsetCoversData { figure, panel });
    }
    obstacles.add_box(bounds.expanded(TEXT_GAP));
    let mut shapes = composed.shapes;
    for shape in &mut shapes {
        shape.shift(dx, dy);
    }
    Ok(shapes)
}
