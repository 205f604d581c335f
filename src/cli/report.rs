//! Reports that are written beside what a command prints: `KIND=FILE`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;

use crate::build::output::OutputFile;

/// A report that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Report {
    /// Its kind, one of those that the command knows.
    pub(super) kind: &'static str,
    file: PathBuf,
}

impl Report {
    /// Reads `KIND=FILE`, where the kind is one of `kinds`.
    pub(super) fn parse(kinds: &[&'static str], text: &str) -> Result<Self, String> {
        let (kind, file) = text.split_once('=').unwrap_or((text, ""));
        let known = kinds.iter().find(|known| **known == kind);
        let kind = known.ok_or_else(|| format!("{kind:?} must be one of {}", kinds.join(", ")))?;
        if file.is_empty() {
            return Err(format!("{text:?} names no file; write {text}=FILE"));
        }
        Ok(Self { kind, file: file.into() })
    }

    /// Writes it, whole or not at all.
    pub(super) fn write(&self, text: &str) -> anyhow::Result<()> {
        let output = OutputFile::beside(&self.file)?;
        let written = output.file().write_all(text.as_bytes());
        written.with_context(|| format!("cannot write {}", self.file.display()))?;
        Ok(output.persist()?)
    }
}
