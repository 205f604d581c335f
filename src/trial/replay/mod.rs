//! Replays of what goes wrong while an engine starts: the same scenario for every way to wait, each time in a machine
//! that is let go from the same state, and what became of a client that waited so.

mod lay;
mod policy;
mod runner;
pub mod scenario;

pub use policy::Policy;
pub use runner::{Event, Options, Outcome, Replay, Run, replay};
pub use scenario::Scenario;
