//! Replays of start-up problems: starts an engine as a scenario describes, with a client that waits
//! by each wait strategy, and reports whether the client worked.
//!
//! For every run, a VM resumes from the same paused state. This module prints nothing; reports are
//! in [`report`](crate::report).

mod client;
mod error;
mod fault;
mod guest_changes;
mod outcome;
mod run;
mod runner;
mod scenario;
mod wait_strategy;

pub use error::ReplayError;
pub use fault::Fault;
pub use outcome::{Outcome, Replay, Run};
pub use runner::{Event, Options, replay};
pub use scenario::Scenario;
pub use wait_strategy::WaitStrategy;
