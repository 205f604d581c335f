//! Layering pipelines: lists of operations that split a graph, with the names and semantics of
//! nixpkgs' `layeringPipeline` (nixpkgs `flattenReferencesGraph`).
//!
//! The first operation takes the whole graph, each other one the result of the one before it. A
//! value is a graph, a list of values, or a table of values. In the end, the graphs are the layers,
//! in order. There are three differences to nixpkgs: a path that is in no graph is an error, so is
//! a result with more layers than allowed, and a graph without paths does not become a layer.

mod operation;
mod parse;
mod run;
mod value;

pub use operation::{Operation, PathSpec, Pipeline, UnknownPath};
pub use parse::ParseError;
pub use run::RunError;
