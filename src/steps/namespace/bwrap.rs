//! A list of options of `bwrap`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;

/// The folders with the host's programs and their libraries.
const PROGRAMS: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store"];

/// Options of `bwrap`.
#[derive(Default)]
pub(super) struct Options(Vec<OsString>);

impl Options {
    /// Adds options.
    pub(super) fn add<const N: usize>(&mut self, options: [&str; N]) {
        self.add_paths(options.map(OsStr::new));
    }

    /// Adds options with paths, which need not be UTF-8.
    pub(super) fn add_paths<const N: usize>(&mut self, options: [&OsStr; N]) {
        self.0.extend(options.map(OsStr::to_owned));
    }

    /// Adds a mount of `source` at `target`.
    pub(super) fn mount(&mut self, option: &str, source: &Path, target: &Path) {
        self.add_paths([option.as_ref(), source.as_os_str(), target.as_os_str()]);
    }

    /// Mounts the host's programs.
    pub(super) fn host_programs(&mut self) {
        for folder in PROGRAMS {
            match fs::read_link(folder) {
                Ok(target) => self.add(["--symlink", &target.to_string_lossy(), folder]),
                Err(_) if Path::new(folder).is_dir() => self.add(["--ro-bind", folder, folder]),
                Err(_) => {}
            }
        }
    }

    /// The options, in order.
    pub(super) fn into_list(self) -> Vec<OsString> {
        self.0
    }
}
