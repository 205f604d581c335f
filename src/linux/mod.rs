//! Linux, on this host and in images: names of signals and capabilities, users, programs of other
//! architectures, and what processes inherit.

pub(crate) mod capability_names;
pub(crate) mod foreign;
pub(crate) mod inherited;
pub(crate) mod signals;
pub(crate) mod user_name;
