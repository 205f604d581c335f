//! What mmdebstrap is asked for: the packages of a guest, where they come from, and what is made of them.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::vm::VmError;
use crate::vm::folders::write;
use crate::vm::guest::Definition;
use crate::vm::guest::definition::{CONFIGURE, FILES, INSTALL};
use crate::vm::guest::foreign;
use crate::vm::tools::{MKFS_EROFS, MMDEBSTRAP};

/// The command that assembles a guest of `definition` into the folder `made`, from `sources` or the host's own; `work` is a
/// folder for what goes into it.
///
/// # Errors
/// When a program is missing, the host cannot run what the packages have, or `work` cannot be written.
pub(in crate::vm) fn assembling(
    definition: &Definition,
    sources: &[String],
    work: &Path,
    made: &Path,
) -> Result<Command, VmError> {
    let Definition { machine_type, suite, packages, modules, family, .. } = definition;
    let files = work.join("files");
    for (place, content) in FILES {
        write(&files.join(place), content)?;
    }
    let configure = work.join("configure");
    write(&configure, CONFIGURE)?;
    MKFS_EROFS.require()?;
    let mut mmdebstrap = Command::new(MMDEBSTRAP.require()?);
    mmdebstrap
        .args(["--mode=auto", "--format=null"])
        .arg(format!("--include={}", packages.join(",")));
    match machine_type.is_host() {
        true => mmdebstrap.arg("--variant=minbase"),
        false => {
            foreign::runs(&definition.name, machine_type)?;
            mmdebstrap.args([
                "--variant=extract",
                "--include=?essential",
                "--skip=check/qemu,download/empty",
            ]);
            mmdebstrap
                .arg(format!("--architectures={}", machine_type.arch))
                .arg(format!("--extract-hook={INSTALL}"))
        }
    };
    // A mirror that does not answer is given up on in a minute rather than in ten.
    for option in [
        "Acquire::http::Timeout \"20\"",
        "Acquire::https::Timeout \"20\"",
        "Acquire::Retries \"2\"",
    ] {
        mmdebstrap.arg(format!("--aptopt={option}"));
    }
    for unread in ["share/man", "share/doc", "share/locale", "share/info", "lib/udev/hwdb.d"] {
        mmdebstrap.arg(format!("--dpkgopt=path-exclude=/usr/{unread}/*"));
    }
    // The guest's is made without initramfs-tools.
    mmdebstrap.env("INITRD", "No");
    let (files, configure, out) = (quoted(&files), quoted(&configure), quoted(made));
    // Where the user is not root, hooks run as another one, who may not enter our folders; copies go through.
    let hooks = [
        "mkdir \"$1/seatrial\"".to_owned(),
        format!("copy-in {configure} {files} /seatrial"),
        format!(
            "sh \"$1/seatrial/configure\" \"$1\" \"{}\" {}",
            family.units.join(" "),
            modules.join(" ")
        ),
        format!("copy-out /out/root.erofs /out/kernel /out/initrd /out/packages {out}"),
    ];
    // What is only extracted has no other ones.
    let last = if machine_type.is_host() { "customize" } else { "extract" };
    mmdebstrap.args(hooks.map(|hook| format!("--{last}-hook={hook}")));
    mmdebstrap.args([suite.as_str(), "-"]);
    match sources.is_empty() {
        true => mmdebstrap.args(host_sources(suite)),
        false => mmdebstrap.args(sources),
    };
    Ok(mmdebstrap)
}

/// A guest has chosen versions, not the newest: what signed the archive counts, not how long ago. Old releases and mirrors that
/// are kept as they were on some day are past the date until which their lists are said to be valid.
const AGELESS: &str = "[check-valid-until=no]";
/// Debian releases whose security updates are all to be had; of older ones the lists outlive the packages.
const STABLE: [&str; 2] = ["bookworm", "trixie"];

/// The lines of a `sources.list` that bring `suite` from the mirrors that the host itself uses (apt-get(8),
/// `indextargets`). None where the host is no Debian machine: mmdebstrap then goes to Debian's own.
fn host_sources(suite: &str) -> Vec<String> {
    let mut apt = Command::new("apt-get");
    apt.args(["indextargets", "--format", "$(LABEL)|$(REPO_URI)", "Created-By: Packages"]);
    let listed = apt.stdin(Stdio::null()).stderr(Stdio::null()).output();
    let listed = listed
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    let mirror = |label: &str| {
        let uri = listed.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix('|'));
        uri.filter(|uri| uri.starts_with("http")).map(str::to_owned)
    };
    let Some(debian) = mirror("Debian") else { return Vec::new() };
    let mut lines = vec![format!("deb {AGELESS} {debian} {suite} main")];
    if let (Some(security), true) = (mirror("Debian-Security"), STABLE.contains(&suite)) {
        lines.push(format!("deb {AGELESS} {debian} {suite}-updates main"));
        lines.push(format!("deb {AGELESS} {security} {suite}-security main"));
    }
    lines
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
