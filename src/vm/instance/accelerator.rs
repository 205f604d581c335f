//! The accelerator, and whether KVM can boot a guest on this host. An accessible `/dev/kvm` does
//! not prove it: on some nested hosts, a guest hangs before its first line of output. So a kernel
//! is booted with KVM, once for each boot of the host.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use tokio::time::{Instant, sleep};

use crate::document;
use crate::vm::VmError;
use crate::vm::folders::{VmFolder, cache_folder};
use crate::vm::guest::Guest;
use crate::vm::instance::process::Process;

/// How the CPUs of a VM run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// On the host's CPUs.
    Kvm,
    /// Emulated.
    Tcg,
}

impl Accelerator {
    /// Returns QEMU's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// The accelerator that a user asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AcceleratorChoice {
    /// KVM if it can boot a guest, otherwise TCG.
    #[default]
    Auto,
    /// A specific accelerator.
    Only(Accelerator),
}

impl FromStr for AcceleratorChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "kvm" => Ok(Self::Only(Accelerator::Kvm)),
            "tcg" => Ok(Self::Only(Accelerator::Tcg)),
            other => Err(format!("\"{other}\" must be auto, kvm or tcg")),
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

/// How long a kernel may take until its first output with KVM; usually well below a second.
const FIRST_OUTPUT_TIMEOUT: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Returns the accelerator for `choice` on this host. [`AcceleratorChoice::Auto`] boots a kernel
/// with KVM, unless the result is cached.
///
/// # Errors
/// If KVM is required for a guest of another architecture, the result cannot be cached, or QEMU is
/// not installed.
pub async fn choose(choice: AcceleratorChoice, guest: &Guest) -> Result<Accelerator, VmError> {
    let machine_type = guest.definition.machine_type;
    match choice {
        AcceleratorChoice::Only(Accelerator::Kvm) if !machine_type.is_host() => {
            Err(VmError::KvmArchitecture {
                guest: guest.name.clone(),
                architecture: machine_type.arch.goarch(),
            })
        }
        AcceleratorChoice::Only(accelerator) => Ok(accelerator),
        AcceleratorChoice::Auto if !machine_type.is_host() => Ok(Accelerator::Tcg),
        AcceleratorChoice::Auto if !Path::new("/dev/kvm").exists() => Ok(Accelerator::Tcg),
        AcceleratorChoice::Auto => {
            let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
            let cache_file = cache_folder("kvm")?.join(boot_id.trim());
            let boots = match cached(&cache_file) {
                Some(boots) => boots,
                None => {
                    let boots = kvm_boots(guest).await?;
                    store(&cache_file, boots)?;
                    boots
                }
            };
            Ok(if boots { Accelerator::Kvm } else { Accelerator::Tcg })
        }
    }
}

const BOOTS: &str = "boots";
const DOES_NOT_BOOT: &str = "does not boot";

/// Returns the cached result, unless there is none or it is damaged.
fn cached(file: &Path) -> Option<bool> {
    match document::read(file, document::MAX_SIZE).ok()?.as_str() {
        BOOTS => Some(true),
        DOES_NOT_BOOT => Some(false),
        _ => None,
    }
}

/// Caches the result. The file appears when it is complete.
fn store(file: &Path, boots: bool) -> Result<(), VmError> {
    let folder = file.parent().unwrap_or(file);
    let text = if boots { BOOTS } else { DOES_NOT_BOOT };
    let stored = NamedTempFile::new_in(folder).and_then(|mut temporary| {
        temporary.write_all(text.as_bytes())?;
        Ok(temporary.persist(file)?)
    });
    stored.map(drop).map_err(VmError::file("write", file))
}

async fn kvm_boots(guest: &Guest) -> Result<bool, VmError> {
    let folder = VmFolder::create()?;
    let console = folder.path().join("console.log");
    let serial = format!("file:{}", console.display());
    let kernel = guest.kernel().display().to_string();
    let machine_type = guest.definition.machine_type;
    let append = format!("console={} panic=-1", machine_type.console);
    let machine = ["-machine", machine_type.machine, "-accel", "kvm", "-cpu", "host", "-m", "256"];
    let bare = ["-nodefaults", "-no-reboot", "-display", "none"];
    let boot = ["-serial", &serial, "-kernel", &kernel, "-append", &append];
    let arguments: Vec<String> =
        machine.iter().chain(&bare).chain(&boot).map(ToString::to_string).collect();
    let log = folder.path().join("qemu.log");
    let qemu = Process::start(machine_type.qemu, &arguments, None, &log)?;
    let deadline = Instant::now() + FIRST_OUTPUT_TIMEOUT;
    while Instant::now() < deadline && qemu.exit_status().is_none() {
        sleep(POLL_INTERVAL).await;
        if fs::metadata(&console).is_ok_and(|metadata| metadata.len() > 0) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_cached_and_an_empty_or_damaged_file_is_no_result() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("boot-id");
        assert_eq!(cached(&file), None);
        for boots in [false, true] {
            store(&file, boots).unwrap();
            assert_eq!(cached(&file), Some(boots));
        }
        for damaged in ["", "boot", "does not"] {
            fs::write(&file, damaged).unwrap();
            assert_eq!(cached(&file), None, "{damaged:?}");
        }
    }
}
