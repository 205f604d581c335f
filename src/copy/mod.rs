//! Copies images from one place to another, byte for byte where the destination's format allows
//! that: between archives, OCI layouts and registries.

mod entry;
mod folder;
mod options;
mod single;
mod source;

use std::collections::BTreeMap;
use std::io::BufWriter;
use std::path::Path;

pub(crate) use options::{Copied, CopyOptions, Progress};
#[cfg(feature = "vm")]
pub(crate) use single::single_image;
pub(crate) use single::to_docker_archive;
pub(crate) use source::Source;

use self::folder::LayoutFolder;
use self::options::BUFFER_SIZE;
use crate::archive::oci::{ImageTree, LayoutTar, LayoutWriter, TreeDocument, made_tree};
use crate::archive::{ArchiveError, Image, verify};
use crate::build::{BuildError, PushedImage, PushedImages, bill_of_materials, push_images};
use crate::files::output::OutputFile;
use crate::image::manifest::Descriptor;
use crate::image::{ImagePath, RemoteReference};
use crate::registry::{Artifact, PushReport, Registries};
use crate::sbom::{BaseImage, SbomFormat};
use crate::text;

/// Copies `source` to a repository, under the tag of `reference`.
///
/// # Errors
/// If the source cannot be read, or the registry does not take the image; nothing is tagged then.
pub(crate) fn to_registry(
    source: Source,
    registries: &Registries,
    reference: &RemoteReference,
    options: &CopyOptions,
    progress: Progress,
) -> Result<Copied, BuildError> {
    let from = source.repository().cloned();
    let references = std::slice::from_ref(reference);
    let Some(mut tree) = source.tree(options.platform.as_ref())? else {
        let image = source.image(options.platform.as_ref())?.0;
        let id = image.id();
        let images = Unverified::single(image, source.manifest_annotations(options)?);
        let report = push_verified(registries, images, references, None, options)?;
        let mut copied = reported(&report);
        let note = "its layers are not compressed and it has no manifest; layers were compressed \
                    for the registry";
        copied.notes = vec![note.to_owned()];
        copied.notes.extend(report.notes);
        copied.id = Some(id);
        return Ok(copied);
    };
    let mut notes = Vec::new();
    if !tree.missing.is_empty() && tree.image_count() == 1 {
        notes.extend(source.narrow(&mut tree)?);
    }
    let platforms = tree.platforms();
    let report =
        registries.push_tree(tree, references, &[], from.as_ref(), options.push, move |bytes| {
            progress(bytes)
        })?;
    Ok(Copied { platforms, notes, ..reported(&report) })
}

/// Sends `source` to `references`, each with a tag. With `keep`, an image with manifests whose
/// layers are compressed is sent as it is; otherwise, layers that are not compressed are, and the
/// image gets new manifests. A bill of materials in the format `sbom` is attached to each image.
///
/// # Errors
/// If the source cannot be read, or a registry does not take the image; nothing is tagged then.
pub(crate) fn push(
    source: Source,
    registries: &Registries,
    references: &[RemoteReference],
    keep: bool,
    sbom: Option<SbomFormat>,
    options: &CopyOptions,
    progress: Progress,
) -> Result<PushReport, BuildError> {
    let platform = options.platform.as_ref();
    let images = match source.tree(platform)? {
        Some(tree) if keep && tree.is_compressed() => {
            let from = source.repository();
            let push = options.push;
            let progress = move |bytes| progress(bytes);
            let bills = match sbom {
                Some(format) => bills(&source, &tree, format, references, options)?,
                None => Vec::new(),
            };
            return Ok(registries.push_tree(tree, references, &bills, from, push, progress)?);
        }
        Some(tree) => Unverified::of_tree(source.images(&tree)?, &tree),
        None => {
            Unverified::single(source.image(platform)?.0, source.manifest_annotations(options)?)
        }
    };
    push_verified(registries, images, references, sbom, options)
}

/// The bills of materials of the images of `tree`, each with the manifest that it belongs to.
fn bills(
    source: &Source,
    tree: &ImageTree,
    format: SbomFormat,
    references: &[RemoteReference],
    options: &CopyOptions,
) -> Result<Vec<(Descriptor, Artifact)>, BuildError> {
    source.prefetch(tree)?;
    let mut bills = Vec::new();
    for image in source.images(tree)? {
        let Some(document) = document_of(&image, tree) else { continue };
        let base = base_of(&image, tree);
        let bill = bill_of_materials(&image, format, references, (base, 0), options.threads)?;
        bills.push((document.descriptor.clone(), bill));
    }
    Ok(bills)
}

/// The manifest of `image`, which is one of the images of `tree`.
fn document_of<'t>(image: &Image, tree: &'t ImageTree) -> Option<&'t TreeDocument> {
    tree.documents.iter().find(|one| Some(one.descriptor.digest) == image.manifest)
}

/// The base image that the annotations of `image` name.
fn base_of(image: &Image, tree: &ImageTree) -> Option<BaseImage> {
    BaseImage::of_annotations(&document_of(image, tree)?.annotations())
}

/// Images that get new manifests, with their annotations.
struct Unverified {
    images: Vec<Annotated>,
    index_annotations: Option<BTreeMap<String, String>>,
}

struct Annotated {
    image: Image,
    /// Those of its manifest.
    annotations: BTreeMap<String, String>,
    /// Those of its entry in an index.
    entry_annotations: Option<BTreeMap<String, String>>,
}

impl Unverified {
    fn single(image: Image, annotations: BTreeMap<String, String>) -> Self {
        let images = vec![Annotated { image, annotations, entry_annotations: None }];
        Self { images, index_annotations: None }
    }

