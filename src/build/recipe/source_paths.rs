//! The files and folders of the host that an image is built from.

use std::path::{Path, PathBuf};

use super::files::{ContentEntry, Creation, FileSource, Helper, PathAction, PathEntry};
use super::{ImageSource, NamedRecipes, Recipe};

impl Recipe {
    /// Returns the files and folders of this host that the image depends on: the recipe itself,
    /// contents, images in files, the layering, the reference graph, inputs of steps,
    /// sources of single paths, and certificates, and those of the recipes that it names, as far as
    /// these can be read. Store paths are not among them: they never change.
    pub fn source_paths(&self) -> Vec<PathBuf> {
        let mut paths = self.own_source_paths();
        let named = NamedRecipes::readable(self);
        paths.extend(named.iter().flat_map(Self::own_source_paths));
        paths
    }

    fn own_source_paths(&self) -> Vec<PathBuf> {
        let contents = self.contents.iter().filter_map(ContentEntry::path);
        let base = self.from_image.as_ref().and_then(ImageSource::path);
        let bundle = self.helpers.iter().filter_map(|helper| match helper {
            Helper::CaCertificates(None) => Helper::host_bundle(),
            _ => None,
        });
        let named = self.named_files().map(|(_, path)| path);
        let own = std::iter::once(&*self.path);
        own.chain(contents)
            .chain(base)
            .chain(self.layering_file.as_deref())
            .chain(named)
            .chain(bundle)
            .map(Path::to_owned)
            .collect()
    }

    /// Returns what a file at the resolved `path` is, if it is in a folder that the recipe reads.
    pub(crate) fn role_in_folders(&self, path: &Path) -> Option<&'static str> {
        let is_in = |folder: &Path| {
            folder.canonicalize().is_ok_and(|folder| path != folder && path.starts_with(folder))
        };
        let mut inputs = self.steps.iter().flat_map(|step| &step.inputs);
        if self.contents.iter().any(|content| content.selects(path)) {
            Some("one of the contents")
        } else if inputs.any(|input| is_in(&input.source)) {
            Some("an input of a step")
        } else {
            self.store.as_ref().filter(|store| is_in(&store.source)).map(|_| "in the store")
        }
    }

    /// The files and folders that are named by keys besides `contents`, `from_image` and
    /// `layering`, with these keys.
    pub(in crate::build) fn named_files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let graph = self.store.as_ref().filter(|_| self.include_store_paths);
        let graph = graph.and_then(|store| store.closure.as_deref());
        let inputs = self.steps.iter().flat_map(|step| &step.inputs);
        let sources = self.paths.iter().filter_map(PathEntry::host_file);
        let certificates = self.helpers.iter().filter_map(|helper| match helper {
            Helper::CaCertificates(file) => file.as_deref(),
            _ => None,
        });
        let graph = graph.into_iter().map(|path| ("store.closure", path));
        let inputs = inputs.map(|input| ("run: inputs", input.source.as_path()));
        let sources = sources.map(|path| ("path: source", path));
        let certificates = certificates.map(|path| ("helpers: ca-certificates", path));
        graph.chain(inputs).chain(sources).chain(certificates)
    }
}

impl PathEntry {
    /// The file of this host that becomes the path, if it is made of one.
    fn host_file(&self) -> Option<&Path> {
        match &self.action {
            PathAction::Create(Creation::File(FileSource::Path(source))) => Some(source),
            _ => None,
        }
    }
}
