//! The contents that a recipe names: files, folders, tars and layers, located and opened.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::host_store::HostStore;
use super::notices::Notices;
use crate::archive::tar_file::TarFile;
use crate::archive::tree::Tree;
use crate::archive::{self, ArchiveError, ImageSelector};
use crate::build::BuildError;
use crate::build::recipe::files::{ContentEntry, ContentSource, PathEntry, accounts::Owner};
use crate::build::recipe::{NIX_STORE, Recipe, Store};
use crate::closure::{StoreDir, StorePath, graph_command};
use crate::text;

/// An entry of the recipe's `contents`.
#[derive(Clone, Debug)]
pub(in crate::build) struct Content {
    /// The canonical path of the file or folder; of files of an image, a name for messages.
    pub(in crate::build) source: PathBuf,
    /// The store path that it is in, if any.
    pub(in crate::build) store_path: Option<StorePath>,
    /// The entry in the recipe.
    pub(in crate::build) entry: ContentEntry,
    /// The tar, if it is one, or if its files are from an image.
    pub(in crate::build) tar: Option<TarFile>,
    /// The owner of its files, if the entry gives one.
    pub(in crate::build) owner: Option<Owner>,
}

/// An entry of the recipe's `path`, with its owner by number.
#[derive(Clone, Debug)]
pub(in crate::build) struct PlannedPath {
    pub(in crate::build) entry: PathEntry,
    pub(in crate::build) owner: Option<Owner>,
}

/// A tar that becomes a layer byte for byte.
#[derive(Clone, Debug)]
pub(in crate::build) struct FinishedLayer {
    pub(in crate::build) tar: TarFile,
    /// The number of its entries.
    pub(in crate::build) entries: usize,
    /// Its files.
    pub(super) tree: Arc<Tree>,
}

/// Locates the recipe's `contents`.
pub(in crate::build) fn contents(recipe: &Recipe) -> Result<Vec<Content>, BuildError> {
    let nix_store = StoreDir::new(NIX_STORE).ok();
    let nix_store = nix_store.as_ref().map(|dir| HostStore { dir, source: Path::new(NIX_STORE) });
    let store = recipe.store.as_ref().map(Store::on_host).or(nix_store);
    let placed =
        recipe.contents.iter().filter(|entry| !matches!(entry.source, ContentSource::Layer(_)));
    let named = |entry: &ContentEntry, error: BuildError| {
        let is_tar = matches!(entry.source, ContentSource::Tar(_));
        error.of_key(&recipe.path, if is_tar { "contents: tar" } else { "contents" })
    };
    let content = |entry| content(recipe, store, entry).map_err(|error| named(entry, error));
    placed.map(content).collect()
}

/// Opens the recipe's finished layers, and checks that they are layers.
pub(in crate::build) fn finished_layers(
    recipe: &Recipe,
    notices: &Notices,
) -> Result<Vec<FinishedLayer>, BuildError> {
    let mut layers = Vec::new();
    for entry in &recipe.contents {
        let ContentSource::Layer(path) = &entry.source else { continue };
        let named = |error| BuildError::from(error).of_key(&recipe.path, "contents: layer");
        let tar = TarFile::open(path, &recipe.limits).map_err(named)?;
        let changes = tar.layer_tree().map_err(named)?;
        let entries = changes.entries;
        let tree = Tree::from_layers([changes]);
        // A layer may have a file of this name, too.
        let may_be_image = ["manifest.json", "oci-layout"].map(|name| tree.get(name.as_bytes()));
        let selector = ImageSelector { limits: recipe.limits, ..ImageSelector::default() };
        if may_be_image.iter().any(Option::is_some) && archive::open(path, &selector).is_ok() {
            notices.layer_is_image(path);
        }
        layers.push(FinishedLayer { tar, entries, tree: Arc::new(tree) });
    }
    Ok(layers)
}

fn content(
    recipe: &Recipe,
    store: Option<HostStore<'_>>,
    entry: &ContentEntry,
) -> Result<Content, BuildError> {
    let entry = entry.clone();
    let path = match &entry.source {
        ContentSource::Files(path) | ContentSource::Layer(path) => path,
        ContentSource::Tar(path) => {
            let (tar, source) = (Some(TarFile::open(path, &recipe.limits)?), path.clone());
            return Ok(Content { source, store_path: None, entry, tar, owner: None });
        }
        // The image is opened later.
        ContentSource::Image(files) => {
            let source = PathBuf::from(files.to_string());
            return Ok(Content { source, store_path: None, entry, tar: None, owner: None });
        }
    };
    let (source, store_path) = locate(store, path).map_err(ArchiveError::read(path))?;
    let is_link = !entry.follow_links && path.is_symlink();
    if store_path.is_none() && !source.is_dir() && is_link {
        let problem = "symlinks to files are not allowed in contents; name the file itself, which \
                       appears at / under its own name";
        return Err(BuildError::content(path, problem));
    }
    if store_path.is_some() && recipe.store.is_none() {
        let problem = format!(
            "contents has {}, which is in {NIX_STORE}, but there is no [store] with its closure; \
             write the closure with: {} > graph.json",
            text::path(path),
            graph_command(&text::path(path))
        );
        return Err(BuildError::recipe(&recipe.path, problem));
    }
    Ok(Content { source, store_path, entry, tar: None, owner: None })
}

/// Finds the file or folder that `path` leads to. A store path that is a symlink is in the image as
/// such: it is followed only to put the files of a folder in the store at `/`.
fn locate(store: Option<HostStore<'_>>, path: &Path) -> io::Result<(PathBuf, Option<StorePath>)> {
    let Some(store) = store else {
        return Ok((path.canonicalize()?, None));
    };
    let Some((store_path, rest)) = store.locate(path)? else {
        return Ok((store.resolve(path)?, None));
    };
    let link = store.source.join(store_path.name());
    let resolved = store.resolve(&link.join(&rest));
    let is_whole = rest.as_os_str().is_empty();
    let in_store = |path: &Path| path.starts_with(store.source);
    Ok(match resolved {
        Ok(source) if in_store(&source) && (!is_whole || source.is_dir()) => {
            (source, Some(store_path))
        }
        _ if is_whole && link.symlink_metadata().is_ok() => (link, Some(store_path)),
        resolved => (resolved?, None),
    })
}
