//! Images on trial: a ready daemon in a machine of its own, images loaded into it, and what they should be
//! beside what they are.
//!
//! ```no_run
//! # async fn example() -> Result<(), seatrial::trial::TrialError> {
//! use seatrial::trial::Daemon;
//!
//! let daemon = Daemon::start("docker-20.10", Default::default()).await?;
//! let image = daemon.load_archive("app.tar".as_ref(), "my/app:1.0").await?;
//! image.assert_tag().await?;
//! image.assert_architecture("amd64").await?;
//! image.assert_env(&["LAST_LAYER=child"]).await?;
//! # Ok(())
//! # }
//! ```

pub mod check;
mod daemon;
mod error;
pub mod expect;
pub mod fault;
mod image;
mod live;
pub mod replay;
pub mod report;
mod service;
pub mod statics;
pub mod text;
pub mod verdict;
mod watch;

pub use daemon::Daemon;
pub use error::TrialError;
pub use expect::Expectations;
pub use image::LoadedImage;
pub use verdict::{Case, Outcome, Verdict};
