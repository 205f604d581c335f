//! A machine: one QEMU process with a private folder. It ends with its handle, and with its process.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::Mutex;

use crate::engine::ApiVersion;
use crate::vm::VmError;
use crate::vm::folders::VmFolder;
use crate::vm::guest::Family;
use crate::vm::guest::Guest;
use crate::vm::guest::changes::GuestChanges;
use crate::vm::instance::Accelerator;
use crate::vm::instance::Agent;
use crate::vm::instance::initrd;
use crate::vm::instance::process::{Process, tail};
use crate::vm::instance::qemu_args::{self, Layout};
use crate::vm::instance::qmp::Qmp;
use crate::vm::instance::snapshot::Snapshot;
use crate::vm::instance::tls;
use crate::vm::instance::wake;
use crate::vm::tools;

/// A running machine. Dropped, it is gone: the process, its memory, its disk, its keys.
#[derive(Debug)]
pub struct Vm {
    // Dropped first: the process uses the folder.
    process: Process,
    folder: VmFolder,
    port: u16,
    accelerator: Accelerator,
    family: Family,
    started: Instant,
    /// One question at a time to the program that wakes the guest: they share the way back.
    waking: Mutex<()>,
}

/// How long the guest may take over an answer of its own, however slow it is.
const ANSWER: Duration = Duration::from_secs(10);

/// How a machine is booted.
#[derive(Clone, Copy, Debug)]
pub(in crate::vm) struct Boot<'a> {
    /// Whether the guest may reach the network.
    pub(in crate::vm) egress: bool,
    /// Whether other machines want the host's CPUs as well.
    pub(in crate::vm) single_thread: bool,
    /// More for the kernel's command line.
    pub(in crate::vm) arguments: &'a str,
    /// The file that its memory is to lie in.
    pub(in crate::vm) ram: Option<&'a Path>,
    /// What is changed in the guest's root.
    pub(in crate::vm) overlay: &'a GuestChanges,
}

/// What is a machine's own when it is started.
pub(in crate::vm) struct Own {
    folder: VmFolder,
    scratch: PathBuf,
    port: u16,
}

impl Own {
    /// `disk` is what the machine's scratch disk reads from where it was not written to.
    fn make(disk: (&Path, &str)) -> Result<Self, VmError> {
        let folder = VmFolder::make()?;
        let scratch = folder.path().join("scratch.qcow2");
        overlay(disk, &scratch)?;
        wake::make(folder.path())?;
        Ok(Self { scratch, port: free_port()?, folder })
    }

    fn layout<'a>(
        &'a self,
        guest: &'a Guest,
        paths: &'a [PathBuf; 3],
        accelerator: Accelerator,
    ) -> Layout<'a> {
        let [kernel, initrd, root] = paths;
        Layout {
            machine_type: guest.definition.machine_type,
            accelerator,
            single_thread: false,
            memory_mib: guest.definition.family.memory_mib,
            cpus: guest.definition.family.cpus,
            ram: None,
            incoming: false,
            kernel,
            initrd,
            cmdline: &guest.definition.cmdline,
            root,
            scratch: &self.scratch,
            folder: self.folder.path(),
            port: self.port,
            egress: false,
        }
    }

    fn start(
        self,
        layout: &[String],
        guest: &Guest,
        accelerator: Accelerator,
        stdin: Option<File>,
    ) -> Result<Vm, VmError> {
        let Self { folder, port, .. } = self;
        let qemu = guest.definition.machine_type.qemu;
        qemu.require()?;
        let started = Instant::now();
        let process = Process::start(qemu.program, layout, stdin, &folder.path().join("qemu.log"))?;
        let family = guest.definition.family.clone();
        Ok(Vm { process, folder, port, accelerator, family, started, waking: Mutex::new(()) })
    }
}

