//! VMs whose engine is ready: how many run at once, how one is started and waited for, VMs that are
//! paused before their engine starts, and named VMs that outlive the command that started them.
//!
//! [`prepare()`] assembles a guest and makes its snapshot, if they are missing. The command line,
//! and everything else that starts VMs, calls it first.

pub(crate) mod layered;
mod named;
mod options;
pub(in crate::vm) mod paused;
pub(in crate::vm) mod prepare;
mod readiness;
mod save;
pub(crate) mod shared;
pub(crate) mod slots;
pub(crate) mod start;

pub(crate) use layered::{Layered, LayeredSnapshot};
pub use named::NamedVm;
pub(crate) use named::VARIABLE;
pub use options::{Options, Resources};
pub use paused::{PausedVm, ResumedVm};
pub use prepare::{PrepareOptions, Progress, prepare};
pub(crate) use slots::{IdleVm, OwnVms, Task, check_variables, end_if_needed, report_waiting};
pub use start::ReadyVm;
