//! The differences between two images: layers, files, and how a container runs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

use super::ArchiveError;
use super::flatten::{FileChanges, FileSystem};
use super::image::Image;
use super::invalid_data::invalid_data;
use crate::image::{DiffId, ImageConfig, LayerContents};

/// The differences between a first and a second image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImageDiff {
    /// The layers of both, in the order of the second image, then those of the first image alone.
    pub layers: Vec<LayerDiff>,
    /// The bytes to transfer to where the first image is: those of the new layers, as stored.
    pub ship: u64,
    /// The files that differ.
    pub files: FileChanges,
    /// The fields of the config that differ, layers and history aside.
    pub config: Vec<ConfigChange>,
}

/// A layer of one of two images, or of both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerDiff {
    /// The digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// The size of the blob as stored, in bytes.
    pub size: u64,
    /// The difference.
    pub state: LayerState,
    /// The number of the layer in the second image, or else in the first; the lowest is 1.
    pub number: usize,
    /// The contents, as far as the image's history has them.
    #[serde(flatten)]
    pub contents: LayerContents,
}

/// The difference between two images in one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerState {
    /// Both have it, on the same layers.
    Kept,
    /// Both have it, but on other layers. A registry needs no copy; an engine unpacks it again.
    Moved,
    /// Only the second image has it.
    New,
    /// Only the first image has it.
    Gone,
}

/// A field of the config that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigChange {
    /// The field, such as `architecture` or `config.Env`.
    pub field: String,
    /// The value in the first image; null if it is not set.
    pub first: Value,
    /// The value in the second image.
    pub second: Value,
}

impl ImageDiff {
    /// Compares two images; reads all their layers on `threads` threads and checks the digests.
    ///
    /// # Errors
    /// If an image cannot be read, or is invalid.
    pub fn between(first: &Image, second: &Image, threads: usize) -> Result<Self, ArchiveError> {
        let layers = layers(first, second);
        let files =
            FileSystem::read(first, threads)?.changes(&FileSystem::read(second, threads)?)?;
        let ship = layers.iter().filter(|layer| layer.state == LayerState::New);
        Ok(Self {
            ship: ship.map(|layer| layer.size).sum(),
            layers,
            files,
            config: config(fields(first)?, fields(second)?),
        })
    }

    /// Whether the images have the same layers, files and config.
    pub fn is_empty(&self) -> bool {
        let kept = self.layers.iter().all(|layer| layer.state == LayerState::Kept);
        kept && self.files.is_empty() && self.config.is_empty()
    }
}

fn layers(first: &Image, second: &Image) -> Vec<LayerDiff> {
    let ids =
        |image: &Image| -> Vec<DiffId> { image.layers.iter().map(|layer| layer.diff_id).collect() };
    let (old, new) = (ids(first), ids(second));
    let common = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let (in_old, in_new): (BTreeSet<_>, BTreeSet<_>) =
        (old.iter().copied().collect(), new.iter().copied().collect());
    let mut seen = BTreeSet::new();
    let mut layers = Vec::new();
    for (index, described) in described(second) {
        let state = match (index < common, in_old.contains(&described.diff_id)) {
            (true, _) => LayerState::Kept,
            (false, true) => LayerState::Moved,
            (false, false) => LayerState::New,
        };
        // A layer that an image has twice is transferred once.
        if seen.insert(described.diff_id) {
            layers.push(LayerDiff { state, ..described });
        }
    }
    for (_, described) in described(first) {
        if !in_new.contains(&described.diff_id) && seen.insert(described.diff_id) {
            layers.push(described);
        }
    }
    layers
}

/// The layers of an image with their numbers.
fn described(image: &Image) -> impl Iterator<Item = (usize, LayerDiff)> {
    let layers = image.layers.iter().zip(image.config.layer_contents());
    layers.enumerate().map(|(index, (layer, contents))| {
        let (diff_id, size, number) = (layer.diff_id, layer.bytes.len(), index + 1);
        (index, LayerDiff { diff_id, size, state: LayerState::Gone, number, contents })
    })
}

/// The fields of an image's config, those of its `config` as `config.NAME`.
fn fields(image: &Image) -> Result<BTreeMap<String, Value>, ArchiveError> {
    let config: &ImageConfig = &image.config;
    let value = serde_json::to_value(config)
        .map_err(|error| ArchiveError::read(&image.path)(invalid_data(error.to_string())))?;
    let object = |value: Value| match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let mut fields = BTreeMap::new();
    for (name, value) in object(value) {
        match name.as_str() {
            "rootfs" | "history" => {}
            "config" => fields.extend(
                object(value).into_iter().map(|(name, value)| (format!("config.{name}"), value)),
            ),
            _ => drop(fields.insert(name, value)),
        }
    }
    Ok(fields)
}

fn config(
    mut first: BTreeMap<String, Value>,
    second: BTreeMap<String, Value>,
) -> Vec<ConfigChange> {
    let mut changes: Vec<ConfigChange> = second
        .into_iter()
        .map(|(field, second)| ConfigChange {
            first: first.remove(&field).unwrap_or_default(),
            second,
            field,
        })
        .collect();
    changes.extend(first.into_iter().map(|(field, first)| ConfigChange {
        field,
        first,
        second: Value::Null,
    }));
    changes.retain(|change| change.first != change.second);
    changes.sort_by(|a, b| a.field.cmp(&b.field));
    changes
}
