//! From a recipe to an image.
//!
//! [`plan`](plan()) makes every decision before the first byte is written: it reads names and
//! metadata of the inputs, verifies the base image, and finds every mistake that does not take the
//! contents of files. [`assemble`](assemble()) then reads the contents once and writes the
//! image. Archive formats and tar belong to [`archive`](crate::archive), the split into layers to
//! [`layering`](crate::layering).
//!
//! A build goes through `recipe`, `inputs`, `plan`, `steps` and `write`. What is written asks the
//! plan for the entries of each layer, which `place` and `merge` make. Each folder uses those above
//! it in this table, and none below:
//!
//! | folder | responsibility |
//! |---|---|
//! | `recipe` | parses and checks recipes |
//! | `inputs` | finds and opens what a recipe names: base, contents, store |
//! | `place` | gives every file of the contents its path in the image |
//! | `merge` | makes the entries of a layer of what was placed, or reports conflicts |
//! | `plan` | decides what goes into which layer, and lists layers |
//! | `steps` | runs commands that change the image on top of the planned layers |
//! | `write` | writes layers, config and names to archives and registries |
//! | `explain` | names the origin of everything in an image |
//! | `stages` | builds the images of other recipes that an image is built from |
//!
//! All of them may use `error` and `cache`.

mod cache;
mod error;
mod explain;
mod inputs;
mod merge;
mod place;
mod plan;
mod recipe;
mod stages;
mod steps;
mod write;

pub use cache::{CacheUse, cache_problem};
pub use error::BuildError;
pub use explain::{
    ExplainedEntry, ExplainedField, ExplainedLayer, ExplainedPath, ExplainedVariable, Explanation,
    Origin, OriginKind, explain, explain_path,
};
pub use inputs::Outputs;
pub(crate) use inputs::is_replaceable;
#[cfg(feature = "registry")]
pub(crate) use inputs::lock;
pub use plan::{LayerOutline, Plan, PlanOptions, StepSettings, read_path_graph};
#[cfg(feature = "registry")]
pub use recipe::LockUse;
#[cfg(feature = "vm")]
pub(crate) use recipe::now;
pub use recipe::{Annotations, ImageSource, Overrides, Recipe, Store, TimeSetting, files};
pub use stages::{plan, plan_with};
#[cfg(feature = "vm")]
pub(crate) use write::incremental;
pub use write::{Format, Options, Output, assemble, assemble_all, references, stream_conf};
#[cfg(feature = "registry")]
pub(crate) use write::{PushedImage, PushedImages, bill_of_materials, push, push_images};
