//! Parses the reference graphs that Nix writes: in JSON, or as lines of text.

mod document;
mod json;
mod path_info;
mod reader;
mod registration;

use self::reader::Reader;
use super::{ClosureError, Graph, StoreDir};
use crate::document::without_mark;

/// The size limit of a reference graph's file in bytes. `nix path-info --json` prints about 1 KB
/// for a path.
pub(crate) const MAX_SIZE: u64 = 128 << 20;

/// Parses the reference graph of the store at `dir`. It may be
///
/// - JSON of `nix path-info --json --recursive` in each of its formats: a list, an object with a
///   field for each path, or `--json-format 2`
/// - the attributes file (`.attrs.json`) of a derivation with `exportReferencesGraph`, which may
///   name several graphs, or one of these graphs
/// - the text of `exportReferencesGraph` without structured attributes
/// - the text of `nix-store --dump-db`, and the file `registration` of nixpkgs' `closureInfo`
///
/// # Errors
/// If the text is not a reference graph, a path is outside of the store or listed twice, or the
/// graph is too large.
pub fn parse(text: &str, dir: &StoreDir) -> Result<Graph, ClosureError> {
    let text = without_mark(text);
    let reader = Reader::new(dir);
    match text.trim_start().starts_with(['/', '<', 'd']) {
        true => registration::parse(text, reader),
        false => json::parse(text, reader),
    }
}
