//! The runner: it builds experiment binaries, asks each what it needs, runs what is not up to date in
//! the order of the dependencies, and compares what came out with the reference and with the papers.
//! It knows ids, not science: whatever it knows of an experiment comes from `--describe`.

/// As `println!`, through [`terminal::say`].
macro_rules! say {
    ($($line:tt)*) => { $crate::terminal::say(format_args!($($line)*)) };
}

pub mod catalog;
pub mod data;
pub mod index;
pub mod notebook;
pub mod plan;
pub mod reference;
pub mod run;
pub mod scaffold;
pub mod table;
pub mod terminal;
pub mod verdicts;
pub mod verify;
