//! Reads an image from an OCI layout: index, manifest and config, with their digests and sizes
//! checked.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use super::artifact::is_artifact;
use super::documents::{Documents, annotations, is_index, parse_index};
use super::index::ListedImages;
use super::layout::{INDEX, blob_name};
use super::platforms::Platforms;
use super::select::{has_name, select};
use crate::archive::ArchiveError;
use crate::archive::image::{
    Image, ImageFormat, ImageSelector, StoredLayer, check_layer_count, pair_layers,
};
use crate::archive::image_files::ImageFiles;
use crate::archive::json;
use crate::archive::limits::Limits;
use crate::image::Digest;
use crate::image::manifest::{OciManifest, OciPlatform};
use crate::image::schema;

/// The most indexes in which the annotations of an image's index are looked for.
const INDEXES_MAX: usize = 100;

/// Reads the image in the layout `files` that `selector` selects.
pub(crate) fn read(
    path: &Path,
    files: &ImageFiles,
    selector: &ImageSelector,
) -> Result<Image, ArchiveError> {
    let documents = Documents { path, files };
    let listed = ListedImages::read(documents, documents.root_index()?)?;
    let (image, other_platforms) = select(documents, listed, selector)?;
    let name = blob_name(image.descriptor.digest);
    let manifest = documents.manifest_if_present(&image.descriptor)?;
    let manifest = manifest.ok_or_else(|| documents.invalid(format!("{name} is missing")))?;
    let references = with_matching_first(&image.names, selector);
    let digest = image.descriptor.digest;
    let raw = documents.blob_if_present(&image.descriptor)?;
    let annotations = raw.map(|bytes| annotations(&bytes)).unwrap_or_default();
    let image = read_image(documents, digest, &manifest, references, selector.limits)?;
    let index_annotations = of_index(documents, digest);
    Ok(Image { annotations, index_annotations, other_platforms, ..image })
}

/// The annotations of the index in the layout that lists the manifest `digest`, as far as they can
/// be read: a damaged index of other images does not matter.
fn of_index(documents: Documents<'_>, digest: Digest) -> BTreeMap<String, String> {
    let Ok(root) = documents.root_index() else { return BTreeMap::new() };
    let indexes = root.manifests.iter().filter(|entry| is_index(&entry.media_type));
    for entry in indexes.take(INDEXES_MAX) {
        let Ok(Some(bytes)) = documents.blob_if_present(entry) else { continue };
        let Ok(index) = parse_index(documents.path, INDEX, &bytes) else { continue };
        if index.manifests.iter().any(|manifest| manifest.digest == digest) {
            return annotations(&bytes);
        }
    }
    BTreeMap::new()
}

/// Reads all images in the layout `files`, for all platforms that it has.
pub(crate) fn read_all(
    path: &Path,
    files: &ImageFiles,
    limits: Limits,
) -> Result<Vec<Image>, ArchiveError> {
    let documents = Documents { path, files };
    let listed = ListedImages::read(documents, documents.root_index()?)?;
    let mut images = Vec::new();
    for listed in listed.images {
        let digest = listed.descriptor.digest;
        let Some(manifest) = documents.manifest_if_present(&listed.descriptor)? else { continue };
        if !is_artifact(&manifest) && !manifest.has_subject {
            let names = listed.names.iter().map(ToString::to_string).collect();
            images.push(read_image(documents, digest, &manifest, names, limits)?);
        }
    }
    Ok(images)
}

/// Reads the image of `manifest`, which has this digest.
fn read_image(
    documents: Documents<'_>,
    digest: Digest,
    manifest: &OciManifest,
    references: Vec<String>,
    limits: Limits,
) -> Result<Image, ArchiveError> {
    let path = documents.path;
    let raw_config = documents.blob(&manifest.config)?;
    let config = json::parse(path, "the config", &raw_config, schema::CONFIG)?;
    let layers = pair_layers(path, &config, layers(documents, manifest)?)?;
    Ok(Image {
        path: path.to_owned(),
        format: ImageFormat::OciLayout,
        config,
        raw_config,
        manifest: Some(digest),
        references,
        layers,
        limits,
        annotations: BTreeMap::new(),
        index_annotations: BTreeMap::new(),
        other_platforms: Vec::new(),
    })
}

