//! The files and folders of the host that an image is built from.

use std::path::{Path, PathBuf};

use super::Recipe;
use super::files::ContentSource;
use crate::image::Location;

impl Recipe {
    /// Returns the files and folders of this host that the image depends on, as far as the recipe
    /// names them: itself, contents, a base image in a file, the reference graph, and inputs of
    /// steps.
    pub fn source_paths(&self) -> Vec<PathBuf> {
        let contents = self.contents.iter().map(|content| match &content.source {
            ContentSource::Files(path) | ContentSource::Tar(path) | ContentSource::Layer(path) => {
                path.clone()
            }
        });
        let base = self.from_image.as_ref().and_then(Location::path).map(Path::to_owned);
        let graph = self.store.as_ref().and_then(|store| store.closure.clone());
        let inputs = self.steps.iter().flat_map(|step| &step.inputs);
        let inputs = inputs.map(|input| input.source.clone());
        let own = std::iter::once(self.path.clone());
        own.chain(contents).chain(base).chain(graph).chain(inputs).collect()
    }
}
