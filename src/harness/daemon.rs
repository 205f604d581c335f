//! A Docker daemon in a machine of its own.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use super::{HarnessError, LoadedImage};
use crate::archive::{Compression, Image, ImageFormat};
use crate::archive::{docker, write};
use crate::build::assemble::Output;
use crate::build::{CacheUse, Format, Options as BuildOptions, Recipe, assemble, plan};
use crate::engine::stream::{self, Sender};
use crate::engine::{Docker, Engine, Timeline};
use crate::image::Reference;
use crate::vm::instance::units;
use crate::vm::pool::{PrepareOptions, prepare, start};
use crate::vm::{CommandOutput, Options, ReadyVm, Vm};

/// A ready daemon. Dropped, it and its machine are gone.
#[derive(Debug)]
pub struct Daemon(ReadyVm);

impl From<ReadyVm> for Daemon {
    fn from(ready: ReadyVm) -> Self {
        Self(ready)
    }
}

/// How long a load may take; an emulated daemon loads some 10 MB/s.
const LOAD: Duration = Duration::from_secs(600);
/// What comes on top of a load's own deadline: the last bytes of its writer.
const AROUND: Duration = Duration::from_secs(10);

impl Daemon {
    /// A daemon in a machine of its own, made from the guest called `guest`, which is assembled if need be. The machine
    /// is restored from a template, which is made if need be, unless `options` say otherwise.
    ///
    /// # Errors
    /// When any of that fails. A daemon that does not get ready comes with what its guest says of it.
    pub async fn start(guest: &str, options: Options) -> Result<Self, HarnessError> {
        // Starting the VM makes the snapshot, if it needs one.
        let only_assemble = PrepareOptions { snapshot: false, ..PrepareOptions::default() };
        let guest = prepare(guest, &only_assemble, &mut |_| ()).await?;
        Ok(Self(start::start(&guest, &options).await?))
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// Docker's API, where the engine speaks it.
    pub fn docker(&self) -> Option<&Docker> {
        self.0.engine.docker()
    }

    /// The machine that it runs in.
    pub fn vm(&self) -> &Vm {
        &self.0.vm
    }

    /// What was true when, from QEMU's start to ready.
    pub fn timeline(&self) -> &Timeline {
        &self.0.timeline
    }

    /// The timeline of a daemon that was booted, with what systemd says of its units put in.
    ///
    /// # Errors
    /// When the guest cannot be asked.
    pub async fn timeline_with_units(&self) -> Result<Timeline, HarnessError> {
        let mut timeline = self.timeline().clone();
        let mut agent = self.vm().agent(Duration::from_secs(5)).await?;
        for (event, guest) in units::activations(&mut agent, self.vm().family()).await? {
            timeline.add_guest_event(event, guest);
        }
        Ok(timeline)
    }

    /// Why the machine was booted although it should have been restored from a template.
    pub fn fallback(&self) -> Option<&str> {
        self.0.fallback.as_deref()
    }

    /// Runs a command in the guest, for `limit` at most.
    ///
    /// # Errors
    /// When the guest agent does not answer or the command does not end.
    pub async fn guest_run(
        &self,
        program: &str,
        arguments: &[&str],
        limit: Duration,
    ) -> Result<CommandOutput, HarnessError> {
        let mut agent = self.vm().agent(Duration::from_secs(5)).await?;
        Ok(agent.run(program, arguments, limit).await?)
    }

    /// Builds `recipe` straight into the daemon.
    ///
    /// # Errors
    /// When the image cannot be built, or the daemon refuses it.
    pub async fn load_recipe(&self, recipe: Recipe) -> Result<LoadedImage<'_>, HarnessError> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let options = BuildOptions {
            format: Format::Docker,
            compression: Compression::None,
            threads,
            cache: CacheUse::On,
        };
        let build = move |sender: &mut Sender| -> Result<String, HarnessError> {
            let summary =
                assemble(&plan(recipe, threads)?, options, Output::Stream(sender), &mut |_| ())?;
            Ok(summary.reference.unwrap_or_default())
        };
        let reference = self.load(build).await?;
        self.engine().inspect(&reference).await?;
        Ok(LoadedImage::new(self, reference))
    }

    /// Loads the archive at `path`, in which there is an image called `reference`.
    ///
    /// # Errors
    /// When the archive cannot be read, or the daemon refuses it or does not know the image afterwards.
    pub async fn load_archive(
        &self,
        path: &Path,
        reference: &str,
    ) -> Result<LoadedImage<'_>, HarnessError> {
        let path = path.to_owned();
        let read = move |sender: &mut Sender| -> Result<(), HarnessError> {
            let file = File::open(&path).map_err(crate::archive::ArchiveError::read(&path))?;
            write::copy(file, &path.display().to_string(), sender, |_| ())?;
            Ok(())
        };
        self.load(read).await?;
        self.engine().inspect(reference).await?;
        Ok(LoadedImage::new(self, reference.to_owned()))
    }

    /// Loads an image that was read before from `archive`: that very archive, except where it is an OCI layout, which
    /// engines may not read; its layers and config are then put into a docker-archive, byte for byte.
    ///
    /// # Errors
    /// As [`load_archive`](Self::load_archive).
    pub async fn load_opened(
        &self,
        archive: &Path,
        image: &Image,
        sizes: &[u64],
    ) -> Result<LoadedImage<'_>, HarnessError> {
        let named = image.references.first().cloned();
        if image.format != ImageFormat::OciLayout {
            let reference = named.unwrap_or_else(|| image.id().to_string());
            return self.load_archive(archive, &reference).await;
        }
        let reference = named.as_deref().unwrap_or("seatrial/unnamed:latest");
        let reference: Reference =
            reference.parse().map_err(|error: crate::image::reference::ReferenceError| {
                crate::archive::ArchiveError::invalid(archive, error.to_string())
            })?;
        let (image, sizes, name) = (image.clone(), sizes.to_vec(), reference.to_string());
        let repack = move |sender: &mut Sender| -> Result<(), HarnessError> {
            docker::repack(&image, &sizes, &reference, 0, sender)?;
            Ok(())
        };
        self.load(repack).await?;
        self.engine().inspect(&name).await?;
        Ok(LoadedImage::new(self, name))
    }

    /// Sends what `write` writes to the daemon.
    async fn load<T: Send + 'static>(
        &self,
        write: impl FnOnce(&mut Sender) -> Result<T, HarnessError> + Send + 'static,
    ) -> Result<T, HarnessError> {
        let load = stream::transfer(write, |stream| self.engine().load(stream, LOAD));
        self.watched("load the image", LOAD + AROUND, load).await
    }
}
