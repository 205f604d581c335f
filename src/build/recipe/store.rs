//! The source of store paths.

use std::path::{Path, PathBuf};

use super::files::host_path;
use super::settings::{StoreSettings, StringOrList};
use crate::closure::{StoreDir, StorePath};
use crate::text;

/// The path of the Nix store.
pub(crate) const NIX_STORE: &str = "/nix/store";

/// The source of store paths.
#[derive(Clone, Debug)]
pub struct Store {
    /// The store's path in the image.
    pub dir: StoreDir,
    /// The folder on the host that holds the store.
    pub source: PathBuf,
    /// The file with the reference graph.
    pub closure: Option<PathBuf>,
    /// The store paths of each layer, instead of a reference graph.
    pub layers: Option<Vec<Vec<StorePath>>>,
    /// Store paths whose closure belongs in the image, although they are not contents.
    pub roots: Vec<StorePath>,
    /// Store paths that stay out of the image; what they refer to does not.
    pub exclude: Vec<StorePath>,
}

impl Store {
    /// Checks the table `store`; paths on the host are relative to `folder`.
    pub(super) fn new(settings: StoreSettings, folder: &Path) -> Result<Self, String> {
        let dir = settings.dir.as_deref().unwrap_or(NIX_STORE);
        let dir = StoreDir::new(dir).map_err(|dir| {
            format!(
                "store.dir {} must be an absolute path without '.' and '..': the store's path in \
                 the image; if the store is elsewhere on this host, set store.source",
                text::quote(&dir)
            )
        })?;
        let source = match settings.source {
            Some(source) => host_path("store.source", folder, &source)?,
            None => PathBuf::from(dir.as_str()),
        };
        let closure = settings.closure.map(|file| host_path("store.closure", folder, &file));
        let closure = closure.transpose()?;
        let layer = |paths| store_paths("store.layers", Some(paths), &dir);
        let layers = settings.layers.map(|layers| layers.into_iter().map(layer).collect());
        let layers: Option<Vec<Vec<StorePath>>> = layers.transpose()?;
        if layers.is_some() && closure.is_some() {
            return Err("store.layers and store.closure exclude each other; remove one".to_owned());
        }
        let roots = store_paths("store.roots", settings.roots, &dir)?;
        let exclude = store_paths("store.exclude", settings.exclude, &dir)?;
        Ok(Self { dir, source, closure, layers, roots, exclude })
    }
}

/// The store paths that `paths` are or lead into.
fn store_paths(
    key: &str,
    paths: Option<StringOrList>,
    dir: &StoreDir,
) -> Result<Vec<StorePath>, String> {
    let store_path = |path: String| {
        dir.split(&path).map(|(path, _)| path).ok_or_else(|| {
            let dir = dir.as_str();
            format!("{key}: {} is not in the store {dir}; expected {dir}/NAME", text::quote(&path))
        })
    };
    Vec::from(paths.unwrap_or_default()).into_iter().map(store_path).collect()
}
