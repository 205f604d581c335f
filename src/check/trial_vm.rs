//! The VM of a trial: kept from the run before, named, or restored with as many of the image's
//! layers as possible. Only the others are sent.

use std::time::{Duration, Instant};

use super::input::CheckInput;
use super::kept_vm::{Kept, KeptImage};
use super::recorder::{Options, Recorder};
use crate::engine::EngineError;
use crate::harness::{Daemon, HarnessError, LoadedImage};
use crate::image::DiffId;
use crate::image::digest::chain_ids;
use crate::load::present::common_layers;
use crate::vm::Guest;
use crate::vm::pool::{Layered, OwnVms, layered};

/// The size of missing layers in bytes from which a VM is saved with them: sending that much takes
/// longer than saving.
const SAVE_SIZE: u64 = 16 << 20;
/// The note in snapshots.
const NOTE: &str = "for checks";

/// A VM for a trial.
pub(super) struct TrialVm {
    /// The VM with its engine.
    pub(super) daemon: Daemon,
    present: PresentLayers,
    /// The layers that were sent for a snapshot before.
    sent: Sent,
    /// The ID of the image that a run before this one has tested in it.
    previous_image: Option<String>,
    /// The images of further containers that the run before has loaded into it.
    previous_companions: Vec<KeptImage>,
}

/// The layers that were sent to make a snapshot with them, from which the VM was then restored.
#[derive(Clone, Copy, Default)]
struct Sent {
    layers: usize,
    /// With the time for saving the snapshot and restoring it.
    duration: Duration,
}

/// The layers of the image that the engine of a VM has.
#[derive(Clone, Copy)]
enum PresentLayers {
    /// Possibly some.
    Unknown,
    /// This many, counted from the lowest.
    Lowest(usize),
}

impl TrialVm {
    /// Returns the VM that was kept from the run before, the named VM, or a new one.
    pub(super) async fn start(
        input: &CheckInput,
        engine: &str,
        guest: &Guest,
        options: &Options,
        recorder: &mut Recorder<'_>,
    ) -> Result<Self, HarnessError> {
        let kept = options.kept_vm.as_ref().and_then(|kept_vm| kept_vm.take(engine, &options.vm));
        if let Some(Kept { daemon, image, layers, companions, .. }) = kept
            && daemon.engine().ping().await.is_ok()
        {
            let present = PresentLayers::Lowest(common_layers(&diff_ids(input), &[layers]));
            return Ok(Self {
                daemon,
                present,
                sent: Sent::default(),
                previous_image: Some(image),
                previous_companions: companions,
            });
        }
        recorder.progress(format!("starting {engine}"));
        if let Some(name) = &options.named_vm {
            let daemon = Daemon::attach(Some(name)).await?;
            return Ok(Self::new(daemon, PresentLayers::Unknown));
        }
        if input.may_omit_layers() && options.vm.restores() {
            return start_with_layers(input, guest, options, recorder).await;
        }
        let daemon = Daemon::start_guest(guest, &options.vm).await?;
        Ok(Self::new(daemon, PresentLayers::Lowest(0)))
    }

    /// A VM that no run before has used.
    fn new(daemon: Daemon, present: PresentLayers) -> Self {
        let (previous_image, previous_companions) = (None, Vec::new());
        Self { daemon, present, sent: Sent::default(), previous_image, previous_companions }
    }

    /// Loads the image of `input`. Layers that the engine has are not sent, but for those of a
    /// docker-archive: it is loaded as it is, because its bytes are a part of the test.
    /// Returns the image, the number of layers that were not sent, and the duration.
    pub(super) async fn load(
        &self,
        input: &CheckInput,
    ) -> Result<(LoadedImage<'_>, usize, Duration), HarnessError> {
        let begin = Instant::now();
        let (loaded, present) = self.load_missing(input).await?;
        let Sent { layers, duration } = self.sent;
        Ok((loaded, present.saturating_sub(layers), duration + begin.elapsed()))
    }

    async fn load_missing(
        &self,
        input: &CheckInput,
    ) -> Result<(LoadedImage<'_>, usize), HarnessError> {
        let (archive, opened) = (&input.archive, &input.image);
        let sizes = opened.layer_sizes();
        let present = match self.present {
            PresentLayers::Unknown => None,
            PresentLayers::Lowest(count) => Some(count),
        };
        if input.may_omit_layers()
            && let Some(loaded) =
                self.daemon.load_missing_layers(&opened.image, &sizes, present).await?
        {
            return Ok(loaded);
        }
        Ok((self.daemon.load_opened(archive, &opened.image, &sizes).await?, 0))
    }

