//! The sandbox of one command: mounts, isolation, deadline.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Instant;

use serde_json::Value;

use super::holder::UserNamespace;
use super::{problems, seccomp, user, work};
use crate::steps::error::{StepError, exit_status};
use crate::steps::output::Output;
use crate::steps::step::{Step, View};

/// The sandbox of a step.
pub(super) struct Sandbox<'a> {
    pub(super) namespace: &'a UserNamespace,
    /// The working folder.
    pub(super) work: &'a Path,
    /// The folders with the files of the layers below, lowest first.
    pub(super) lower: &'a [PathBuf],
    pub(super) step: &'a Step,
}

/// How a command ended.
pub(super) enum Ended {
    Success,
    /// With this exit code or signal.
    Failure(String),
    Timeout,
}

/// Checks that the process that started it still runs, mounts the layers, and runs `bwrap`. Its
/// arguments: that process, the options of the mount, and those of `bwrap`.
const SCRIPT: &str = r#"[ "$PPID" = "$1" ] || exit 1
umask 022
mount -n -t overlay overlay -o "$2" merged 2>mount-errors || exit 1
shift 2
exec bwrap --json-status-fd 3 --args 4 --add-seccomp-fd 5 --add-seccomp-fd 6 "$@" \
  3>status 4<options 5<filter-0 6<filter-1"#;
