//! Tests images against expectations files: first the archive alone (static checks), then
//! containers on real engines (runtime checks). The result is a [`Verdict`].
//!
//! ```no_run
//! # async fn example() -> Result<(), seatrial::check::CheckError> {
//! use std::path::Path;
//!
//! use seatrial::check::{self, CheckInput, Event, ExpectationsFile, Options, arch_of};
//!
//! let engine = "docker-28".to_owned();
//! let (archive, limits) = (Path::new("app.tar"), Default::default());
//! let input = CheckInput::from_archive(archive, arch_of(&engine).into(), limits, 4)?;
//! let file = ExpectationsFile::read(Path::new("app.expect.toml"))?;
//! let options = Options { engines: vec![engine], ..Options::default() };
//! let mut reporter = |event: Event<'_>| {
//!     if let Event::TestCase(case) = event {
//!         println!("{}: {:?}", case.name, case.outcome);
//!     }
//! };
//! let verdict = check::run(&[input], &[file], &options, 4, &mut reporter).await?;
//! assert_eq!(verdict.tally().failed, 0);
//! # Ok(())
//! # }
//! ```
//!
//! Static checks need no VM; [`ImageUnderTest::static_checks`] runs them alone.
//!
//! Nothing is printed here: the runner reports events, and [`report`](crate::report) formats a
//! verdict.

mod comparison;
mod distinct_names;
pub mod draft;
mod error;
pub mod expectations;
mod goss;
mod image;
mod input;
mod kept_vm;
mod recorder;
mod runner;
mod runtime_checks;
mod secret_values;
mod static_checks;
mod structure_test;
mod trial;
mod trial_vm;
pub mod verdict;

pub use error::CheckError;
pub(crate) use expectations::NamedFiles;
pub use expectations::{Expectations, ExpectationsFile, Mode, Sha256Digest, VmSettings};
pub use image::ImageUnderTest;
pub use input::{CheckInput, RecipeOptions};
pub use kept_vm::KeptVm;
pub use recorder::{Event, Options, Reporter};
pub use runner::{arch_of, run};
pub use verdict::{EngineRun, Outcome, RunResult, TestCase, Verdict};