    /// Returns the image of a further container, if the run before has loaded it and the engine
    /// still has it.
    pub(super) async fn loaded_companion(&self, input: &CheckInput) -> Option<LoadedImage<'_>> {
        let id = input.image.image.id();
        let kept = self.previous_companions.iter().find(|kept| kept.loaded == id)?;
        let loaded = self.daemon.loaded_image(kept.reference.clone(), None).await.ok()?;
        (loaded.inspect().await.ok()?.id == kept.id).then_some(loaded)
    }

    /// Loads the image of a further container. The engine may have some of its layers: those that
    /// it shares with the image under test, or with images of the run before.
    pub(super) async fn load_companion(
        &self,
        input: &CheckInput,
    ) -> Result<LoadedImage<'_>, HarnessError> {
        let (archive, image, sizes) =
            (&input.archive, &input.image.image, input.image.layer_sizes());
        if input.may_omit_layers()
            && let Some((loaded, _)) = self.daemon.load_missing_layers(image, &sizes, None).await?
        {
            return Ok(loaded);
        }
        self.daemon.load_opened(archive, image, &sizes).await
    }

    /// Removes the images of the run before, except for those that this run has used: `loaded`, and
    /// `companions`. Returns the ID of `loaded`.
    pub(super) async fn remove_previous(
        &self,
        loaded: &LoadedImage<'_>,
        companions: &[KeptImage],
    ) -> Option<String> {
        let id = loaded.inspect().await.ok()?.id;
        let before = self.previous_companions.iter().map(|kept| &kept.id);
        let is_used = |before: &&String| {
            **before == id || companions.iter().any(|companion| companion.id == **before)
        };
        for before in before.chain(&self.previous_image).filter(|before| !is_used(before)) {
            // Some engines have removed it already.
            let _ = self.daemon.engine().remove(before).await;
        }
        Some(id)
    }
}

/// Returns the layers of the image, lowest first.
pub(super) fn diff_ids(input: &CheckInput) -> Vec<DiffId> {
    input.image.image.layers.iter().map(|layer| layer.diff_id).collect()
}

/// Restores a VM from the snapshot whose engine has the most of the image's layers. If the others
/// are large and the engine need not get them again, they are loaded, and the VM is saved with them
/// before any container runs in it.
async fn start_with_layers(
    input: &CheckInput,
    guest: &Guest,
    options: &Options,
    recorder: &mut Recorder<'_>,
) -> Result<TrialVm, HarnessError> {
    let opened = &input.image;
    let (chain_ids, sizes) = (chain_ids(&diff_ids(input)), opened.layer_sizes());
    let found = layered::find(guest, options.vm.accelerator, &chain_ids).await?;
    let (from, present) = found.map_or((None, 0), |(from, count)| (Some(from), count));
    let missing: u64 = sizes.iter().skip(present).sum();
    let saveable = missing >= SAVE_SIZE;
    let layered = Layered { from, saveable };
    let daemon = Daemon::start_layered(guest, &options.vm, OwnVms::End, &layered).await?;
    if !saveable || !daemon.accepts_missing_layers().await? {
        return Ok(TrialVm::new(daemon, PresentLayers::Lowest(present)));
    }
    let begin = Instant::now();
    recorder.progress(format!("loading {} for a snapshot", opened.name()));
    let saved = match daemon.load_for_snapshot(&opened.image, &sizes, present).await {
        Ok(()) => {
            recorder.progress("saving a snapshot with the layers".to_owned());
            // Without a snapshot, on a full disk for example, the trial runs as well.
            daemon.save(guest, &chain_ids, NOTE).await.ok()
        }
        // The trial loads the image again, and reports what the engine says then.
        Err(HarnessError::Engine(EngineError::Load(_))) => {
            drop(daemon);
            None
        }
        Err(error) => return Err(error),
    };
    let layers = if saved.is_some() { chain_ids.len() - present } else { 0 };
    let layered = Layered { from: saved.or(layered.from), saveable: false };
    let daemon = Daemon::start_layered(guest, &options.vm, OwnVms::End, &layered).await?;
    let vm = TrialVm::new(daemon, PresentLayers::Lowest(present + layers));
    Ok(TrialVm { sent: Sent { layers, duration: begin.elapsed() }, ..vm })
}
