//! Reads an image from an OCI layout: index, manifest and config, with their digests checked.

use std::path::Path;

use super::layout::blob_name;
use crate::archive::ArchiveError;
use crate::archive::image::{Image, ImageFormat, ImageSelector, check_digest, json, pair_layers};
use crate::archive::image_files::ImageFiles;
use crate::image::Platform;
use crate::image::manifest::{Descriptor, IMAGE_NAME, OciIndex, OciManifest, REF_NAME, media_type};
use crate::image::reference::familiar;

/// The most levels of nested indexes.
const INDEX_DEPTH: usize = 4;

/// Reads the image in the layout `files` that `selector` selects.
pub(crate) fn read(
    path: &Path,
    files: &ImageFiles,
    selector: &ImageSelector,
) -> Result<Image, ArchiveError> {
    let index: OciIndex = json(path, "index.json", &files.document(path, "index.json")?)?;
    let mut found = Vec::new();
    collect(path, files, index, None, INDEX_DEPTH, &mut found)?;
    let (reference, descriptor) = select(path, found, selector)?;
    let manifest: OciManifest = json(path, "the manifest", &blob(path, files, &descriptor)?)?;
    let raw_config = blob(path, files, &manifest.config)?;
    let config = json(path, "the config", &raw_config)?;
    let mut blobs = Vec::new();
    for layer in &manifest.layers {
        let name = blob_name(layer.digest);
        let slice = files.layer(path, &name)?;
        if slice.len() != layer.size {
            let problem = format!(
                "layer {name} has {} bytes, but {} according to the manifest",
                slice.len(),
                layer.size
            );
            return Err(ArchiveError::invalid(path, problem));
        }
        blobs.push((name, slice, Some(layer.digest)));
    }
    let layers = pair_layers(path, &config, blobs)?;
    let references = reference.into_iter().collect();
    let path = path.to_owned();
    Ok(Image { path, format: ImageFormat::OciLayout, config, raw_config, references, layers })
}

/// A manifest's descriptor, and the image's name.
type NamedManifest = (Option<String>, Descriptor);

/// Collects the image manifests of `index` and of the indexes in it. The name of an index applies
/// to the manifests that it lists.
fn collect(
    path: &Path,
    files: &ImageFiles,
    index: OciIndex,
    name: Option<&str>,
    depth: usize,
    found: &mut Vec<NamedManifest>,
) -> Result<(), ArchiveError> {
    for descriptor in index.manifests {
        let name = name_of(&descriptor).or_else(|| name.map(str::to_owned));
        match descriptor.media_type.as_str() {
            media_type::INDEX | media_type::DOCKER_LIST if depth > 0 => {
                // A layout may lack the blobs of some platforms.
                let Some(_) =
                    files.get(&blob_name(descriptor.digest)).map_err(ArchiveError::read(path))?
                else {
                    continue;
                };
                let inner = json(path, "an index", &blob(path, files, &descriptor)?)?;
                collect(path, files, inner, name.as_deref(), depth - 1, found)?;
            }
            media_type::MANIFEST | media_type::DOCKER_MANIFEST if is_image(&descriptor) => {
                found.push((name, descriptor));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a manifest is an image rather than an attestation, which has the platform `unknown`.
fn is_image(descriptor: &Descriptor) -> bool {
    descriptor.platform.as_ref().is_none_or(|platform| platform.os != "unknown")
}

fn name_of(descriptor: &Descriptor) -> Option<String> {
    let annotations = descriptor.annotations.as_ref()?;
    let name = annotations.get(IMAGE_NAME).or_else(|| annotations.get(REF_NAME))?;
    Some(familiar(name).to_owned())
}

fn select(
    path: &Path,
    found: Vec<NamedManifest>,
    selector: &ImageSelector,
) -> Result<NamedManifest, ArchiveError> {
    let all = list(&found);
    let matches_name = |(name, _): &NamedManifest| {
        // The name in a layout may be the tag alone.
        let matches = |name: &str| {
            selector.matches(name)
                || selector.name.is_none() && selector.tag.as_deref() == Some(name)
        };
        !selector.has_name_or_tag() || name.as_deref().is_some_and(matches)
    };
    let matches_platform =
        |(_, descriptor): &NamedManifest| match (&selector.platform, &descriptor.platform) {
            (Some(wanted), Some(platform)) => {
                platform.architecture == wanted.arch.goarch() && platform.os == Platform::OS
            }
            _ => true,
        };
    let mut matching: Vec<NamedManifest> = found.into_iter().filter(matches_name).collect();
    if matching.len() > 1 {
        matching.retain(matches_platform);
    }
    matching.dedup_by_key(|(_, descriptor)| descriptor.digest);
    let problem = match (matching.pop(), matching.len()) {
        (Some(one), 0) => return Ok(one),
        (None, _) if all.is_empty() => "index.json lists no image".to_owned(),
        (None, _) => format!("no image matches {selector}; the layout has {all}"),
        (Some(_), more) => {
            format!("{} images match; select one by name, tag or architecture: {all}", more + 1)
        }
    };
    Err(ArchiveError::invalid(path, problem))
}

/// The names and platforms of manifests, for messages.
fn list(manifests: &[NamedManifest]) -> String {
    let text = |(name, descriptor): &NamedManifest| {
        let platform =
            descriptor.platform.as_ref().map(|p| format!(" ({}/{})", p.os, p.architecture));
        format!("{}{}", name.as_deref().unwrap_or("unnamed"), platform.unwrap_or_default())
    };
    manifests.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// Reads a small blob and checks its digest.
fn blob(path: &Path, files: &ImageFiles, descriptor: &Descriptor) -> Result<Vec<u8>, ArchiveError> {
    let name = blob_name(descriptor.digest);
    let bytes = files.document(path, &name)?;
    check_digest(path, &name, &bytes, descriptor.digest)?;
    Ok(bytes)
}
