//! The record of a run: what was asked, what came out, what it says about the paper, and how it was
//! made. The only crate with git and with a clock that reaches a file.
//!
//! | module | answers |
//! |---|---|
//! | [`canonical`] | which bytes does a result hash to? |
//! | [`number`], [`claim`] | what was measured, and does it agree with the paper? |
//! | [`describe`] | what does an experiment need, make and cost? |
//! | [`key`] | is a stored result still the result of this code, config and data? |
//! | [`results`] | where does a result lie, and is it whole? |
//! | [`artefacts`] | where do models and stores lie that others need, and are they what was made? |
//! | [`schema`], [`drift`] | is a record well formed, and does it equal the reference? |
//!
//! A record is the file `results/<tier>/<id>/record.json`. Its part [`Outcome`] (`result` in the file)
//! is canonical, hashed and compared; its part [`Run`] tells of one machine and one moment, and is
//! neither.

pub mod artefacts;
pub mod canonical;
pub mod claim;
pub mod describe;
pub mod drift;
pub mod key;
pub mod number;
pub mod results;
pub mod schema;

mod error;
mod machine;
mod parts;
mod record;

pub use artefacts::{Artefact, Artefacts};
pub use claim::{Claim, Direction, Kind, Null, Statement, Tolerance, Verdict};
pub use describe::{Cost, Description, Device, Input, Tier};
pub use error::Error;
pub use key::{Key, Workspace};
pub use machine::{Stopwatch, commit, cpu_class};
pub use number::{Number, Numbers};
pub use parts::Parts;
pub use record::{InputHash, Outcome, Output, Record, Run, SCHEMA_VERSION, Skipped};
pub use results::{Draft, Results};
