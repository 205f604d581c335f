//! Recipe to image: the base, the contents, how they are laid out in layers, and the assembly.
//!
//! Decisions are made before the first byte goes out: [`plan`](plan::plan) reads the recipe's inputs as far
//! as names and metadata and finds every mistake that can be found there; [`assemble`](assemble::assemble)
//! then reads the contents once and writes. Formats and tar are the business of
//! [`archive`](crate::archive).

pub mod assemble;
mod base;
mod cache;
mod contents;
mod error;
mod merge;
pub mod output;
pub mod plan;
mod platforms;
pub mod recipe;
mod settings;
mod sorter;
mod tag;
mod walk;

pub use assemble::{Format, Options, assemble, assemble_all};
pub use cache::CacheUse;
pub use error::BuildError;
pub use plan::{Plan, plan};
pub use recipe::Recipe;
