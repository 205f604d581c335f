//! container-structure-test files, schema version 2.0.0: read as expectations, with the semantics
//! that its README and its Docker driver give them.
//!
//! Differences, each of which is documented: a file without tests is an error; commands see the
//! variables of their test as well as those of `containerRunOptions`; a symlink that is read is
//! resolved relative to its folder; mounts are copies.

mod bind_mounts;
mod document;
mod env_file;
mod expand;
mod permissions;
mod read;
mod validate;

pub(super) use expand::expand;
pub(super) use read::{is_structure_test, named_files, parse};
