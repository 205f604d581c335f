//! Guests: what a VM boots. Definitions are data embedded in the program; guests are assembled from
//! Debian packages and cached. Nothing here starts a VM.

pub mod assemble;
pub mod changes;
mod debian;
pub mod definition;
pub mod family;
pub(in crate::vm) mod foreign;
pub mod machine_type;

pub use changes::GuestChanges;
pub use definition::{Definition, Guest};
pub use family::{Api, Family};
pub use machine_type::MachineType;
