//! Throwaway machines with a real container engine in them: guests, and the QEMU processes that run them.
//!
//! What an engine is asked over its API is [`engine`](crate::engine)'s business; here a machine is assembled,
//! started, watched and stopped, and commands run in it through the guest agent.

pub mod accelerator;
mod agent;
pub mod args;
pub mod assemble;
mod channel;
mod error;
pub mod guest;
pub mod machine;
mod places;
mod tls;

pub use accelerator::Accelerator;
pub use agent::{Agent, CommandOutput};
pub use error::VmError;
pub use guest::{Definition, Guest};
pub use machine::{Machine, Options};
