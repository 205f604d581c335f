//! The store paths that an image needs: the closure of contents, roots and the config.

use std::path::Path;

use serde_json::Value;

use super::base::Base;
use super::contents::Content;
use super::notices::Notices;
use crate::archive::ArchiveError;
use crate::archive::entry::join;
use crate::archive::resolve::resolve;
use crate::archive::tree::Tree;
use crate::build::BuildError;
use crate::build::recipe::{Recipe, Store};
use crate::closure::{self, Closure, Graph, StoreDir, StorePath};
use crate::document;

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
        return of_listed(recipe, layers, contents);
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

/// The paths of `layers` and the store paths in `contents` as a closure, in which nothing refers to
/// anything.
fn of_listed(
    recipe: &Recipe,
    layers: &[Vec<StorePath>],
    contents: impl IntoIterator<Item = StorePath>,
) -> Result<Closure, BuildError> {
    let mut graph = Graph::default();
    let mut roots = Vec::new();
    for path in layers.iter().flatten() {
        graph.add(path.clone(), [], None).map_err(|_| {
            let problem = format!("store.layers lists {path} twice");
            BuildError::recipe(&recipe.path, problem)
        })?;
        roots.push(("store.layers".to_owned(), path.clone()));
    }
    for path in contents {
        if !graph.contains(&path) {
            graph.add(path.clone(), [], None)?;
            roots.push(("contents".to_owned(), path));
        }
    }
    Ok(graph.closure(roots)?)
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
