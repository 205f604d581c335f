//! From a recipe to what will be built: everything that can be known, and every mistake that can be found,
//! before file contents are read.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::base::{self, Base};
use super::contents::{Placement, Placer, Rules};
use super::recipe::{NIX_STORE, Recipe, Store, When};
use super::{BuildError, tag};
use crate::archive::ArchiveError;
use crate::archive::entry::join;
use crate::archive::layer::Layer;
use crate::archive::pipeline::LayerSource;
use crate::archive::tree::{Tree, resolve};
use crate::closure::{self, Closure, Graph, StoreDir, StorePath};
use crate::image::{ContainerConfig, DiffId, Platform, Tag, Timestamp, inherit};
use crate::layering::{Budget, Strategy};

/// A build that is ready to run.
#[derive(Debug)]
pub struct Plan {
    pub(super) recipe: Recipe,
    pub(super) base: Option<Base>,
    pub(super) platform: Platform,
    pub(super) created: Timestamp,
    /// The image's `config`, inheritance done.
    pub(super) config: ContainerConfig,
    pub(super) layers: Vec<PlannedLayer>,
    closure: Closure,
    contents: Vec<Content>,
}

/// A layer that will be made.
#[derive(Clone, Debug)]
pub(super) struct PlannedLayer {
    /// The store paths in it, sorted.
    pub(super) paths: Vec<StorePath>,
    /// Whether the contents are in it.
    pub(super) contents: bool,
    /// Whether all it holds is in the store, so that names alone say what it is.
    pub(super) named: bool,
}

/// An entry of the recipe's `contents`.
#[derive(Clone, Debug)]
struct Content {
    /// The file or folder, symlinks resolved.
    source: PathBuf,
    /// The store path it lies in, if it does.
    store_path: Option<StorePath>,
}

/// Reads what `recipe` names, as far as names and metadata, and lays out the image. Base images are read
/// whole, and verified, on `threads` threads.
///
/// # Errors
/// When an input is missing or wrong, or the image cannot be as the recipe wants it.
pub fn plan(recipe: Recipe, threads: usize) -> Result<Plan, BuildError> {
    let mut recipe = recipe;
    if let Some(store) = &mut recipe.store {
        // Contents are found to lie in the store by their real path.
        store.source = store.source.canonicalize().unwrap_or(std::mem::take(&mut store.source));
    }
    let contents = contents(&recipe)?;
    let created = created(&recipe)?;
    let closure = closure_of(&recipe, &contents)?;
    let (base, platform) = base::settle(&recipe, threads)?;
    let closure = less_held(closure, &recipe, base.as_ref())?;
    let config = config(&recipe, base.as_ref())?;
    let layers = layers(&recipe, &closure, &contents, base.as_ref())?;
    Ok(Plan { recipe, base, platform, created, config, layers, closure, contents })
}

