//! The sandbox of a step, as options of `bwrap`: mounts, isolation, environment.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::bwrap::Options;
use super::user::User;
use super::{inputs, merged, work};
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
/// The files about names of hosts, without a slash at the beginning.
const HOSTS: &str = "etc/hosts";
const RESOLVER: &str = "etc/resolv.conf";
/// The note about an image without a place for [`RESOLVER`].
const NO_RESOLVER: &str = "names of hosts are not resolved: the host's /etc/resolv.conf is not \
     mounted, because that of the image is neither a file nor a symlink to a path for one";

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

    /// The options of `bwrap`. Calls `note` with restrictions that the user needs to know.
    pub(super) fn options(&self, note: &mut dyn FnMut(&str)) -> Result<Vec<OsString>, StepError> {
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
        self.inputs(system, &mut options, note)?;
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
    fn inputs(
        &self,
        system: &str,
        options: &mut Options,
        note: &mut dyn FnMut(&str),
    ) -> Result<(), StepError> {
        let mount_points = self.work.join(MOUNT_POINTS);
        make_folders(self.work, &mount_points)?;
        if self.step.view == View::Image {
            make_folders(self.work, &mount_points.join("dev"))?;
            make_folders(self.work, &mount_points.join("proc"))?;
            self.host_names(&mount_points)?;
        }
        // First, so that an input at the same path hides it.
        let resolver = self.resolver(note);
        for (number, input) in resolver.iter().chain(&self.step.inputs).enumerate() {
            let Input { source, target, .. } = input;
            let resolved = fs::canonicalize(source).map_err(ArchiveError::read(source))?;
            if self.step.view == View::Image {
                let point = mount_points.join(target);
                match resolved.is_dir() {
                    true => make_folders(self.work, &point)?,
                    false => self.file_in_lowest_layer(&point, "")?,
                }
            }
            let target = format!("{system}/{target}");
            let target = Path::new(&target);
            inputs::mount((number, input), &resolved, target, self.work, options)?;
        }
        Ok(())
    }

    /// Makes a file with the names that the command finds, if the image has none. Most images do
    /// not, because engines mount one.
    fn host_names(&self, mount_points: &Path) -> Result<(), StepError> {
        let place = merged::place_of_file(HOSTS, self.lower);
        let Some(place) = place.filter(|place| !self.is_input(HOSTS, place)) else { return Ok(()) };
        let names = format!("127.0.0.1\tlocalhost {HOSTNAME}\n::1\tlocalhost\n");
        self.file_in_lowest_layer(&mount_points.join(place), &names)
    }

    /// The host's file with the addresses of name servers, which is mounted like an input.
    fn resolver(&self, note: &mut dyn FnMut(&str)) -> Option<Input> {
        let source = Path::new("/").join(RESOLVER);
        if self.step.view != View::Image || !self.step.network || !source.exists() {
            return None;
        }
        let place = merged::place_of_file(RESOLVER, self.lower);
        if self.is_input(RESOLVER, place.as_deref().unwrap_or(RESOLVER)) {
            return None;
        }
        if place.is_none() {
            note(NO_RESOLVER);
        }
        Some(Input { source, target: place?, left_out: Vec::new() })
    }

    /// Whether an input of the step is at `path`, which leads to `place` in the image, above it, or
    /// below it.
    fn is_input(&self, path: &str, place: &str) -> bool {
        let overlaps = |target: &Path, path: &str| {
            target.starts_with(path) || Path::new(path).starts_with(target)
        };
        let targets = self.step.inputs.iter().map(|input| Path::new(&input.target));
        targets.into_iter().any(|target| overlaps(target, path) || overlaps(target, place))
    }

    /// Makes a file in the lowest layer, in the folder for mount points, which users of the image
    /// can read whatever the umask is.
    fn file_in_lowest_layer(&self, path: &Path, text: &str) -> Result<(), StepError> {
        make_folders(self.work, path.parent().unwrap_or(self.work))?;
        let permissions = PermissionsExt::from_mode(0o644);
        fs::write(path, text)
            .and_then(|()| fs::set_permissions(path, permissions))
            .map_err(StepError::io("create", path))
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
