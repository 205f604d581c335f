//! VMs whose engine is ready: how many run at once, how one is started and waited for, VMs that are
//! paused before their engine starts, and named VMs that outlive the command that started them.

pub mod named;
pub mod paused;
pub mod slots;
pub mod start;

pub use named::NamedVm;
pub use paused::{PausedVm, ResumedVm};
pub use start::{Options, ReadyVm};