/// The recipe's `config` over what it inherits of the base's.
fn config(recipe: &Recipe, base: Option<&Base>) -> Result<ContainerConfig, BuildError> {
    let unfit = |error: serde_json::Error| recipe_error(recipe, format!("config: {error}"));
    let inherited = base
        .map(|base| serde_json::to_value(&base.image.config.config))
        .transpose()
        .map_err(unfit)?;
    let inherited = match inherited {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let merged = inherit::merge(&inherited, &recipe.config, &recipe.inherit)?;
    serde_json::from_value(Value::Object(merged)).map_err(unfit)
}

fn recipe_error(recipe: &Recipe, problem: impl Into<String>) -> BuildError {
    BuildError::Recipe { recipe: recipe.path.display().to_string(), problem: problem.into() }
}

/// What the recipe says, else `SOURCE_DATE_EPOCH` (reproducible-builds.org), else the default.
fn created(recipe: &Recipe) -> Result<Timestamp, BuildError> {
    if let Some(when) = recipe.created {
        return Ok(when.time());
    }
    let Some(epoch) = std::env::var_os("SOURCE_DATE_EPOCH").filter(|epoch| !epoch.is_empty())
    else {
        return Ok(Timestamp::DEFAULT);
    };
    let seconds = epoch.to_str().and_then(|text| text.parse().ok());
    seconds.and_then(|seconds| Timestamp::from_seconds(seconds).ok()).ok_or_else(|| {
        recipe_error(
            recipe,
            format!("SOURCE_DATE_EPOCH is {epoch:?}; it must be a number of seconds since 1970"),
        )
    })
}

fn contents(recipe: &Recipe) -> Result<Vec<Content>, BuildError> {
    let default = StoreDir::new(NIX_STORE).ok().map(|dir| (dir, PathBuf::from(NIX_STORE)));
    let store =
        recipe.store.as_ref().map(|store| (store.dir.clone(), store.source.clone())).or(default);
    let content = |path: &PathBuf| {
        // Inside a relocated store, a content may be named by its place in the image.
        let relocated = store.as_ref().and_then(|(dir, source)| {
            let rest = path.strip_prefix(dir.as_str()).ok()?;
            Some(source.join(rest))
        });
        let path = relocated.as_ref().unwrap_or(path);
        let source = path.canonicalize().map_err(ArchiveError::read(path))?;
        let inside = store.as_ref().and_then(|(dir, root)| {
            let rest = source.strip_prefix(root).ok()?.to_str()?;
            Some(dir.split(&format!("{}/{rest}", dir.as_str()))?.0)
        });
        if inside.is_none() && !source.is_dir() && path.is_symlink() {
            let problem = "is a symlink to a file; name the file itself, which appears at / under its own name";
            return Err(BuildError::unfit(path, problem));
        }
        if inside.is_some() && recipe.store.is_none() {
            let problem = format!(
                "contents has {}, which lies in {NIX_STORE}, but there is no [store] with its closure; write one with: \
                 nix path-info --json --recursive {0} > graph.json",
                path.display()
            );
            return Err(recipe_error(recipe, problem));
        }
        Ok(Content { source, store_path: inside })
    };
    recipe.contents.iter().map(content).collect()
}

/// The closure of the contents and of the store paths that the config names.
fn closure_of(recipe: &Recipe, contents: &[Content]) -> Result<Closure, BuildError> {
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
            "{from} names {path}, but [store] names no closure; add closure = \"graph.json\""
        );
        return Err(recipe_error(recipe, problem));
    }
    Ok(graph.closure(roots)?)
}

fn graph(store: &Store) -> Result<Graph, BuildError> {
    let Some(path) = &store.closure else {
        return Ok(Graph::default());
    };
    let text = std::fs::read_to_string(path).map_err(ArchiveError::read(path))?;
    closure::parse(&text, &store.dir)
        .map_err(|error| ArchiveError::invalid(path, error.to_string()).into())
}

/// Every string in `value`, names of objects included.
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

/// The closure less what the base image has already.
fn less_held(
    closure: Closure,
    recipe: &Recipe,
    base: Option<&Base>,
) -> Result<Closure, BuildError> {
    let (Some(base), Some(store)) = (base, &recipe.store) else {
        return Ok(closure);
    };
    let place = store_place(&base.tree, &store.dir)?;
    Ok(closure.without(|path| base.tree.get(&join(&place, path.name().as_bytes())).is_some()))
}

fn layers(
    recipe: &Recipe,
    closure: &Closure,
    contents: &[Content],
    base: Option<&Base>,
) -> Result<Vec<PlannedLayer>, BuildError> {
    let any_contents = !contents.is_empty();
    let in_store = contents.iter().all(|content| content.store_path.is_some());
    let base = base.map_or(0, |base| base.image.layers.len());
    let budget =
        |contents: bool| Budget { max_layers: recipe.max_layers, base, contents: contents.into() };
    if recipe.layering == Strategy::Single {
        let paths: Vec<StorePath> = closure.paths().cloned().collect();
        let needed = any_contents || !paths.is_empty();
        budget(needed).available(0)?;
        let layer = PlannedLayer { paths, contents: any_contents, named: in_store };
        return Ok(if needed { vec![layer] } else { Vec::new() });
    }
    let available = budget(any_contents).available(closure.len())?;
    let store = recipe.layering.layers(closure, available);
    let of_paths = |paths| PlannedLayer { paths, contents: false, named: true };
    let top = PlannedLayer { paths: Vec::new(), contents: true, named: false };
    Ok(store.into_iter().map(of_paths).chain(any_contents.then_some(top)).collect())
}

