//! The VM of steps, and the thread that it belongs to.
//!
//! A VM is restored from the snapshot that has the most of the image's layers. If much is missing
//! there, it gets that first, and is saved as a further snapshot before a step runs.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use crate::archive::ArchiveError;
use crate::harness::{Daemon, HarnessError};
use crate::vm::instance::Listener;
use crate::vm::pool::{Layered, LayeredSnapshot, OwnVms, PrepareOptions, layered, prepare};
use crate::vm::{Egress, Guest, Options};

use super::program;

/// The size of missing layers in bytes from which a VM is saved with them: sending that much takes
/// about as long as saving.
const SAVE_SIZE: u64 = 16 << 20;
/// The note in snapshots.
const NOTE: &str = "for build steps";
/// Begins the names of layers in snapshots: they are unpacked, but the engine does not have them.
const UNPACKED: &str = "unpacked ";

/// The image below the first step.
pub(super) struct Image {
    /// The chain IDs of its layers, lowest first.
    pub(super) chain_ids: Vec<String>,
    /// The sizes of its layers in bytes.
    pub(super) sizes: Vec<u64>,
}

/// A VM that runs.
pub(super) struct Running {
    /// Where the program that runs steps is reached.
    pub(super) program: Listener,
    /// Whether [`Machine::save`] is to follow, once the VM has the layers.
    pub(super) is_saveable: bool,
}

/// A thread with a VM. QEMU ends with the thread that started it.
pub(super) struct Machine {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

/// The image to start a VM for, or `None` to save the VM, and where the answer goes.
type Request = (Option<Image>, Sender<Result<Running, HarnessError>>);

impl Machine {
    /// A machine with `guest`. Starts no VM yet.
    pub(super) fn new(guest: String, network: bool) -> Self {
        let (requests, received) = mpsc::channel();
        let thread = std::thread::spawn(move || serve(guest, network, &received));
        Self { requests: Some(requests), thread: Some(thread) }
    }

    /// Starts the VM.
    pub(super) fn start(&self, image: Image) -> Result<Running, HarnessError> {
        self.call(Some(image))
    }

    /// Saves the VM, which has the image's layers and has run no step, and starts it again.
    pub(super) fn save(&self) -> Result<Running, HarnessError> {
        self.call(None)
    }

    fn call(&self, image: Option<Image>) -> Result<Running, HarnessError> {
        let (sender, answer) = mpsc::channel();
        let sent = self.requests.as_ref().and_then(|requests| requests.send((image, sender)).ok());
        let answer = sent.and_then(|()| answer.recv().ok());
        answer.unwrap_or_else(|| Err(ArchiveError::WorkerLost.into()))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Starts and saves the VM as `requests` say, and ends it when their sender is dropped.
fn serve(guest: String, network: bool, requests: &Receiver<Request>) {
    let egress = if network { Egress::Network } else { Egress::None };
    let options = Options { egress, ..Options::default() };
    let mut vm = StepVm { guest, options, daemon: None, saving: None };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        // The senders of answers are dropped, which is an error for who waits.
        Err(_) => return,
    };
    for (image, answer) in requests {
        let result = runtime.block_on(async {
            match image {
                Some(image) => vm.start(image).await,
                None => vm.save().await,
            }
        });
        let _ = answer.send(result);
    }
    let entered = runtime.enter();
    drop(vm);
    drop(entered);
    runtime.shutdown_background();
}

/// The VM, once it was started.
struct StepVm {
    guest: String,
    options: Options,
    daemon: Option<Daemon>,
    /// The layers that the VM is saved with, and the snapshot that it was restored from.
    saving: Option<(Guest, Vec<String>, Option<LayeredSnapshot>)>,
}

impl StepVm {
    async fn start(&mut self, image: Image) -> Result<Running, HarnessError> {
        // Starting the VM makes the plain snapshot, if it needs one.
        let only_assemble = PrepareOptions { snapshot: false, ..PrepareOptions::default() };
        let guest = prepare(&self.guest, &only_assemble, &mut |_| ()).await?;
        let unpacked = |chain_id: &String| format!("{UNPACKED}{chain_id}");
        let layers: Vec<String> = image.chain_ids.iter().map(unpacked).collect();
        let found = layered::find(&guest, self.options.accelerator, &layers).await?;
        let (from, present) = found.map_or((None, 0), |(from, count)| (Some(from), count));
        let is_saveable = image.sizes.iter().skip(present).sum::<u64>() >= SAVE_SIZE;
        let program = self.restore(&guest, from.clone(), is_saveable).await?;
        self.saving = is_saveable.then_some((guest, layers, from));
        Ok(Running { program, is_saveable })
    }

    async fn save(&mut self) -> Result<Running, HarnessError> {
        let lost = || HarnessError::from(ArchiveError::WorkerLost);
        let daemon = self.daemon.take().ok_or_else(lost)?;
        let (guest, layers, from) = self.saving.take().ok_or_else(lost)?;
        // Without a snapshot, on a full disk for example, the step runs as well.
        let saved = daemon.save(&guest, &layers, NOTE).await.ok();
        let program = self.restore(&guest, saved.or(from), false).await?;
        Ok(Running { program, is_saveable: false })
    }

    /// Restores the VM, and starts the program that runs steps in it.
    async fn restore(
        &mut self,
        guest: &Guest,
        from: Option<LayeredSnapshot>,
        saveable: bool,
    ) -> Result<Listener, HarnessError> {
        let layered = Layered { from, saveable };
        let daemon = Daemon::start_layered(guest, &self.options, OwnVms::Stay, &layered).await?;
        let folder = format!("{}/{}", guest.definition.family.store, program::FOLDER);
        let vm = self.daemon.insert(daemon).vm();
        Ok(vm.start_listener("steps", program::SOURCE, &[&folder]).await?)
    }
}
