//! From a guest to a machine whose engine is ready: restored from a template, or booted.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::readiness::{self, Condition, NotReady, ProbeFuture};
use crate::engine::{Cri, Docker, Engine, Timeline};
use crate::errors::chain;
use crate::vm::VmError;
use crate::vm::guest::Guest;
use crate::vm::guest::changes::GuestChanges;
use crate::vm::guest::family::Api;
use crate::vm::instance::Vm;
use crate::vm::instance::accelerator::{self, AcceleratorChoice};
use crate::vm::instance::snapshot::Snapshot;
use crate::vm::instance::vm::Boot;
use crate::vm::pool::slots::{self, VmSlot};

/// How a machine is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which accelerator.
    pub accelerator: AcceleratorChoice,
    /// Whether the guest may reach the network.
    pub egress: bool,
    /// Boot the machine rather than restore it from a template.
    pub cold: bool,
    /// Start it at once, however many run already.
    pub skip_slot_queue: bool,
    /// How long it may take until the engine is ready, in the place of the limits that suit an emulated CPU.
    pub timeout: Option<Duration>,
    /// More for the kernel's command line. A machine that has it is booted.
    pub kernel_arguments: String,
    /// What is changed in the guest's root. A machine that has any of it is booted.
    pub changes: GuestChanges,
}

impl Options {
    /// Whether the machine is restored from a template.
    pub fn restores(&self) -> bool {
        !self.cold && self.kernel_arguments.is_empty() && self.changes == GuestChanges::default()
    }
}

/// A machine whose engine is ready. Dropped, it is gone.
#[derive(Debug)]
pub struct ReadyVm {
    /// The machine.
    pub vm: Vm,
    /// Its engine.
    pub engine: Engine,
    /// What was true when, from QEMU's start to ready.
    pub timeline: Timeline,
    /// Why the machine was booted although it should have been restored.
    pub fallback: Option<String>,
    #[allow(dead_code)] // held for as long as the machine runs
    pub(in crate::vm) turn: Option<VmSlot>,
}

/// How long a booted machine may take until its engine is ready: three times what stock Debian takes under
/// emulation.
const BOOT: Duration = Duration::from_secs(120);
/// How long a restored one may.
const RESTORE: Duration = Duration::from_secs(30);
/// How long the guest may take over an answer of its own.
const ANSWER: Duration = Duration::from_secs(2);

/// Starts a machine of `guest` and waits until its engine is ready.
///
/// # Errors
/// When it does not start or its engine does not get ready. What the guest says of that comes with the error.
pub async fn start(guest: &Guest, options: &Options) -> Result<ReadyVm, VmError> {
    let turn = match options.skip_slot_queue {
        true => None,
        false => Some(slots::acquire(guest.definition.family.memory_mib).await?),
    };
    let single_thread =
        turn.as_ref().is_some_and(|turn| turn.single_thread(guest.definition.family.cpus));
    let accelerator = accelerator::choose(options.accelerator, guest).await?;
    let mut fallback = None;
    if options.restores() {
        let restored = async {
            let template = Snapshot::get(guest, accelerator, single_thread, as_template).await?;
            let own = from_template(guest, &template, options, single_thread).await;
            own.inspect_err(|_| template.discard())
        };
        match restored.await {
            Ok((machine, engine, timeline)) => {
                return Ok(ReadyVm { vm: machine, engine, timeline, fallback, turn });
            }
            Err(error) => fallback = Some(chain(&error)),
        }
    }
    let Options { egress, kernel_arguments: arguments, changes, .. } = options;
    let boot = Boot { egress: *egress, single_thread, arguments, ram: None, overlay: changes };
    let machine = Vm::boot(guest, accelerator, boot)?;
    let (engine, timeline) = booted(&machine, options.timeout.unwrap_or(BOOT)).await?;
    Ok(ReadyVm { vm: machine, engine, timeline, fallback, turn })
}

