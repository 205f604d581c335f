//! The parts of an image: reference, platform, environment, config, digest, manifest.
//!
//! Pure data, and rules for it. Code that needs a file, a socket or a clock belongs in
//! [`archive`](crate::archive) or [`build`](crate::build).

pub mod config;
pub mod digest;
pub mod env;
pub mod fields;
pub mod history;
pub mod inherit;
pub mod manifest;
pub mod platform;
pub mod reference;
pub mod summary;
pub mod time;

pub use config::{ContainerConfig, ImageConfig, RootFs};
pub use digest::{DiffId, Digest};
pub use env::Env;
pub use history::History;
pub use inherit::Inherit;
pub use platform::{Arch, Platform};
pub use reference::{Name, Reference, Tag};
pub use summary::Summary;
pub use time::Timestamp;
