//! Replays what goes wrong while an engine starts: the same scenario for every wait strategy, each time
//! in a VM that resumes from the same state, and the outcome of a client that waited that way.

mod changes;
mod error;
mod fault;
mod runner;
pub mod scenario;
mod wait;

pub use error::ReplayError;
pub use fault::Fault;
pub use runner::{Event, Options, Outcome, Replay, Run, replay};
pub use scenario::Scenario;
pub use wait::WaitStrategy;
