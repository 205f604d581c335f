//! Build steps: commands that change an image.
//!
//! A step sees the layers below it as its root. What it changed becomes one layer: new and changed
//! files with their owners, modes, capabilities and links, and whiteouts for what it removed. A
//! [`Runner`] runs the command. [`Namespace`] runs it in namespaces of this host without root;
//! other runners come from modules above.
//!
//! Results are cached by a digest of everything that a step sees, so a step whose inputs are
//! unchanged does not run.

mod cache;
mod changes;
mod compare;
mod error;
mod event;
mod inputs;
mod namespace;
mod output;
pub(crate) mod overlay;
pub(crate) mod owners;
mod run;
mod runner;
mod step;

pub use changes::OverlayFormat;
pub use error::StepError;
#[cfg(feature = "vm")]
pub(crate) use error::exit_status;
pub use event::StepEvent;
pub use namespace::Namespace;
pub use output::Output;
pub use owners::{Owner, RecordedOwners};
pub use run::{keys, run};
pub use runner::{ChangesReader, Context, LowerLayer, Reuse, Runner, StepLayer};
pub use step::{Input, Place, Step, View};