    /// The images of `tree`.
    fn of_tree(images: Vec<Image>, tree: &ImageTree) -> Self {
        let annotated = |image: Image| {
            let document = document_of(&image, tree);
            let annotations = document.map(TreeDocument::annotations).unwrap_or_default();
            let entry_annotations = document.and_then(|one| one.descriptor.annotations.clone());
            Annotated { image, annotations, entry_annotations }
        };
        let is_own = |root: &&TreeDocument| {
            images.iter().any(|image| image.manifest == Some(root.descriptor.digest))
        };
        let root = tree.documents.last().filter(|root| !is_own(root));
        let index_annotations = root.map(TreeDocument::annotations);
        Self { images: images.into_iter().map(annotated).collect(), index_annotations }
    }
}

/// Verifies and pushes `images`, whose layers are compressed if they are not yet.
fn push_verified(
    registries: &Registries,
    unverified: Unverified,
    references: &[RemoteReference],
    sbom: Option<SbomFormat>,
    options: &CopyOptions,
) -> Result<PushReport, BuildError> {
    let Unverified { images, index_annotations } = unverified;
    let mut verified = PushedImages { images: Vec::new(), index_annotations };
    for Annotated { image, annotations, entry_annotations } in images {
        let layers = verify::layers(&image, options.threads)?;
        let sizes = layers.iter().map(|layer| layer.size).collect();
        let base = BaseImage::of_annotations(&annotations);
        let pushed = PushedImage { image, sizes, base, annotations, entry_annotations };
        verified.images.push(pushed);
    }
    push_images(registries, &verified, references, options.push, sbom, options.cache)
}

fn reported(report: &PushReport) -> Copied {
    let mut copied = Copied { digest: Some(report.digest), ..Copied::default() };
    for pushed in &report.pushed {
        copied.sent += pushed.sent;
        copied.sent_bytes += pushed.sent_bytes;
        copied.mounted += pushed.mounted;
        copied.present += pushed.present;
    }
    copied
}

/// Copies `source` into the OCI layout in a folder, which may have other images. Blobs that it has
/// are not written again.
///
/// # Errors
/// If the source cannot be read, or the folder cannot be written or is not an OCI layout.
pub(crate) fn to_folder(
    source: &Source,
    target: &ImagePath,
    options: &CopyOptions,
    progress: &Progress,
) -> Result<Copied, BuildError> {
    let layout = LayoutFolder::open(&target.path)?;
    let tree = tree(source, options)?;
    write_layout(tree, layout, source, target, progress)
}

/// Copies `source` into an OCI layout in a tar, which appears when it is complete.
///
/// # Errors
/// If the source cannot be read, or the file cannot be written.
pub(crate) fn to_oci_archive(
    source: &Source,
    target: &ImagePath,
    options: &CopyOptions,
    progress: &Progress,
) -> Result<Copied, BuildError> {
    let file = OutputFile::beside(&target.path)?;
    let tree = tree(source, options)?;
    let output = BufWriter::with_capacity(BUFFER_SIZE, file.file());
    let named = |error: BuildError| error.writing_to_file(&target.path);
    let layout = LayoutTar::begin(output).map_err(BuildError::from).map_err(named)?;
    let copied = write_layout(tree, layout, source, target, progress).map_err(named)?;
    file.persist()?;
    Ok(copied)
}

fn tree(source: &Source, options: &CopyOptions) -> Result<ImageTree, BuildError> {
    match source.selected_tree(options.platform.as_ref())? {
        Some(tree) => Ok(tree),
        None => {
            let (image, _) = source.image(options.platform.as_ref())?;
            Ok(made_tree(&image, options.threads)?)
        }
    }
}

/// Writes the blobs of `tree` and its documents, and lists its root.
fn write_layout<W: LayoutWriter>(
    tree: ImageTree,
    mut layout: W,
    source: &Source,
    target: &ImagePath,
    progress: &Progress,
) -> Result<Copied, BuildError> {
    let mut copied = Copied { digest: Some(tree.root.digest), ..Copied::default() };
    copied.platforms = tree.platforms();
    if source.is_made() {
        let note = "a docker-archive has no manifest; one was made";
        copied.notes.push(note.to_owned());
    }
    let missing = tree.missing.iter().filter_map(|entry| entry.platform.as_ref());
    let missing = text::list(missing.map(ToString::to_string));
    if !missing.is_empty() {
        copied.notes.push(format!("the source has no image for {missing}, although it lists it"));
    }
    let mut write = |layout: &mut W, blob: &Descriptor, bytes: &mut dyn std::io::Read| {
        if layout.has(blob.digest) {
            copied.present += 1;
            return Ok(());
        }
        copied.sent += 1;
        copied.sent_bytes += blob.size;
        layout.blob(blob.digest, blob.size, bytes)?;
        progress(blob.size);
        Ok::<_, ArchiveError>(())
    };
    source.prefetch(&tree)?;
    let ImageTree { root, documents, blobs, .. } = tree;
    for mut blob in blobs {
        write(&mut layout, &blob.descriptor, &mut blob.bytes)?;
    }
    for document in documents {
        write(&mut layout, &document.descriptor, &mut &*document.bytes)?;
    }
    let annotations = match target.name.as_deref() {
        Some(name) => entry::annotations(name),
        None => source.entry_annotations(&root),
    };
    layout.finish(Descriptor { annotations, ..root })?;
    Ok(copied)
}

/// Whether `path` names an output that cannot be replaced, such as a pipe.
pub(crate) fn is_stream(path: &Path) -> bool {
    crate::files::output::is_stream(path)
}
