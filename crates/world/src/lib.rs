//! The generator: text and images whose every token carries its concepts, and toy models of features.
//!
//! - [`World`]: what is true, and documents by their number, made from [`WorldConfig`];
//! - [`Document`]: text, its [`Piece`]s with byte spans, the concepts of each, patches of images, and the information of
//!   the choices behind it;
//! - [`Concepts`]: the registry, whose ids are the same in every world; [`Vocabulary`]: the words.
//! - [`run_code`]: the interpreter of the three code languages, for programs of any origin;
//! - [`toy`]: features in superposition whose dictionary is known, and the two models of Paper E.
//!
//! It streams and writes nothing: no document is held, and no file is touched.
#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact values"))]

mod behavior;
mod build;
mod concept;
mod config;
mod document;
mod domain;
mod draw;
mod error;
mod template;
pub mod toy;
mod vocabulary;
mod world;
mod writer;

pub use behavior::{Behavior, Occasion};
pub use concept::{Concept, ConceptId, Concepts, Kind};
pub use config::{
    BehaviorOptions, CodeOptions, Domain, EntityOptions, FactOptions, ImageOptions, Language,
    LanguageOptions, Plant, Signature, TopicOptions, Treatment, WorldConfig,
};
pub use document::{Document, Modality, Patch, Piece, Role};
pub use domain::code::{Outcome, run_code};
pub use error::WorldError;
pub use vocabulary::Vocabulary;
pub use world::World;
