//! The runner: it builds experiment binaries, asks each what it needs, runs what is not up to date in
//! the order of the dependencies, and compares what came out with the reference and with the papers.
//! It knows ids, not science: whatever it knows of an experiment comes from `--describe`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the edge of the project: this crate's purpose is to talk to the person at the terminal"
)]

pub mod catalog;
pub mod data;
pub mod index;
pub mod notebook;
pub mod plan;
pub mod run;
pub mod scaffold;
pub mod table;
pub mod verify;
