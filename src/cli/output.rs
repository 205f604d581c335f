//! Images written to a file or a stream, with a progress line.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::exit::UsageError;
use super::progress::BuildProgress;
use super::streams::{messages, raw_stdout, stderr, stdout};
use crate::archive::write::write_failed;
use crate::archive::{ArchiveError, Compression};
use crate::build::{BuildError, CacheUse, Format, Options, Output, Outputs, Plan, assemble_all};
use crate::files::full_disk;
use crate::files::output::{OutputFile, is_standard_output, is_stream, open_stream};
use crate::image::Summary;
use crate::text;

/// The size of the buffer of an archive.
const BUFFER_SIZE: usize = 128 << 10;
/// How messages name standard output.
pub(super) const STDOUT: &str = "standard output";

/// Fails with `message` if standard output is a terminal.
pub(super) fn refuse_terminal(message: &'static str) -> Result<(), UsageError> {
    if raw_stdout().is_terminal() { Err(UsageError(message)) } else { Ok(()) }
}

/// Builds into `stream`, which messages call `target`.
pub(super) fn write_to_stream(
    plans: &[Plan],
    options: Options,
    stream: &mut dyn Write,
    target: &str,
) -> Result<Vec<Summary>, BuildError> {
    build(plans, options, Output::Stream(stream), target)
}

/// Adds the files to which standard output and standard error lead to `outputs`.
pub(super) fn standard_streams(outputs: &mut Outputs) {
    let streams = [
        ("/proc/self/fd/1", rustix::stdio::stdout()),
        ("/proc/self/fd/2", rustix::stdio::stderr()),
    ];
    for (path, stream) in streams {
        let metadata = stream.try_clone_to_owned().and_then(|file| File::from(file).metadata());
        if let Ok(metadata) = metadata {
            outputs.add_stream(path.as_ref(), &metadata);
        }
    }
}

/// The outputs of a command that builds images and writes no files.
pub(super) fn only_streams() -> Outputs {
    let mut outputs = Outputs::default();
    standard_streams(&mut outputs);
    outputs
}

/// A step between a complete archive and its appearance: it gets the archive, the plans and the
/// images.
pub(super) type BeforeOutput<'a> =
    &'a mut dyn FnMut(&File, &[Plan], &[Summary]) -> anyhow::Result<()>;

/// Builds into `stream` as [`write_to_stream`] does, but by way of a temporary file, which `before`
/// gets.
pub(super) fn write_to_stream_by_file(
    plans: &[Plan],
    options: Options,
    stream: &mut dyn Write,
    target: &str,
    before: BeforeOutput<'_>,
) -> anyhow::Result<Vec<Summary>> {
    let mut file = tempfile::tempfile().map_err(ArchiveError::temporary_file)?;
    let summaries = build(plans, options, Output::File(&file), "a temporary file")?;
    before(&file, plans, &summaries)?;
    file.rewind().map_err(ArchiveError::temporary_file)?;
    let copied = io::copy(&mut file, stream).and_then(|_| stream.flush());
    copied.map_err(|error| BuildError::from(write_failed(error)).writing_to(target))?;
    Ok(summaries)
}

/// Builds into `file` for `path`, which appears when it is complete and `before` has succeeded.
pub(super) fn write_to_file(
    plans: &[Plan],
    options: Options,
    file: OutputFile,
    path: &Path,
    before: BeforeOutput<'_>,
) -> anyhow::Result<Vec<Summary>> {
    let output = Output::File(file.file());
    let summaries = build(plans, options, output, &text::path(path))
        .map_err(|error| error.writing_to_file(path))?;
    before(file.file(), plans, &summaries)?;
    file.persist()?;
    let (compression, hint) = match options.format {
        Format::Docker => (options.compression, "use --compress"),
        Format::Oci | Format::Dual => (Compression::None, "--compress compresses its layers"),
    };
    note_compression(path, compression, hint);
    Ok(summaries)
}

/// The endings of the names of compressed files, and the methods that they stand for.
const ENDINGS: [(&str, &str); 7] = [
    ("gz", "gzip"),
    ("tgz", "gzip"),
    ("zst", "zstd"),
    ("tzst", "zstd"),
    ("xz", "xz"),
    ("txz", "xz"),
    ("bz2", "bzip2"),
];

/// Prints a note if the name of the file at `path` stands for another compression than it has.
fn note_compression(path: &Path, compression: Compression, hint: &str) {
    let actual = match compression {
        Compression::None => "",
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
    };
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let expected = ENDINGS.iter().find(|(known, _)| *known == ending);
    if let Some((_, expected)) = expected.filter(|(_, expected)| *expected != actual) {
        let path = text::path(path);
        let _ = writeln!(messages(), "note: {path} is not compressed with {expected}; {hint}");
    }
}

