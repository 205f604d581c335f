//! Runs steps of recipes as root in a VM.
//!
//! The image so far is loaded into a Docker engine in a VM, the command runs in a privileged
//! container, and only its changes come back: overlayfs collects them in a folder of the engine.
//! The VM stays for further steps, which need only the layers that are new. It ends with the
//! runner. Large images are kept in snapshots, from which the VM of the next build is restored.

mod archive;
mod engine;
mod machine;
mod message;

use std::fmt;
use std::io::Seek;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;

use self::engine::Image;
use self::machine::Request;
use self::message::Message;
use crate::archive::ArchiveError;
use crate::archive::tar::TarReader;
use crate::build::Plan;
use crate::image::DiffId;
use crate::steps::{
    ChangesReader, LowerLayer, Output, OverlayFormat, Runner, Step, StepError, View,
};
use crate::vm::Definition;

/// Runs steps in VMs.
pub struct VmSteps {
    guest: String,
    architecture: String,
    state: Mutex<Option<Started>>,
}

/// A thread with a VM. QEMU ends with the thread that started it.
struct Started {
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    /// Whether the VM reaches the network.
    network: bool,
}

/// The guest whose engine runs steps, for images of the host's architecture.
const GUEST: &str = "docker-28";

impl fmt::Debug for VmSteps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VmSteps").field("guest", &self.guest).finish_non_exhaustive()
    }
}

impl VmSteps {
    /// A runner for images of `architecture`, a Go name. Starts no VM yet.
    pub fn new(architecture: &str) -> Self {
        let host = crate::image::Platform::host();
        let guest = match host.arch.goarch() == architecture {
            true => GUEST.to_owned(),
            false => format!("{GUEST}-{architecture}"),
        };
        Self { guest, architecture: architecture.to_owned(), state: Mutex::new(None) }
    }

    /// Lets the steps of `plan` with `where = "vm"` run in a VM.
    pub(crate) fn for_plan(mut plan: Plan) -> Plan {
        let runner = Self::new(plan.platform().arch.goarch());
        plan.run_vm_steps_with(Arc::new(runner));
        plan
    }

    /// Loads the image below `step` and runs it. Returns the tar of its changes, within another.
    fn run_in_vm(
        &self,
        started: &Started,
        layers: &[LowerLayer<'_>],
        step: &Step,
        output: &mut Output<'_>,
    ) -> Result<std::fs::File, StepError> {
        let diff_ids: Vec<DiffId> = layers.iter().map(|layer| layer.diff_id).collect();
        let (archives, received_archives) = tokio::sync::mpsc::unbounded_channel();
        let image = Image { diff_ids, archives: received_archives };
        let inputs = archive::inputs(step)?;
        let (messages, received) = mpsc::channel();
        // Dropped at the end, or earlier with an error.
        let (_cancel, cancelled) = oneshot::channel();
        let request = Request { image, inputs, step: step.clone(), messages, cancelled };
        let lost = || StepError::Archive(ArchiveError::WorkerLost);
        let requests = started.requests.as_ref().ok_or_else(lost)?;
        requests.send(request).map_err(|_| lost())?;
        // Starting the VM and loading the image have time limits of their own.
        let mut deadline = None;
        loop {
            let received = match deadline {
                None => received.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(deadline) => received
                    .recv_timeout(Instant::saturating_duration_since(&deadline, Instant::now())),
            };
            match received {
                Ok(Message::Status(line)) => output.status(&line),
                Ok(Message::Missing { present }) => {
                    let archive = archive::image(layers, present, &self.architecture)?;
                    archives.send(archive).map_err(|_| lost())?;
                }
                Ok(Message::Begin) => deadline = Some(Instant::now() + step.timeout),
                Ok(Message::Line(line)) => output.line(&line),
                Ok(Message::Ended(0)) => deadline = None,
                Ok(Message::Ended(code)) => {
                    let status = format!("exit code {code}");
                    let output = output.last_lines();
                    return Err(StepError::Failed { step: step.title(), status, output });
                }
                Ok(Message::Done(result)) => return result,
                Err(RecvTimeoutError::Timeout) => {
                    let (step, limit) = (step.title(), step.timeout);
                    return Err(StepError::Timeout { step, limit, output: output.last_lines() });
                }
                Err(RecvTimeoutError::Disconnected) => return Err(lost()),
            }
        }
    }
}

impl Runner for VmSteps {
    fn identity(&self) -> Result<String, StepError> {
        let definition = Definition::named(&self.guest).map_err(|error| StepError::Vm {
            guest: self.guest.clone(),
            is_environment: false,
            source: Box::new(error),
        })?;
        Ok(format!("vm {} {}", self.guest, definition.identity()))
    }

    fn run(
        &self,
        layers: &[LowerLayer<'_>],
        step: &Step,
        output: &mut Output<'_>,
        changes: &mut ChangesReader<'_>,
    ) -> Result<(), StepError> {
        if step.view == View::TopLayer {
            let problem = "commands that change a layer do not run in a VM".to_owned();
            return Err(StepError::Invalid { step: step.title(), problem });
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // A VM without the network cannot get it later, and one with it must not be used without.
        let usable = state.take().filter(|started| started.network == step.network);
        let started = match usable {
            Some(started) => started,
            None => Started::new(self.guest.clone(), step.network),
        };
        let mut tar = self.run_in_vm(&started, layers, step, output)?;
        // After an error, the VM is not used again.
        *state = Some(started);
        drop(state);
        let invalid = |error: std::io::Error| {
            let problem = format!("failed to read its changes: {error}");
            StepError::Invalid { step: step.title(), problem }
        };
        let skipped = archive::mount_points(&mut tar, step).map_err(invalid)?;
        tar.rewind().map_err(ArchiveError::temporary_file)?;
        let mut outer = TarReader::new(archive::reader(&tar).map_err(invalid)?);
        outer.next_member().map_err(invalid)?;
        changes(&mut outer, OverlayFormat::Trusted, &skipped)
    }
}

impl Started {
    fn new(guest: String, network: bool) -> Self {
        let (requests, received) = mpsc::channel();
        let thread = std::thread::spawn(move || machine::serve(&guest, network, &received));
        Self { requests: Some(requests), thread: Some(thread), network }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
