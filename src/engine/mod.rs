//! A container engine over its API: connect, wait until it is ready, load, inspect, run.
//!
//! Nothing here knows where the engine runs; that is [`vm`](crate::vm)'s business.

pub mod container;
pub mod docker;
mod error;
pub mod readiness;
pub mod timeline;
mod transport;

pub use container::{Container, RunOptions, RunOutput};
pub use docker::{ApiVersion, Docker};
pub use error::EngineError;
pub use timeline::Timeline;