/// The files that [`SCRIPT`] names.
const MOUNT_ERRORS: &str = "mount-errors";
const STATUS: &str = "status";
const OPTIONS: &str = "options";
/// The folder with the mount points of the sandbox. It is the lowest layer, so that the step's
/// layer does not contain them.
const MOUNT_POINTS: &str = "mount-points";
/// Where the image is for commands of other users than root.
const IMAGE: &str = "/image";
/// The working folder of commands that change a layer.
const LAYER: &str = "/layer";
/// The folders with the host's programs and their libraries.
const PROGRAMS: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store"];
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
/// The search path of commands, if the image sets none, as in Docker.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Sandbox<'_> {
    /// Runs the command until `deadline`.
    pub(super) fn run(
        &self,
        output: &mut Output<'_>,
        deadline: Instant,
    ) -> Result<Ended, StepError> {
        let options = self.options()?;
        self.write(OPTIONS, options.join("\0").as_bytes())?;
        for (index, filter) in seccomp::filters()?.iter().enumerate() {
            self.write(&format!("filter-{index}"), filter)?;
        }
        let overlay = self.overlay_options()?;
        let failed = || StepError::io("run", "bwrap");
        let (reader, writer) = io::pipe().map_err(failed())?;
        let mut command = self.namespace.command("unshare");
        command.args(["--mount", "--", "sh", "-c", SCRIPT, "sh"]);
        command.arg(std::process::id().to_string()).arg(overlay).args(self.command()?);
        // With the newer system calls, `mount` cannot pass long lists of layers.
        command.env("LIBMOUNT_FORCE_MOUNT2", "always").current_dir(self.work);
        command.stdin(Stdio::null()).stdout(writer.try_clone().map_err(failed())?).stderr(writer);
        let mut child = command.spawn().map_err(failed())?;
        drop(command);
        // `bwrap` has the pipe open until every process of the sandbox has ended.
        if !output.read_until(reader, deadline) {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(Ended::Timeout);
        }
        let status = child.wait().map_err(failed())?;
        self.ended(status, output)
    }

    /// How the command ended, according to `bwrap`.
    fn ended(&self, status: ExitStatus, output: &Output<'_>) -> Result<Ended, StepError> {
        let documents = fs::read_to_string(self.work.join(STATUS)).unwrap_or_default();
        let number = |key: &str| {
            let documents = serde_json::Deserializer::from_str(&documents).into_iter::<Value>();
            documents.flatten().find_map(|document| document.get(key)?.as_i64())
        };
        match (number("exit-code"), number("child-pid")) {
            (Some(0), _) => Ok(Ended::Success),
            (Some(code), _) => Ok(Ended::Failure(exit_status(code))),
            (None, Some(_)) => {
                let problem = format!("it does not start: {}", output.last_lines().join("; "));
                Err(StepError::Invalid { step: self.step.title(), problem })
            }
            (None, None) => {
                let errors = fs::read_to_string(self.work.join(MOUNT_ERRORS)).unwrap_or_default();
                match errors.trim() {
                    "" => Err(StepError::Sandbox(format!(
                        "the sandbox ended with {status}: {}",
                        output.last_lines().join("; ")
                    ))),
                    errors => Err(problems::no_overlay(errors, self.work)),
                }
            }
        }
    }

    /// The options of the overlay mount. Layers have short names, since all options together must
    /// fit into a page.
    fn overlay_options(&self) -> Result<String, StepError> {
        let mut names = Vec::new();
        let mount_points = self.work.join(MOUNT_POINTS);
        // overlayfs refuses a folder that it gets twice. The same layer further below adds nothing.
        let mut folders: Vec<&PathBuf> = Vec::new();
        for folder in self.lower.iter().rev().chain([&mount_points]) {
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        for (index, folder) in folders.into_iter().enumerate() {
            let link = self.work.join(index.to_string());
            std::os::unix::fs::symlink(folder, &link).map_err(StepError::io("create", &link))?;
            names.push(index.to_string());
        }
        Ok(format!("lowerdir={},upperdir={},workdir=work,userxattr", names.join(":"), work::UPPER))
    }

    /// The command, behind the options of `bwrap`.
    fn command(&self) -> Result<Vec<String>, StepError> {
        let mut command = vec!["--".to_owned()];
        if let Some(user) = self.other_user()? {
            let program = problems::find("unshare").unwrap_or_default();
            command.push(program.to_string_lossy().into_owned());
            command.push(format!("--root={IMAGE}"));
            command.push(format!("--wd={}", self.workdir()));
            command.push(format!("--setgid={}", user.gid));
            command.push(format!("--setuid={}", user.uid));
            command.push("--".to_owned());
        }
        command.extend(self.step.args.iter().cloned());
        Ok(command)
    }

    fn workdir(&self) -> &str {
        self.step.workdir.as_deref().unwrap_or("/")
    }

    /// The user that the command runs as, unless it is root.
    fn other_user(&self) -> Result<Option<user::User>, StepError> {
        let Some(name) = &self.step.user else { return Ok(None) };
        let invalid = |problem| StepError::Invalid { step: self.step.title(), problem };
        let user = user::find(name, self.lower).map_err(invalid)?;
        if !self.namespace.ids.contain(user.uid.into(), user.gid.into()) {
            let problem = format!(
                "user {}:{} is beyond the range of this user's IDs in /etc/subuid and /etc/subgid; \
                 make it longer",
                user.uid, user.gid
            );
            return Err(invalid(problem));
        }
        Ok((user.uid != 0 || user.gid != 0).then_some(user))
    }

    /// The options of `bwrap`.
    fn options(&self) -> Result<Vec<String>, StepError> {
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
        options.add(["--hostname", "build"]);
        let user = self.other_user()?;
        let root = match (self.step.view, &user) {
            (View::Image, None) => "",
            (View::Image, Some(_)) => IMAGE,
            (View::TopLayer, _) => LAYER,
        };
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
        let home = user.map_or("/root".to_owned(), |user| user.home);
        self.environment(&home, &mut options);
        let workdir = match self.step.view {
            View::TopLayer => LAYER,
            View::Image if root.is_empty() => self.workdir(),
            View::Image => "/",
        };
        options.add(["--chdir", workdir]);
        Ok(options.0)
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
        let mut mounts: Vec<(PathBuf, String)> = Vec::new();
        for input in &self.step.inputs {
            let source = fs::canonicalize(&input.source);
            let source = source.map_err(crate::archive::ArchiveError::read(&input.source))?;
            mounts.push((source, input.target.clone()));
        }
        let resolver = Path::new("/etc/resolv.conf");
        if self.step.network && self.step.view == View::Image && resolver.exists() {
            mounts.push((resolver.to_owned(), "etc/resolv.conf".to_owned()));
        }
        for (source, target) in mounts {
            if self.step.view == View::Image {
                let point = mount_points.join(&target);
                folder(point.parent().unwrap_or(&mount_points))?;
                match source.is_dir() {
                    true => folder(&point)?,
                    false => fs::write(&point, "").map_err(StepError::io("create", &point))?,
                }
            }
            let (source, target) = (source.to_string_lossy(), format!("{system}/{target}"));
            options.add(["--ro-bind", &source, &target]);
        }
        Ok(())
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

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StepError> {
        let path = self.work.join(name);
        fs::write(&path, bytes).map_err(StepError::io("write", &path))
    }
}

/// Makes the folders between `above` and `path`, and `path`, as far as they do not exist.
fn make_folders(above: &Path, path: &Path) -> Result<(), StepError> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|path| *path != above && !path.exists()).collect();
    missing.into_iter().rev().try_for_each(|path| work::make_folder(path, 0o755))
}

/// Options of `bwrap`.
#[derive(Default)]
struct Options(Vec<String>);

impl Options {
    fn add<const N: usize>(&mut self, options: [&str; N]) {
        self.0.extend(options.map(str::to_owned));
    }

    /// Mounts the host's programs.
    fn host_programs(&mut self) {
        for folder in PROGRAMS {
            match fs::read_link(folder) {
                Ok(target) => self.add(["--symlink", &target.to_string_lossy(), folder]),
                Err(_) if Path::new(folder).is_dir() => self.add(["--ro-bind", folder, folder]),
                Err(_) => {}
            }
        }
    }
}
