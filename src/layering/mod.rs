//! Layering: which store path goes into which layer.
//!
//! A [`Strategy`] splits the store paths of a closure, as a [`PathGraph`], into layers; a
//! [`Budget`] limits their number. This module works on names and sizes alone and never touches a
//! file.

mod auto;
mod balanced;
mod budget;
mod graph;
mod measure;
mod merging;
mod named;
mod package;
pub mod pipeline;
pub mod popularity;
mod propose;
mod strategy;

pub use budget::{Budget, BudgetError, MAX_LAYERS};
pub use graph::PathGraph;
pub use measure::{Measurement, measure};
pub use named::LayerPlan;
pub use pipeline::Pipeline;
pub use propose::propose;
pub use strategy::{LayeringError, Strategy, StrategyError};
