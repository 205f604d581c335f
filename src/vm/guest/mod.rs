//! Guests: what runs in a VM. Definitions are data embedded in the program; guests are assembled
//! from Debian packages and cached. Nothing here starts a VM.

pub mod assemble;
mod assembled;
pub(in crate::vm) mod changes;
mod debian;
mod definition;
mod embedded;
pub(in crate::vm) mod family;
pub(in crate::vm) mod foreign;
pub(in crate::vm) mod machine_type;

pub use assembled::Guest;
pub use changes::GuestChanges;
pub use definition::Definition;
pub use family::{Api, Family};
pub(crate) use machine_type::MachineType;
