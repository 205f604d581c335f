//! Files of containers. A program in the guest reads them (`vm/files`), which the guest agent
//! starts: CRI has no request for it, Podman's returns other owners than the files have, and those
//! of Docker and Podman do not see mounts. Over CRI, a program writes them, too.

mod file;

use std::fmt::Display;
use std::time::Duration;

use rustix::io::Errno;
use tokio::time::sleep;

use self::file::{Answer, File};
use super::daemon::Daemon;
use super::error::HarnessError;
use crate::engine::{Container, EngineError, FileToCopy};
use crate::vm::instance::STDIN_MAX;

const READ: &str =
    concat!(include_str!("../../../vm/files/enter"), include_str!("../../../vm/files/read"));
const WRITE: &str =
    concat!(include_str!("../../../vm/files/enter"), include_str!("../../../vm/files/write"));
/// The time limit for a program. It ends before that by itself.
const TIMEOUT: Duration = Duration::from_secs(90);
/// The most bytes that are read at once: the guest agent captures 16 MiB.
const PART_MAX: usize = 8 << 20;
/// The pause between two parts, in which others can use the guest agent.
const PAUSE: Duration = Duration::from_millis(30);
/// The most bytes of an archive besides the file: headers, a long path and target, the end.
const HEADERS_MAX: usize = 16 << 10;
/// The reason why a file cannot be read or written.
const ENDED: &str = "the container has ended, and this file can be copied only while it runs";

/// A file to be copied out of a container.
pub(crate) struct CopyOut<'a> {
    pub(crate) daemon: &'a Daemon,
    pub(crate) container: &'a Container,
    pub(crate) path: &'a str,
    /// Whether the target of a symlink is copied, rather than itself.
    pub(crate) follow: bool,
    /// The most bytes of the tar.
    pub(crate) limit: usize,
    /// Whether the file is there only while the container runs, such as those below `/proc` and of
    /// tmpfs mounts.
    pub(crate) in_memory: bool,
}

impl CopyOut<'_> {
    /// Returns a tar whose first entry is the file; `None` if it does not exist, or symlinks on the
    /// way form a loop. A folder may be returned without the files in it, and of a file that is too
    /// large only the header. Docker and Podman also return files of a container that has ended,
    /// except for those in memory, Podman with the owner that the container's processes had.
    ///
    /// # Errors
    /// If the request fails, or it is a socket, which a tar cannot have. Files of a container that
    /// has ended are [unsupported](HarnessError::is_unsupported) over CRI, and those in memory on
    /// all engines.
    pub(crate) async fn archive(&self) -> Result<Option<Vec<u8>>, HarnessError> {
        let outlives = !self.in_memory && !matches!(self.container, Container::Cri(_));
        match self.archive_while_running().await {
            Err(error) if error.is_unsupported() && outlives => {
                Ok(self.container.copy_out(self.path, self.follow, self.limit).await?)
            }
            archive => archive,
        }
    }

    async fn archive_while_running(&self) -> Result<Option<Vec<u8>>, HarnessError> {
        let Some(file) = self.read().await? else { return Ok(None) };
        let archived = file.archive(self.path, self.content_max());
        let mut archive = archived.map_err(|error| failed(&self.action(), error))?;
        archive.truncate(self.limit);
        Ok(Some(archive))
    }

    /// The size of the largest file whose content is read.
    fn content_max(&self) -> usize {
        self.limit.saturating_sub(HEADERS_MAX)
    }

    fn action(&self) -> String {
        format!("copy {} out of the container", self.path)
    }

    /// Reads the file, if it exists.
    async fn read(&self) -> Result<Option<File>, HarnessError> {
        if self.path.contains('\0') {
            return Ok(None);
        }
        let mut begin: Option<File> = None;
        loop {
            let offset = begin.as_ref().map_or(0, |file| file.content.len());
            let Some(part) = self.read_part(offset).await? else { return Ok(None) };
            let is_last = part.content.len() < PART_MAX;
            let replaced = || failed(&self.action(), "it was replaced while it was read");
            let file = match begin.take() {
                None => part,
                Some(begin) => begin.followed_by(part).ok_or_else(replaced)?,
            };
            if is_last || file.content.len() > self.content_max() {
                return Ok(Some(file));
            }
            begin = Some(file);
            sleep(PAUSE).await;
        }
    }

    async fn read_part(&self, offset: usize) -> Result<Option<File>, HarnessError> {
        let numbers = [usize::from(self.follow), offset, PART_MAX, self.content_max()];
        let [follow, offset, count, most] = numbers.map(|number| number.to_string());
        let arguments = ["-e", READ, self.container.id(), &follow, &offset, &count, &most];
        // From the root of the container, also without a slash.
        let path = format!("/{}", self.path);
        match run(self.daemon, &self.action(), &arguments, path.as_bytes()).await? {
            Ok(output) => {
                let incomplete = || failed(&self.action(), "the answer of the VM is incomplete");
                File::parse(&output).map(Some).ok_or_else(incomplete)
            }
            // As for commands such as `test -e`, symlinks that form a loop lead nowhere.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(failed(&self.action(), error)),
        }
    }
}

/// Writes a file into the container. Its owner is root, and folders that do not exist are created.
///
/// # Errors
/// If the engine or the container's file system rejects the file. Over CRI, also if it is too
/// large, or the container has ended, which is [unsupported](HarnessError::is_unsupported) there.
pub(super) async fn copy_in(
    daemon: &Daemon,
    container: &Container,
    file: FileToCopy,
) -> Result<(), HarnessError> {
    if !matches!(container, Container::Cri(_)) {
        return Ok(container.copy_into(&[file]).await?);
    }
    let action = format!("copy {} into the container", file.path);
    let input = [b"/", file.path.as_bytes(), b"\0", &file.content].concat();
    if input.len() > STDIN_MAX {
        let problem = format!("over CRI, a file has at most {} MiB", STDIN_MAX >> 20);
        return Err(failed(&action, problem));
    }
    if file.path.contains('\0') {
        return Err(failed(&action, Errno::INVAL));
    }
    let arguments = ["-e", WRITE, container.id(), &(file.mode & 0o7777).to_string()];
    match run(daemon, &action, &arguments, &input).await? {
        Ok(_) => Ok(()),
        Err(error) => Err(failed(&action, error)),
    }
}

/// Runs a program in the guest. Returns its answer, or the error of a system call that failed.
async fn run(
    daemon: &Daemon,
    action: &str,
    arguments: &[&str],
    input: &[u8],
) -> Result<Result<Vec<u8>, Errno>, HarnessError> {
    let mut agent = daemon.vm().agent(TIMEOUT).await?;
    let output = agent.run_with_input("/usr/bin/perl", arguments, input, TIMEOUT).await?;
    match (Answer::of(&output.stdout), output.code) {
        (Some(Answer::Ended), Some(0)) => Err(EngineError::Unsupported(ENDED).into()),
        (Some(Answer::Failed(error)), Some(0)) => Ok(Err(error)),
        (Some(Answer::Done), Some(0)) => Ok(Ok(output.stdout)),
        _ => Err(failed(
            action,
            match output.signal {
                Some(signal) => format!("signal {signal} ended the program in the VM"),
                None => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            },
        )),
    }
}

fn failed(action: &str, problem: impl Display) -> HarnessError {
    EngineError::Unexpected(format!("failed to {action}: {problem}")).into()
}
