//! A VM: a QEMU process with a private folder. It ends when its handle is dropped, and when this
//! process exits.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::OnceCell;

use crate::engine::{ApiVersion, Clock};
use crate::vm::VmError;
use crate::vm::folders::{VmFolder, create_file};
use crate::vm::guest::Family;
use crate::vm::guest::Guest;
use crate::vm::guest::changes::GuestChanges;
use crate::vm::instance::Accelerator;
use crate::vm::instance::Agent;
use crate::vm::instance::clock;
use crate::vm::instance::initrd;
use crate::vm::instance::parts::{RAM, SavedState, VmParts};
use crate::vm::instance::process::{Process, tail};
use crate::vm::instance::qemu_args::{self, Network, QemuOptions, RamFile};
use crate::vm::instance::qmp::Qmp;
use crate::vm::instance::relay::Relay;
use crate::vm::instance::tls;
use crate::vm::instance::wake;

/// A running VM. Dropping it removes the process, its memory, its disk and its certificates.
#[derive(Debug)]
pub struct Vm {
    // Dropped first, because the process uses the folder.
    pub(super) process: Process,
    folder: VmFolder,
    port: u16,
    accelerator: Accelerator,
    family: Family,
    started: Instant,
    clock: Clock,
    /// The program that carries connections to containers, once it was started.
    pub(super) relay: Arc<OnceCell<Relay>>,
}

/// How long the guest may take to answer, even if it is slow.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How a VM boots.
#[derive(Clone, Copy, Debug)]
pub(in crate::vm) struct BootOptions<'a> {
    /// The network.
    pub(in crate::vm) network: Network<'a>,
    /// Whether one thread emulates all CPUs.
    pub(in crate::vm) single_thread: bool,
    /// Arguments that are added to the kernel's command line.
    pub(in crate::vm) kernel_arguments: &'a str,
    /// The file for the VM's memory, if it will be saved.
    pub(in crate::vm) ram: Option<&'a Path>,
    /// Changes to the guest's root.
    pub(in crate::vm) changes: &'a GuestChanges,
    /// The size of the scratch disk in GiB, if it is not the default.
    pub(in crate::vm) disk_gib: Option<u32>,
}

impl Vm {
    /// Boots a VM of `guest`, without waiting for anything in it; that is what
    /// [`start`](crate::vm::pool::start) does.
    ///
    /// # Errors
    /// If QEMU is not installed or does not start.
    pub(in crate::vm) fn boot(
        guest: &Guest,
        accelerator: Accelerator,
        options: BootOptions<'_>,
    ) -> Result<Self, VmError> {
        let BootOptions { network, single_thread, kernel_arguments, ram, changes, disk_gib } =
            options;
        let parts = VmParts::create((&guest.scratch(), "raw"), disk_gib)?;
        let certificates = tls::create(parts.folder.path())?;
        let paths = [guest.kernel(), parts.folder.path().join("initrd"), guest.root()];
        let changes = guest.definition.with_changes(changes);
        initrd::write(&guest.initrd(), &paths[1], &certificates, &changes)?;
        if let Some(ram) = ram {
            // QEMU itself would create it readable by all.
            create_file(ram)?;
        }
        let ram = ram.map(|path| RamFile { path, shared: true });
        let cmdline = format!("{} {kernel_arguments}", guest.definition.cmdline);
        let cmdline = cmdline.trim_end();
        let defaults = parts.qemu_options(guest, &paths, accelerator);
        let options = QemuOptions { ram, network, single_thread, cmdline, ..defaults };
        let arguments = qemu_args::arguments(&options);
        Self::start(parts, &arguments, guest, accelerator, None)
    }

    /// Restores a VM from a snapshot. It has the snapshot's clock and random state until
    /// [`reseed_and_set_clock`](Self::reseed_and_set_clock) is called. If `saveable`, it has copies
    /// of the snapshot's memory and disk, and can be saved itself.
    ///
    /// # Errors
    /// If QEMU is not installed, or cannot restore the snapshot.
    pub(in crate::vm) async fn restore(
        guest: &Guest,
        saved: &SavedState,
        network: Network<'_>,
        single_thread: bool,
        saveable: bool,
    ) -> Result<Self, VmError> {
        let parts = match saveable {
            true => VmParts::copy(saved)?,
            false => VmParts::create((&saved.scratch, "qcow2"), None)?,
        };
        for name in tls::CLIENT_FILES {
            let (from, to) = (saved.folder.join(name), parts.folder.path().join(name));
            fs::copy(&from, &to).map_err(VmError::file("copy", &from))?;
        }
        let devices = File::open(&saved.devices).map_err(VmError::file("open", &saved.devices))?;
        let paths = [guest.kernel(), guest.initrd(), guest.root()];
        let copy = parts.folder.path().join(RAM);
        let path = if saveable { &copy } else { &saved.ram };
        let ram = Some(RamFile { path, shared: saveable });
        let defaults = parts.qemu_options(guest, &paths, saved.accelerator);
        let options = QemuOptions { ram, restored: true, network, single_thread, ..defaults };
        let arguments = qemu_args::arguments(&options);
        let vm = Self::start(parts, &arguments, guest, saved.accelerator, Some(devices))?;
        vm.or_exit(vm.load_state()).await?;
        Ok(vm)
    }

