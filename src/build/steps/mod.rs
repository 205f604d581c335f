//! The steps of a plan, commands that change an image: gives them the layers below, and keeps those
//! that they make.
//!
//! How a command runs is up to [`steps`](crate::steps).

mod named_paths;
mod run;

pub(super) use run::{info, write_layer};
