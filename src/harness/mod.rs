//! A ready engine in a VM of its own, and the images loaded into it: the interface for tests of
//! images that are written in Rust.
//!
//! ```no_run
//! # async fn example() -> Result<(), seatrial::harness::HarnessError> {
//! use seatrial::harness::Daemon;
//!
//! let daemon = Daemon::start("docker-20.10", Default::default()).await?; // a VM of its own
//! let image = daemon.load_archive("app.tar".as_ref(), "my/app:1.0").await?;
//! image.assert_tag().await?;
//! image.assert_architecture("amd64").await?;
//! image.assert_env(&["LAST_LAYER=child"]).await?; // in the config and in a running container
//! # Ok(())
//! # }
//! ```
//!
//! To build an image and test it without a file in between, load its recipe:
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use std::path::Path;
//! use std::time::Duration;
//!
//! use seatrial::build::Recipe;
//! use seatrial::engine::RunOptions;
//! use seatrial::harness::Daemon;
//!
//! let daemon = Daemon::start("docker-28", Default::default()).await?;
//! let image = daemon.load_recipe(Recipe::read(Path::new("app.toml"))?).await?;
//! let options = RunOptions::command(&["/bin/app", "--version"]);
//! let output = image.run(&options, Duration::from_secs(60)).await?;
//! assert_eq!((output.code, output.stdout.as_str()), (0, "app 1.0\n"));
//! # Ok(())
//! # }
//! ```
//!
//! Expectations in files belong to [`check`](crate::check), scenarios of an engine's start to
//! [`replay`](crate::replay). Nothing here prints.

mod container;
mod daemon;
mod describe;
mod end_notice;
mod environments;
mod error;
mod forwarded_port;
mod http;
mod load;
mod load_missing;
mod loaded_image;
mod log_stream;
mod mounts;
mod network;
mod node_files;
mod probe;
mod ready;
pub(crate) mod sockets;
mod steps;
mod watch;

pub use container::Container;
pub use daemon::Daemon;
pub(crate) use describe::{describe_end, found_exit_code};
pub(crate) use end_notice::EndNotice;
pub use error::HarnessError;
pub use forwarded_port::ForwardedPort;
pub(crate) use http::{check_answer, send};
pub use loaded_image::LoadedImage;
pub use log_stream::LogStream;
pub use network::Network;
pub(crate) use probe::Probe;
pub(crate) use ready::{DEFAULT_READY_TIMEOUT, POLL_INTERVAL, Readiness, Starting};
pub use steps::VmSteps;
