//! An entry of `layer`: a layer of its own for some files of the image.

use super::Globs;
use super::settings::LayerSettings;
use crate::text;

/// An entry of the recipe's `layer`.
#[derive(Clone, Debug)]
pub struct NamedLayer {
    /// Its name, for people.
    pub name: String,
    /// The patterns of its files, as paths in the image; none means no files.
    pub paths: Globs,
    /// The patterns of its store paths, by name.
    pub store_paths: Globs,
}

/// The length of the longest name in bytes.
const NAME_MAX: usize = 100;

impl NamedLayer {
    /// Checks an entry; the store is at `store_dir` in the image.
    pub(in crate::build::recipe) fn new(
        entry: LayerSettings,
        store_dir: &str,
    ) -> Result<Self, String> {
        let LayerSettings { name, paths, store_paths } = entry;
        if name.trim().is_empty() || name.len() > NAME_MAX {
            return Err(format!("layer: a name must have 1 to {NAME_MAX} bytes"));
        }
        let key = |key: &str| format!("layer {}: {key}", text::quote(&name));
        let store_path = |pattern: String| {
            let inside = pattern.strip_prefix(store_dir).and_then(|rest| rest.strip_prefix('/'));
            let in_store = inside.unwrap_or(&pattern).trim_end_matches('/');
            match in_store.contains('/') {
                false => Ok(in_store.to_owned()),
                true => Err(format!(
                    "{}: {} is not the name of a store path; expected {store_dir}/NAME or a \
                     pattern such as \"*-python3-*\"",
                    key("store_paths"),
                    text::quote(&pattern)
                )),
            }
        };
        let paths = Vec::from(paths.unwrap_or_default());
        let store_paths = Vec::from(store_paths.unwrap_or_default()).into_iter().map(store_path);
        let store_paths: Vec<String> = store_paths.collect::<Result<_, _>>()?;
        if paths.is_empty() && store_paths.is_empty() {
            return Err(format!(
                "layer {} has neither paths nor store_paths; add one of them",
                text::quote(&name)
            ));
        }
        Ok(Self {
            paths: Globs::of(&key("paths"), &paths)?,
            store_paths: Globs::of(&key("store_paths"), &store_paths)?,
            name,
        })
    }
}

/// Checks the entries of `layer`.
pub(in crate::build::recipe) fn named_layers(
    entries: Vec<LayerSettings>,
    store_dir: &str,
) -> Result<Vec<NamedLayer>, String> {
    let mut layers: Vec<NamedLayer> = Vec::new();
    for entry in entries {
        let layer = NamedLayer::new(entry, store_dir)?;
        if layers.iter().any(|other| other.name == layer.name) {
            return Err(format!("layer: two layers have the name {}", text::quote(&layer.name)));
        }
        layers.push(layer);
    }
    Ok(layers)
}