    fn start(
        parts: VmParts,
        arguments: &[String],
        guest: &Guest,
        accelerator: Accelerator,
        stdin: Option<File>,
    ) -> Result<Self, VmError> {
        let VmParts { folder, port, .. } = parts;
        let qemu = guest.definition.machine_type.qemu;
        let started = Instant::now();
        let log = folder.path().join("qemu.log");
        let process = Process::start(qemu, arguments, stdin, &log)?;
        let (family, clock) = (guest.definition.family.clone(), clock::of_process(process.pid()));
        let relay = Arc::default();
        Ok(Self { process, folder, port, accelerator, family, started, clock, relay })
    }

    /// Opens a VM that another process has started. It continues when this is dropped.
    ///
    /// # Errors
    /// If its QEMU has exited.
    pub(in crate::vm) fn attach(
        family: &Family,
        accelerator: Accelerator,
        (port, pid): (u16, u32),
        folder: &Path,
    ) -> Result<Self, VmError> {
        let process = Process::attach(pid, &folder.join("qemu.log"))?;
        Ok(Self {
            process,
            folder: VmFolder::of_other_owner(folder),
            port,
            accelerator,
            family: family.clone(),
            started: Instant::now(),
            clock: clock::of_process(pid),
            relay: Arc::default(),
        })
    }

    /// Returns another handle of this VM, which does not end it when it is dropped.
    pub(in crate::vm) fn share(&self) -> Self {
        Self {
            process: self.process.share(),
            folder: VmFolder::of_other_owner(self.folder.path()),
            port: self.port,
            accelerator: self.accelerator,
            family: self.family.clone(),
            started: self.started,
            clock: self.clock.clone(),
            relay: Arc::clone(&self.relay),
        }
    }

    /// Has QEMU load the state of the devices from its standard input, and continue from there.
    async fn load_state(&self) -> Result<(), VmError> {
        let mut qmp = self.qmp().await?;
        qmp.execute("migrate-incoming", json!({ "uri": "fd:0" })).await?;
        qmp.wait_for_migration().await?;
        qmp.execute("cont", json!({})).await?;
        Ok(())
    }

    /// Reseeds the guest's random number generator and sets its clock. Returns the guest's uptime.
    pub(in crate::vm) async fn reseed_and_set_clock(
        &self,
        limit: Duration,
    ) -> Result<Duration, VmError> {
        wake::reseed_and_set_clock(self.folder(), limit, &self.clock).await
    }

    /// Returns the guest's uptime.
    ///
    /// # Errors
    /// If the guest does not answer.
    pub async fn uptime(&self) -> Result<Duration, VmError> {
        wake::uptime(self.folder(), ANSWER_TIMEOUT, &self.clock).await
    }

    /// Waits up to `seconds` until the engine answers, with requests from inside of the guest; see
    /// [`wake::wait_for_engine`].
    pub(in crate::vm) async fn wait_for_engine(
        &self,
        seconds: u64,
    ) -> Result<(Duration, Option<ApiVersion>), VmError> {
        let Family { socket, needs, .. } = &self.family;
        let sockets = [socket, needs].map(|socket| socket.as_deref().unwrap_or("-"));
        wake::wait_for_engine(self.folder(), seconds, sockets, &self.clock).await
    }

    /// Connects to the monitor.
    pub(in crate::vm) async fn qmp(&self) -> Result<Qmp, VmError> {
        Qmp::connect(&self.folder.path().join("qmp.sock")).await
    }

    /// Returns the port on the loopback interface that is forwarded to the engine's API.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the folder with the client's certificate and key (`ca.pem`, `cert.pem`, `key.pem`),
    /// the sockets and the console log. Only its owner may enter it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns how the CPUs run.
    pub fn accelerator(&self) -> Accelerator {
        self.accelerator
    }

    /// Returns the family of the engine.
    pub fn family(&self) -> &Family {
        &self.family
    }

    /// Returns when QEMU was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Returns the clock by which timeouts are measured. It stands still while the VM waits for a
    /// CPU of the host.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Returns QEMU's process ID.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Returns the CPU time that QEMU has used (proc(5), `/proc/PID/stat`; Linux counts it in
    /// hundredths of a second).
    pub(in crate::vm) fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u64 =
            fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Duration::from_millis(10 * ticks)
    }

    /// Stops QEMU regularly for a few milliseconds, so that it runs for `percent` of the time. The
    /// guest's clock continues meanwhile.
    pub fn throttle_cpu(&self, percent: u64) {
        self.process.throttle(percent);
    }

    /// Ends the VM at once, as a power failure does.
    pub fn power_off(&self) {
        self.process.kill();
    }

    /// Returns the last `lines` lines of the console.
    pub(in crate::vm) fn console_tail(&self, lines: usize) -> String {
        tail(&self.console_file(), lines)
    }

    /// Returns the path of the console log.
    pub(in crate::vm) fn console_file(&self) -> PathBuf {
        self.folder.path().join("console.log")
    }

    /// Connects to the guest agent, which must answer within `limit`.
    ///
    /// # Errors
    /// If it does not.
    pub async fn agent(&self, limit: Duration) -> Result<Agent, VmError> {
        Agent::connect(self.folder.path(), limit).await
    }
}
