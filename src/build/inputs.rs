//! The inputs that a recipe names: contents, and the closure of store paths that they need.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::BuildError;
use super::base::Base;
use super::recipe::{NIX_STORE, Recipe, Store};
use crate::archive::ArchiveError;
use crate::archive::entry::join;
use crate::archive::resolve::resolve;
use crate::archive::tree::Tree;
use crate::closure::{self, Closure, Graph, StoreDir, StorePath};
use crate::document;
use crate::text;

/// An entry of the recipe's `contents`.
#[derive(Clone, Debug)]
pub(super) struct Content {
    /// The canonical path of the file or folder.
    pub(super) source: PathBuf,
    /// The store path that it is in, if any.
    pub(super) store_path: Option<StorePath>,
}

/// Locates the recipe's `contents`.
pub(super) fn contents(recipe: &Recipe) -> Result<Vec<Content>, BuildError> {
    let nix_store = StoreDir::new(NIX_STORE).ok().map(|dir| (dir, PathBuf::from(NIX_STORE)));
    let store = recipe.store.as_ref().map(|store| (store.dir.clone(), store.source.clone()));
    let store = store.or(nix_store);
    recipe.contents.iter().map(|path| content(recipe, store.as_ref(), path)).collect()
}

fn content(
    recipe: &Recipe,
    store: Option<&(StoreDir, PathBuf)>,
    path: &Path,
) -> Result<Content, BuildError> {
    // In a relocated store, the recipe may name a content by its path in the image.
    let relocated = store.and_then(|(dir, source)| {
        let rest = path.strip_prefix(dir.as_str()).ok()?;
        Some(source.join(rest))
    });
    let path = relocated.as_deref().unwrap_or(path);
    let source = path.canonicalize().map_err(ArchiveError::read(path))?;
    let store_path = store.and_then(|(dir, root)| {
        let rest = source.strip_prefix(root).ok()?.to_str()?;
        Some(dir.split(&format!("{}/{rest}", dir.as_str()))?.0)
    });
    if store_path.is_none() && !source.is_dir() && path.is_symlink() {
        let problem = "symlinks to files are not allowed in contents; name the file itself, which \
                       appears at / under its own name";
        return Err(BuildError::content(path, problem));
    }
    if store_path.is_some() && recipe.store.is_none() {
        let problem = format!(
            "contents has {}, which is in {NIX_STORE}, but there is no [store] with its closure; \
             write the closure with: nix path-info --json --recursive {0} > graph.json",
            text::path(path)
        );
        return Err(BuildError::recipe(&recipe.path, problem));
    }
    Ok(Content { source, store_path })
}

/// The closure of the contents and of the store paths that the config names.
pub(super) fn closure(recipe: &Recipe, contents: &[Content]) -> Result<Closure, BuildError> {
    let Some(store) = recipe.store.as_ref().filter(|_| recipe.include_store_paths) else {
        return Ok(Closure::default());
    };
    let graph = graph(store)?;
    let mut roots: Vec<(String, StorePath)> = contents
        .iter()
        .filter_map(|content| content.store_path.clone())
        .map(|path| ("contents".to_owned(), path))
        .collect();
    for (field, value) in &recipe.config {
        let mut texts = Vec::new();
        strings(value, &mut texts);
        let named = texts.iter().flat_map(|text| closure::named_in(text, &store.dir, &graph));
        roots.extend(named.map(|path| (format!("config.{field}"), path)));
    }
    if let (Some((from, path)), None) = (roots.first(), &store.closure) {
        let problem = format!(
            "{from} names {path}, but [store] has no closure; add closure = \"graph.json\""
        );
        return Err(BuildError::recipe(&recipe.path, problem));
    }
    Ok(graph.closure(roots)?)
}

/// Reads the reference graph of `store`; it is empty if the recipe names none.
fn graph(store: &Store) -> Result<Graph, BuildError> {
    let Some(path) = &store.closure else {
        return Ok(Graph::default());
    };
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
pub(super) fn missing_in_base(
    closure: Closure,
    recipe: &Recipe,
    base: Option<&Base>,
) -> Result<Closure, BuildError> {
    let (Some(base), Some(store)) = (base, &recipe.store) else {
        return Ok(closure);
    };
    let dir = resolved_store_dir(&base.tree, &store.dir)?;
    Ok(closure.without(|path| base.tree.get(&join(&dir, path.name().as_bytes())).is_some()))
}

/// The store's path in the image, after following the base's symlinks.
pub(super) fn resolved_store_dir(base: &Tree, dir: &StoreDir) -> Result<Box<[u8]>, BuildError> {
    let resolved = resolve(dir.as_str().as_bytes(), |path| base.get(path));
    resolved.map_err(|error| {
        let problem = format!("the base image cannot contain the store: {error}");
        BuildError::content(dir.as_str(), problem)
    })
}
