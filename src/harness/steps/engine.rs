//! The engine that steps run in, with the image below a step.
//!
//! A VM is restored from the snapshot whose engine has the most of the image's layers, and only the
//! others are sent. If these are large, the VM is saved as a further snapshot before the step runs.

use std::sync::mpsc::Sender;

use tokio::sync::mpsc::UnboundedReceiver;

use super::archive::{self, ImageArchive};
use super::message::Message;
use crate::archive::{ArchiveError, write};
use crate::engine::EngineError;
use crate::harness::{Daemon, HarnessError};
use crate::image::{DiffId, digest};
use crate::load::present::common_layers;
use crate::vm::pool::{Layered, LayeredSnapshot, OwnVms, PrepareOptions, layered, prepare};
use crate::vm::{Guest, Options};

/// The size of sent layers in bytes from which a VM is saved with them: sending that much takes
/// about as long as saving.
const SAVE_SIZE: u64 = 16 << 20;
/// The note in snapshots.
const NOTE: &str = "for build steps";

/// The engine, in a VM that starts with the first step and stays.
pub(super) struct StepEngine {
    guest: String,
    options: Options,
    daemon: Option<Daemon>,
}

/// The image below a step.
pub(super) struct Image {
    pub(super) diff_ids: Vec<DiffId>,
    /// Answers to [`Message::Missing`].
    pub(super) archives: UnboundedReceiver<ImageArchive>,
}

impl Image {
    /// Returns an archive without the lowest `present` layers.
    async fn archive(
        &mut self,
        present: usize,
        messages: &Sender<Message>,
    ) -> Result<ImageArchive, HarnessError> {
        let _ = messages.send(Message::Missing { present });
        let archive = self.archives.recv().await;
        archive.ok_or_else(|| HarnessError::from(ArchiveError::WorkerLost))
    }
}

impl StepEngine {
    /// An engine in a VM of `guest`. Starts nothing yet.
    pub(super) fn new(guest: &str, network: bool) -> Self {
        let options = Options { egress: network, ..Options::default() };
        Self { guest: guest.to_owned(), options, daemon: None }
    }

    /// Returns the engine with `image`, and the name of the image there.
    pub(super) async fn with_image(
        &mut self,
        image: &mut Image,
        messages: &Sender<Message>,
    ) -> Result<(&Daemon, String), HarnessError> {
        if self.daemon.is_none() {
            self.daemon = Some(self.start(image, messages).await?);
        }
        let daemon = self.daemon.as_ref().ok_or(ArchiveError::WorkerLost)?;
        load(daemon, image, None, messages).await?;
        Ok((daemon, archive::image_name(&image.diff_ids)))
    }

    async fn start(
        &self,
        image: &mut Image,
        messages: &Sender<Message>,
    ) -> Result<Daemon, HarnessError> {
        let status = |text: String| drop(messages.send(Message::Status(text)));
        status(format!("starting {}", self.guest));
        // Starting the VM makes the plain snapshot, if it needs one.
        let only_assemble = PrepareOptions { snapshot: false, ..PrepareOptions::default() };
        let guest = prepare(&self.guest, &only_assemble, &mut |_| ()).await?;
        let chain_ids = digest::chain_ids(&image.diff_ids);
        let found = layered::find(&guest, self.options.accelerator, &chain_ids).await?;
        let (from, present) = found.map_or((None, 0), |(from, count)| (Some(from), count));
        if present == chain_ids.len() {
            return self.restore(&guest, from, false).await;
        }
        let archive = image.archive(present, messages).await?;
        let size = archive.file.metadata().map_err(ArchiveError::temporary_file)?.len();
        let saveable = size >= SAVE_SIZE;
        let daemon = self.restore(&guest, from.clone(), saveable).await?;
        load(&daemon, image, Some((present, archive)), messages).await?;
        if !saveable {
            return Ok(daemon);
        }
        status("saving a snapshot with the layers".to_owned());
        // Without a snapshot, on a full disk for example, the step runs as well.
        let saved = daemon.save(&guest, &chain_ids, NOTE).await.ok();
        self.restore(&guest, saved.or(from), false).await
    }

    async fn restore(
        &self,
        guest: &Guest,
        from: Option<LayeredSnapshot>,
        saveable: bool,
    ) -> Result<Daemon, HarnessError> {
        let layered = Layered { from, saveable };
        Daemon::start_layered(guest, &self.options, OwnVms::Stay, &layered).await
    }
}

/// Loads the layers of `image` that the engine does not have. `prepared` is the number of layers
/// that it should have, and an archive with the others.
async fn load(
    daemon: &Daemon,
    image: &mut Image,
    prepared: Option<(usize, ImageArchive)>,
    messages: &Sender<Message>,
) -> Result<(), HarnessError> {
    let docker = daemon.docker().ok_or_else(|| {
        EngineError::Unexpected("the guest does not have Docker's API".to_owned())
    })?;
    if docker.inspect(&archive::image_name(&image.diff_ids)).await.is_ok() {
        return Ok(());
    }
    let _ = messages.send(Message::Status("loading the image".to_owned()));
    let present = common_layers(&image.diff_ids, &docker.present_layers().await?);
    let archive = match prepared {
        Some((expected, archive)) if expected <= present => archive,
        _ => image.archive(present, messages).await?,
    };
    let file = archive.file;
    daemon
        .load(move |sender| {
            write::copy(file, "the image of a step", sender, |_| ())?;
            Ok::<_, HarnessError>(())
        })
        .await?;
    Ok(())
}
