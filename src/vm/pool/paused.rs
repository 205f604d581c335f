//! Machines that are held before anything of their engine starts, and let go as often as one likes: what happens when
//! an engine starts can then be watched from its first moment, every time from the same state, without a boot.
//!
//! The hold is a unit of systemd's that everything after `sysinit.target` waits for: sockets, containerd, the engine.
//! The guest agent and the program that makes a machine its own come before it.

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
use crate::vm::instance::snapshot::Snapshot;
use crate::vm::pool::ReadyVm;
use crate::vm::pool::slots::{self, VmSlot};
use crate::vm::pool::start;

/// A machine that was booted up to the hold and saved there.
#[derive(Debug)]
pub struct PausedVm {
    guest: Guest,
    template: Snapshot,
    #[allow(dead_code)] // the template lies in it
    folder: VmFolder,
}

/// A machine that was let go. Dropped, it is gone.
#[derive(Debug)]
pub struct ResumedVm {
    /// The machine.
    pub vm: Vm,
    /// When it was let go.
    pub resumed_at: Instant,
    /// What its monotonic clock said then.
    pub guest_uptime: Duration,
    #[allow(dead_code)] // held for as long as the machine runs
    turn: VmSlot,
}

/// What holds a machine, and what it waits for.
const UNIT: &str = "[Unit]\nDescription=Holds everything back that comes after sysinit.target\n\
                    DefaultDependencies=no\nBefore=sysinit.target\n\
                    [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStartPre=/usr/bin/mkfifo /run/seatrial-hold\n\
                    ExecStart=/bin/sh -c 'read go </run/seatrial-hold'\n";
/// How long a guest may take to its hold, and over an answer.
const BOOT: Duration = Duration::from_secs(90);
const ANSWER: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

impl PausedVm {
    /// Boots a machine of `guest` with `overlay` up to its hold.
    ///
    /// # Errors
    /// When it cannot be booted, or does not get there.
    pub async fn boot(
        guest: &Guest,
        wish: AcceleratorChoice,
        mut overlay: GuestChanges,
    ) -> Result<Self, VmError> {
        overlay.add_file("etc/systemd/system/seatrial-hold.service", UNIT);
        let wants = "[Unit]\nWants=seatrial-hold.service\n";
        overlay.add_file("etc/systemd/system/sysinit.target.d/seatrial-hold.conf", wants);
        let turn = slots::acquire(guest.definition.family.memory_mib).await?;
        let accelerator = accelerator::choose(wish, guest).await?;
        let folder = VmFolder::make()?;
        let held = async |machine: &Vm| machine.or_exit(holds(machine)).await;
        let single_thread = turn.single_thread(guest.definition.family.cpus);
        // The lock of the folder is no part of the template, and harms nothing in it.
        let template =
            Snapshot::make(guest, accelerator, single_thread, &overlay, folder.path(), held)
                .await?;
        Ok(Self { guest: guest.clone(), template, folder })
    }

    /// The engine in it.
    pub fn family(&self) -> &Family {
        &self.guest.definition.family
    }

    /// A machine of its own, as it was at the hold, that goes on from there.
    ///
    /// # Errors
    /// When it cannot be restored, or does not answer.
    pub async fn resume(&self) -> Result<ResumedVm, VmError> {
        let turn = slots::acquire(self.guest.definition.family.memory_mib).await?;
        let single_thread = turn.single_thread(self.guest.definition.family.cpus);
        let machine = Vm::restore(&self.guest, &self.template, false, single_thread).await?;
        let woken = async {
            machine.wake(ANSWER).await?;
            let mut agent = machine.agent(ANSWER).await?;
            let (began, clock) = (Instant::now(), machine.uptime().await?);
            agent.run("/bin/sh", &["-c", "echo go >/run/seatrial-hold"], ANSWER).await?;
            Ok((began, clock))
        };
        let (began, clock) = machine.or_exit(woken).await?;
        Ok(ResumedVm { vm: machine, resumed_at: began, guest_uptime: clock, turn })
    }
}

/// Waits until a machine that boots is held.
async fn holds(machine: &Vm) -> Result<(), VmError> {
    let deadline = Instant::now() + BOOT;
    let test = ["-p", "/run/seatrial-hold"];
    loop {
        let asked = async { machine.agent(ANSWER).await?.run("test", &test, ANSWER).await };
        let problem = match asked.await {
            Ok(output) if output.success() => return Ok(()),
            Ok(_) => "it has not got there".to_owned(),
            Err(error) => crate::errors::chain(&error),
        };
        if Instant::now() >= deadline {
            let problem = format!("{problem}\nthe console's last lines:\n{}", machine.console(20));
            return Err(VmError::Channel {
                peer: "the guest",
                command: "holding".to_owned(),
                problem,
            });
        }
        sleep(PAUSE).await;
    }
}

impl ResumedVm {
    /// Waits until its engine is ready, for `within` at most.
    ///
    /// # Errors
    /// When it does not get ready; what the guest says of that comes with the error.
    pub async fn ready(&self, within: Duration) -> Result<(Engine, Timeline), VmError> {
        start::wait_for_engine(&self.vm, Timeline::new(self.resumed_at), within).await
    }

    /// The machine with its ready engine.
    ///
    /// # Errors
    /// As [`ready`](Self::ready).
    pub async fn into_ready(self, within: Duration) -> Result<ReadyVm, VmError> {
        let (engine, timeline) = self.ready(within).await?;
        let Self { vm, turn, .. } = self;
        Ok(ReadyVm { vm, engine, timeline, fallback: None, turn: Some(turn) })
    }
}
