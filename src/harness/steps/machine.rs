//! The VM of steps, and the thread that it belongs to.
//!
//! A VM is restored from the snapshot that has the most of the image's layers. If much is missing
//! there, it gets that first, and is saved as a further snapshot before a step runs.

use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::archive::ArchiveError;
use crate::harness::{Daemon, HarnessError};
use crate::vm::instance::Listener;
use crate::vm::pool::{Layered, LayeredSnapshot, OwnVms, PrepareOptions, Task, layered, prepare};
use crate::vm::{Egress, Guest, Options, VmError};

use super::program;

/// The size of missing layers in bytes from which a VM is saved with them: sending that much takes
/// about as long as saving.
const SAVE_SIZE: u64 = 16 << 20;
/// The note in snapshots.
const NOTE: &str = "for build steps";
/// Begins the names of layers in snapshots: they are unpacked, but the engine does not have them.
const UNPACKED: &str = "unpacked ";
/// The time in which the end of a VM is noticed after its connections have closed.
const EXIT_NOTICE_TIMEOUT: Duration = Duration::from_secs(2);

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
    requests: Option<UnboundedSender<Request>>,
    thread: Option<JoinHandle<()>>,
}

/// A request to the thread, and where the answer goes.
enum Request {
    Start(Image, Sender<Result<Running, HarnessError>>),
    Save(Sender<Result<Running, HarnessError>>),
    Failure(Sender<Option<VmError>>),
}

impl Machine {
    /// A machine with `guest`, whose steps `task` waits for. Starts no VM yet.
    pub(super) fn new(guest: String, network: bool, task: Task) -> Self {
        let egress = if network { Egress::Network } else { Egress::None };
        let options = Options { egress: Some(egress), ..Options::default() };
        let vm = StepVm { guest, options, task, daemon: None, saving: None, failure: None };
        let (requests, received) = unbounded_channel();
        let thread = std::thread::spawn(move || serve(vm, received));
        Self { requests: Some(requests), thread: Some(thread) }
    }

    /// Starts the VM.
    pub(super) fn start(&self, image: Image) -> Result<Running, HarnessError> {
        let started = self.call(|answer| Request::Start(image, answer));
        started.unwrap_or_else(|| Err(ArchiveError::WorkerLost.into()))
    }

    /// Saves the VM, which has the image's layers and has run no step, and starts it again.
    pub(super) fn save(&self) -> Result<Running, HarnessError> {
        let started = self.call(Request::Save);
        started.unwrap_or_else(|| Err(ArchiveError::WorkerLost.into()))
    }

    /// Returns the reason why the VM has ended, if it has, and not because it was shut down.
    pub(super) fn failure(&self) -> Option<VmError> {
        self.call(Request::Failure).flatten()
    }

    fn call<T>(&self, request: impl FnOnce(Sender<T>) -> Request) -> Option<T> {
        let (sender, answer) = mpsc::channel();
        self.requests.as_ref()?.send(request(sender)).ok()?;
        answer.recv().ok()
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
fn serve(mut vm: StepVm, mut requests: UnboundedReceiver<Request>) {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        // The senders of answers are dropped, which is an error for who waits.
        Err(_) => return,
    };
    runtime.block_on(async {
        while let Some(request) = vm.next(&mut requests).await {
            // If nobody waits for the answer any more, the next request does not come.
            let _ = match request {
                Request::Start(image, answer) => answer.send(vm.start(image).await).ok(),
                Request::Save(answer) => answer.send(vm.save().await).ok(),
                Request::Failure(answer) => answer.send(vm.failure().await).ok(),
            };
        }
    });
    let entered = runtime.enter();
    drop(vm);
    drop(entered);
    runtime.shutdown_background();
}

/// The VM, once it was started.
struct StepVm {
    guest: String,
    options: Options,
    /// The task that waits for the steps.
    task: Task,
    daemon: Option<Daemon>,
    /// The reason why the VM has ended.
    failure: Option<VmError>,
    /// The layers that the VM is saved with, and the snapshot that it was restored from.
    saving: Option<(Guest, Vec<String>, Option<LayeredSnapshot>)>,
}

impl StepVm {
    /// Returns the next request. If the VM fails meanwhile, ends it, which closes the connection to
    /// the program in the guest.
    async fn next(&mut self, requests: &mut UnboundedReceiver<Request>) -> Option<Request> {
        if let Some(daemon) = &self.daemon {
            tokio::select! {
                biased;
                request = requests.recv() => return request,
                failure = daemon.vm().wait_for_exit() => self.failure = Some(failure),
            }
            self.daemon = None;
        }
        requests.recv().await
    }

    /// Returns the reason why the VM has ended, or ends within a moment. A VM that was shut down
    /// has not failed: the step did that.
    async fn failure(&mut self) -> Option<VmError> {
        let failure = match (self.failure.take(), &self.daemon) {
            (None, Some(daemon)) => {
                timeout(EXIT_NOTICE_TIMEOUT, daemon.vm().wait_for_exit()).await.ok()
            }
            (failure, _) => failure,
        };
        failure.filter(|failure| !failure.is_shutdown())
    }

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
        let Some(daemon) = self.daemon.take() else {
            return Err(self.failure.take().map_or_else(lost, HarnessError::Vm));
        };
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
        let (layered, own) = (Layered { from, saveable }, OwnVms::StayFor(self.task));
        let daemon = Daemon::start_layered(guest, &self.options, own, &layered).await?;
        let folder = format!("{}/{}", guest.definition.family.store, program::FOLDER);
        let vm = self.daemon.insert(daemon).vm();
        Ok(vm.start_listener("steps", program::SOURCE, &[&folder]).await?)
    }
}
