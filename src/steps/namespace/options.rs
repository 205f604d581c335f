//! The sandbox of a step, as options of `bwrap`: mounts, isolation, environment.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::bwrap::Options;
use super::merged::{self, MountPoint};
use super::user::User;
use super::{inputs, work};
use crate::archive::ArchiveError;
use crate::image::DEFAULT_PATH;
use crate::steps::StepError;
use crate::steps::step::{Input, Step, View};

/// The folder with the mount points of the sandbox. It is the lowest layer, so that the step's
/// layer does not contain them.
pub(super) const MOUNT_POINTS: &str = "mount-points";
/// Where the image is for commands of other users than root.
pub(super) const IMAGE: &str = "/image";
/// The working folder of commands that change a layer.
pub(super) const LAYER: &str = "/layer";
/// Files below `/proc` about the whole host, which `bwrap` does not hide; as in Docker.
const HIDDEN_FILES: [&str; 6] =
    ["kcore", "keys", "kpagecgroup", "kpagecount", "kpageflags", "timer_list"];
/// The capabilities of root in the sandbox: those of root in a Docker container, without the one
/// for raw network packets.
const CAPABILITIES: [&str; 13] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];
/// The name of the host that commands see.
const HOSTNAME: &str = "build";
/// The file in the working folder with the names that commands see in `/etc/hosts`.
const HOSTS: &str = "hosts";

/// The sandbox of `step`.
pub(super) struct Layout<'a> {
    pub(super) step: &'a Step,
    /// The user that the command runs as, unless it is root.
    pub(super) user: Option<&'a User>,
    /// The working folder.
    pub(super) work: &'a Path,
    /// The unpacked layers, lowest first.
    pub(super) lower: &'a [PathBuf],
}

impl Layout<'_> {
    /// The path of the image in the sandbox; empty if it is the root folder.
    pub(super) fn prefix(&self) -> &'static str {
        match (self.step.view, self.user) {
            (View::Image, None) => "",
            (View::Image, Some(_)) => IMAGE,
            (View::TopLayer, _) => LAYER,
        }
    }

    /// The options of `bwrap`.
    pub(super) fn options(&self) -> Result<Vec<OsString>, StepError> {
        let mut options = Options::default();
        for option in ["--die-with-parent", "--new-session", "--clearenv"] {
            options.add([option]);
        }
        for kind in ["pid", "ipc", "uts", "cgroup-try"] {
            options.add([&*format!("--unshare-{kind}")]);
        }
        if !self.step.network {
            options.add(["--unshare-net"]);
        }
        options.add(["--hostname", HOSTNAME]);
        let root = self.prefix();
        if !root.is_empty() {
            options.host_programs();
        }
        let own_root = if root.is_empty() { "/" } else { root };
        options.add(["--bind", "merged", own_root]);
        let system = if self.step.view == View::Image { root } else { "" };
        options.add(["--dev", &format!("{system}/dev")]);
        options.add(["--proc", &format!("{system}/proc")]);
        for file in HIDDEN_FILES.iter().filter(|file| Path::new("/proc").join(file).exists()) {
            options.add(["--ro-bind", "/dev/null", &format!("{system}/proc/{file}")]);
        }
        if self.step.view == View::TopLayer {
            options.add(["--tmpfs", "/tmp"]);
        }
        self.inputs(system, &mut options)?;
        options.add(["--cap-drop", "ALL"]);
        for capability in CAPABILITIES {
            options.add(["--cap-add", capability]);
        }
        let home = self.user.map_or("/root", |user| &user.home);
        self.environment(home, &mut options);
        let workdir = match self.step.view {
            View::TopLayer => LAYER,
            View::Image if root.is_empty() => workdir(self.step),
            View::Image => "/",
        };
        options.add(["--chdir", workdir]);
        Ok(options.into_list())
    }

    /// Mounts the inputs, and makes the mount points of the sandbox.
    fn inputs(&self, system: &str, options: &mut Options) -> Result<(), StepError> {
        let mount_points = self.work.join(MOUNT_POINTS);
        let folder = |path: &Path| make_folders(self.work, path);
        folder(&mount_points)?;
        if self.step.view == View::Image {
            folder(&mount_points.join("dev"))?;
            folder(&mount_points.join("proc"))?;
        }
        let network_files = self.network_files()?;
        for input in self.step.inputs.iter().chain(&network_files) {
            let Input { source, target, .. } = input;
            let resolved = fs::canonicalize(source).map_err(ArchiveError::read(source))?;
            if self.step.view == View::Image {
                let point = mount_points.join(target);
                folder(point.parent().unwrap_or(&mount_points))?;
                match resolved.is_dir() {
                    true => folder(&point)?,
                    false => fs::write(&point, "").map_err(StepError::io("create", &point))?,
                }
            }
            let target = format!("{system}/{target}");
            inputs::mount(input, &resolved, Path::new(&target), options)?;
        }
        Ok(())
    }

    /// The files about names of hosts, which are mounted like inputs.
    fn network_files(&self) -> Result<Vec<Input>, StepError> {
        let mut files = Vec::new();
        if self.step.view != View::Image {
            return Ok(files);
        }
        let file = |source: &Path, target: &str| Input {
            source: source.to_owned(),
            target: target.to_owned(),
            left_out: Vec::new(),
        };
        // Most images have no such file, because engines mount one.
        if merged::mount_point("etc", "hosts", self.lower) == MountPoint::Absent {
            let hosts = self.work.join(HOSTS);
            let names = format!("127.0.0.1\tlocalhost {HOSTNAME}\n::1\tlocalhost\n");
            fs::write(&hosts, names).map_err(StepError::io("create", &hosts))?;
            files.push(file(&hosts, "etc/hosts"));
        }
        let resolver = Path::new("/etc/resolv.conf");
        let usable = || merged::mount_point("etc", "resolv.conf", self.lower);
        if self.step.network && resolver.exists() && usable() != MountPoint::Unusable {
            files.push(file(resolver, "etc/resolv.conf"));
        }
        Ok(files)
    }

    fn environment(&self, home: &str, options: &mut Options) {
        let has = |name: &str| self.step.env.iter().any(|(key, _)| key == name);
        let path = match self.step.view {
            View::TopLayer => std::env::var("PATH").unwrap_or_else(|_| DEFAULT_PATH.to_owned()),
            View::Image => DEFAULT_PATH.to_owned(),
        };
        for (name, value) in [("PATH", path.as_str()), ("HOME", home)] {
            if !has(name) {
                options.add(["--setenv", name, value]);
            }
        }
        for (name, value) in &self.step.env {
            options.add(["--setenv", name, value]);
        }
    }
}

/// The working directory of the command of `step`.
pub(super) fn workdir(step: &Step) -> &str {
    step.workdir.as_deref().unwrap_or("/")
}

/// Makes the folders between `above` and `path`, and `path`, as far as they do not exist.
fn make_folders(above: &Path, path: &Path) -> Result<(), StepError> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|path| *path != above && !path.exists()).collect();
    missing.into_iter().rev().try_for_each(|path| work::make_folder(path, 0o755))
}
