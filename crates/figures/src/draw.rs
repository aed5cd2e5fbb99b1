//! Draws a finished layout with plotters onto the SVG backend.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::element::{Drawable, PointCollection};
use plotters_backend::{BackendCoord, DrawingErrorKind};

use crate::Error;
use crate::scene::{Canvas, Shape, grid, grid_point};
use crate::svg::{Svg, Words};
use crate::theme::WHITE;

/// The SVG document of a layout.
pub(crate) fn draw(figure: &str, canvas: &Canvas, words: &Words<'_>) -> Result<String, Error> {
    let side = |points: f64| grid(points).unsigned_abs();
    let size = (side(canvas.width), side(canvas.height));
    let svg = Rc::new(RefCell::new(Svg::new(size)));
    let page: DrawingArea<Svg, Shift> = DrawingArea::from(&svg);
    let failed = |error: plotters::drawing::DrawingAreaErrorKind<Infallible>| Error::Drawing {
        figure: figure.to_owned(),
        reason: error.to_string(),
    };
    page.fill(&plotters::style::RGBColor(WHITE[0], WHITE[1], WHITE[2])).map_err(failed)?;
    for shape in &canvas.shapes {
        page.draw(shape).map_err(failed)?;
    }
    page.present().map_err(failed)?;
    Ok(svg.borrow().document(words))
}

impl<'a> PointCollection<'a, BackendCoord> for &'a Shape {
    type Point = BackendCoord;
    type IntoIter = Vec<BackendCoord>;

    fn point_iter(self) -> Self::IntoIter {
        match self {
            Shape::Path { points, .. } | Shape::Area { points, .. } => points.clone(),
            Shape::Bar { corners, .. } => corners.to_vec(),
            Shape::Dot { center, .. } => vec![*center],
            Shape::Raster { corner, .. } => vec![*corner],
            Shape::Lettering(lettering) => vec![grid_point(lettering.at)],
        }
    }
}

impl Drawable<Svg> for Shape {
    fn draw<I: Iterator<Item = BackendCoord>>(
        &self,
        mut points: I,
        svg: &mut Svg,
        _size: (u32, u32),
    ) -> Result<(), DrawingErrorKind<Infallible>> {
        match self {
            Self::Path { pen, .. } => svg.stroke_path(points, pen),
            Self::Area { fill, .. } => svg.polygon(points, *fill),
            Self::Bar { fill, outline, .. } => {
                if let (Some(a), Some(b)) = (points.next(), points.next()) {
                    svg.rectangle([a, b], *fill, outline.as_ref());
                }
            }
            Self::Dot { radius, fill, outline, .. } => {
                if let Some(center) = points.next() {
                    svg.disk(center, *radius, *fill, outline.as_ref());
                }
            }
            Self::Raster { side, columns, pixels, .. } => {
                if let Some(corner) = points.next() {
                    svg.raster(corner, *side, *columns, pixels);
                }
            }
            Self::Lettering(lettering) => {
                if let Some(at) = points.next() {
                    svg.lettering(lettering, at);
                }
            }
        }
        Ok(())
    }
}
