//! What a host has of what machines need.

use std::process::Command;

use serde::Serialize;

use crate::vm::folders::{ROOM, cache, free};
use crate::vm::guest::Definition;
use crate::vm::guest::MachineType;
use crate::vm::guest::assemble::{Sources, locate};
use crate::vm::guest::foreign;
use crate::vm::instance::Accelerator;
use crate::vm::instance::accelerator::{self, AcceleratorChoice};
use crate::vm::pool::slots;
use crate::vm::tools::{self, Tool};

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Machines work without it, but worse.
    Note,
    /// Machines do not work without it.
    Missing,
}

impl State {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Missing => "MISSING",
        }
    }
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How it is.
    pub state: State,
    /// What.
    pub what: String,
    /// What was found, and where it is not as it should be, how to mend it.
    pub found: String,
}

fn finding(state: State, what: &str, found: impl Into<String>) -> Finding {
    Finding { state, what: what.to_owned(), found: found.into() }
}

/// Looks at everything. Whether KVM boots a guest is tried, where a guest is assembled.
pub async fn check_host() -> Vec<Finding> {
    let mut findings = vec![tool(&MachineType::host().qemu)];
    findings.extend(tools::ALL.iter().map(tool));
    findings.extend(
        MachineType::all().filter(|machine_type| !machine_type.is_host()).map(other_architecture),
    );
    findings.push(identities());
    findings.push(kvm().await);
    findings.push(room());
    let memory = Definition::names().next().and_then(|name| Definition::named(name).ok());
    let places = slots::places(memory.map_or(1024, |definition| definition.family.memory_mib));
    let found = format!("{places} at once; {} sets another number", slots::MACHINES);
    findings.push(finding(State::Ok, "machines", found));
    findings
}

/// Whether there can be machines of another architecture. Nobody needs them for images of the host's.
fn other_architecture(machine_type: &MachineType) -> Finding {
    let what = format!("{} guests", machine_type.arch);
    match machine_type.qemu.require().and_then(|_| foreign::runs(&what, machine_type)) {
        Ok(()) => finding(State::Ok, &what, "can be assembled, and are emulated"),
        Err(error) => finding(State::Note, &what, error.to_string()),
    }
}

fn tool(tool: &Tool) -> Finding {
    let Tool { program, package, purpose } = tool;
    let Some(path) = tool.path() else {
        let found = format!("{purpose}; install Debian's package {package}");
        return finding(State::Missing, program, found);
    };
    let version = Command::new(&path).arg("--version").output().ok();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let version =
        version.as_deref().and_then(|text| text.lines().next()).unwrap_or_default().to_owned();
    let version = version.split(" (").next().unwrap_or_default().to_owned();
    finding(
        State::Ok,
        program,
        if version.is_empty() { path.display().to_string() } else { version },
    )
}

/// Whoever is not root needs user ids to give to the files of a guest.
fn identities() -> Finding {
    if rustix::process::geteuid().is_root() {
        return finding(State::Ok, "user ids", "root has all of them");
    }
    let user = std::env::var("USER").unwrap_or_default();
    let listed = std::fs::read_to_string("/etc/subuid").unwrap_or_default();
    let has = !user.is_empty() && listed.lines().any(|line| line.starts_with(&format!("{user}:")));
    let newuidmap = Tool { program: "newuidmap", package: "uidmap", purpose: "" }.path().is_some();
    match (has, newuidmap) {
        (true, true) => finding(State::Ok, "user ids", "/etc/subuid has a range"),
        (_, false) => finding(State::Missing, "user ids", "install Debian's package uidmap"),
        (false, _) => {
            let mend = format!(
                "none in /etc/subuid; as root, run: usermod --add-subuids 100000-165535 \
                                --add-subgids 100000-165535 {user}"
            );
            finding(State::Missing, "user ids", mend)
        }
    }
}

async fn kvm() -> Finding {
    let emulated = "machines are emulated";
    if !std::path::Path::new("/dev/kvm").exists() {
        return finding(State::Note, "KVM", format!("no /dev/kvm; {emulated}"));
    }
    let assembled = Definition::names()
        .filter_map(|name| locate(name, &Sources::default()).ok())
        .find(|guest| guest.folder().is_dir());
    let Some(guest) = assembled else {
        return finding(
            State::Note,
            "KVM",
            "/dev/kvm is there; seatrial vm prepare tells whether it boots a guest",
        );
    };
    match accelerator::choose(AcceleratorChoice::Auto, &guest).await {
        Ok(Accelerator::Kvm) => finding(State::Ok, "KVM", "boots a guest"),
        Ok(Accelerator::Tcg) => {
            finding(State::Note, "KVM", format!("/dev/kvm boots no guest here; {emulated}"))
        }
        Err(error) => finding(State::Note, "KVM", format!("not tried: {error}")),
    }
}

fn room() -> Finding {
    let found = cache().and_then(|cache| free(&cache).map(|free| (cache, free)));
    match found {
        Err(error) => finding(State::Missing, "cache", error.to_string()),
        Ok((cache, free)) => {
            let found =
                format!("{}, {:.1} GiB free", cache.display(), free as f64 / f64::from(1 << 30));
            let state = if free < ROOM { State::Missing } else { State::Ok };
            finding(state, "cache", if free < ROOM { found + "; a guest needs 2" } else { found })
        }
    }
}

/// The command that installs all packages that are missing.
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
