//! Destinations that have one platform and no manifest: docker-archives and daemons.

use std::fs::File;
use std::io::{BufWriter, Write};

use super::options::{BUFFER_SIZE, Copied, CopyOptions};
use super::source::Source;
use crate::archive::write::write_failed;
use crate::archive::{ArchiveError, Image, docker, verify};
use crate::build::BuildError;
use crate::files::output::OutputFile;
use crate::image::manifest::OciPlatform;
use crate::image::{ImagePath, Platform, Reference};

/// The image for a destination that has one platform and no manifest: verified, with the sizes of
/// its layers and what is different there.
pub(crate) fn single_image(
    source: &Source,
    options: &CopyOptions,
    format: &str,
) -> Result<(Image, Vec<u64>, Vec<String>), BuildError> {
    let platform = options.platform.clone().unwrap_or_else(Platform::host);
    let (image, selected_from) = match source.whole_tree(Some(&platform))? {
        Some(tree) => {
            source.prefetch(&tree)?;
            source.image_of(&tree)?
        }
        None => source.image(None)?,
    };
    image.check_platform(options.platform.as_ref())?;
    let layers = verify::layers(&image, options.threads)?;
    let mut notes = Vec::new();
    if let Some(manifest) = image.manifest {
        notes.push(format!("{format} has no manifest, so the digest {manifest} is not kept"));
    }
    if selected_from.is_some() && options.platform.is_none() {
        let shown = OciPlatform::from(&image.config);
        notes.push(format!(
            "the source has several platforms, {format} one: copied {shown}; --platform selects \
             another"
        ));
    }
    Ok((image, layers.iter().map(|layer| layer.size).collect(), notes))
}

/// Copies the image of `source` for one platform into a docker-archive, which appears when it is
/// complete.
///
/// # Errors
/// If the source cannot be read, the file cannot be written, or the image has no name.
pub(crate) fn to_docker_archive(
    source: &Source,
    target: &ImagePath,
    options: &CopyOptions,
) -> Result<Copied, BuildError> {
    let file = OutputFile::beside(&target.path)?;
    let (image, sizes, notes) = single_image(source, options, "a docker-archive")?;
    let name = source.reference_for(target.name.as_deref(), &target.path)?;
    write_docker(&image, &sizes, &name, file.file())
        .map_err(|error| error.writing_to_file(&target.path))?;
    file.persist()?;
    let platform = OciPlatform::from(&image.config).to_string();
    Ok(Copied {
        id: Some(image.id()),
        platforms: vec![platform],
        sent: image.layers.len() as u64 + 1,
        sent_bytes: sizes.iter().sum(),
        notes,
        ..Copied::default()
    })
}

fn write_docker(
    image: &Image,
    sizes: &[u64],
    name: &Reference,
    file: &File,
) -> Result<(), ArchiveError> {
    let mut output = BufWriter::with_capacity(BUFFER_SIZE, file);
    docker::repack(image, sizes, name, 0, &mut output)?;
    output.flush().map_err(write_failed)
}
