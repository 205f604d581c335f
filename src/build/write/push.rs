//! Builds images straight into registries.

use std::collections::BTreeMap;

use super::write_image::{PresentLayers, write_image};
use crate::archive::sink::ImageWriter;
use crate::archive::write::write_failed;
use crate::archive::{FileSystem, Image};
use crate::build::cache::DiskCache;
use crate::build::plan::Plan;
use crate::build::{BuildError, CacheUse};
use crate::image::manifest::OciPlatform;
use crate::image::{RemoteReference, Summary};
use crate::registry::{Artifact, PushOptions, PushReport, Pusher, Registries, RegistryError};
use crate::sbom::{BaseImage, Bill, ImageName, SbomFormat};

/// Builds the images of `plans`, which differ in their platform, and pushes them to `references`.
/// Layers that are cached are not read unless they must be sent. A bill of materials in the format
/// `sbom` is attached to each image. `progress` is called with the number of bytes of each piece
/// that is built.
///
/// # Errors
/// If an image cannot be built, or a registry does not take it; nothing is tagged then.
pub(crate) fn push(
    registries: &Registries,
    plans: &[Plan],
    references: &[RemoteReference],
    options: PushOptions,
    sbom: Option<SbomFormat>,
    cache: CacheUse,
    progress: &mut dyn FnMut(u64),
) -> Result<(Vec<Summary>, PushReport), BuildError> {
    match push_once(registries, plans, references, options, sbom, cache, progress) {
        // The damaged layer is gone now.
        Err(BuildError::Registry(RegistryError::DamagedCache)) => {
            let cache = CacheUse::Verify;
            push_once(registries, plans, references, options, sbom, cache, progress)
        }
        result => result,
    }
}

fn push_once(
    registries: &Registries,
    plans: &[Plan],
    references: &[RemoteReference],
    options: PushOptions,
    sbom: Option<SbomFormat>,
    cache: CacheUse,
    progress: &mut dyn FnMut(u64),
) -> Result<(Vec<Summary>, PushReport), BuildError> {
    let cache = DiskCache::open(cache, options.compression);
    let blobs = cache.blobs().cloned();
    let mut pusher = registries.pusher(references, options, blobs, |_| ())?;
    let mut summaries = Vec::new();
    for plan in plans {
        let none = PresentLayers::default();
        match write_image(plan, options.threads, &cache, none, &mut pusher, progress) {
            Ok(summary) => {
                if let Some(format) = sbom {
                    let base_layers =
                        summary.layers.iter().filter(|layer| layer.contents.base).count();
                    let base = (plan.base_image(), base_layers);
                    attach(&mut pusher, format, references, base, options.threads)?;
                }
                summaries.push(summary);
            }
            Err(error) => return Err(pusher.take_failure().map_or(error, BuildError::from)),
        }
    }
    // Tags come last.
    plans.iter().try_for_each(Plan::lock_images)?;
    Ok((summaries, pusher.close()?))
}

/// An image that is pushed.
pub(crate) struct PushedImage {
    pub(crate) image: Image,
    /// The sizes of its uncompressed layers.
    pub(crate) sizes: Vec<u64>,
    /// Its base image, if that is known.
    pub(crate) base: Option<BaseImage>,
    /// The annotations of its manifest.
    pub(crate) annotations: BTreeMap<String, String>,
    /// The annotations of its entry in an index.
    pub(crate) entry_annotations: Option<BTreeMap<String, String>>,
}

/// Images that are pushed together, and differ in their platform.
pub(crate) struct PushedImages {
    pub(crate) images: Vec<PushedImage>,
    /// The annotations of their index, if they have one.
    pub(crate) index_annotations: Option<BTreeMap<String, String>>,
}

/// Pushes `images` to `references`. Layers that are not compressed are compressed, the others and
/// the configs stay the same, byte for byte. A bill of materials in the format `sbom` is attached
/// to each image.
///
/// # Errors
/// If a layer cannot be read, or a registry does not take the image; nothing is tagged then.
pub(crate) fn push_images(
    registries: &Registries,
    images: &PushedImages,
    references: &[RemoteReference],
    options: PushOptions,
    sbom: Option<SbomFormat>,
    cache: CacheUse,
) -> Result<PushReport, BuildError> {
    let push = |cache| {
        let cache = DiskCache::open(cache, options.compression);
        let blobs = cache.blobs().cloned();
        let mut pusher = registries.pusher(references, options, blobs, |_| ())?;
        if let Some(annotations) = &images.index_annotations {
            pusher.annotate_index(annotations.clone());
        }
        let written = images.images.iter().try_for_each(|pushed| {
            write_all(&mut pusher, pushed)?;
            let Some(format) = sbom else { return Ok(()) };
            attach(&mut pusher, format, references, (pushed.base.clone(), 0), options.threads)
        });
        match written {
            Ok(()) => Ok(pusher.close()?),
            Err(error) => Err(pusher.take_failure().map_or(error, BuildError::from)),
        }
    };
    match push(cache) {
        Err(BuildError::Registry(RegistryError::DamagedCache)) => push(CacheUse::Off),
        result => result,
    }
}

fn write_all(pusher: &mut Pusher, pushed: &PushedImage) -> Result<(), BuildError> {
    let PushedImage { image, sizes, annotations, entry_annotations, .. } = pushed;
    for (layer, size) in image.layers.iter().zip(sizes) {
        pusher.copy_layer(layer, *size)?;
    }
    let platform = OciPlatform::from(&image.config);
    let (annotations, of_entry) = (annotations.clone(), entry_annotations.clone());
    let finished = pusher.finish_image(&image.raw_config, platform, annotations, of_entry);
    Ok(finished.map_err(write_failed)?)
}

/// Attaches a bill of materials to the image that was written last and is pushed to `references`.
/// `base` is its base image, and the number of layers that are from there.
fn attach(
    pusher: &mut Pusher,
    format: SbomFormat,
    references: &[RemoteReference],
    base: (Option<BaseImage>, usize),
    threads: usize,
) -> Result<(), BuildError> {
    let image = pusher.last_image()?;
    let artifact = bill_of_materials(&image, format, references, base, threads)?;
    pusher.attach(&artifact).map_err(|error| {
        pusher.take_failure().map_or_else(|| write_failed(error).into(), BuildError::from)
    })
}

/// The bill of materials of `image`, to be attached to it; the image is pushed to `references`.
/// `base` is its base image, and the number of layers that are from there.
///
/// # Errors
/// If a layer of the image cannot be read.
pub(crate) fn bill_of_materials(
    image: &Image,
    format: SbomFormat,
    references: &[RemoteReference],
    base: (Option<BaseImage>, usize),
    threads: usize,
) -> Result<Artifact, BuildError> {
    let files = FileSystem::read(image, threads)?;
    let mut bill = Bill::collect(image, &files, base.0, base.1)?;
    bill.image.name = ImageName::common(references);
    let content = format.document(&bill).into_bytes();
    let file_name = format!("sbom.{}", format.suffix());
    let (media_type, created) = (format.media_type(), bill.image.created);
    Ok(Artifact { media_type, file_name, content, created })
}