async fn from_template(
    guest: &Guest,
    template: &Snapshot,
    options: &Options,
    single_thread: bool,
) -> Result<(Vm, Engine, Timeline), VmError> {
    let machine = Vm::restore(guest, template, options.egress, single_thread).await?;
    let (engine, timeline) = restored(&machine, options.timeout.unwrap_or(RESTORE)).await?;
    Ok((machine, engine, timeline))
}

/// Makes the template for machines of `guest`, where there is none yet.
///
/// # Errors
/// When its machine does not get ready or cannot be saved.
pub async fn make_snapshot(guest: &Guest, wish: AcceleratorChoice) -> Result<Snapshot, VmError> {
    let accelerator = accelerator::choose(wish, guest).await?;
    Snapshot::get(guest, accelerator, false, as_template).await
}

/// Waits until a machine is as its template is to be.
async fn as_template(machine: &Vm) -> Result<(), VmError> {
    let (engine, _) = booted(machine, BOOT).await?;
    // Machines restored from it find the code for this translated for the first time, and in the disk's cache.
    engine.version().await?;
    Ok(())
}

/// Waits for a machine that was booted.
async fn booted(machine: &Vm, within: Duration) -> Result<(Engine, Timeline), VmError> {
    let limit = Duration::from_secs(60);
    let up = [
        kernel_speaks(machine, limit),
        guest_answers(machine, limit),
        agent_answers(machine, limit),
        socket_listens(machine, limit),
    ];
    let mut timeline = Timeline::new(machine.started());
    met(machine, &up, &mut timeline, within).await?;
    let left = within.saturating_sub(machine.started().elapsed());
    wait_for_engine(machine, timeline, limit.min(left)).await
}

/// Makes a machine that was restored its own, and waits for it.
async fn restored(machine: &Vm, within: Duration) -> Result<(Engine, Timeline), VmError> {
    let mut timeline = Timeline::new(machine.started());
    timeline.add("the template is restored", None);
    let own = condition("seed and clock are its own", Duration::from_secs(10), move || {
        Box::pin(async { machine.wake(ANSWER).await.map(Some).map_err(|e| chain(&e)) })
    });
    met(machine, &[own], &mut timeline, within).await?;
    wait_for_engine(machine, timeline, Duration::from_secs(20).min(within)).await
}

/// Waits for the engine of a machine that is up. It is asked from inside the guest, at its own socket: that costs an
/// emulated CPU far less than the first connection over TLS, and the answer says which API it speaks.
pub(in crate::vm) async fn wait_for_engine(
    machine: &Vm,
    mut timeline: Timeline,
    within: Duration,
) -> Result<(Engine, Timeline), VmError> {
    let newest = Mutex::new(None);
    let answers = condition(ANSWERS, within, || {
        Box::pin(async {
            let (uptime, api) = machine.engine(1).await.map_err(|e| chain(&e))?;
            *newest.lock().unwrap_or_else(PoisonError::into_inner) = api;
            Ok(Some(uptime))
        })
    });
    let began = Instant::now();
    met(machine, &[answers], &mut timeline, within).await?;
    let newest = newest.into_inner().unwrap_or_else(PoisonError::into_inner);
    match machine.family().api {
        Api::Docker => {
            let docker = Docker::over_tls(machine.port(), machine.folder(), newest)?;
            Ok((Engine::Docker(docker), timeline))
        }
        Api::Cri => {
            let cri = Cri::over_tls(machine.port(), machine.folder())?;
            let left = within.saturating_sub(began.elapsed());
            met(machine, &[node_ready(machine, &cri, left)], &mut timeline, left).await?;
            Ok((Engine::Cri(cri), timeline))
        }
    }
}

/// A kubelet would give it pods.
fn node_ready<'a>(machine: &'a Vm, cri: &'a Cri, limit: Duration) -> Condition<'a> {
    condition("runtime and network are ready", limit, move || {
        Box::pin(async {
            cri.ready().await.map_err(|e| chain(&e))?;
            machine.uptime().await.map(Some).map_err(|e| chain(&e))
        })
    })
}

