//! Throwaway VMs with a real container engine in them.
//!
//! | room | concern |
//! |---|---|
//! | [`pool`] | starts VMs and waits until their engine is ready: slots, paused and named VMs |
//! | [`instance`] | one VM: QEMU's arguments and process, its monitor, the guest agent, snapshots |
//! | [`guest`] | guest definitions, and guests assembled from Debian packages |
//!
//! The API of an engine belongs to [`engine`](crate::engine). Nothing here knows about images.

pub mod doctor;
mod error;
mod folders;
pub mod guest;
pub mod instance;
pub mod inventory;
pub mod pool;
pub mod tools;

pub use error::VmError;
pub use guest::{Definition, Family, Guest, GuestChanges, MachineType};
pub use instance::{Accelerator, AcceleratorChoice, Agent, CommandOutput, Snapshot, Vm};
pub use pool::{NamedVm, Options, PausedVm, ReadyVm, ResumedVm};

/// Runs blocking `work` on a thread where it does not hold up other tasks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, VmError> + Send + 'static,
) -> Result<T, VmError> {
    let failed = |error: tokio::task::JoinError| {
        VmError::file("finish", "a thread")(std::io::Error::other(error))
    };
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}
