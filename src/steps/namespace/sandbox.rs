//! The sandbox of one command: mounts, isolation, deadline.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Instant;

use serde_json::Value;

use super::holder::UserNamespace;
use super::options::{IMAGE, Layout, MOUNT_POINTS, workdir};
use super::user::User;
use super::{problems, rootfs, seccomp, user, work};
use crate::linux::inherited;
use crate::steps::error::{StepError, exit_status};
use crate::steps::output::Output;
use crate::steps::owners::{self, Owner, Special};
use crate::steps::step::Step;

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

/// Checks that the process that started it still runs, mounts the layers, and runs the sandbox. Its
/// arguments: that process, the options of the mount, and the command of the sandbox.
const SCRIPT: &str = r#"[ "$PPID" = "$1" ] || exit 1
umask 022
mount -n -t overlay overlay -o "$2" merged 2>mount-errors || exit 1
shift 2
exec "$@" 3>status 4<options 5<filter-0 6<filter-1 7<filter-2"#;
/// The descriptors that [`SCRIPT`] opens, for `bwrap`.
const DESCRIPTORS: [&str; 10] = [
    "--json-status-fd",
    "3",
    "--args",
    "4",
    "--add-seccomp-fd",
    "5",
    "--add-seccomp-fd",
    "6",
    "--add-seccomp-fd",
    "7",
];
/// The message of `bwrap` if the image does not have the shell of `command`, or not its loader.
const NO_SHELL: &str = "execvp /bin/sh: No such file or directory";
/// The files that [`SCRIPT`] names.
const MOUNT_ERRORS: &str = "mount-errors";
const STATUS: &str = "status";
const OPTIONS: &str = "options";

impl Sandbox<'_> {
    /// Runs the command until `deadline`.
    pub(super) fn run(
        &self,
        output: &mut Output<'_>,
        deadline: Instant,
    ) -> Result<Ended, StepError> {
        let user = self.other_user()?;
        let layout = Layout { step: self.step, user: user.as_ref(), work: self.work };
        self.write(OPTIONS, layout.options()?.join(OsStr::new("\0")).as_bytes())?;
        for (index, filter) in seccomp::filters()?.iter().enumerate() {
            self.write(&format!("filter-{index}"), filter)?;
        }
        let overlay = self.overlay_options()?;
        let failed = || StepError::io("run", "bwrap");
        let (reader, writer) = io::pipe().map_err(failed())?;
        let mut command = self.namespace.command("unshare");
        command.args(["--mount", "--", "sh", "-c", SCRIPT, "sh"]);
        command.arg(std::process::id().to_string()).arg(overlay);
        command.args(self.recorder(&layout)?);
        // `bwrap` is PID 1 of the sandbox, where `/proc` shows its environment and files.
        command.args(["env", "-i"]).arg(problems::find("bwrap").unwrap_or("bwrap".into()));
        command.args(DESCRIPTORS).args(self.command(user.as_ref()));
        inherited::close_files(&mut command);
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
        if let Some(problem) = self.workdir_problem(output).filter(|_| !status.success()) {
            return Err(StepError::Invalid { step: self.step.title(), problem });
        }
        match (number("exit-code"), number("child-pid")) {
            (Some(0), _) if status.success() => Ok(Ended::Success),
            (Some(0), _) => Err(self.failed(status, output)),
            (Some(code), _) => Ok(Ended::Failure(exit_status(code))),
            (None, Some(_)) if self.recorder_failed() => Err(self.recording_failed(status, output)),
            (None, Some(_)) => {
                let lines = output.last_lines().join("; ");
                let hint = match lines.contains(NO_SHELL) {
                    true => {
                        "; the image has no shell for command, or lacks its libraries: add them, \
                         or use args"
                    }
                    false => "",
                };
                let problem = format!("it does not start: {lines}{hint}");
                Err(StepError::Invalid { step: self.step.title(), problem })
            }
            (None, None) => {
                let errors = fs::read_to_string(self.work.join(MOUNT_ERRORS)).unwrap_or_default();
                match errors.trim() {
                    "" => Err(self.failed(status, output)),
                    errors => Err(problems::no_overlay(errors, self.work)),
                }
            }
        }
    }

    /// The reason why the command cannot be started in its working directory, if that is so.
    fn workdir_problem(&self, output: &Output<'_>) -> Option<String> {
        let folder = self.step.workdir.as_deref()?;
        let of_root = format!("bwrap: Can't chdir to {folder}: ");
        let of_others = format!("unshare: cannot chdir to '{folder}': ");
        let lines = output.last_lines();
        let line = lines.last()?;
        let cause = line.strip_prefix(&of_root).or_else(|| line.strip_prefix(&of_others))?;
        Some(format!(
            "failed to enter workdir {}: {cause}; make the folder in path or in an earlier step",
            crate::text::shorten(folder)
        ))
    }

    fn failed(&self, status: ExitStatus, output: &Output<'_>) -> StepError {
        let last = output.last_lines().join("; ");
        StepError::Sandbox(format!("the sandbox ended with {status}: {last}"))
    }

    /// Whether owners were to be recorded, and the program that does has not come to its end.
    fn recorder_failed(&self) -> bool {
        self.namespace.ids.single().is_some() && !self.work.join(owners::RECORDED).exists()
    }

    fn recording_failed(&self, status: ExitStatus, output: &Output<'_>) -> StepError {
        let last = output.last_lines().join("; ");
        StepError::Sandbox(format!(
            "the program that records the owners of files ended with {status}: {last}"
        ))
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

    /// The beginning of the command that records owners, if this user has a single ID.
    fn recorder(&self, layout: &Layout<'_>) -> Result<Vec<String>, StepError> {
        if self.namespace.ids.single().is_none() {
            return Ok(Vec::new());
        }
        let program = problems::recorder()?.to_string_lossy().into_owned();
        self.write(owners::BASE, &self.base_owners()?)?;
        let subcommand = owners::SUBCOMMAND.to_owned();
        Ok(vec![program, subcommand, layout.prefix().to_owned(), "--".to_owned()])
    }

    /// The owners of symlinks and the like in the layers below, if there are others than root.
    fn base_owners(&self) -> Result<Vec<u8>, StepError> {
        let mut specials = Vec::new();
        for folder in self.lower {
            let path = rootfs::recorded(folder);
            let recorded = fs::read(&path).map_err(StepError::io("read", &path))?;
            specials.extend(Special::read(&recorded));
        }
        let has_others = specials.iter().any(|special| special.owner != Owner::ROOT);
        Ok(if has_others { Special::write(&specials) } else { Vec::new() })
    }

    /// The command, behind the options of `bwrap`.
    fn command(&self, user: Option<&User>) -> Vec<String> {
        let mut command = vec!["--".to_owned()];
        if let Some(user) = user {
            let program = problems::find("unshare").unwrap_or_default();
            command.push(program.to_string_lossy().into_owned());
            command.push(format!("--root={IMAGE}"));
            command.push(format!("--wd={}", workdir(self.step)));
            command.push(format!("--setgid={}", user.gid));
            command.push(format!("--setuid={}", user.uid));
            command.push("--".to_owned());
        }
        command.extend(self.step.args.iter().cloned());
        command
    }

    /// The user that the command runs as, unless it is root.
    fn other_user(&self) -> Result<Option<User>, StepError> {
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

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StepError> {
        let path = self.work.join(name);
        fs::write(&path, bytes).map_err(StepError::io("write", &path))
    }
}
