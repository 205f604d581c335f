//! Images written to a file or a stream, with a progress line.

use std::io::{IsTerminal, Write};
use std::path::Path;

use super::exit::UsageError;
use super::progress::BuildProgress;
use super::streams::raw_stdout;
use crate::build::output::OutputFile;
use crate::build::{BuildError, Options, Output, Plan, assemble_all};
use crate::image::Summary;
use crate::text;

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

/// Builds into a file, which appears when it is complete.
pub(super) fn write_to_file(
    plans: &[Plan],
    options: Options,
    path: &Path,
) -> Result<Vec<Summary>, BuildError> {
    let file = OutputFile::beside(path)?;
    let output = Output::File(file.file());
    let summaries = build(plans, options, output, &text::path(path))?;
    file.persist()?;
    Ok(summaries)
}

fn build(
    plans: &[Plan],
    options: Options,
    output: Output<'_>,
    target: &str,
) -> Result<Vec<Summary>, BuildError> {
    let name = plans.first().map_or("", |plan| plan.recipe().name.as_str());
    let progress = BuildProgress::start(name);
    assemble_all(plans, options, output, &mut |bytes| progress.add(bytes))
        .map_err(|error| error.writing_to(target))
}
