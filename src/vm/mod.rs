//! Throwaway VMs with a real container engine in them.
//!
//! | room | concern |
//! |---|---|
//! | [`pool`] | starts VMs and waits until their engine is ready: slots, paused and named VMs |
//! | [`instance`] | one VM: QEMU's arguments and process, its monitor, the guest agent, snapshots |
//! | [`guest`] | guest definitions, and guests assembled from Debian packages |
//!
//! [`doctor`] checks the host, and [`inventory`] lists and prunes the cache. Requests to an engine
//! belong to [`engine`](crate::engine). Nothing here knows about images.

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
pub use pool::{NamedVm, Options, PausedVm, PrepareOptions, Progress, ReadyVm, ResumedVm, prepare};

/// Runs a function that blocks on a thread of its own, so that async tasks continue meanwhile.
async fn run_blocking<T: Send + 'static>(
    function: impl FnOnce() -> Result<T, VmError> + Send + 'static,
) -> Result<T, VmError> {
    let failed = |error: tokio::task::JoinError| {
        VmError::file("wait for", "a background thread")(std::io::Error::other(error))
    };
    tokio::task::spawn_blocking(function).await.map_err(failed)?
}
