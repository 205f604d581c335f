//! The tag of an image whose recipe gives none: a digest of its inputs.
//!
//! Store paths count by name, which is their identity; everything else by content, through the diff id of
//! the layer it is in. So the tag is known from the inputs without writing an image, costs no reading that
//! the build does not do anyway, and is the same on every machine. The image's name and where inputs lie
//! on this machine do not count.

use std::path::Path;

use serde_json::{Value, json};

use super::plan::PlannedLayer;
use super::recipe::{Recipe, When};
use crate::image::{ContainerConfig, DiffId, Digest, Platform, Tag, Timestamp};
use crate::layering::Strategy;

/// What a tag is derived from, layers aside.
pub(super) struct Identity<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) platform: &'a Platform,
    pub(super) base: Option<Digest>,
    pub(super) config: &'a ContainerConfig,
    /// The contents; only those that lie in the store count by their path.
    pub(super) contents: Vec<&'a Path>,
}

/// The first 32 hex digits of a digest: as unlikely to collide as a Nix store path.
const LENGTH: usize = 32;

impl Identity<'_> {
    /// The tag, given each layer with its diff id; those of layers that are known by name are not asked for.
    pub(super) fn tag(&self, layers: &[(PlannedLayer, Option<DiffId>)]) -> Option<Tag> {
        let layers: Option<Vec<Value>> =
            layers.iter().map(|(layer, diff_id)| self.layer(layer, *diff_id)).collect();
        let recipe = self.recipe;
        let identity = json!({
            "architecture": self.platform.to_string(),
            "base": self.base.map(|id| id.to_string()),
            "config": self.config,
            "created": when(recipe.created.unwrap_or(When::At(Timestamp::DEFAULT))),
            "layers": layers?,
            "layout": layout(recipe.layering),
            "mtime": when(recipe.mtime),
            "owner": [recipe.owner.uid, recipe.owner.gid],
            "replace": recipe.replace.iter().map(|path| String::from_utf8_lossy(path)).collect::<Vec<_>>(),
            "ownerNames": [recipe.owner.uname, recipe.owner.gname],
        });
        let digest = Digest::of(identity.to_string().as_bytes()).hex();
        digest[..LENGTH].parse().ok()
    }

    fn layer(&self, layer: &PlannedLayer, diff_id: Option<DiffId>) -> Option<Value> {
        if !layer.named {
            return Some(json!(diff_id?.to_string()));
        }
        let paths: Vec<&str> = layer.paths.iter().map(|path| path.as_str()).collect();
        let contents: Vec<String> = if layer.contents { self.store_contents() } else { Vec::new() };
        Some(
            json!({ "paths": paths, "contents": contents, "dirlinks": self.recipe.keep_contents_dirlinks }),
        )
    }

    /// Where the contents are in the store, from its folder on.
    fn store_contents(&self) -> Vec<String> {
        let root =
            self.recipe.store.as_ref().map(|store| store.source.as_path()).unwrap_or(Path::new(""));
        let inner = |path: &&Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
        self.contents.iter().map(inner).collect()
    }
}

/// The word for the layering strategy; derived tags depend on it, so it never changes.
fn layout(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Single => "single",
        Strategy::Popularity => "layered",
    }
}

fn when(when: When) -> String {
    match when {
        When::Now => "now".to_owned(),
        When::At(time) => time.to_string(),
    }
}