impl Vm {
    /// Starts a machine of `guest`. It is not ready for anything yet: [`ready`](crate::vm::pool::start) waits for that.
    ///
    /// # Errors
    /// When QEMU is missing or does not start.
    pub(in crate::vm) fn boot(
        guest: &Guest,
        accelerator: Accelerator,
        boot: Boot<'_>,
    ) -> Result<Self, VmError> {
        let Boot { egress, single_thread, arguments, ram, overlay } = boot;
        let own = Own::make((&guest.scratch(), "raw"))?;
        let keys = tls::make(own.folder.path())?;
        let paths = [guest.kernel(), own.folder.path().join("initrd"), guest.root()];
        initrd::write(&guest.initrd(), &paths[1], &keys, &guest.definition.with_changes(overlay))?;
        let ram = ram.map(|ram| (ram, true));
        let cmdline = &format!("{} {arguments}", guest.definition.cmdline);
        let layout = own.layout(guest, &paths, accelerator);
        let arguments = qemu_args::all(&Layout {
            ram,
            egress,
            single_thread,
            cmdline: cmdline.trim_end(),
            ..layout
        });
        own.start(&arguments, guest, accelerator, None)
    }

    /// Starts a machine as a copy of the one that `template` was made from, as it was then. It shares the
    /// template's clock and randomness until it is woken. `single_thread` where other machines want the host's CPUs as well.
    ///
    /// # Errors
    /// When QEMU is missing, or does not take the template.
    pub(in crate::vm) async fn restore(
        guest: &Guest,
        template: &Snapshot,
        egress: bool,
        single_thread: bool,
    ) -> Result<Self, VmError> {
        let own = Own::make((&template.scratch(), "qcow2"))?;
        for name in tls::CLIENT_FILES {
            let (from, to) = (template.folder().join(name), own.folder.path().join(name));
            fs::copy(&from, &to).map_err(VmError::file("copy", &from))?;
        }
        let (ram, state) = (template.ram(), template.state());
        let state = File::open(&state).map_err(VmError::file("open", &state))?;
        let paths = [guest.kernel(), guest.initrd(), guest.root()];
        let accelerator = template.accelerator();
        let layout = own.layout(guest, &paths, accelerator);
        let arguments = qemu_args::all(&Layout {
            ram: Some((&ram, false)),
            incoming: true,
            egress,
            single_thread,
            ..layout
        });
        let machine = own.start(&arguments, guest, accelerator, Some(state))?;
        machine.or_exit(machine.resume()).await?;
        Ok(machine)
    }

    /// Reads the state that is on QEMU's standard input and goes on from there.
    async fn resume(&self) -> Result<(), VmError> {
        let mut qmp = self.qmp().await?;
        qmp.execute("migrate-incoming", json!({ "uri": "fd:0" })).await?;
        qmp.migrated().await?;
        qmp.execute("cont", json!({})).await?;
        Ok(())
    }

    /// Gives the guest randomness of its own and the host's time; gives what its monotonic clock says.
    pub(in crate::vm) async fn wake(&self, limit: Duration) -> Result<Duration, VmError> {
        let _turn = self.waking.lock().await;
        wake::wake(self.folder(), limit).await
    }

    /// What the guest's monotonic clock says.
    ///
    /// # Errors
    /// When the guest does not answer.
    pub async fn uptime(&self) -> Result<Duration, VmError> {
        let _turn = self.waking.lock().await;
        wake::uptime(self.folder(), ANSWER).await
    }

    /// Asks the engine from inside the guest, for `seconds` at most; see [`wake::engine`].
    pub(in crate::vm) async fn engine(
        &self,
        seconds: u64,
    ) -> Result<(Duration, Option<ApiVersion>), VmError> {
        let Family { socket, needs, .. } = &self.family;
        let _turn = self.waking.lock().await;
        let sockets = [socket, needs].map(|socket| socket.as_deref().unwrap_or("-"));
        wake::engine(self.folder(), seconds, sockets).await
    }

    /// The machine's monitor.
    pub(in crate::vm) async fn qmp(&self) -> Result<Qmp, VmError> {
        Qmp::connect(&self.folder.path().join("qmp.sock")).await
    }

