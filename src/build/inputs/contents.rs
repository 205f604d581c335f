//! The inputs that a recipe names: contents, and the closure of store paths that they need.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::base::Base;
use super::given_layers;
use super::host_store::HostStore;
use super::notices::Notices;
use crate::archive::entry::join;
use crate::archive::resolve::resolve;
use crate::archive::tar_file::TarFile;
use crate::archive::tree::Tree;
use crate::archive::{self, ArchiveError, ImageSelector};
use crate::build::BuildError;
use crate::build::recipe::{
    NIX_STORE, Recipe, Store,
    files::{ContentEntry, ContentSource, PathEntry, accounts::Owner},
};
use crate::closure::{self, Closure, Graph, StoreDir, StorePath, graph_command};
use crate::document;
use crate::text;

/// An entry of the recipe's `contents`.
#[derive(Clone, Debug)]
pub(in crate::build) struct Content {
    /// The canonical path of the file or folder.
    pub(in crate::build) source: PathBuf,
    /// The store path that it is in, if any.
    pub(in crate::build) store_path: Option<StorePath>,
    /// The entry in the recipe.
    pub(in crate::build) entry: ContentEntry,
    /// The tar, if it is one.
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
    let (path, entry) = (entry.path(), entry.clone());
    if matches!(entry.source, ContentSource::Tar(_)) {
        let tar = TarFile::open(path, &recipe.limits)?;
        let source = path.to_owned();
        return Ok(Content { source, store_path: None, entry, tar: Some(tar), owner: None });
    }
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

/// The closure of the contents, of the roots, and of the store paths that the config names. Names
/// in the config that only look like store paths are noted in `notices`.
pub(in crate::build) fn closure(
    recipe: &Recipe,
    contents: &[Content],
    notices: &Notices,
) -> Result<Closure, BuildError> {
    let Some(store) = recipe.store.as_ref().filter(|_| recipe.include_store_paths) else {
        return Ok(Closure::default());
    };
    if let Some(layers) = &store.layers {
        let contents = contents.iter().filter_map(|content| content.store_path.clone());
        return given_layers::closure(recipe, layers, contents);
    }
    let graph = graph(store)?;
    let contents = contents.iter().filter_map(|content| content.store_path.as_ref());
    if let Some(path) = contents.clone().find(|path| store.exclude.contains(path)) {
        let problem = format!("contents has {path}, which store.exclude excludes");
        return Err(BuildError::recipe(&recipe.path, problem));
    }
    let mut roots: Vec<(String, StorePath)> = contents
        .map(|path| ("contents".to_owned(), path.clone()))
        .chain(store.roots.iter().map(|path| ("store.roots".to_owned(), path.clone())))
        .collect();
    let mut unknown: Vec<(&String, StorePath)> = Vec::new();
    for (field, value) in &recipe.config {
        let mut texts = Vec::new();
        strings(value, &mut texts);
        for path in texts.iter().flat_map(|text| closure::named_in(text, &store.dir, &graph)) {
            match graph.contains(&path) {
                true => roots.push((format!("config.{field}"), path)),
                false if store.closure.is_none() && path.has_nix_hash() => {
                    roots.push((format!("config.{field}"), path));
                }
                false => unknown.push((field, path)),
            }
        }
    }
    unknown.iter().for_each(|(field, path)| notices.unknown_path(field, path));
    if let (Some((from, path)), None) = (roots.first(), &store.closure) {
        let problem = format!(
            "{from} names {path}, but [store] has no closure; add closure = \"graph.json\""
        );
        return Err(BuildError::recipe(&recipe.path, problem));
    }
    let unknown = store.exclude.iter().find(|path| !graph.contains(path));
    if let Some(path) = unknown {
        let problem = format!("store.exclude: {path} is not in the reference graph; remove it");
        return Err(BuildError::recipe(&recipe.path, problem));
    }
    Ok(graph.closure(roots)?.without(|path| store.exclude.contains(path)))
}

/// Reads the reference graph of `store`; it is empty if the recipe names none.
pub(in crate::build) fn graph(store: &Store) -> Result<Graph, BuildError> {
    match &store.closure {
        Some(path) => read_graph(path, store),
        None => Ok(Graph::default()),
    }
}

/// Every path of the reference graph in the file `path`.
pub(in crate::build) fn whole_graph(path: &Path, store: &Store) -> Result<Closure, BuildError> {
    let graph = read_graph(path, store)?;
    let roots: Vec<_> =
        graph.paths().map(|path| ("the reference graph".to_owned(), path.clone())).collect();
    Ok(graph.closure(roots)?)
}

fn read_graph(path: &Path, store: &Store) -> Result<Graph, BuildError> {
    let text = document::read(path, closure::MAX_SIZE).map_err(ArchiveError::read(path))?;
    closure::parse(&text, &store.dir)
        .map_err(|error| ArchiveError::invalid(path, error.to_string()).into())
}

/// Collects every string in `value`, names of fields included.
fn strings<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                found.push(name);
                strings(value, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The closure without the store paths that the base image has.
pub(in crate::build) fn missing_in_base(
    closure: Closure,
    recipe: &Recipe,
    base: Option<&Base>,
) -> Result<Closure, BuildError> {
    let (Some(base), Some(store)) = (base, &recipe.store) else {
        return Ok(closure);
    };
    let tree = base.tree()?;
    let dir = resolved_store_dir(tree, &store.dir)?;
    Ok(closure.without(|path| tree.get(&join(&dir, path.name().as_bytes())).is_some()))
}

/// The store's path in the image, after following the base's symlinks.
pub(in crate::build) fn resolved_store_dir(
    base: &Tree,
    dir: &StoreDir,
) -> Result<Box<[u8]>, BuildError> {
    let resolved = resolve(dir.as_str().as_bytes(), |path| base.get(path));
    resolved.map_err(|error| {
        let problem = format!("the base image cannot contain the store: {error}");
        BuildError::content(dir.as_str(), problem)
    })
}
