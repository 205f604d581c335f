//! Whether KVM really boots a guest here. Opening `/dev/kvm` proves nothing: on some nested hosts a guest then
//! spins before its first line of output. So it is tried, once per host and boot.

use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::vm::VmError;
use crate::vm::folders::{VmFolder, cached};
use crate::vm::guest::Guest;
use crate::vm::instance::process::Process;

/// How a machine's CPU is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// By the host's CPU.
    Kvm,
    /// Emulated.
    Tcg,
}

impl Accelerator {
    /// What QEMU calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// What may be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AcceleratorChoice {
    /// KVM where it boots a guest, else TCG.
    #[default]
    Auto,
    /// This one.
    Only(Accelerator),
}

impl FromStr for AcceleratorChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "kvm" => Ok(Self::Only(Accelerator::Kvm)),
            "tcg" => Ok(Self::Only(Accelerator::Tcg)),
            other => Err(format!("{other:?} must be auto, kvm or tcg")),
        }
    }
}

impl std::fmt::Display for AcceleratorChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Only(accelerator) => accelerator.name(),
        })
    }
}

/// How long a kernel under KVM may take to its first line; real ones take well under a second.
const FIRST_LINE: Duration = Duration::from_secs(5);

/// The accelerator that `wish` comes to on this host.
///
/// # Errors
/// When the answer cannot be cached, or QEMU is not installed.
pub async fn choose(wish: AcceleratorChoice, guest: &Guest) -> Result<Accelerator, VmError> {
    let machine_type = guest.definition.machine_type;
    match wish {
        AcceleratorChoice::Only(Accelerator::Kvm) if !machine_type.is_host() => {
            Err(VmError::NoKvm {
                guest: guest.name.clone(),
                architecture: machine_type.arch.goarch(),
            })
        }
        AcceleratorChoice::Only(accelerator) => Ok(accelerator),
        AcceleratorChoice::Auto if !machine_type.is_host() => Ok(Accelerator::Tcg),
        AcceleratorChoice::Auto if !Path::new("/dev/kvm").exists() => Ok(Accelerator::Tcg),
        AcceleratorChoice::Auto => {
            let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
            let answer = cached("kvm")?.join(boot.trim());
            if let Ok(known) = fs::read_to_string(&answer) {
                return Ok(if known == "boots" { Accelerator::Kvm } else { Accelerator::Tcg });
            }
            machine_type.qemu.require()?;
            let boots = kvm_boots(guest).await?;
            let text = if boots { "boots" } else { "does not boot" };
            fs::write(&answer, text).map_err(VmError::file("write", &answer))?;
            Ok(if boots { Accelerator::Kvm } else { Accelerator::Tcg })
        }
    }
}

async fn kvm_boots(guest: &Guest) -> Result<bool, VmError> {
    let folder = VmFolder::make()?;
    let console = folder.path().join("console.log");
    let (serial, kernel) =
        (format!("file:{}", console.display()), guest.kernel().display().to_string());
    let machine_type = guest.definition.machine_type;
    let append = format!("console={} panic=-1", machine_type.console);
    let machine = [
        "-machine",
        machine_type.machine,
        "-accel",
        "kvm",
        "-cpu",
        "host",
        "-m",
        "256",
        "-nodefaults",
        "-no-reboot",
    ];
    let kernel = ["-display", "none", "-serial", &serial, "-kernel", &kernel, "-append", &append];
    let arguments: Vec<String> = machine.iter().chain(&kernel).map(ToString::to_string).collect();
    let qemu = Process::start(
        machine_type.qemu.program,
        &arguments,
        None,
        &folder.path().join("qemu.log"),
    )?;
    let deadline = Instant::now() + FIRST_LINE;
    while Instant::now() < deadline && qemu.exit_status().is_none() {
        sleep(Duration::from_millis(20)).await;
        if fs::metadata(&console).is_ok_and(|metadata| metadata.len() > 0) {
            return Ok(true);
        }
    }
    Ok(false)
}
