//! Throwaway VMs with a real container engine in them.
//!
//! [`harness`](crate::harness) starts a VM and gives access to its engine, which is what most tests
//! need. This module has the settings of VMs, the definitions of guests, and VMs that are paused
//! before their engine starts.
//!
//! | room | concern |
//! |---|---|
//! | `pool` | starts VMs and waits until their engine is ready: slots, paused and named VMs |
//! | `instance` | one VM: QEMU's arguments and process, its monitor, the guest agent, snapshots |
//! | `guest` | guest definitions, and guests assembled from Debian packages |
//!
//! `doctor` checks the host, and `inventory` lists and prunes the cache. Requests to an engine
//! belong to [`engine`](crate::engine). Nothing here knows about images.

pub(crate) mod doctor;
mod egress;
mod error;
mod folders;
pub(crate) mod guest;
pub(crate) mod instance;
pub(crate) mod inventory;
mod locks;
pub(crate) mod pool;
mod published_port;
mod tools;
mod user_ids;

pub use egress::Egress;
pub use error::VmError;
pub use guest::assemble::Sources;
pub use guest::{Api, Definition, Family, Guest, GuestChanges};
pub use instance::{Accelerator, AcceleratorChoice, Agent, CommandOutput, Vm};
pub(crate) use pool::NamedVm;
pub use pool::{
    Options, PausedVm, PrepareOptions, Progress, ReadyVm, Resources, ResumedVm, prepare,
};
pub use published_port::PublishedPort;

/// Runs a function that blocks on a thread of its own, so that async tasks continue meanwhile.
async fn run_blocking<T: Send + 'static>(
    function: impl FnOnce() -> Result<T, VmError> + Send + 'static,
) -> Result<T, VmError> {
    let failed = |error: tokio::task::JoinError| {
        VmError::file("wait for", "a background thread")(std::io::Error::other(error))
    };
    tokio::task::spawn_blocking(function).await.map_err(failed)?
}
