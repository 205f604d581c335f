//! Throwaway machines with a real container engine in them: guests, and the QEMU processes that run them.
//!
//! What an engine is asked over its API is [`engine`](crate::engine)'s business; here a machine is assembled,
//! started, watched and stopped, and commands run in it through the guest agent.

pub mod accelerator;
mod agent;
pub mod args;
pub mod assemble;
pub mod board;
pub mod budget;
mod channel;
mod debian;
pub mod doctor;
mod error;
pub mod family;
mod foreign;
pub mod guest;
pub mod held;
mod initrd;
pub mod kept;
pub mod machine;
pub mod overlay;
mod places;
mod process;
mod qmp;
pub mod ready;
pub mod stock;
pub mod template;
mod tls;
pub mod tools;
pub mod units;
mod wake;

pub use accelerator::Accelerator;
pub use agent::{Agent, CommandOutput};
pub use board::Board;
pub use error::VmError;
pub use family::Family;
pub use guest::{Definition, Guest};
pub use held::Held;
pub use machine::Machine;
pub use overlay::Overlay;
pub use ready::{Options, Ready};
pub use template::Template;

/// What blocks, on a thread where that is no harm.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, VmError> + Send + 'static,
) -> Result<T, VmError> {
    let failed =
        |error: tokio::task::JoinError| VmError::file("finish", "a thread")(std::io::Error::other(error));
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}
