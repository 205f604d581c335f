//! The reasons for which this host cannot run steps, and how to remove them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::linux::foreign;
use crate::steps::StepError;
use crate::text;

/// The programs that a step needs, and the Debian packages that contain them.
const PROGRAMS: [(&str, &str); 6] = [
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("mount", "mount"),
    ("tar", "tar"),
    ("bwrap", "bubblewrap"),
];

/// Settings of Linux that forbid user namespaces: file, the value that does, how to change it.
const SETTINGS: [(&str, &str, &str); 3] = [
    ("kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    ("user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=10000"),
];

/// The first version of Linux whose overlayfs users can mount.
const OVERLAY_FOR_USERS: (u32, u32) = (5, 11);

/// The program with the subcommand that records owners.
const RECORDER: &str = "seatrial";
/// Where a step can run instead.
const ELSEWHERE: &str = "or run the step in a VM with where = \"vm\"";

/// Checks that all programs are installed.
pub(super) fn check_programs() -> Result<(), StepError> {
    for (program, package) in PROGRAMS {
        if find(program).is_none() {
            return Err(StepError::Missing { program, package });
        }
    }
    Ok(())
}

/// The path of `program`.
pub(super) fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// The program that records owners.
pub(super) fn recorder() -> Result<PathBuf, StepError> {
    let own = std::env::current_exe().ok();
    let own = own.filter(|path| path.file_name().is_some_and(|name| name == RECORDER));
    own.or_else(|| find(RECORDER)).ok_or_else(|| {
        StepError::Sandbox(format!(
            "this user has no range of user IDs for files of other owners, and the program \
             {RECORDER}, which can record them instead, is not in PATH; add the range \
             USER:100000:65536 to /etc/subuid and /etc/subgid, {ELSEWHERE}"
        ))
    })
}

/// The image is for another architecture, `image`, than this host's.
pub(super) fn other_architecture(image: &str, host: &str) -> StepError {
    let machine = foreign::machine(image);
    StepError::Sandbox(format!(
        "the image is for {image}, whose programs do not run on this {host} host; install the \
         Debian package qemu-user-static; if that does not register QEMU, as in containers, run \
         as root: mount -t binfmt_misc none /proc/sys/fs/binfmt_misc; \
         cat /usr/lib/binfmt.d/qemu-{machine}.conf >/proc/sys/fs/binfmt_misc/register"
    ))
}

/// The note that a step runs in the folder for temporary files, because of `reason`.
pub(super) fn temporary_folder(reason: &str) -> String {
    let folder = std::env::temp_dir();
    format!("unpacking the layers below into {}, without a cache: {reason}", text::path(&folder))
}

/// No user namespace can be made; `error` is what `unshare` printed.
pub(super) fn no_user_namespace(error: &str) -> StepError {
    let hint = blocking_setting().map_or_else(
        || {
            "in a container, allow user namespaces, as with --security-opt seccomp=unconfined"
                .to_owned()
        },
        |command| format!("as root, run {command}"),
    );
    StepError::Sandbox(format!(
        "it does not allow user namespaces ({}); {hint}, {ELSEWHERE}",
        error.trim()
    ))
}

/// The layers cannot be laid on each other in the working folder `work`; `error` is what `mount`
/// printed.
pub(super) fn no_overlay(error: &str, work: &Path) -> StepError {
    let folder = work.parent().unwrap_or(work);
    let hint = match (old_linux(), blocking_setting()) {
        (Some(release), _) => format!("this takes Linux 5.11 or newer, and it runs {release}"),
        (None, Some(command)) => format!("as root, run {command}"),
        (None, None) => format!(
            "this takes overlayfs (modprobe overlay), and a folder that is not on overlayfs \
             itself: set XDG_CACHE_HOME to one on another file system than {}",
            text::path(folder)
        ),
    };
    StepError::Sandbox(format!("failed to mount layers ({}); {hint}, {ELSEWHERE}", error.trim()))
}

/// An input cannot be mounted without the outputs in it; `error` is what `mount` printed.
pub(super) fn no_input_overlay(error: &str) -> StepError {
    StepError::Sandbox(format!(
        "failed to mount an input without the outputs of builds that are in its folder ({}); write \
         outputs to another folder, {ELSEWHERE}",
        error.trim()
    ))
}

/// The release of Linux, if only root can mount overlayfs with it.
fn old_linux() -> Option<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse().ok());
    let version: (u32, u32) = (numbers.next()?, numbers.next()?);
    (version < OVERLAY_FOR_USERS).then(|| release.trim().to_owned())
}

/// The command that changes a setting that forbids user namespaces.
fn blocking_setting() -> Option<&'static str> {
    let blocks = |(file, value, _): &&(&str, &str, &str)| {
        fs::read_to_string(format!("/proc/sys/{file}")).is_ok_and(|text| text.trim() == *value)
    };
    SETTINGS.iter().find(blocks).map(|(_, _, command)| *command)
}
