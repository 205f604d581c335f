//! Runs steps of recipes as root in a VM.
//!
//! A program in the guest unpacks the layers below a step and lays them on each other with
//! overlayfs. The step's command has namespaces of its own there, so that nothing of it remains,
//! and only its changes come back. No container engine is involved: starting a container takes an
//! emulated CPU seconds.
//!
//! The VM stays for further steps, which need only the layers that are new. It ends with the
//! runner. Large images are kept in snapshots, from which the VM of the next build is restored.

mod failure;
mod inputs;
mod machine;
mod program;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use self::failure::vm_error;
use self::machine::{Image, Machine, Running};
use self::program::{Ended, Program};
use super::HarnessError;
use crate::build::StepSettings;
use crate::image::{DiffId, Digest, digest};
use crate::steps::{
    ChangesReader, LowerLayer, Output, OverlayFormat, RecordedOwners, Runner, Step, StepError,
    View, exit_status,
};
use crate::vm::Definition;
use crate::vm::pool::Task;

/// Runs steps in VMs.
pub struct VmSteps {
    guest: String,
    architecture: String,
    /// The task that waits for the steps.
    task: Task,
    state: Mutex<Option<Started>>,
}

/// A VM, and the program in it.
struct Started {
    program: Program,
    /// Whether the VM reaches the network.
    network: bool,
    machine: Machine,
}

/// The guest in which steps run, for images of the host's architecture.
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
        let (architecture, task) = (architecture.to_owned(), Task::current());
        Self { guest, architecture, task, state: Mutex::new(None) }
    }

    /// Lets steps with `where = "vm"` run in VMs.
    pub(crate) fn settings(settings: StepSettings) -> StepSettings {
        Self::settings_of(Task::current(), settings)
    }

    /// Like [`settings`](Self::settings), if another task waits for the steps than the one that
    /// calls this.
    pub(crate) fn settings_of(task: Task, settings: StepSettings) -> StepSettings {
        settings.with_vms(move |architecture| Arc::new(Self { task, ..Self::new(architecture) }))
    }

    /// Checks that `step` can run in a VM.
    fn check(&self, step: &Step) -> Result<(), StepError> {
        let problem = if step.view == View::TopLayer {
            "commands that change a layer do not run in a VM".to_owned()
        } else if !Definition::all_names().any(|name| name == self.guest) {
            format!(
                "the image is for {}, and where = \"vm\" has VMs for amd64 and arm64 only",
                self.architecture
            )
        } else {
            return Ok(());
        };
        Err(StepError::Invalid { step: step.title(), problem })
    }

    /// Starts a VM, and saves it with the layers if it needed many of them.
    fn start(
        &self,
        network: bool,
        layers: &[LowerLayer<'_>],
        output: &Output<'_>,
    ) -> Result<Started, StepError> {
        output.status(&format!("starting {}", self.guest));
        let failed = |error: HarnessError| vm_error(&self.guest, error);
        let machine = Machine::new(self.guest.clone(), network, self.task);
        let diff_ids: Vec<DiffId> = layers.iter().map(|layer| layer.diff_id).collect();
        let sizes = layers.iter().map(|layer| Ok((layer.open)()?.len()));
        let sizes = sizes.collect::<Result<Vec<u64>, StepError>>()?;
        let image = Image { chain_ids: digest::chain_ids(&diff_ids), sizes };
        let running = machine.start(image).map_err(failed)?;
        let connect = |running: &Running| {
            let connected = Program::connect(&self.guest, &running.program);
            connected.map_err(|error| self.explain(error, &machine))
        };
        let mut program = connect(&running)?;
        if running.is_saveable {
            let sent = send_missing(&mut program, layers, output);
            sent.map_err(|error| self.explain(error, &machine))?;
            drop(program);
            output.status("saving a snapshot with the layers");
            program = connect(&machine.save().map_err(failed)?)?;
        }
        Ok(Started { program, network, machine })
    }

    /// Replaces `error` by the reason why the VM has ended, if it has, because that is the cause.
    fn explain(&self, error: StepError, machine: &Machine) -> StepError {
        let is_result = matches!(
            error,
            StepError::Failed { .. } | StepError::Invalid { .. } | StepError::Timeout { .. }
        );
        let failure = if is_result { None } else { machine.failure() };
        failure.map_or(error, |failure| vm_error(&self.guest, failure))
    }
}

impl Runner for VmSteps {
    fn identity(&self) -> Result<String, StepError> {
        let program = Digest::of(program::SOURCE.as_bytes());
        Ok(match Definition::named(&self.guest) {
            Ok(definition) => format!("vm {} {} {program}", self.guest, definition.identity()),
            // Running it is an error.
            Err(_) => format!("vm {}", self.guest),
        })
    }

    fn run(
        &self,
        layers: &[LowerLayer<'_>],
        step: &Step,
        output: &mut Output<'_>,
        changes: &mut ChangesReader<'_>,
    ) -> Result<(), StepError> {
        self.check(step)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // A VM without the network cannot get it later, and one with it must not be used without.
        let usable = state.take().filter(|started| started.network == step.network);
        let mut started = match usable {
            Some(started) => started,
            None => self.start(step.network, layers, output)?,
        };
        let ran = run(&mut started.program, layers, step, output, changes);
        ran.map_err(|error| self.explain(error, &started.machine))?;
        // After an error, the VM is not used again.
        *state = Some(started);
        Ok(())
    }
}

/// Runs a step in a VM.
fn run(
    program: &mut Program,
    layers: &[LowerLayer<'_>],
    step: &Step,
    output: &mut Output<'_>,
    changes: &mut ChangesReader<'_>,
) -> Result<(), StepError> {
    send_missing(program, layers, output)?;
    let names: Vec<String> = layers.iter().map(name).collect();
    // Starting the VM and sending layers have time limits of their own.
    program.start(step, &names)?;
    let title = step.title();
    match program.wait(output, Instant::now() + step.timeout)? {
        Ended::Exit(0) => {}
        Ended::Exit(code) => {
            let (status, output) = (exit_status(code), output.last_lines());
            return Err(StepError::failed(step, status, output));
        }
        Ended::NotStarted(problem) => {
            let problem = format!("it does not start: {problem}");
            return Err(StepError::Invalid { step: title, problem });
        }
        Ended::Timeout => {
            let (limit, output) = (step.timeout, output.last_lines());
            return Err(StepError::Timeout { step: title, limit, output });
        }
    }
    program.changes(|tar| changes(tar, OverlayFormat::Trusted, RecordedOwners::default()))
}

/// Sends the layers that the guest does not have.
fn send_missing(
    program: &mut Program,
    layers: &[LowerLayer<'_>],
    output: &Output<'_>,
) -> Result<(), StepError> {
    let names: Vec<String> = layers.iter().map(name).collect();
    let mut missing = program.missing(&names)?;
    for layer in layers {
        let name = name(layer);
        // The same layer may be there twice.
        if missing.remove(&name) {
            output.status(&format!("sending layer {}", &name[..12]));
            program.unpack(&name, &(layer.open)()?)?;
        }
    }
    Ok(())
}

/// The name of an unpacked layer in the guest.
fn name(layer: &LowerLayer<'_>) -> String {
    layer.diff_id.0.hex()
}
