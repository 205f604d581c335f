//! Programs of other architectures, for which Linux starts QEMU.

use std::fs;
use std::path::Path;

/// The folder in which Linux lists the interpreters for programs.
const REGISTRY: &str = "/proc/sys/fs/binfmt_misc";

/// Whether Linux runs programs of `machine`, as QEMU calls it, in any root folder: an interpreter
/// with the flag F was opened when it was registered (Linux
/// `Documentation/admin-guide/binfmt-misc.rst`).
pub(crate) fn runs(machine: &str) -> bool {
    let registration = Path::new(REGISTRY).join(format!("qemu-{machine}"));
    is_usable(&fs::read_to_string(registration).unwrap_or_default())
}

fn is_usable(registration: &str) -> bool {
    let mut lines = registration.lines();
    let enabled = lines.next() == Some("enabled");
    let mut flags = lines.filter_map(|line| line.strip_prefix("flags:"));
    enabled && flags.any(|flags| flags.contains('F'))
}

/// The name that QEMU and Linux have for an architecture with the Go name `goarch`.
pub(crate) fn machine(goarch: &str) -> &str {
    match goarch {
        "386" => "i386",
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "loong64" => "loongarch64",
        "mips64le" => "mips64el",
        "mipsle" => "mipsel",
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_runs_programs_in_any_root_folder_only_with_the_flag_f() {
        let registration = |state: &str, flags: &str| {
            is_usable(&format!("{state}\ninterpreter /usr/bin/qemu\nflags: {flags}\noffset 0\n"))
        };
        assert!(registration("enabled", "POCF"));
        assert!(!registration("enabled", "POC"));
        assert!(!registration("disabled", "POCF"));
        assert!(!is_usable(""));
    }
}