/// Writes an archive with `write`: to standard output, another stream, or a file, which appears
/// when it is complete.
pub(super) fn write_archive(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), ArchiveError>,
) -> anyhow::Result<()> {
    let target = if is_stdout(path) { STDOUT.to_owned() } else { text::path(path) };
    let write_to = |output: &mut dyn Write| -> Result<(), ArchiveError> {
        let mut output = BufWriter::with_capacity(BUFFER_SIZE, output);
        write(&mut output)?;
        output.flush().map_err(write_failed)
    };
    let to_stream = |error: ArchiveError| BuildError::from(error).writing_to(&target);
    if is_stdout(path) {
        refuse_terminal(
            "failed to write the archive: standard output is a terminal; redirect it, or use \
             -o FILE",
        )?;
        return Ok(write_to(&mut raw_stdout().lock()).map_err(to_stream)?);
    }
    if is_stream(path) {
        return Ok(write_to(&mut open_stream(path)?).map_err(to_stream)?);
    }
    let file = OutputFile::beside(path)?;
    let written = write_to(&mut file.file());
    written.map_err(|error| BuildError::from(error).writing_to_file(path))?;
    file.persist()?;
    let hint = "write to standard output, and compress that";
    note_compression(path, Compression::None, hint);
    Ok(())
}

/// A text for standard output, another stream, or a file, which then has all of it or stays as it
/// is.
pub(super) struct TextOutput {
    path: PathBuf,
    /// The file; `None` for a stream, and once it is in its place.
    file: Option<OutputFile>,
}

impl TextOutput {
    /// Creates the file for `path`, which appears later.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let is_stream = is_stdout(path) || is_stream(path);
        let file = if is_stream { None } else { Some(OutputFile::beside(path)?) };
        Ok(Self { path: path.to_owned(), file })
    }

    /// Where it goes.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file that is being written; `None` for a stream.
    pub(super) fn file(&self) -> Option<&OutputFile> {
        self.file.as_ref()
    }

    /// Writes `text`.
    pub(super) fn write(&self, text: &str) -> anyhow::Result<()> {
        let (text, failed) =
            (text.as_bytes(), || format!("failed to write {}", text::path(&self.path)));
        match &self.file {
            Some(file) => {
                let written = file.file().write_all(text);
                written.map_err(|error| full_disk::explain(&self.path, error))
            }
            None if is_stdout(&self.path) => raw_stdout().write_all(text),
            None => open_stream(&self.path)?.write_all(text),
        }
        .with_context(failed)
    }

    /// Puts the file in its place.
    pub(super) fn persist(&mut self) -> anyhow::Result<()> {
        Ok(self.file.take().map_or(Ok(()), OutputFile::persist)?)
    }
}

/// Writes `text` as [`TextOutput`] does.
pub(super) fn write_text(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut output = TextOutput::create(path)?;
    output.write(text)?;
    output.persist()
}

/// The stream for the results that a command prints: standard output, or standard error if
/// `stdout_is_taken` by a file that the command writes, such as an archive.
pub(super) fn results(stdout_is_taken: bool) -> Box<dyn Write> {
    match stdout_is_taken {
        true => Box::new(stderr()),
        false => Box::new(stdout()),
    }
}

/// Whether `path` means standard output.
pub(super) fn is_stdout(path: &Path) -> bool {
    path == Path::new("-") || is_standard_output(path)
}

fn build(
    plans: &[Plan],
    options: Options,
    output: Output<'_>,
    target: &str,
) -> Result<Vec<Summary>, BuildError> {
    let summaries = prepare_and_note(plans, options.threads, options.cache, |progress| {
        assemble_all(plans, options, output, progress).map_err(|error| error.writing_to(target))
    })?;
    let annotated = plans.iter().any(|plan| plan.recipe().annotations.are_wanted());
    if annotated && options.format == Format::Docker {
        let notice = "left out the annotations: a docker-archive has no place for them; use \
                      --format oci or dual";
        let _ = writeln!(messages(), "note: {notice}");
    }
    Ok(summaries)
}

/// Builds the images of `plans` with `build`, which reports numbers of bytes: prints what steps
/// print, then a progress line, then notes about the images.
pub(super) fn prepare_and_note<T>(
    plans: &[Plan],
    threads: usize,
    cache: CacheUse,
    build: impl FnOnce(&mut dyn FnMut(u64)) -> Result<T, BuildError>,
) -> Result<T, BuildError> {
    // The progress line would be drawn over the output of steps.
    for plan in plans {
        plan.run_steps(threads, cache)?;
    }
    let progress =
        BuildProgress::start(plans.first().map_or("", |plan| plan.recipe().name.as_str()));
    let built = build(&mut |bytes| progress.add(bytes))?;
    drop(progress);
    let notices: BTreeSet<String> = plans.iter().flat_map(Plan::notices).collect();
    for notice in notices {
        // The image is complete, whether this can be printed or not.
        let _ = writeln!(messages(), "note: {notice}");
    }
    Ok(built)
}
