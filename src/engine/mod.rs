//! A container engine over its API: connect, wait until it is ready, load, inspect, run.
//!
//! Nothing here knows where the engine runs; that is [`vm`](crate::vm)'s business.

pub mod any;
pub mod container;
pub mod cri;
pub mod docker;
mod error;
mod image;
pub mod readiness;
pub mod run;
pub(crate) mod stream;
pub mod timeline;
mod transport;

pub use any::{Container, Engine};
pub use container::DockerContainer;
pub use cri::{Cri, CriContainer};
pub use docker::{ApiVersion, Docker};
pub use error::EngineError;
pub use image::ImageFacts;
pub use run::{RunOptions, RunOutput, State};
pub(crate) use stream::Writing;
pub use timeline::Timeline;
