//! The domains, each in a module of its own.

pub(crate) mod behaviors;
pub(crate) mod code;
pub(crate) mod dialogue;
pub(crate) mod emotions;
pub(crate) mod entities;
pub(crate) mod facts;
pub(crate) mod geography;
pub(crate) mod images;
pub(crate) mod languages;
pub(crate) mod lexicon;
pub(crate) mod lists;
pub(crate) mod plants;
pub(crate) mod topics;
