//! Linux, on this host and in images: names of signals and capabilities, account files, programs
//! of other architectures, what processes inherit, and limits.

pub(crate) mod account_file;
pub(crate) mod capability_names;
#[cfg(feature = "vm")]
pub(crate) mod container_user;
pub(crate) mod foreign;
pub(crate) mod inherited;
pub(crate) mod signals;
pub(crate) mod user_name;

/// The most symlinks that are followed in one path.
pub(crate) const LINKS_MAX: usize = 40;
