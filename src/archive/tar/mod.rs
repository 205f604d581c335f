//! Reads tar streams from untrusted sources: one member after the other, with limits on all
//! records.
//!
//! Container engines are written in Go and read tars with its package `archive/tar`. Where readers
//! disagree on what an archive contains, this one follows Go: an archive that is verified here must
//! not look different to an engine. Types of members that engines reject are errors.

mod content;
mod header;
mod member;
mod overrides;
mod pax;
mod reader;
mod skip;
mod sparse;

pub(crate) use member::CAPABILITIES;
pub(super) use member::PATH_MAX;
pub use member::{Member, MemberKind, SpecialKind};
pub use reader::TarReader;
pub use skip::Skip;
