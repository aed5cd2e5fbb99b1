//! One theme, a few chart kinds as plain descriptions, drawn as SVG, PNG and notebook output.
//!
//! An experiment describes a [`Figure`] of [`Panel`]s with [`Axis`]es and [`Mark`]s, and gets the
//! picture and the data behind it; only this crate knows how to draw. Texts are outlines of fonts that
//! are built in, so a figure looks the same everywhere, and the same description gives the same bytes.
//! No two texts may overlap: drawing such a figure is an error, not a flaw to be found by eye.
//!
//! ```
//! use figures::{Axis, Color, Figure, Mark, Panel};
//!
//! let x: Vec<f64> = (0..=10).map(f64::from).collect();
//! let y: Vec<f64> = x.iter().map(|x| 1.0 / (1.0 + x)).collect();
//! let figure = Figure::new("A-x00", "Weight falls with distance").panel(
//!     Panel::new(Axis::linear("distance _{H}"), Axis::log10("weight"))
//!         .mark(Mark::line(&x, &y).color(Color::Blue).label("theory")),
//! );
//! let svg = figure.svg("3fa9c1d2")?;
//! assert!(svg.starts_with("<svg"));
//! assert!(figure.csv().starts_with("panel,series,kind,x,y,low,high\na,theory,line,0,1,,\n"));
//! # Ok::<(), figures::Error>(())
//! ```
//!
//! The crate reads and writes no files and, apart from the two `evcxr_display` methods, prints
//! nothing.

mod axis;
mod check;
mod color;
mod csv;
mod draw;
mod error;
mod figure;
mod geometry;
mod layout;
mod mark;
mod notebook;
mod panel;
mod png;
mod scale;
mod scene;
mod series;
mod svg;
mod table;
mod text;
mod theme;
mod ticks;

pub use axis::Axis;
pub use color::Color;
pub use error::{Error, Location};
pub use figure::{Figure, Width};
pub use mark::{Mark, Marker, Stroke};
pub use panel::{Corner, Panel};
pub use table::{Cell, Table};
