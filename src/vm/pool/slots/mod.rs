//! VM slots: the number of concurrent VMs is limited, across all processes of the user. A VM that
//! does not get a slot waits for one, because too many VMs would all become too slow.

mod count;
mod files;
mod idle;
mod owners;
mod queue;
mod report;
mod ticket;

pub(crate) use count::check_variables;
pub(in crate::vm) use count::{VARIABLE, count};
pub(crate) use idle::{IdleVm, end_if_needed};
pub(crate) use owners::{OwnVms, Task};
pub(in crate::vm) use queue::{VmSlot, acquire};
pub(crate) use report::report_waiting;
