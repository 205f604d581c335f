//! Paused VMs: a VM that is saved before its engine starts and resumed as often as needed. So the
//! start of an engine can be observed from its first moment, each time from the same state, without
//! booting again.
//!
//! A systemd unit pauses the boot. Everything ordered after `sysinit.target` waits for it: sockets,
//! containerd, the engine. The guest agent and the wake program start before it.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::engine::{Engine, Timeline};
use crate::vm::VmError;
use crate::vm::folders::VmFolder;
use crate::vm::guest::Family;
use crate::vm::guest::Guest;
use crate::vm::guest::changes::GuestChanges;
use crate::vm::instance::Vm;
use crate::vm::instance::accelerator::{self, AcceleratorChoice};
use crate::vm::instance::qemu_args::Network;
use crate::vm::instance::snapshot::Snapshot;
use crate::vm::pool::ReadyVm;
use crate::vm::pool::readiness;
use crate::vm::pool::slots::{self, OwnVms, VmSlot};

/// A VM that was saved before its engine starts.
#[derive(Debug)]
pub struct PausedVm {
    guest: Guest,
    snapshot: Snapshot,
    #[allow(dead_code)] // contains the snapshot
    folder: VmFolder,
}

/// A VM that continues from a paused VM. It ends when it is dropped.
#[derive(Debug)]
pub struct ResumedVm {
    /// The VM.
    pub vm: Vm,
    /// When its engine was allowed to start.
    pub resumed_at: Instant,
    /// The guest's uptime at that moment.
    pub guest_uptime: Duration,
    #[allow(dead_code)] // keeps the slot while the VM runs
    slot: VmSlot,
}

/// The pipe on which the boot waits.
const PIPE: &str = "/run/seatrial-hold";
/// The unit that pauses the boot.
const UNIT: &str = "[Unit]\nDescription=Pauses the boot before sysinit.target\n\
                    DefaultDependencies=no\nBefore=sysinit.target\n\
                    [Service]\nType=oneshot\nRemainAfterExit=yes\n\
                    ExecStartPre=/usr/bin/mkfifo /run/seatrial-hold\n\
                    ExecStart=/bin/sh -c 'read go </run/seatrial-hold'\n";
/// How long a guest may boot until it pauses.
const BOOT_TIMEOUT: Duration = Duration::from_secs(90);
/// How long the guest may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The number of lines of the console in errors.
const CONSOLE_LINES: usize = 20;

impl PausedVm {
    /// Boots a VM of `guest` with `changes` until it pauses, and saves it.
    ///
    /// # Errors
    /// If it cannot be booted, does not pause, or cannot be saved.
    pub async fn boot(
        guest: &Guest,
        accelerator: AcceleratorChoice,
        mut changes: GuestChanges,
    ) -> Result<Self, VmError> {
        changes.add_file("etc/systemd/system/seatrial-hold.service", UNIT);
        let wants = "[Unit]\nWants=seatrial-hold.service\n";
        changes.add_file("etc/systemd/system/sysinit.target.d/seatrial-hold.conf", wants);
        let slot = slots::acquire(guest.definition.family.memory_mib, OwnVms::Stay).await?;
        let single_thread = slot.single_thread(guest.definition.family.cpus);
        let accelerator = accelerator::choose(accelerator, guest).await?;
        // Its lock file in the snapshot's folder does no harm.
        let folder = VmFolder::create()?;
        let paused = async |vm: &Vm| vm.or_exit(wait_until_paused(vm)).await;
        let path = folder.path();
        let snapshot =
            Snapshot::create(guest, accelerator, single_thread, &changes, path, paused).await?;
        Ok(Self { guest: guest.clone(), snapshot, folder })
    }

    /// Returns the family of the engine.
    pub fn family(&self) -> &Family {
        &self.guest.definition.family
    }

    /// Restores a VM and lets its engine start.
    ///
    /// # Errors
    /// If it cannot be restored, or does not answer.
    pub async fn resume(&self) -> Result<ResumedVm, VmError> {
        let slot = slots::acquire(self.family().memory_mib, OwnVms::Stay).await?;
        let single_thread = slot.single_thread(self.family().cpus);
        let saved = self.snapshot.saved_state();
        let vm = Vm::restore(&self.guest, &saved, Network::default(), single_thread, false).await?;
        let resumed = async {
            vm.reseed_and_set_clock(ANSWER_TIMEOUT).await?;
            let mut agent = vm.agent(ANSWER_TIMEOUT).await?;
            let (resumed_at, guest_uptime) = (Instant::now(), vm.uptime().await?);
            let resume = format!("echo go >{PIPE}");
            agent.run("/bin/sh", &["-c", &resume], ANSWER_TIMEOUT).await?;
            Ok((resumed_at, guest_uptime))
        };
        let (resumed_at, guest_uptime) = vm.or_exit(resumed).await?;
        Ok(ResumedVm { vm, resumed_at, guest_uptime, slot })
    }
}

/// Waits until a VM that boots has paused.
async fn wait_until_paused(vm: &Vm) -> Result<(), VmError> {
    let deadline = vm.clock().now() + BOOT_TIMEOUT;
    let test = ["-p", PIPE];
    loop {
        let test =
            async { vm.agent(ANSWER_TIMEOUT).await?.run("test", &test, ANSWER_TIMEOUT).await };
        let problem = match test.await {
            Ok(output) if output.success() => return Ok(()),
            Ok(_) => "seatrial-hold.service has not started".to_owned(),
            Err(error) => crate::text::errors::chain(&error),
        };
        if vm.clock().now() >= deadline {
            let console = vm.console_tail(CONSOLE_LINES);
            return Err(VmError::Command {
                peer: "the guest",
                command: "seatrial-hold.service".to_owned(),
                problem: format!("{problem}\nlast lines of the console:\n{console}"),
            });
        }
        sleep(POLL_INTERVAL).await;
    }
}

impl ResumedVm {
    /// Waits up to `timeout` until the engine is ready.
    ///
    /// # Errors
    /// If the engine does not become ready; the error contains the state of the guest.
    pub async fn ready(&self, timeout: Duration) -> Result<(Engine, Timeline), VmError> {
        readiness::wait_for_engine(&self.vm, Timeline::new(self.resumed_at), timeout).await
    }

    /// Waits up to `timeout` until the engine is ready, and returns the VM with its engine.
    ///
    /// # Errors
    /// If the engine does not become ready; the error contains the state of the guest.
    pub async fn into_ready(self, timeout: Duration) -> Result<ReadyVm, VmError> {
        let (engine, timeline) = self.ready(timeout).await?;
        let Self { vm, slot, .. } = self;
        Ok(ReadyVm { vm, engine, timeline, fallback: None, slot: Some(slot) })
    }
}
