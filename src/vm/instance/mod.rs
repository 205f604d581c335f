//! One VM: a QEMU process with a private folder, its monitor and guest agent, and its snapshot.
//! Nothing here decides how many VMs run or when an engine is ready; that is [`pool`](super::pool).

pub(crate) mod accelerator;
mod agent;
mod agent_files;
mod channel;
mod clock;
mod connect;
mod disk;
mod environments;
mod exit;
mod frames;
mod host_access;
mod initrd;
mod parts;
mod process;
pub(in crate::vm) mod qemu_args;
mod qmp;
mod relay;
mod saving;
mod session;
pub(in crate::vm) mod snapshot;
mod socket;
mod sparse_copy;
mod tls;
pub(crate) mod units;
pub(in crate::vm) mod vm;
mod wake;

pub use accelerator::{Accelerator, AcceleratorChoice};
pub use agent::{Agent, CommandOutput};
pub(crate) use agent::{RawOutput, STDIN_MAX};
pub(crate) use connect::Connector;
pub(crate) use environments::Recording;
pub(crate) use frames::FramedStream;
pub(crate) use relay::{Listener, Reached};
pub(crate) use session::{
    SessionEvent, SessionInput, SessionOutput, SessionRequest, SessionStatus, WindowSize,
};
pub use snapshot::Snapshot;
pub(crate) use socket::Socket;
pub use vm::Vm;
