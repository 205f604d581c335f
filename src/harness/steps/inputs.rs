//! The inputs of a step, as a tar for its VM.

use std::io::Write;

use crate::archive::ArchiveError;
use crate::steps::{Step, StepError};

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
        let added = match source.is_dir() {
            true => builder.append_dir_all(&input.target, &source),
            false => builder.append_path_with_name(&source, &input.target),
        };
        added.map_err(ArchiveError::read(&source))?;
    }
    builder.into_inner().map(drop).map_err(|error| ArchiveError::read("the inputs")(error).into())
}
