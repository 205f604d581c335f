//! Clients of container engines: connect, wait until the engine is ready, load and inspect images,
//! run containers. Two APIs are supported: Docker's, which Podman has too, and Kubernetes' CRI.
//!
//! This module does not know where an engine runs; see [`vm`](crate::vm).

mod address;
mod any;
mod any_container;
mod clock;
mod commit;
mod container;
mod copied;
mod cri;
mod docker;
mod docker_connection;
mod error;
mod exec;
mod image;
mod inspected;
mod log_stream;
mod network;
mod printed;
pub(crate) mod readiness;
pub(crate) mod run;
mod settings;
pub(crate) mod stream;
mod timeline;
mod transport;
mod unsupported;

pub(crate) use address::Address;
pub use any::Engine;
pub use any_container::Container;
/// The client of Docker's API, in the version that [`Docker::api`] returns.
pub use bollard;
pub(crate) use clock::Clock;
pub use commit::Committed;
pub use container::DockerContainer;
pub use cri::{Cri, CriContainer};
pub(crate) use cri::{limits, random_name};
pub use docker::{ApiVersion, Docker};
pub use error::EngineError;
pub use exec::ExecOptions;
pub use image::ImageFacts;
pub use log_stream::{LogChunk, LogStream};
pub use readiness::NotReady;
pub use run::{Exit, Mount, NetworkAttachment, OutOfMemory, Pod, RunOptions, RunOutput, State};
pub use settings::{FileToCopy, Settings};
pub(crate) use stream::WriteError;
pub use timeline::{Timeline, TimelineEvent};
