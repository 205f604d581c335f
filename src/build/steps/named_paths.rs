//! The store paths that the output of steps names, and which the image therefore needs too.

use std::collections::BTreeSet;
use std::io::{self, Read};

use crate::archive::ArchiveError;
use crate::archive::layer_tree::normalize;
use crate::archive::tar::TarReader;
use crate::build::BuildError;
use crate::build::inputs;
use crate::build::plan::{Plan, PlannedLayer};
use crate::closure::{Graph, StoreDir, StorePath, is_name_char, named_in};
use crate::steps::StepLayer;

/// The number of bytes that are searched at once.
const CHUNK_SIZE: usize = 256 << 10;
/// The most bytes at the end of a chunk that may be the beginning of a store path.
const TAIL_MAX: usize = 4096;

impl Plan {
    /// The layer with the store paths that `made`, the steps' layers, name and the image does not
    /// have, and with what these refer to. `None` if there are none.
    pub(super) fn layer_named_by_steps(
        &self,
        made: &[StepLayer],
    ) -> Result<Option<PlannedLayer>, BuildError> {
        let Some(store) = self.recipe.store.as_ref().filter(|_| self.recipe.steps_name_paths())
        else {
            return Ok(None);
        };
        let graph = inputs::graph(store)?;
        let mut found = Found::new(&store.dir, &graph);
        for layer in made {
            found.search(layer).map_err(ArchiveError::temporary_file)?;
        }
        let Found { named, made, .. } = found;
        let roots = named.difference(&made).map(|path| ("a step".to_owned(), path.clone()));
        let closure = graph.closure(roots)?.without(|path| {
            store.exclude.contains(path) || self.closure.contains(path) || made.contains(path)
        });
        let closure = inputs::missing_in_base(closure, &self.recipe, self.base.as_ref())?;
        let paths: Vec<StorePath> = closure.paths().cloned().collect();
        Ok((!paths.is_empty()).then(|| PlannedLayer::of_store(paths)))
    }
}

/// The store paths in layers of steps.
struct Found<'a> {
    dir: &'a StoreDir,
    graph: &'a Graph,
    /// The paths of the graph that files and symlinks name.
    named: BTreeSet<StorePath>,
    /// The paths that steps made themselves.
    made: BTreeSet<StorePath>,
}

impl<'a> Found<'a> {
    fn new(dir: &'a StoreDir, graph: &'a Graph) -> Self {
        Self { dir, graph, named: BTreeSet::new(), made: BTreeSet::new() }
    }

    fn search(&mut self, layer: &StepLayer) -> io::Result<()> {
        let mut reader = TarReader::new(layer.bytes.clone());
        while let Some(member) = reader.next_member()? {
            let path = normalize(&member.path).unwrap_or_default();
            let path = format!("/{}", String::from_utf8_lossy(&path));
            self.made.extend(self.dir.split(&path).map(|(path, _)| path));
            self.search_bytes(&member.link);
            self.search_content(&mut reader)?;
        }
        Ok(())
    }

    fn search_content(&mut self, content: &mut impl Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        loop {
            let count = content.take(CHUNK_SIZE as u64).read_to_end(&mut bytes)?;
            // A path at the end may continue in the next chunk.
            let ends = |byte: &u8| !is_name_char(char::from(*byte)) && *byte != b'/';
            let start = bytes.len().saturating_sub(TAIL_MAX);
            let end = bytes[start..].iter().rposition(ends).map_or(start, |index| start + index);
            let end = if count == 0 { bytes.len() } else { end };
            self.search_bytes(&bytes[..end]);
            if count == 0 {
                return Ok(());
            }
            bytes.drain(..end);
        }
    }

    fn search_bytes(&mut self, bytes: &[u8]) {
        let text = |byte: &u8| if byte.is_ascii() { char::from(*byte) } else { ' ' };
        let text: String = bytes.iter().map(text).collect();
        let known = named_in(&text, self.dir, self.graph);
        self.named.extend(known.into_iter().filter(|path| self.graph.contains(path)));
    }
}
