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
//! # Containers
//!
//! [`LoadedImage::run`] runs a command until it ends. [`LoadedImage::start_ready`] starts a service
//! and waits until it meets conditions, which are those of `ready` in an expectations file. The
//! [`Container`] then runs commands, copies files in and out, makes ports reachable on this host,
//! and streams the output:
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use std::path::Path;
//! use std::time::Duration;
//!
//! use seatrial::build::Recipe;
//! use seatrial::conditions::ReadyConditions;
//! use seatrial::engine::{Mount, RunOptions, Settings};
//! use seatrial::harness::Daemon;
//!
//! let limit = Duration::from_secs(60);
//! let daemon = Daemon::start("docker-28", Default::default()).await?;
//! let image = daemon.load_recipe(Recipe::read(Path::new("app.toml"))?).await?;
//! let options = RunOptions {
//!     env: vec!["MODE=test".to_owned()],
//!     mounts: vec![Mount::new("fixtures", "/etc/app")], // a copy, read-only
//!     settings: Settings { tmpfs: vec!["/scratch".to_owned()], ..Settings::default() },
//!     ..RunOptions::service() // the image's own command, on the engine's network
//! };
//! let app = image.start_ready(&options, &ReadyConditions::http(8080, "/health")).await?;
//!
//! let port = app.forward(8080).await?;
//! println!("http://{}/", port.address()); // until `port` is dropped
//! let output = app.exec(&["/bin/app", "--migrate"], limit).await?;
//! assert_eq!((output.code, output.stderr.as_str()), (0, ""));
//! app.copy_in("/var/lib/app/import.csv", "a,b\n", 0o644).await?;
//! let export = app.copy_out("/var/lib/app/export.csv").await?;
//! assert!(export.is_some());
//!
//! let mut logs = app.follow_logs(limit);
//! if let Some(chunk) = logs.next().await {
//!     println!("{}", String::from_utf8_lossy(chunk?.bytes()));
//! }
//! let output = app.stop(Duration::from_secs(10)).await?;
//! assert_eq!(output.code, 0);
//! app.remove().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Every wait has a time limit, and its error shows the last thing that was seen: the condition
//! that is not met, or the end of the output. Something that an engine cannot do is an error with
//! the reason, for which [`HarnessError::is_unsupported`] is true.
//!
//! For requests that are missing here, [`Docker::api`](crate::engine::Docker::api) returns the
//! client of the `bollard` crate, which is re-exported as [`engine::bollard`](crate::engine):
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! # use seatrial::harness::Daemon;
//! let daemon = Daemon::start("docker-28", Default::default()).await?;
//! if let Some(docker) = daemon.docker() {
//!     println!("{:?}", docker.api().info().await?.driver);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # One VM for all tests
//!
//! [`Daemon::shared`] starts a VM in the first test that needs it, and returns it to all others of
//! the same process. It ends with the process. Each test loads its image and starts containers of
//! its own; layers that the engine has are not stored twice. The following file is one of this
//! crate's own tests:
//!
//! ```ignore
#![doc = include_str!("../../tests/library.rs")]
//! ```
//!
//! Expectations in files belong to [`check`](crate::check), scenarios of an engine's start to
//! [`replay`](crate::replay). Nothing here prints.

mod container;
pub(crate) mod container_files;
mod container_port;
mod daemon;
mod datagrams;
mod describe;
mod end_notice;
mod environments;
mod error;
pub(crate) mod exits;
mod forwarded_port;
mod host_names;
mod http;
mod leftovers;
mod line_ends;
mod load;
mod load_missing;
mod loaded_image;
mod log_stream;
pub(crate) mod missing_program;
mod mounts;
mod name_files;
mod network;
mod no_network;
mod node_commit;
mod node_files;
mod ready;
pub(crate) mod sockets;
mod steps;
mod watch;

pub use container::Container;
pub use daemon::Daemon;
pub(crate) use describe::{describe_end, describe_still_running, found_exit_code};
pub(crate) use end_notice::EndNotice;
pub use error::HarnessError;
pub use forwarded_port::ForwardedPort;
pub(crate) use http::{Answer, check_answer, send};
pub(crate) use line_ends::LineEnds;
pub(crate) use load::{DEFAULT_REFERENCE, is_loaded_as_it_is};
pub(crate) use load_missing::is_name_in_snapshots;
pub use loaded_image::LoadedImage;
pub use log_stream::LogStream;
pub use network::Network;
pub(crate) use ready::{DEFAULT_READY_TIMEOUT, POLL_INTERVAL, Readiness, Starting};
pub use steps::VmSteps;
