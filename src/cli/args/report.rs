//! `--report KIND=FILE`: a report in a file, in addition to what the command prints.

use std::io::Write;
#[cfg(feature = "vm")]
use std::path::Path;
use std::path::PathBuf;

use crate::cli::output::{is_stdout, results, write_text};
use crate::cli::overwrite::OutputCheck;
#[cfg(feature = "vm")]
use crate::files::output::{OutputFile, is_stream};

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

    /// Returns the path of the file; `None` for standard output.
    #[cfg(feature = "vm")]
    pub(in crate::cli) fn path(&self) -> Option<&Path> {
        (!self.is_stdout()).then_some(&*self.path)
    }

    /// Checks with `outputs` that no report replaces an input or another report.
    pub(in crate::cli) fn check_outputs(
        reports: &[Self],
        outputs: &mut OutputCheck,
    ) -> anyhow::Result<()> {
        let mut add =
            |report: &Self| outputs.add_output(&report.path, &format!("--report {}", report.kind));
        reports.iter().try_for_each(&mut add)
    }

    fn is_stdout(&self) -> bool {
        is_stdout(&self.path)
    }

    /// The stream for the results that a command prints in addition to `reports`.
    pub(in crate::cli) fn results(reports: &[Self]) -> Box<dyn Write> {
        results(reports.iter().any(Self::is_stdout))
    }

    /// Checks that the file can be written, before the work that it reports.
    #[cfg(feature = "vm")]
    pub(in crate::cli) fn check(&self) -> anyhow::Result<()> {
        if !self.is_stdout() && !is_stream(&self.path) {
            OutputFile::beside(&self.path)?;
        }
        Ok(())
    }

    /// Writes the whole report or nothing.
    pub(in crate::cli) fn write(&self, text: &str) -> anyhow::Result<()> {
        write_text(&self.path, text)
    }
}