    /// The loopback port behind which the engine's API is.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder with the machine's keys (`ca.pem`, `cert.pem`, `key.pem`), sockets and console. Its owner
    /// alone may enter.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How its CPU is run.
    pub fn accelerator(&self) -> Accelerator {
        self.accelerator
    }

    /// The engine in it.
    pub fn family(&self) -> &Family {
        &self.family
    }

    /// When QEMU was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The process id of QEMU.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// How much CPU time QEMU has used (proc(5), `/proc/PID/stat`; its unit is a hundredth of a second on Linux).
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        let fields: Vec<&str> =
            stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks: u64 =
            fields.iter().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Duration::from_millis(10 * ticks)
    }

    /// Lets the scratch disk give and take no more than `bytes` a second.
    ///
    /// # Errors
    /// When QEMU does not answer.
    pub async fn throttle_disk(&self, bytes: u64) -> Result<(), VmError> {
        let zero = ["bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"]
            .map(|name| (name.to_owned(), json!(0)));
        let mut limits = serde_json::Map::from_iter(zero);
        limits.extend([("device".to_owned(), json!("scratch")), ("bps".to_owned(), json!(bytes))]);
        self.qmp().await?.execute("block_set_io_throttle", limits.into()).await.map(drop)
    }

    /// Lets the machine run for `percent` of the time only, a few milliseconds at a stretch. Its clock goes on.
    pub fn throttle_cpu(&self, percent: u64) {
        self.process.throttle(percent);
    }

    /// Ends it as a power cut would.
    pub fn power_off(&self) {
        self.process.kill();
    }

    /// The last `lines` lines of the console.
    pub fn console(&self, lines: usize) -> String {
        tail(&self.console_file(), lines)
    }

    /// Where the console is written to.
    pub fn console_file(&self) -> PathBuf {
        self.folder.path().join("console.log")
    }

    /// Whether QEMU still runs.
    ///
    /// # Errors
    /// When it does not; the error says how it ended.
    pub fn check_alive(&self) -> Result<(), VmError> {
        self.process.exit_status().map_or(Ok(()), |ended| Err(self.died(ended)))
    }

    /// Waits until QEMU ends, and says how it did.
    pub async fn wait_for_exit(&self) -> VmError {
        self.died(self.process.wait_for_exit().await)
    }

    /// What `doing` comes to, unless QEMU ends first.
    pub(in crate::vm) async fn or_exit<T>(
        &self,
        doing: impl Future<Output = Result<T, VmError>>,
    ) -> Result<T, VmError> {
        tokio::select! {
            biased;
            done = doing => match (done, self.process.exit_status()) {
                // What failed because of it says less than how QEMU ended.
                (Err(_), Some(ended)) => Err(self.died(ended)),
                (done, _) => done,
            },
            died = self.wait_for_exit() => Err(died),
        }
    }

    fn died(&self, (status, stderr): (String, String)) -> VmError {
        VmError::Died { status, stderr, console: self.console(20) }
    }

    /// The guest's agent, which must answer within `limit`.
    ///
    /// # Errors
    /// When it does not.
    pub async fn agent(&self, limit: Duration) -> Result<Agent, VmError> {
        Agent::connect(self.folder.path(), limit).await
    }
}

/// A disk that reads from `base`, a file and its format, and keeps what is written for itself.
fn overlay((base, format): (&Path, &str), overlay: &Path) -> Result<(), VmError> {
    let mut image = Command::new(tools::QEMU_IMG.require()?);
    image.args(["create", "-q", "-f", "qcow2", "-F", format, "-b"]).arg(base).arg(overlay);
    let output = image.stdin(Stdio::null()).output().map_err(VmError::file("make", overlay))?;
    if output.status.success() {
        return Ok(());
    }
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(VmError::file("make", overlay)(std::io::Error::other(problem)))
}

/// A port that nobody uses now. Should somebody take it before QEMU does, QEMU says so and ends.
fn free_port() -> Result<u16, VmError> {
    let address = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(VmError::file("open a port on", "the loopback"))
}
