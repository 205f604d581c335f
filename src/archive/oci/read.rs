//! Reads an image from an OCI layout: index, manifest and config, each checked against its digest.

use std::path::Path;

use super::blob_name;
use crate::archive::ArchiveError;
use crate::archive::open::{Image, ImageSelector, Store, check_digest, json, pair_layers};
use crate::image::Platform;
use crate::image::manifest::{Descriptor, IMAGE_NAME, OciIndex, OciManifest, REF_NAME, media_type};
use crate::image::reference::familiar;

/// How deep indexes may nest.
const INDEX_DEPTH: usize = 4;

/// Reads the image of the layout `store` that `choice` means.
pub(crate) fn read(
    path: &Path,
    store: &Store,
    choice: &ImageSelector,
) -> Result<Image, ArchiveError> {
    let index: OciIndex = json(path, "index.json", &store.document(path, "index.json")?)?;
    let mut found = Vec::new();
    collect(path, store, index, None, INDEX_DEPTH, &mut found)?;
    let (reference, descriptor) = choose(path, found, choice)?;
    let manifest: OciManifest = json(path, "the manifest", &blob(path, store, &descriptor)?)?;
    let raw_config = blob(path, store, &manifest.config)?;
    let config = json(path, "the config", &raw_config)?;
    let mut blobs = Vec::new();
    for layer in &manifest.layers {
        let name = blob_name(layer.digest);
        let slice = store.get(&name).map_err(ArchiveError::read(path))?;
        let slice =
            slice.ok_or_else(|| ArchiveError::invalid(path, format!("it has no layer {name}")))?;
        if slice.len() != layer.size {
            let problem = format!(
                "layer {name} has {} bytes, but the manifest says {}",
                slice.len(),
                layer.size
            );
            return Err(ArchiveError::invalid(path, problem));
        }
        blobs.push((name, slice, Some(layer.digest)));
    }
    let layers = pair_layers(path, &config, blobs)?;
    let references = reference.into_iter().collect();
    Ok(Image {
        path: path.to_owned(),
        format: super::FORMAT,
        config,
        raw_config,
        references,
        layers,
    })
}

type Named = (Option<String>, Descriptor);

/// Gathers the image manifests of `index` and of the indexes within. A name on an index holds for what
/// it lists.
fn collect(
    path: &Path,
    store: &Store,
    index: OciIndex,
    name: Option<&str>,
    depth: usize,
    found: &mut Vec<Named>,
) -> Result<(), ArchiveError> {
    for descriptor in index.manifests {
        let name = name_of(&descriptor).or_else(|| name.map(str::to_owned));
        match descriptor.media_type.as_str() {
            media_type::INDEX | media_type::DOCKER_LIST if depth > 0 => {
                // An index may name platforms whose blobs were left out.
                let Some(_) =
                    store.get(&blob_name(descriptor.digest)).map_err(ArchiveError::read(path))?
                else {
                    continue;
                };
                let inner = json(path, "an index", &blob(path, store, &descriptor)?)?;
                collect(path, store, inner, name.as_deref(), depth - 1, found)?;
            }
            media_type::MANIFEST | media_type::DOCKER_MANIFEST if is_image(&descriptor) => {
                found.push((name, descriptor));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Attestations travel as manifests of the platform `unknown`.
fn is_image(descriptor: &Descriptor) -> bool {
    descriptor.platform.as_ref().is_none_or(|platform| platform.os != "unknown")
}

fn name_of(descriptor: &Descriptor) -> Option<String> {
    let annotations = descriptor.annotations.as_ref()?;
    let name = annotations.get(IMAGE_NAME).or_else(|| annotations.get(REF_NAME))?;
    Some(familiar(name).to_owned())
}

fn choose(path: &Path, found: Vec<Named>, choice: &ImageSelector) -> Result<Named, ArchiveError> {
    let list = |found: &[Named]| {
        let shown = |(name, descriptor): &Named| {
            let platform =
                descriptor.platform.as_ref().map(|p| format!(" ({}/{})", p.os, p.architecture));
            format!("{}{}", name.as_deref().unwrap_or("unnamed"), platform.unwrap_or_default())
        };
        found.iter().map(shown).collect::<Vec<_>>().join(", ")
    };
    let all = list(&found);
    let fits_name = |named: &Named| {
        // A layout may hold the bare tag alone, the name being the folder's.
        let fits = |name: &str| {
            choice.fits(name) || choice.name.is_none() && choice.tag.as_deref() == Some(name)
        };
        !choice.names() || named.0.as_deref().is_some_and(fits)
    };
    let fits_platform = |named: &Named| match (&choice.platform, &named.1.platform) {
        (Some(wanted), Some(platform)) => {
            platform.architecture == wanted.arch.goarch() && platform.os == Platform::OS
        }
        _ => true,
    };
    let mut fitting: Vec<Named> = found.into_iter().filter(fits_name).collect();
    if fitting.len() > 1 {
        fitting.retain(fits_platform);
    }
    fitting.dedup_by_key(|named| named.1.digest);
    match (fitting.pop(), fitting.len()) {
        (Some(one), 0) => Ok(one),
        (None, _) if all.is_empty() => {
            Err(ArchiveError::invalid(path, "index.json lists no image"))
        }
        (None, _) => Err(ArchiveError::invalid(
            path,
            format!("no image fits {}; there are {all}", choice.shown()),
        )),
        (Some(_), more) => {
            let problem =
                format!("{} images fit; choose one by name, tag or architecture: {all}", more + 1);
            Err(ArchiveError::invalid(path, problem))
        }
    }
}

/// A small blob, checked against its digest.
fn blob(path: &Path, store: &Store, descriptor: &Descriptor) -> Result<Vec<u8>, ArchiveError> {
    let name = blob_name(descriptor.digest);
    let bytes = store.document(path, &name)?;
    check_digest(path, &name, &bytes, descriptor.digest)?;
    Ok(bytes)
}
