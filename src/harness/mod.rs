//! A ready engine in a VM of its own and the images loaded into it: what tests of images are written
//! against.
//!
//! ```no_run
//! # async fn example() -> Result<(), seatrial::harness::HarnessError> {
//! use seatrial::harness::Daemon;
//!
//! let daemon = Daemon::start("docker-20.10", Default::default()).await?;
//! let image = daemon.load_archive("app.tar".as_ref(), "my/app:1.0").await?;
//! image.assert_tag().await?;
//! image.assert_architecture("amd64").await?;
//! image.assert_env(&["LAST_LAYER=child"]).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Expectations written in files belong to [`check`](crate::check), scenarios of an engine's start to
//! [`replay`](crate::replay).

mod daemon;
mod error;
mod image;
mod watch;

pub use daemon::Daemon;
pub use error::HarnessError;
pub use image::LoadedImage;
