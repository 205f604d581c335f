//! Loads images into a [`Daemon`]: from a recipe, from an archive, or from an image that is open.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use super::daemon::Daemon;
use super::error::HarnessError;
use super::loaded_image::LoadedImage;
use super::steps::VmSteps;
use crate::archive::{ArchiveError, Compression, Image, ImageFormat, ImageSelector, open};
use crate::archive::{docker, write};
use crate::build::{CacheUse, Format, Options as BuildOptions, Output, PlanOptions, Recipe};
use crate::build::{StepSettings, assemble, plan_with};
use crate::engine::stream::{self, Sender};
use crate::engine::{Engine, ImageFacts};
use crate::image::{Digest, Reference};
use crate::vm::pool::Task;

/// The time limit for loading an image, in addition to that for its size.
const LOAD_TIMEOUT: Duration = Duration::from_secs(600);
/// The bytes for which the time limit is a second longer. Emulated engines on a busy host load 4 to
/// 10 MB/s.
const BYTES_PER_SECOND: u64 = 1 << 20;
/// The size in bytes that an image may have which is built while it is loaded.
const BUILT_SIZE: u64 = 4 << 30;
/// Additional time for the writer to finish after a load timed out.
const WRITER_GRACE: Duration = Duration::from_secs(10);
/// The time limit for inspecting an image.
const INSPECT_TIMEOUT: Duration = Duration::from_secs(60);
/// The name under which an image without a name is loaded.
pub(crate) const DEFAULT_REFERENCE: &str = "seatrial/unnamed:latest";

/// Whether engines get the archive itself that `image` was read from.
pub(crate) fn is_loaded_as_it_is(archive: &Path, image: &Image) -> bool {
    image.format == ImageFormat::DockerArchive && archive.is_file()
}

impl Daemon {
    /// Builds the image of `recipe` and streams it into the engine.
    ///
    /// # Errors
    /// If the image cannot be built, or the engine rejects it.
    pub async fn load_recipe(&self, recipe: Recipe) -> Result<LoadedImage<'_>, HarnessError> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let options = BuildOptions {
            format: Format::Docker,
            compression: Compression::None,
            threads,
            cache: CacheUse::On,
        };
        // This task keeps its VM while it waits for that of a step.
        let task = Task::current();
        let build = move |sender: &mut Sender| -> Result<(String, Digest), HarnessError> {
            let steps = VmSteps::settings_of(task, StepSettings::default());
            let plan = plan_with(recipe, &PlanOptions { threads, steps, ..Default::default() })?;
            let summary = assemble(&plan, options, Output::Stream(sender), &mut |_| ())?;
            Ok((summary.reference.unwrap_or_default(), summary.id))
        };
        let (reference, id) = self.load(BUILT_SIZE, build).await?;
        self.loaded_image(reference, Some(id)).await
    }

    /// Loads the archive at `path`, which must have an image called `reference`.
    ///
    /// # Errors
    /// If the archive cannot be read, the engine rejects it, or the engine has no image called
    /// `reference` afterwards.
    pub async fn load_archive(
        &self,
        path: &Path,
        reference: &str,
    ) -> Result<LoadedImage<'_>, HarnessError> {
        let needs_id = matches!(self.engine(), Engine::Cri(_));
        let (from, selector) = (path.to_owned(), ImageSelector::default().named(reference));
        let read_id = move || needs_id.then(|| open(&from, &selector).ok()).flatten();
        let image = tokio::task::spawn_blocking(read_id).await.ok().flatten();
        self.load_file(path, reference, image.map(|image| image.id())).await
    }

    /// Loads the archive at `path`, which has the image called `reference` with this ID.
    async fn load_file(
        &self,
        path: &Path,
        reference: &str,
        id: Option<Digest>,
    ) -> Result<LoadedImage<'_>, HarnessError> {
        let path = path.to_owned();
        let size = path.metadata().map_or(0, |metadata| metadata.len());
        let read = move |sender: &mut Sender| -> Result<(), HarnessError> {
            let file = File::open(&path).map_err(ArchiveError::read(&path))?;
            write::copy(file, &path.display().to_string(), sender, |_| ())?;
            Ok(())
        };
        self.load(size, read).await?;
        self.loaded_image(reference.to_owned(), id).await
    }

    /// Loads an open image: the archive it was read from, unless that is an OCI layout, which some
    /// engines do not read. Its layers and config are then put into a docker-archive unchanged.
    /// `sizes` are the uncompressed sizes of the layers.
    ///
    /// # Errors
    /// Like [`load_archive`](Self::load_archive).
    pub(crate) async fn load_opened(
        &self,
        archive: &Path,
        image: &Image,
        sizes: &[u64],
    ) -> Result<LoadedImage<'_>, HarnessError> {
        let reference = image.references.first().cloned();
        if is_loaded_as_it_is(archive, image) {
            let reference = reference.unwrap_or_else(|| image.id().to_string());
            return self.load_file(archive, &reference, Some(image.id())).await;
        }
        let reference: Reference =
            reference.as_deref().unwrap_or(DEFAULT_REFERENCE).parse().map_err(
                |error: crate::image::reference::ReferenceError| {
                    ArchiveError::invalid(archive, error.to_string())
                },
            )?;
        let (id, name) = (image.id(), reference.to_string());
        let (image, sizes) = (image.clone(), sizes.to_vec());
        let size = sizes.iter().sum();
        let repack = move |sender: &mut Sender| -> Result<(), HarnessError> {
            docker::repack(&image, &sizes, &reference, 0, sender)?;
            Ok(())
        };
        self.load(size, repack).await?;
        self.loaded_image(name, Some(id)).await
    }

    /// Streams what `write` writes, about `size` bytes, into the engine.
    pub(super) async fn load<T: Send + 'static>(
        &self,
        size: u64,
        write: impl FnOnce(&mut Sender) -> Result<T, HarnessError> + Send + 'static,
    ) -> Result<T, HarnessError> {
        let limit = LOAD_TIMEOUT + Duration::from_secs(size / BYTES_PER_SECOND);
        let load = Box::pin(stream::transfer(write, |stream| self.engine().load(stream, limit)));
        self.watched("load the image", limit + WRITER_GRACE, load).await
    }

    /// Returns the image called `reference`, if the engine has it. `id` is the ID of the image that
    /// was sent, if it is known: another image may have had the name before.
    pub(crate) async fn loaded_image(
        &self,
        reference: String,
        id: Option<Digest>,
    ) -> Result<LoadedImage<'_>, HarnessError> {
        match (self.engine(), id) {
            (Engine::Cri(cri), Some(id)) => {
                let appears = Box::pin(async { Ok(cri.wait_for_image(&reference, id).await?) });
                self.watched(&format!("inspect {reference}"), INSPECT_TIMEOUT, appears).await?;
            }
            _ => drop(self.inspect(&reference).await?),
        }
        Ok(LoadedImage::new(self, reference))
    }

    /// Returns the engine's description of the image called `reference`.
    pub(super) async fn inspect(&self, reference: &str) -> Result<ImageFacts, HarnessError> {
        let inspect = Box::pin(async { Ok(self.engine().inspect(reference).await?) });
        self.watched(&format!("inspect {reference}"), INSPECT_TIMEOUT, inspect).await
    }
}
