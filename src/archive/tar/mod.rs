//! Reads tar streams from untrusted sources: one member after the other, with limits on all
//! records.
//!
//! Container engines are written in Go and read tars with its package `archive/tar`. Where readers
//! disagree on what an archive contains, this one follows Go: an archive that is verified here must
//! not look different to an engine. Types of members that engines reject are errors.

mod header;
mod pax;
mod reader;
mod skip;
mod sparse;

pub(super) use reader::PATH_MAX;
pub use reader::{Member, MemberKind, SpecialKind, TarReader};
pub use skip::Skip;
