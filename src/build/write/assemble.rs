//! The assembly of planned images into an archive.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};

use super::format::{Format, Options, Output};
use super::write_image::{PresentLayers, write_image};
use crate::archive::compress::CompressingWriter;
use crate::archive::docker::DockerWriter;
use crate::archive::oci::OciWriter;
use crate::archive::write::write_failed;
use crate::archive::{ArchiveError, Compression};
use crate::build::cache::DiskCache;
use crate::build::plan::Plan;
use crate::build::{BuildError, CacheUse};
use crate::image::Summary;

/// The size of the output's buffer.
pub(super) const BUFFER_SIZE: usize = 128 << 10;

/// Builds the image of `plan` and writes it to `output`. `progress` is called with the number of
/// bytes of new layers that were written since its last call.
///
/// The formats that name blobs by digest use a temporary file if `output` is a stream, because a
/// blob's name precedes it in the archive.
///
/// # Errors
/// If contents cannot be read, change while they are read, or conflict, or if the output cannot be
/// written.
pub fn assemble(
    plan: &Plan,
    options: Options,
    output: Output<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<Summary, BuildError> {
    let summary = match (options.format, output) {
        (Format::Docker, Output::File(mut file)) => docker(plan, options, &mut file, progress)?,
        (Format::Docker, Output::Stream(stream)) => docker(plan, options, stream, progress)?,
        (_, Output::File(file)) => oci(&[plan], options, file, progress)?.remove(0),
        (_, Output::Stream(stream)) => oci_to_stream(&[plan], options, stream, progress)?.remove(0),
    };
    plan.lock_images()?;
    Ok(summary)
}

/// Builds the images of `plans`, which differ in their platform, into one archive with an index.
///
/// A docker-archive has no index: in the `dual` format, that half of the archive has the image for
/// the host's architecture, or the first.
///
/// # Errors
/// As [`assemble`], and if `options` ask for a docker-archive of several images.
pub fn assemble_all(
    plans: &[Plan],
    options: Options,
    output: Output<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<Summary>, BuildError> {
    let plans: Vec<&Plan> = plans.iter().collect();
    let summaries = match (&*plans, output) {
        ([plan], output) => return Ok(vec![assemble(plan, options, output, progress)?]),
        ([first, ..], _) if options.format == Format::Docker => {
            let problem = "a docker-archive holds one platform, but the recipe has several; use \
                           --format oci or dual";
            return Err(BuildError::recipe(&first.recipe().path, problem));
        }
        (plans, Output::File(file)) => oci(plans, options, file, progress)?,
        (plans, Output::Stream(stream)) => oci_to_stream(plans, options, stream, progress)?,
    };
    plans.iter().try_for_each(|plan| plan.lock_images())?;
    Ok(summaries)
}

/// Writes a docker-archive, which is compressed as a whole.
fn docker(
    plan: &Plan,
    options: Options,
    output: &mut dyn Write,
    progress: &mut dyn FnMut(u64),
) -> Result<Summary, BuildError> {
    let Options { compression, threads, cache, .. } = options;
    let buffered = BufWriter::with_capacity(BUFFER_SIZE, output);
    let mut writer = DockerWriter::new(CompressingWriter::new(buffered, compression, threads));
    let cache = DiskCache::open(cache, Compression::None);
    let none = PresentLayers::default();
    let summary = write_image(plan, threads, &cache, none, &mut writer, progress)?;
    let finished = writer.into_inner().finish().and_then(|mut output| output.flush());
    finished.map_err(write_failed)?;
    Ok(summary)
}

/// Writes an OCI layout, or both formats in one. If a compressed layer in the cache turns out to be
/// damaged, begins again without it.
fn oci(
    plans: &[&Plan],
    options: Options,
    mut file: &File,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<Summary>, BuildError> {
    match oci_once(plans, options, file, progress) {
        Err(error) if error.is_damaged_cache() => {
            file.rewind().map_err(write_failed)?;
            let options = Options { cache: CacheUse::Verify, ..options };
            oci_once(plans, options, file, progress)
        }
        written => written,
    }
}

fn oci_once(
    plans: &[&Plan],
    options: Options,
    file: &File,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<Summary>, BuildError> {
    let Options { format, compression, threads, cache } = options;
    let buffered = BufWriter::with_capacity(BUFFER_SIZE, file);
    let cache = DiskCache::open(cache, compression);
    let blobs = cache.blobs().cloned();
    let mut writer = OciWriter::new(buffered, compression, threads, format == Format::Dual, blobs);
    let mut summaries = Vec::new();
    for plan in plans {
        let none = PresentLayers::default();
        summaries.push(write_image(plan, threads, &cache, none, &mut writer, progress)?);
    }
    let (mut output, length) = writer.close().map_err(write_failed)?;
    output.flush().and_then(|()| file.set_len(length)).map_err(write_failed)?;
    Ok(summaries)
}

/// Writes an OCI layout, or both formats in one, to a stream by way of a temporary file.
fn oci_to_stream(
    plans: &[&Plan],
    options: Options,
    stream: &mut dyn Write,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<Summary>, BuildError> {
    let mut file = tempfile::tempfile().map_err(ArchiveError::temporary_file)?;
    let summaries = oci(plans, options, &file, progress);
    let summaries = summaries.map_err(BuildError::writing_to_temporary_file)?;
    file.rewind().map_err(ArchiveError::temporary_file)?;
    io::copy(&mut file, stream).and_then(|_| stream.flush()).map_err(write_failed)?;
    Ok(summaries)
}
