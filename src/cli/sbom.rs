//! `--sbom`: a bill of materials of each image that was built.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;

use super::output::{is_stdout, leave_out_earlier, write_text};
use super::overwrite::Files;
use crate::archive::{self, ArchiveError, FileSystem, ImageSelector};
use crate::build::Plan;
use crate::image::{Platform, Summary};
use crate::sbom::{Bill, SbomFormat};
use crate::text;

/// The arguments of commands that write a bill of materials.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct SbomArgs {
    /// Write a bill of materials: SPDX 2.3 or CycloneDX 1.5, as JSON
    #[arg(long, value_name = "FORMAT", value_enum)]
    sbom: Option<FormatArg>,

    /// File for the bill of materials; `-` for standard output
    /// [default: NAME.spdx.json or NAME.cdx.json]
    #[arg(long, value_name = "FILE", requires = "sbom")]
    sbom_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FormatArg {
    Spdx,
    Cyclonedx,
}

impl From<FormatArg> for SbomFormat {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Spdx => Self::Spdx,
            FormatArg::Cyclonedx => Self::CycloneDx,
        }
    }
}

/// A bill of materials that is ready to be written.
pub(super) struct Document {
    path: PathBuf,
    text: String,
    packages: usize,
}

impl SbomArgs {
    fn format(&self) -> Option<SbomFormat> {
        self.sbom.map(SbomFormat::from)
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.sbom.is_some()
    }

    /// Whether it goes to standard output.
    pub(super) fn is_to_stdout(&self) -> bool {
        self.sbom_file.as_deref().is_some_and(is_stdout)
    }

    /// Leaves bills of earlier builds out of the contents.
    ///
    /// # Errors
    /// If a bill would replace one of `files`, to which they are added.
    pub(super) fn leave_out(&self, plans: &mut [Plan], files: &mut Files) -> anyhow::Result<()> {
        let Some(format) = self.format() else { return Ok(()) };
        let several = plans.len() > 1;
        for plan in plans {
            let platform = plan.platform().clone();
            let path = self.path(plan, format, several.then_some(&platform));
            files.add_output(&path, "--sbom-file")?;
            leave_out_earlier(std::slice::from_mut(plan), &path);
        }
        Ok(())
    }

    /// Makes the bills of the images in the archive `file`, which messages call `name`, and which
    /// were built from `plans`.
    pub(super) fn documents(
        &self,
        file: &File,
        name: &Path,
        plans: &[Plan],
        summaries: &[Summary],
        threads: usize,
    ) -> anyhow::Result<Vec<Document>> {
        let Some(format) = self.format() else { return Ok(Vec::new()) };
        let mut documents = Vec::new();
        for (plan, summary) in plans.iter().zip(summaries) {
            let platform = plan.platform();
            let selector = ImageSelector {
                name: summary.name.clone(),
                tag: summary.tag.clone(),
                platform: Some(platform.clone()),
                limits: plan.recipe().limits,
            };
            let bill = || -> anyhow::Result<Bill> {
                // By its descriptor: the file may have no name yet.
                let file = file.try_clone().map_err(ArchiveError::read(name))?;
                let image = archive::open_file(file, name, &selector)?;
                let files = FileSystem::read(&image, threads)?;
                let base_layers = summary.layers.iter().filter(|layer| layer.contents.base).count();
                Ok(Bill::collect(&image, &files, plan.base_image(), base_layers)?)
            };
            let bill = bill().context("failed to make the bill of materials")?;
            let text = format.document(&bill);
            let several = (plans.len() > 1).then_some(platform);
            let path = self.path(plan, format, several);
            documents.push(Document { path, text, packages: bill.packages.len() });
        }
        Ok(documents)
    }

    /// The file for the image of `plan`. Of images for several platforms, each has its own.
    fn path(&self, plan: &Plan, format: SbomFormat, platform: Option<&Platform>) -> PathBuf {
        let suffix = format.suffix();
        let name = plan.recipe().name.base_name();
        let path = self.sbom_file.clone().unwrap_or_else(|| format!("{name}.{suffix}").into());
        let Some(platform) = platform.filter(|_| !self.is_to_stdout()) else { return path };
        let platform = platform.to_string().replace('/', "-");
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (stem, end) = file.split_once('.').unwrap_or((&file, suffix));
        path.with_file_name(format!("{stem}.{platform}.{end}"))
    }
}

impl Document {
    /// Writes the document: as a whole, or not at all.
    pub(super) fn write(&self) -> anyhow::Result<()> {
        write_text(&self.path, &self.text)
    }

    /// Describes the document in a line.
    pub(super) fn describe(&self) -> String {
        let path = text::path(&self.path);
        match self.packages {
            1 => format!("wrote {path} with 1 package"),
            count => format!("wrote {path} with {count} packages"),
        }
    }
}
