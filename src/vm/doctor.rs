//! Checks the host for the programs, permissions and disk space that VMs need.

use std::process::Command;

use serde::Serialize;

use crate::vm::folders::{NEEDED_SPACE, cache_root, free_space};
use crate::vm::guest::Definition;
use crate::vm::guest::MachineType;
use crate::vm::guest::assemble::{Sources, locate};
use crate::vm::guest::foreign;
use crate::vm::instance::Accelerator;
use crate::vm::instance::accelerator::{self, AcceleratorChoice};
use crate::vm::pool::slots;
use crate::vm::tools::{self, Tool};
use crate::vm::user_ids;

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Everything is as it should be.
    Ok,
    /// VMs work, but slower or not all of them.
    Note,
    /// VMs do not work.
    Missing,
}

impl State {
    /// Returns the word that reports show.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Missing => "MISSING",
        }
    }
}

/// A check of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The result.
    pub state: State,
    /// The subject of the check.
    pub what: String,
    /// The result in words and, if there is a problem, its solution.
    pub found: String,
}

fn finding(state: State, what: &str, found: impl Into<String>) -> Finding {
    Finding { state, what: what.to_owned(), found: found.into() }
}

/// Runs all checks. If a guest is assembled, one of them boots it with KVM.
pub async fn check_host() -> Vec<Finding> {
    let mut findings = vec![tool(&MachineType::host().qemu)];
    findings.extend(tools::ALL.iter().map(tool));
    findings.extend(
        MachineType::all().filter(|machine_type| !machine_type.is_host()).map(other_architecture),
    );
    findings.push(user_ids());
    findings.push(kvm().await);
    findings.push(cache());
    findings.push(vm_slots());
    findings
}

/// Checks for guests of another architecture, which only images for that architecture need.
fn other_architecture(machine_type: &MachineType) -> Finding {
    let what = format!("{} guests", machine_type.arch);
    match machine_type.qemu.require().and_then(|_| foreign::check(&what, machine_type)) {
        Ok(()) => finding(State::Ok, &what, "can be assembled; their VMs are emulated"),
        Err(error) => finding(State::Note, &what, error.to_string()),
    }
}

fn tool(tool: &Tool) -> Finding {
    let Tool { program, package, purpose } = tool;
    let Some(path) = tool.path() else {
        let found = format!("{purpose}; install the Debian package {package}");
        return finding(State::Missing, program, found);
    };
    let output = Command::new(&path).arg("--version").output().ok();
    let output = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let first_line = output.as_deref().and_then(|text| text.lines().next()).unwrap_or_default();
    let version = first_line.split(" (").next().unwrap_or_default().to_owned();
    let found = if version.is_empty() { path.display().to_string() } else { version };
    finding(State::Ok, program, found)
}

/// Checks for the user IDs that own the files of a guest while it is assembled.
fn user_ids() -> Finding {
    match user_ids::problem() {
        Some(problem) => finding(State::Missing, "user IDs", problem),
        None if rustix::process::geteuid().is_root() => {
            finding(State::Ok, "user IDs", "root may use all")
        }
        None => finding(State::Ok, "user IDs", "/etc/subuid has a range"),
    }
}

async fn kvm() -> Finding {
    if !std::path::Path::new("/dev/kvm").exists() {
        return finding(State::Note, "KVM", "there is no /dev/kvm; VMs are emulated");
    }
    let assembled = Definition::names()
        .filter_map(|name| locate(name, &Sources::default()).ok())
        .find(|guest| guest.folder().is_dir());
    let Some(guest) = assembled else {
        let found = "/dev/kvm exists; whether it works is checked once a guest is assembled";
        return finding(State::Note, "KVM", found);
    };
    match accelerator::choose(AcceleratorChoice::Auto, &guest).await {
        Ok(Accelerator::Kvm) => finding(State::Ok, "KVM", "boots a guest"),
        Ok(Accelerator::Tcg) => {
            finding(State::Note, "KVM", "/dev/kvm exists but cannot boot a guest; VMs are emulated")
        }
        Err(error) => finding(State::Note, "KVM", format!("not checked: {error}")),
    }
}

fn cache() -> Finding {
    let space = cache_root().and_then(|cache| free_space(&cache).map(|free| (cache, free)));
    let (cache, free) = match space {
        Ok(space) => space,
        Err(error) => return finding(State::Missing, "cache", error.to_string()),
    };
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let found = format!("{}, {:.1} GiB free", cache.display(), gib(free));
    match free < NEEDED_SPACE {
        true => {
            let needed = format!("{found}; a guest needs {:.0} GiB", gib(NEEDED_SPACE));
            finding(State::Missing, "cache", needed)
        }
        false => finding(State::Ok, "cache", found),
    }
}

fn vm_slots() -> Finding {
    let guest = Definition::names().next().and_then(|name| Definition::named(name).ok());
    let memory_mib = guest.map_or(1024, |definition| definition.family.memory_mib);
    match slots::count(memory_mib) {
        Ok(count) => {
            let found = format!("{count} concurrent VMs; {} sets another number", slots::VARIABLE);
            finding(State::Ok, "VM slots", found)
        }
        Err(error) => finding(State::Missing, "VM slots", error.to_string()),
    }
}

/// Returns the command that installs all missing packages.
pub fn install_command(findings: &[Finding]) -> Option<String> {
    let missing =
        |program: &str| findings.iter().any(|f| f.state == State::Missing && f.what == program);
    let packages: Vec<&str> = tools::ALL
        .iter()
        .chain([&MachineType::host().qemu])
        .filter(|tool| missing(tool.program))
        .map(|tool| tool.package)
        .collect();
    (!packages.is_empty())
        .then(|| format!("apt-get install --no-install-recommends {}", packages.join(" ")))
}
