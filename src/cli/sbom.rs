//! `--sbom`: a bill of materials of each image that was built.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;

use super::exit::UsageError;
use super::output::{TextOutput, is_stdout};
use super::overwrite::OutputCheck;
use crate::archive::{self, ArchiveError, FileSystem, ImageSelector};
use crate::build::{Plan, Recipe};
use crate::files::output::OutputFile;
use crate::image::Summary;
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

/// The file of the bill of materials of an image.
pub(super) struct BillOutput {
    output: TextOutput,
    /// The number of packages in the bill, once it was made.
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

    /// The files for the bills of `recipes`, of which none exists yet, or all stay as they are.
    ///
    /// # Errors
    /// If one cannot be created, or would replace another file that `outputs` knows.
    pub(super) fn outputs(
        &self,
        recipes: &[Recipe],
        outputs: &mut OutputCheck,
    ) -> anyhow::Result<Vec<BillOutput>> {
        let Some(format) = self.format() else { return Ok(Vec::new()) };
        if self.is_to_stdout() && recipes.len() > 1 {
            let problem = "--sbom-file - is for one image, but the recipe has several platforms; \
                           name a file";
            return Err(UsageError(problem).into());
        }
        let path = |recipe: &Recipe| recipe.bill(format, self.sbom_file.as_deref());
        let paths: Vec<PathBuf> = recipes.iter().map(path).collect();
        paths.iter().try_for_each(|path| outputs.add_build_output(path, "--sbom-file"))?;
        let create =
            |path: &PathBuf| Ok(BillOutput { output: TextOutput::create(path)?, packages: 0 });
        paths.iter().map(create).collect()
    }

    /// Writes the bills of the images in the archive `file`, which messages call `name`, and which
    /// were built from `plans`, to `outputs`. All of them appear, or none.
    pub(super) fn write(
        &self,
        outputs: &mut [BillOutput],
        file: &File,
        name: &Path,
        plans: &[Plan],
        summaries: &[Summary],
        threads: usize,
    ) -> anyhow::Result<()> {
        let Some(format) = self.format() else { return Ok(()) };
        for ((plan, summary), bill) in plans.iter().zip(summaries).zip(&mut *outputs) {
            let platform = plan.platform();
            let selector = ImageSelector {
                name: summary.name.clone(),
                tag: summary.tag.clone(),
                platform: Some(platform.clone()),
                limits: plan.recipe().limits,
            };
            let made = || -> anyhow::Result<Bill> {
                // By its descriptor: the file may have no name yet.
                let file = file.try_clone().map_err(ArchiveError::read(name))?;
                let image = archive::open_file(file, name, &selector)?;
                let files = FileSystem::read(&image, threads)?;
                let base_layers = summary.layers.iter().filter(|layer| layer.contents.base).count();
                Ok(Bill::collect(&image, &files, plan.base_image(), base_layers)?)
            };
            let made = made().context("failed to make the bill of materials")?;
            bill.packages = made.packages.len();
            bill.output.write(&format.document(&made))?;
        }
        outputs.iter_mut().try_for_each(|bill| bill.output.persist())
    }
}

impl BillOutput {
    /// The file that is being written; `None` for a stream.
    pub(super) fn file(&self) -> Option<&OutputFile> {
        self.output.file()
    }

    /// Describes the bill in a line.
    pub(super) fn describe(&self) -> String {
        let path = text::path(self.output.path());
        match self.packages {
            1 => format!("wrote {path} with 1 package"),
            count => format!("wrote {path} with {count} packages"),
        }
    }
}
