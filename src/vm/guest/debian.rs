//! The mmdebstrap command for a guest: its packages, their mirrors, and what is made of them.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::vm::VmError;
use crate::vm::folders::write;
use crate::vm::guest::Definition;
use crate::vm::guest::embedded::{CONFIGURE, FILES, INSTALL};
use crate::vm::guest::foreign;
use crate::vm::tools::{MKFS_EROFS, MMDEBSTRAP};

/// Options of apt: a mirror that does not answer fails after one minute, not ten.
const APT_OPTIONS: [&str; 3] =
    ["Acquire::http::Timeout \"20\"", "Acquire::https::Timeout \"20\"", "Acquire::Retries \"2\""];
/// Folders below `/usr` that no guest needs.
const EXCLUDED: [&str; 5] =
    ["share/man", "share/doc", "share/locale", "share/info", "lib/udev/hwdb.d"];

/// Returns the command that assembles a guest of `definition` in the folder `output`, from
/// `sources` or the host's. `work` is a folder for input files.
///
/// # Errors
/// If a program is missing, the host does not run the programs in the packages, or `work` cannot be
/// written to.
pub(in crate::vm) fn mmdebstrap(
    definition: &Definition,
    sources: &[String],
    work: &Path,
    output: &Path,
) -> Result<Command, VmError> {
    let Definition { machine_type, suite, packages, .. } = definition;
    let files = work.join("files");
    for (path, content) in FILES {
        write(&files.join(path), content)?;
    }
    let configure = work.join("configure");
    write(&configure, CONFIGURE)?;
    MKFS_EROFS.require()?;
    let mut command = Command::new(MMDEBSTRAP.require()?);
    command.args(["--mode=auto", "--format=null"]).arg(format!("--include={}", packages.join(",")));
    match machine_type.is_host() {
        true => command.arg("--variant=minbase"),
        false => {
            foreign::check(&definition.name, machine_type)?;
            command
                .args(["--variant=extract", "--include=?essential"])
                .arg("--skip=check/qemu,download/empty")
                .arg(format!("--architectures={}", machine_type.arch))
                .arg(format!("--extract-hook={INSTALL}"))
        }
    };
    command.args(APT_OPTIONS.map(|option| format!("--aptopt={option}")));
    command.args(EXCLUDED.map(|path| format!("--dpkgopt=path-exclude=/usr/{path}/*")));
    // configure makes the initial RAM disk, without initramfs-tools.
    command.env("INITRD", "No");
    // The extract variant does not run customize hooks.
    let stage = if machine_type.is_host() { "customize" } else { "extract" };
    let hooks = hooks(definition, &files, &configure, output);
    command.args(hooks.map(|hook| format!("--{stage}-hook={hook}")));
    command.args([suite.as_str(), "-"]);
    match sources.is_empty() {
        true => command.args(host_sources(suite)),
        false => command.args(sources),
    };
    Ok(command)
}

/// The hooks that run `configure` and copy its output. Without root, hooks run as another user, who
/// may not enter our folders, so files are copied with mmdebstrap's own commands.
fn hooks(definition: &Definition, files: &Path, configure: &Path, output: &Path) -> [String; 4] {
    let (files, configure, output) = (quote(files), quote(configure), quote(output));
    let (units, modules) = (definition.family.units.join(" "), definition.modules.join(" "));
    [
        "mkdir \"$1/seatrial\"".to_owned(),
        format!("copy-in {configure} {files} /seatrial"),
        format!("sh \"$1/seatrial/configure\" \"$1\" \"{units}\" {modules}"),
        format!("copy-out /out/root.erofs /out/kernel /out/initrd /out/packages {output}"),
    ]
}

/// Accepts package lists past their expiry date, as those of old releases and archived mirrors are:
/// the signature matters, but not its age, because guests have chosen versions, not the newest.
const SOURCE_OPTIONS: &str = "[check-valid-until=no]";
/// Debian releases whose security updates can all be downloaded. Package lists of older releases
/// name packages that no longer exist.
const WITH_SECURITY_UPDATES: [&str; 2] = ["bookworm", "trixie"];

/// Returns lines of a `sources.list` for `suite` with the mirrors that the host uses (apt-get(8),
/// `indextargets`). If the host is not a Debian system, there are none, and mmdebstrap uses
/// Debian's own servers.
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
    let line = |uri: &str, suite: &str| format!("deb {SOURCE_OPTIONS} {uri} {suite} main");
    let mut lines = vec![line(&debian, suite)];
    if let (Some(security), true) =
        (mirror("Debian-Security"), WITH_SECURITY_UPDATES.contains(&suite))
    {
        lines.push(line(&debian, &format!("{suite}-updates")));
        lines.push(line(&security, &format!("{suite}-security")));
    }
    lines
}

/// Returns a path as one word of a shell.
fn quote(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
