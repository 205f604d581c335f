//! Files of containers. Docker and Podman return them over their API. CRI has no call for that, so
//! there a program in the guest reads them (`vm/files/read`); the guest agent starts it.

mod file;

use std::fmt::Display;
use std::time::Duration;

use rustix::io::Errno;
use tokio::time::sleep;

use self::file::{Answer, File};
use super::daemon::Daemon;
use super::error::HarnessError;
use crate::engine::{Container, EngineError};

const PROGRAM: &str = include_str!("../../../vm/files/read");
/// The time limit for reading a part of a file. The program ends before that.
const PART_TIMEOUT: Duration = Duration::from_secs(90);
/// The most bytes that are read at once: the guest agent captures 16 MiB.
const PART_MAX: usize = 8 << 20;
/// The pause between two parts, in which others can use the guest agent.
const PAUSE: Duration = Duration::from_millis(30);
/// The most bytes of an archive besides the file: headers, a long path and target, the end.
const HEADERS_MAX: usize = 16 << 10;
/// The reason why a file cannot be read.
const ENDED: &str =
    "the container has ended; over CRI, files can be read only while a container runs";

/// Returns a tar of at most `limit` bytes, whose first entry is the file at `path` in the
/// container; `None` if the file does not exist. If it is a symlink, its target is returned with
/// `follow`, and itself without. Over CRI, a folder is returned without the files in it, and of a
/// file that is too large only the header.
///
/// # Errors
/// If the request fails, symlinks form a loop, or it is a socket, which a tar cannot have. Over
/// CRI, also if the container has ended, which is
/// [unsupported](HarnessError::is_unsupported) there.
pub(crate) async fn copy_out(
    daemon: &Daemon,
    container: &Container,
    path: &str,
    follow: bool,
    limit: usize,
) -> Result<Option<Vec<u8>>, HarnessError> {
    if !matches!(container, Container::Cri(_)) {
        return Ok(container.copy_out(path, follow, limit).await?);
    }
    let content_max = limit.saturating_sub(HEADERS_MAX);
    let request = Request { id: container.id(), path, follow, content_max };
    let Some(file) = request.read(daemon).await? else { return Ok(None) };
    let mut archive = file.archive(path, content_max).map_err(|error| request.failed(error))?;
    archive.truncate(limit);
    Ok(Some(archive))
}

/// A file of a container, to be read in the guest.
struct Request<'a> {
    id: &'a str,
    path: &'a str,
    follow: bool,
    /// The size of the largest file whose content is read.
    content_max: usize,
}

impl Request<'_> {
    /// Reads the file, if it exists.
    async fn read(&self, daemon: &Daemon) -> Result<Option<File>, HarnessError> {
        if self.path.contains('\0') {
            return Ok(None);
        }
        let mut begin: Option<File> = None;
        loop {
            let offset = begin.as_ref().map_or(0, |file| file.content.len());
            let part = match self.read_part(daemon, offset).await? {
                Answer::Found(part) => part,
                Answer::Failed(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
                Answer::Failed(error) => return Err(self.failed(error)),
                Answer::Ended => return Err(EngineError::Unsupported(ENDED).into()),
            };
            let is_last = part.content.len() < PART_MAX;
            let file = match begin.take() {
                None => part,
                Some(begin) => begin
                    .followed_by(part)
                    .ok_or_else(|| self.failed("it was replaced while it was read"))?,
            };
            if is_last || file.content.len() > self.content_max {
                return Ok(Some(file));
            }
            begin = Some(file);
            sleep(PAUSE).await;
        }
    }

    async fn read_part(&self, daemon: &Daemon, offset: usize) -> Result<Answer, HarnessError> {
        let numbers = [usize::from(self.follow), offset, PART_MAX, self.content_max];
        let [follow, offset, count, most] = numbers.map(|number| number.to_string());
        let arguments = ["-e", PROGRAM, self.id, &follow, &offset, &count, &most];
        // From the root of the container, also without a slash.
        let path = format!("/{}", self.path);
        let mut agent = daemon.vm().agent(PART_TIMEOUT).await?;
        let output = agent
            .run_with_input("/usr/bin/perl", &arguments, path.as_bytes(), PART_TIMEOUT)
            .await?;
        let answer = Answer::parse(&output.stdout).filter(|_| output.code == Some(0));
        answer.ok_or_else(|| match output.signal {
            Some(signal) => self.failed(format!("signal {signal} ended the program that reads it")),
            None => self.failed(String::from_utf8_lossy(&output.stderr).trim()),
        })
    }

    fn failed(&self, problem: impl Display) -> HarnessError {
        let path = self.path;
        let problem = format!("failed to copy {path} out of the container: {problem}");
        EngineError::Unexpected(problem).into()
    }
}
