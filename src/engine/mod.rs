//! A container engine over its API: connect, wait until it is ready, load, inspect, run.
//!
//! Nothing here knows where the engine runs; that is [`vm`](crate::vm)'s business.

pub mod docker;
mod error;
pub mod readiness;
pub mod timeline;
mod transport;

pub use docker::{ApiVersion, Docker, RunOutput};
pub use error::EngineError;
pub use timeline::Timeline;