impl Plan {
    /// The recipe that was planned.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The diff ids of the base's layers, lowest first.
    pub fn base_layers(&self) -> Vec<DiffId> {
        let layers = self.base.iter().flat_map(|base| &base.image.layers);
        layers.map(|layer| layer.diff_id).collect()
    }

    /// How many layers the image will have: the base's, and the new ones.
    pub fn layer_counts(&self) -> (usize, usize) {
        (self.base.as_ref().map_or(0, |base| base.image.layers.len()), self.layers.len())
    }

    /// What makes the layers `layers` of this plan.
    pub(super) fn sources<'p>(
        &'p self,
        layers: &'p [PlannedLayer],
    ) -> Vec<LayerSource<'p, BuildError>> {
        let source = |layer: &'p PlannedLayer| -> LayerSource<'p, BuildError> {
            Box::new(move || self.list(layer))
        };
        layers.iter().map(source).collect()
    }

    /// Looks at the files of `layer` and gives its entries.
    fn list(&self, layer: &PlannedLayer) -> Result<Layer, BuildError> {
        let nothing = Tree::default();
        let base = self.base.as_ref().map_or(&nothing, |base| &base.tree);
        let single = self.recipe.layering == Strategy::Single;
        let store = self.recipe.store.as_ref().map(|store| (&store.dir, store.source.as_path()));
        let mut placer = Placer::new(Rules {
            base,
            replace: &self.recipe.replace,
            store,
            closure: &self.closure,
            follow_dirlinks: single && layer.contents && !self.recipe.keep_contents_dirlinks,
        });
        if layer.contents {
            for (index, content) in self.contents.iter().enumerate() {
                placer.go_on(index + 1 < self.contents.len() || !layer.paths.is_empty());
                let linked = !single && content.store_path.is_some();
                placer.add(
                    &content.source,
                    b"",
                    if linked { Placement::Linked } else { Placement::Copied },
                )?;
            }
        }
        placer.follow_no_dirlinks();
        if let Some((dir, source)) = store {
            let place = store_place(base, dir)?;
            placer.go_on(false);
            for path in &layer.paths {
                placer.add_store_path(&source.join(path.name()), &place, path.name())?;
            }
        }
        placer.finish(self.recipe.attributes())
    }

    /// The tag that the image will carry, where it can be known without looking at contents.
    pub(super) fn given_tag(&self) -> Option<Tag> {
        self.recipe.tag.clone()
    }

    /// Refuses a tag that would change with every build.
    pub(super) fn check_derivable(&self) -> Result<(), BuildError> {
        if self.recipe.mtime == When::Now && self.layers.iter().any(|layer| !layer.named) {
            let problem = "mtime = \"now\" gives other layers at every build, so no tag can be derived; give a tag";
            return Err(recipe_error(&self.recipe, problem));
        }
        Ok(())
    }

    /// What the derived tag stands for; see [`tag`].
    pub(super) fn identity(&self) -> tag::Identity<'_> {
        tag::Identity {
            recipe: &self.recipe,
            platform: &self.platform,
            base: self.base.as_ref().map(|base| base.image.id()),
            config: &self.config,
            contents: self.contents.iter().map(|content| content.source.as_path()).collect(),
        }
    }
}

/// The store's place in the image, through the base's symlinks.
fn store_place(base: &Tree, dir: &StoreDir) -> Result<Box<[u8]>, BuildError> {
    let resolved = resolve(dir.as_str().as_bytes(), |path| base.get(path));
    resolved.map_err(|error| {
        BuildError::unfit(Path::new(dir.as_str()), format!("cannot hold the store: {error}"))
    })
}