/// The layers of `manifest`, with their sizes checked. A layer that is listed repeatedly is opened
/// once.
fn layers(
    documents: Documents<'_>,
    manifest: &OciManifest,
) -> Result<Vec<StoredLayer>, ArchiveError> {
    check_layer_count(documents.path, manifest.layers.len())?;
    let mut opened: BTreeMap<Digest, StoredLayer> = BTreeMap::new();
    let mut layers = Vec::new();
    for descriptor in &manifest.layers {
        let name = blob_name(descriptor.digest);
        let layer = match opened.get(&descriptor.digest) {
            Some(layer) => layer.clone(),
            None => {
                let bytes = documents.files.layer(documents.path, &name)?;
                let media_type = Some(descriptor.media_type.clone());
                StoredLayer { name, bytes, digest: Some(descriptor.digest), media_type }
            }
        };
        documents.check_size(&layer.name, layer.bytes.len(), descriptor.size)?;
        opened.insert(descriptor.digest, layer.clone());
        layers.push(layer);
    }
    Ok(layers)
}

fn with_matching_first(names: &[Rc<str>], selector: &ImageSelector) -> Vec<String> {
    let (matching, others): (Vec<_>, Vec<_>) =
        names.iter().partition(|name| has_name([*name], selector));
    matching.into_iter().chain(others).map(ToString::to_string).collect()
}

/// Checks that the layout in a dual archive lists `image`, which was read from its docker-archive:
/// some engines read the one, some the other. Returns the platforms of its other images of the same
/// name.
pub(crate) fn check_lists(
    path: &Path,
    files: &ImageFiles,
    image: &Image,
) -> Result<Vec<OciPlatform>, ArchiveError> {
    let documents = Documents { path, files };
    let mut platforms = Platforms::new(documents);
    let (mut images, mut damage, id) = (Vec::new(), None, image.id().to_string());
    let mut same = None;
    for listed in ListedImages::read(documents, documents.root_index()?)?.images {
        match documents.listed_manifest(&listed.descriptor) {
            Ok(Some(manifest)) if manifest.config.digest == id => {
                same.get_or_insert_with(|| listed.clone());
            }
            Ok(Some(manifest)) if !is_artifact(&manifest) => platforms.add(&listed, &manifest),
            Ok(_) => continue,
            // It may be another image.
            Err(error) => {
                damage.get_or_insert(error);
                continue;
            }
        }
        images.push(listed);
    }
    let manifest = match &same {
        Some(listed) => documents.manifest_if_present(&listed.descriptor)?,
        None => None,
    };
    if let (Some(listed), Some(manifest)) = (&same, manifest) {
        documents.check_size(
            &blob_name(manifest.config.digest),
            image.raw_config.len() as u64,
            manifest.config.size,
        )?;
        check_same_layers(documents, image, &layers(documents, &manifest)?)?;
        return Ok(platforms.of_others(&images, listed));
    }
    if let Some(error) = damage {
        return Err(error);
    }
    let problem = format!(
        "manifest.json and {INDEX} list different images; engines load the one or the other \
         ({INDEX} has none with the config {})",
        image.id()
    );
    Err(documents.invalid(problem))
}

/// Checks that the layout's layers of `image` are the files that its docker-archive names, so that
/// verifying the one verifies the other.
fn check_same_layers(
    documents: Documents<'_>,
    image: &Image,
    layers: &[StoredLayer],
) -> Result<(), ArchiveError> {
    let pairs = image.layers.iter().zip(layers);
    let mut different = pairs.filter(|(one, other)| !one.bytes.is_same(&other.bytes));
    if layers.len() == image.layers.len() && different.next().is_none() {
        return Ok(());
    }
    let problem = format!("manifest.json and {INDEX} name different files for the same layers");
    Err(documents.invalid(problem))
}
