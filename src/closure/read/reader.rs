//! Store paths and references as they are parsed, within limits.

use std::collections::HashSet;

use crate::closure::{ClosureError, Graph, StoreDir, StorePath};

/// The most paths in a graph: about as many as nixpkgs has packages.
const MAX_PATHS: usize = 100_000;
/// The most references in a graph. Each takes about 30 bytes of memory.
const MAX_REFERENCES: usize = 2_000_000;

/// A path of the graph.
pub(super) struct Node {
    pub(super) path: StorePath,
    pub(super) references: Vec<StorePath>,
    pub(super) nar_size: Option<u64>,
}

/// Converts what is parsed to store paths at once: the text of a large graph as a tree of JSON
/// values would take much more memory than the graph.
pub(super) struct Reader<'d> {
    pub(super) dir: &'d StoreDir,
    /// The paths so far. Each is in memory once, however many others refer to it.
    known: HashSet<StorePath>,
    nodes: usize,
    references: usize,
    /// The error that ended the parsing of JSON, if it is not one of JSON.
    pub(super) problem: Option<ClosureError>,
}

impl<'d> Reader<'d> {
    pub(super) fn new(dir: &'d StoreDir) -> Self {
        Self { dir, known: HashSet::new(), nodes: 0, references: 0, problem: None }
    }

    pub(super) fn path(&mut self, text: &str) -> Result<StorePath, ClosureError> {
        if let Some(path) = self.known.get(text) {
            return Ok(path.clone());
        }
        let path = self.dir.path(text)?;
        self.known.insert(path.clone());
        Ok(path)
    }

    /// Parses a path or, as newer versions of Nix print it, its name without the store's folder.
    pub(super) fn path_or_name(&mut self, text: &str) -> Result<StorePath, ClosureError> {
        match text.contains('/') {
            true => self.path(text),
            false => self.path(&format!("{}/{text}", self.dir.as_str())),
        }
    }

    pub(super) fn reference(&mut self, text: &str) -> Result<StorePath, ClosureError> {
        self.references += 1;
        match self.references > MAX_REFERENCES {
            true => Err(ClosureError::TooLarge("references", MAX_REFERENCES)),
            false => self.path_or_name(text),
        }
    }

    pub(super) fn count_node(&mut self) -> Result<(), ClosureError> {
        self.nodes += 1;
        match self.nodes > MAX_PATHS {
            true => Err(ClosureError::TooLarge("paths", MAX_PATHS)),
            false => Ok(()),
        }
    }

    /// Ends the parsing of JSON with `problem`.
    pub(super) fn fail<E: serde::de::Error>(&mut self, problem: ClosureError) -> E {
        let error = E::custom(&problem);
        self.problem = Some(problem);
        error
    }
}

/// Makes a graph of `nodes`.
pub(super) fn graph(nodes: Vec<Node>) -> Result<Graph, ClosureError> {
    let mut graph = Graph::default();
    for Node { path, references, nar_size } in nodes {
        graph.add(path, references, nar_size)?;
    }
    Ok(graph)
}
