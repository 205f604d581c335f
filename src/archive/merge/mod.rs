//! Several images in one archive, with layers stored once.
//!
//! Everything in it is named by digest, so any archives can be combined. An OCI layout is copied
//! byte for byte, with indexes and artifacts. An image of a docker-archive gets a manifest. Layers
//! stay compressed as they are, unless readers of the output may not support that.

mod docker;
mod input;
mod merged;
mod names;
mod oci;

use std::io::Write;
use std::path::{Path, PathBuf};

use self::input::Input;
pub use self::merged::{Merged, MergedImage};
use self::names::Names;
use super::ArchiveError;
use super::limits::Limits;
#[cfg(feature = "registry")]
use super::oci::ImageTree;
use super::oci::{check_lists, read_all, read_layout};
use super::open::{OpenFiles, open_files};
use crate::image::Platform;
#[cfg(feature = "registry")]
use crate::image::Reference;

/// The format of a merged archive.
#[derive(Clone, Debug)]
pub enum MergeFormat {
    /// A docker-archive. Of images for several platforms, it has the ones for this platform, or for
    /// the host's if there is none here. An image for another platform than this one is an error.
    Docker(Option<Platform>),
    /// An OCI layout in a tar.
    Oci,
}

/// How archives are merged.
#[derive(Clone, Debug)]
pub struct MergeOptions {
    /// The format of the output.
    pub format: MergeFormat,
    /// The limits for each input.
    pub limits: Limits,
    /// The number of threads that verify layers.
    pub threads: usize,
}

/// An archive to merge, or an image from elsewhere.
#[derive(Debug)]
pub(crate) enum MergeInput {
    /// A file or folder.
    Path(PathBuf),
    /// An image of a registry, and its name.
    #[cfg(feature = "registry")]
    Tree(Box<ImageTree>, Option<Reference>),
}

/// Writes all images of `inputs`, in order, to `output` as one archive.
///
/// # Errors
/// If an input cannot be read, is not an image, or does not match its digests; if two inputs have
/// different images of the same name; or if `output` cannot be written.
pub fn merge(
    inputs: &[PathBuf],
    options: &MergeOptions,
    output: &mut dyn Write,
) -> Result<Merged, ArchiveError> {
    merge_inputs(inputs.iter().cloned().map(MergeInput::Path).collect(), options, output)
}

/// Like [`merge`], for archives and images from elsewhere.
pub(crate) fn merge_inputs(
    inputs: Vec<MergeInput>,
    options: &MergeOptions,
    output: &mut dyn Write,
) -> Result<Merged, ArchiveError> {
    let inputs = inputs.into_iter().map(|input| match input {
        MergeInput::Path(path) => open(&path, options),
        #[cfg(feature = "registry")]
        MergeInput::Tree(tree, reference) => of_tree(*tree, reference.as_ref(), options),
    });
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    let mut names = Names::default();
    for input in &inputs {
        names.add(input)?;
    }
    match &options.format {
        MergeFormat::Docker(_) => docker::write(&inputs, options.threads, output),
        MergeFormat::Oci => oci::write(&inputs, options.threads, output),
    }
}

/// The input for an image of a registry.
#[cfg(feature = "registry")]
fn of_tree(
    tree: ImageTree,
    reference: Option<&Reference>,
    options: &MergeOptions,
) -> Result<Input, ArchiveError> {
    let mut images = tree.images(options.limits)?;
    for image in &mut images {
        if let MergeFormat::Docker(platform) = &options.format {
            image.check_platform(platform.as_ref())?;
        }
        image.references = reference.iter().map(ToString::to_string).collect();
    }
    let path = tree.path.clone();
    let layout = match &options.format {
        MergeFormat::Docker(_) => None,
        MergeFormat::Oci => Some(tree.into_layout(reference)?),
    };
    Ok(Input { path, images, layout })
}

/// Opens the input at `path`.
fn open(path: &Path, options: &MergeOptions) -> Result<Input, ArchiveError> {
    let OpenFiles { files, docker, oci, limits } = open_files(path, options.limits)?;
    let mut images = match oci {
        true => read_all(path, &files, limits)?,
        false => super::docker::read_all(path, &files, limits)?,
    };
    if oci && docker {
        // Engines read the one or the other half of a dual archive.
        for image in super::docker::read_all(path, &files, limits)? {
            check_lists(path, &files, &image)?;
        }
    }
    if images.is_empty() {
        return Err(ArchiveError::invalid(path, "it has no image"));
    }
    let layout = match &options.format {
        MergeFormat::Docker(platform) => {
            let wanted = platform.clone().unwrap_or_else(Platform::host);
            images = names::for_platform(path, images, &wanted)?;
            for image in &images {
                image.check_platform(platform.as_ref())?;
            }
            None
        }
        MergeFormat::Oci => oci.then(|| read_layout(path, &files)).transpose()?,
    };
    Ok(Input { path: path.to_owned(), images, layout })
}
