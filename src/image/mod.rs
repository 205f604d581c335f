//! The parts of an image: reference, platform, environment, config, digest, manifest.
//!
//! Pure data, and rules for it. Code that needs a file, a socket or a clock belongs in
//! [`archive`](crate::archive) or [`build`](crate::build).

pub(crate) mod config;
mod descriptor;
pub(crate) mod digest;
pub(crate) mod env;
pub(crate) mod exposed_ports;
mod field_type;
pub(crate) mod fields;
pub(crate) mod history;
pub(crate) mod inherit;
mod layer_contents;
pub(crate) mod location;
pub(crate) mod manifest;
mod name_rules;
mod null;
pub(crate) mod platform;
mod platform_match;
mod raw_index;
pub(crate) mod reference;
pub(crate) mod remote;
pub(crate) mod schema;
pub(crate) mod summary;
pub(crate) mod time;

pub use config::{ContainerConfig, ImageConfig, RootFs, Set};
pub use digest::{DiffId, Digest, DigestError, Hasher};
pub(crate) use env::DEFAULT_PATH;
pub use env::{Env, EnvError};
pub use field_type::FieldError;
pub use history::History;
pub use inherit::Inherit;
pub use layer_contents::LayerContents;
pub use location::{ImagePath, Location, LocationError};
pub use platform::{Arch, Platform, PlatformError};
pub use reference::{Name, Reference, ReferenceError, Tag};
pub use remote::{RemoteReference, RemoteReferenceError};
pub use summary::{LayerSummary, Summary};
pub use time::{TimeError, Timestamp};
