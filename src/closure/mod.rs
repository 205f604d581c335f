//! The closure: which store paths an image needs.
//!
//! Parses reference graphs, finds store paths in text, and computes the paths that are reachable.
//! This module works on names alone and never touches the files behind them.

mod error;
mod graph;
mod path;
mod read;
mod roots;

pub use error::ClosureError;
pub(crate) use error::graph_command;
pub use graph::{Closure, Graph};
pub(crate) use path::is_name_char;
pub use path::{NotInStore, StoreDir, StorePath};
pub(crate) use read::MAX_SIZE;
pub use read::parse;
pub use roots::named_in;
