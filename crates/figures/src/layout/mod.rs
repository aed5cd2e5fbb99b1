//! Places everything: a grid of panels whose axes line up, and texts that do not overlap.

mod axes;
mod beside;
mod ends;
mod figure;
mod flags;
mod legend;
mod obstacles;
mod panel;
mod verify;

pub(crate) use figure::lay_out;