/// What is noted when an engine is ready: it says OK, and what it depends on accepts.
const ANSWERS: &str = "/_ping says OK, what it needs accepts";

async fn met(
    machine: &Vm,
    conditions: &[Condition<'_>],
    timeline: &mut Timeline,
    limit: Duration,
) -> Result<(), VmError> {
    let wait = async {
        match readiness::wait(conditions, timeline, limit).await {
            Ok(()) => Ok(()),
            Err(cause) => Err(with_report(machine, cause).await),
        }
    };
    machine.or_exit(wait).await
}

fn condition<'a>(
    name: &'static str,
    limit: Duration,
    probe: impl Fn() -> ProbeFuture<'a> + Send + Sync + 'a,
) -> Condition<'a> {
    Condition { name, limit, probe: Box::new(probe) }
}

fn kernel_speaks(machine: &Vm, limit: Duration) -> Condition<'_> {
    condition("the kernel speaks", limit, move || {
        Box::pin(async {
            let size =
                std::fs::metadata(machine.console_file()).map_or(0, |metadata| metadata.len());
            if size > 0 { Ok(None) } else { Err("nothing on the console".to_owned()) }
        })
    })
}

fn guest_answers(machine: &Vm, limit: Duration) -> Condition<'_> {
    condition("the guest answers", limit, move || {
        Box::pin(async { machine.uptime().await.map(Some).map_err(|e| chain(&e)) })
    })
}

fn agent_answers(machine: &Vm, limit: Duration) -> Condition<'_> {
    condition("the guest agent answers", limit, move || {
        Box::pin(async { machine.agent(ANSWER).await.map(|_| None).map_err(|e| chain(&e)) })
    })
}

/// The guest's socket, that is: the host's port accepts before there is a guest.
fn socket_listens(machine: &Vm, limit: Duration) -> Condition<'_> {
    condition("the API's socket listens", limit, move || {
        Box::pin(async {
            let mut agent = machine.agent(ANSWER).await.map_err(|e| chain(&e))?;
            let sockets = agent.read_file("/proc/net/tcp6").await.map_err(|e| chain(&e))?;
            if listens(&sockets, API_PORT) {
                Ok(None)
            } else {
                Err("nothing listens there".to_owned())
            }
        })
    })
}

/// The guest's port for the API.
const API_PORT: u16 = 2376;

/// Whether a table of sockets (proc(5), `/proc/net/tcp6`) has one that listens on `port`.
fn listens(table: &str, port: u16) -> bool {
    let ending = format!(":{port:04X}");
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&ending)) && fields.nth(1) == Some("0A")
    })
}

/// What the guest says of an engine that did not get ready.
async fn with_report(machine: &Vm, cause: NotReady) -> VmError {
    let units = machine.family().units.join(" ");
    let script = format!(
        "systemctl --no-pager --full status {units}; journalctl --no-pager -n 40 -o short-monotonic"
    );
    let limit = Duration::from_secs(20);
    let asked = async { machine.agent(limit).await?.run("/bin/sh", &["-c", &script], limit).await };
    let guest = match asked.await {
        Ok(output) => output.stdout,
        Err(error) => format!("the guest cannot be asked: {}", chain(&error)),
    };
    let report = format!("{guest}\nthe console's last lines:\n{}", machine.console(20));
    VmError::NotReady { cause: Box::new(cause), report }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_listens_only_in_its_own_state_and_on_its_own_port() {
        let table = "  sl  local_address                         remote_address                        st tx_queue\n   \
                     0: 00000000000000000000000000000000:0948 00000000000000000000000000000000:0000 0A 00000000:0\n   \
                     1: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 01 00000000:0\n";
        assert!(listens(table, 2376));
        assert!(!listens(table, 22), "that one is connected");
        assert!(!listens(table, 80));
    }
}
