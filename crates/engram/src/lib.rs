//! A thin facade of re-exports for notebooks and outside users, one feature per paper.
