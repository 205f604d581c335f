//! `--report KIND=FILE`: a report in a file, in addition to what the command prints.

use std::io::Write;
#[cfg(feature = "vm")]
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;

use crate::build::output::{OutputFile, is_standard_output, is_stream, open_stream};
use crate::cli::streams::raw_stdout;
use crate::text;

/// A report to write.
#[derive(Clone, Debug)]
pub(in crate::cli) struct ReportFile {
    /// The kind of report, one of those that the command supports.
    pub(in crate::cli) kind: &'static str,
    path: PathBuf,
}

impl ReportFile {
    /// Parses `KIND=FILE`, where the kind is one of `kinds`.
    pub(in crate::cli) fn parse(kinds: &[&'static str], text: &str) -> Result<Self, String> {
        let (kind, path) = text.split_once('=').unwrap_or((text, ""));
        let Some(kind) = kinds.iter().find(|supported| **supported == kind) else {
            return Err(format!("unknown kind of report; expected one of {}", kinds.join(", ")));
        };
        if path.is_empty() {
            return Err(format!("the file is missing; write {kind}=FILE"));
        }
        Ok(Self { kind, path: path.into() })
    }

    /// Returns the path of the file.
    #[cfg(feature = "vm")]
    pub(in crate::cli) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that the file can be written, before the work that it reports.
    #[cfg(feature = "vm")]
    pub(in crate::cli) fn check(&self) -> anyhow::Result<()> {
        if !is_standard_output(&self.path) && !is_stream(&self.path) {
            OutputFile::beside(&self.path)?;
        }
        Ok(())
    }

    /// Writes the whole report or nothing.
    pub(in crate::cli) fn write(&self, text: &str) -> anyhow::Result<()> {
        let failed = || format!("failed to write {}", text::path(&self.path));
        if is_standard_output(&self.path) {
            return raw_stdout().write_all(text.as_bytes()).with_context(failed);
        }
        if is_stream(&self.path) {
            return open_stream(&self.path)?.write_all(text.as_bytes()).with_context(failed);
        }
        let output = OutputFile::beside(&self.path)?;
        output.file().write_all(text.as_bytes()).with_context(failed)?;
        Ok(output.persist()?)
    }
}
