//! Files of containers. A program in the guest reads them (`vm/files`), which the guest agent
//! starts: CRI has no request for it, Podman's returns other owners than the files have, and those
//! of Docker and Podman do not see mounts. Over CRI, a program writes them, too.

mod batch;
mod ended;
mod file;
mod program;
mod request;

use std::fmt;

use rustix::io::Errno;

use self::ended::HEADERS_MAX;
pub(crate) use self::file::ContainerFile;
use self::program::{ENDED, INCOMPLETE, run};
pub(crate) use self::request::{FileError, FileRequest};
use super::daemon::Daemon;
use super::error::HarnessError;
use crate::archive::tar::MemberKind;
use crate::engine::{Container, EngineError, FileToCopy};
use crate::linux::container_user::UserIds;
use crate::text::errors::chain;
use crate::vm::instance::STDIN_MAX;

const WRITE: &str =
    concat!(include_str!("../../../vm/files/enter"), include_str!("../../../vm/files/write"));

/// Reads files of the container, as a command in it would: of `user`, or of one that can read all
/// files. Docker and Podman also return files of a container that has ended, whatever the user is,
/// Podman without their owners.
///
/// # Errors
/// If a request fails. Over CRI, also if the container has ended, which is
/// [unsupported](HarnessError::is_unsupported) there.
pub(crate) async fn read(
    daemon: &Daemon,
    container: &Container,
    requests: &[FileRequest],
    user: Option<&UserIds>,
) -> Result<Vec<Result<ContainerFile, FileError>>, HarnessError> {
    match batch::read(daemon, container.id(), requests, user).await {
        Err(error) if error.is_unsupported() && !matches!(container, Container::Cri(_)) => {
            let mut files = Vec::new();
            for request in requests {
                files.push(read_ended(daemon, container, request).await?);
            }
            Ok(files)
        }
        files => files,
    }
}

/// Reads a file of a container that has ended, over Docker's API.
async fn read_ended(
    daemon: &Daemon,
    container: &Container,
    request: &FileRequest,
) -> Result<Result<ContainerFile, FileError>, HarnessError> {
    let FileRequest { path, follow, content_max, ends_with_container } = request;
    if *ends_with_container {
        return Ok(Err(FileError::Other(ENDED.to_owned())));
    }
    let limit = content_max.unwrap_or_default() + HEADERS_MAX;
    let has_owner = daemon.vm().family().name != "podman";
    match container.copy_out(path, *follow, limit).await.map_err(HarnessError::from) {
        Ok(Some(archive)) => Ok(ended::first_entry(&archive, *content_max, has_owner)
            .map_err(|error| FileError::Other(error.to_string()))),
        Ok(None) => Ok(Err(FileError::System(Errno::NOENT))),
        Err(error) if error.is_of_lost_engine() => Err(error),
        Err(error) => Ok(Err(FileError::Other(chain(&error)))),
    }
}

/// Returns the content of the file at `path`, if it exists; symlinks are followed.
///
/// # Errors
/// As [`read`], and if it is not a regular file, or has more than `content_max` bytes.
pub(super) async fn content(
    daemon: &Daemon,
    container: &Container,
    path: &str,
    content_max: usize,
) -> Result<Option<Vec<u8>>, HarnessError> {
    let request = FileRequest {
        path: path.to_owned(),
        follow: true,
        content_max: Some(content_max),
        ends_with_container: false,
    };
    let found = read(daemon, container, &[request], None).await?.pop();
    let problem = match found {
        Some(Ok(ContainerFile { content_error: Some(error), .. })) => error.to_string(),
        Some(Ok(file)) if file.info.kind != MemberKind::File => {
            "it is not a regular file".to_owned()
        }
        Some(Ok(file)) => match file.info.content {
            Some(content) => return Ok(Some(content)),
            None => "it is too large".to_owned(),
        },
        Some(Err(error)) if error.is_absent() => return Ok(None),
        Some(Err(error)) => error.to_string(),
        None => return Ok(None),
    };
    Err(failed(&format!("copy {path} out of the container"), problem))
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
        Ok(output) if output == b"written" => Ok(()),
        Ok(output) => {
            let number = output.strip_prefix(b"error ").map(String::from_utf8_lossy);
            let error = number.and_then(|number| number.parse().ok());
            let error = error.map(Errno::from_raw_os_error);
            Err(match error {
                Some(error) => failed(&action, error),
                None => failed(&action, INCOMPLETE),
            })
        }
        Err(problem) => Err(failed(&action, problem)),
    }
}

fn failed(action: &str, problem: impl fmt::Display) -> HarnessError {
    EngineError::Unexpected(format!("failed to {action}: {problem}")).into()
}
