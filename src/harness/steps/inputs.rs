//! The inputs of a step, as a tar for its VM.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::archive::ArchiveError;
use crate::steps::{Input, Step, StepError};

/// Writes a tar with the inputs of `step`, at their targets, to `output`; nothing, if it has none.
pub(super) fn write(step: &Step, output: &mut dyn Write) -> Result<(), StepError> {
    if step.inputs.is_empty() {
        return Ok(());
    }
    let mut builder = tar::Builder::new(output);
    builder.mode(tar::HeaderMode::Deterministic);
    builder.follow_symlinks(false);
    for input in &step.inputs {
        let source = input.source.canonicalize().map_err(ArchiveError::read(&input.source))?;
        add(input, &source, Path::new(&input.target), &mut builder)?;
    }
    builder.into_inner().map(drop).map_err(|error| ArchiveError::read("the inputs")(error).into())
}

/// Adds what the step sees of the file or folder `source` of `input`, as `target`.
fn add<W: Write>(
    input: &Input,
    source: &Path,
    target: &Path,
    builder: &mut tar::Builder<W>,
) -> Result<(), ArchiveError> {
    let failed = || ArchiveError::read(source);
    builder.append_path_with_name(source, target).map_err(failed())?;
    if !source.symlink_metadata().map_err(failed())?.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(source).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        if !input.left_out.contains(&entry.path()) {
            add(input, &entry.path(), &target.join(entry.file_name()), builder)?;
        }
    }
    Ok(())
}
