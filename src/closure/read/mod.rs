//! Parses the reference graphs that Nix writes: in JSON, or as lines of text.

mod json;
mod path_info;
mod registration;

use std::collections::HashSet;

use super::{ClosureError, Graph, StoreDir, StorePath};
use crate::document;

/// The size limit of a reference graph's file in bytes. `nix path-info --json` prints about 1 KB
/// for a path.
pub(crate) const MAX_SIZE: u64 = 128 << 20;
/// The most paths in a graph: about as many as nixpkgs has packages.
const MAX_PATHS: usize = 100_000;
/// The most references in a graph. Each takes about 30 bytes of memory.
const MAX_REFERENCES: usize = 2_000_000;

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
    let text = document::without_mark(text);
    let reader = Reader { dir, known: HashSet::new(), nodes: 0, references: 0, problem: None };
    match text.trim_start().starts_with(['/', '<', 'd']) {
        true => registration::parse(text, reader),
        false => json::parse(text, reader),
    }
}

/// A path of the graph.
struct Node {
    path: StorePath,
    references: Vec<StorePath>,
    nar_size: Option<u64>,
}

/// Converts what is parsed to store paths at once: the text of a large graph as a tree of JSON
/// values would take much more memory than the graph.
struct Reader<'d> {
    dir: &'d StoreDir,
    /// The paths so far. Each is in memory once, however many others refer to it.
    known: HashSet<StorePath>,
    nodes: usize,
    references: usize,
    /// The error that ended the parsing of JSON, if it is not one of JSON.
    problem: Option<ClosureError>,
}

impl Reader<'_> {
    fn path(&mut self, text: &str) -> Result<StorePath, ClosureError> {
        if let Some(path) = self.known.get(text) {
            return Ok(path.clone());
        }
        let path = self.dir.path(text)?;
        self.known.insert(path.clone());
        Ok(path)
    }

    /// Parses a path or, as newer versions of Nix print it, its name without the store's folder.
    fn path_or_name(&mut self, text: &str) -> Result<StorePath, ClosureError> {
        match text.contains('/') {
            true => self.path(text),
            false => self.path(&format!("{}/{text}", self.dir.as_str())),
        }
    }

    fn reference(&mut self, text: &str) -> Result<StorePath, ClosureError> {
        self.references += 1;
        match self.references > MAX_REFERENCES {
            true => Err(ClosureError::TooLarge("references", MAX_REFERENCES)),
            false => self.path_or_name(text),
        }
    }

    fn count_node(&mut self) -> Result<(), ClosureError> {
        self.nodes += 1;
        match self.nodes > MAX_PATHS {
            true => Err(ClosureError::TooLarge("paths", MAX_PATHS)),
            false => Ok(()),
        }
    }

    /// Ends the parsing of JSON with `problem`.
    fn fail<E: serde::de::Error>(&mut self, problem: ClosureError) -> E {
        let error = E::custom(&problem);
        self.problem = Some(problem);
        error
    }
}

/// Makes a graph of `nodes`.
fn graph(nodes: Vec<Node>) -> Result<Graph, ClosureError> {
    let mut graph = Graph::default();
    for Node { path, references, nar_size } in nodes {
        graph.add(path, references, nar_size)?;
    }
    Ok(graph)
}
