//! Runs steps in namespaces of this host, without root.
//!
//! | program | task |
//! |---|---|
//! | `unshare`, `newuidmap` | make a user namespace in which this user is root |
//! | `nsenter`, `setpriv` | run a program in it that ends with this process |
//! | `tar` | unpacks layers there, and reads what a step changed |
//! | `mount` | lays the layers and a folder for changes on each other with overlayfs |
//! | `bwrap` | isolates the command: processes, network, mounts, capabilities, system calls |
//!
//! If this user has no ranges of IDs, the namespace has no other user than root, and the
//! [supervisor](super::owners) records the owners of files.
//!
//! Unpacked layers stay in the cache, by diff ID. A step writes to a working folder, which a
//! process in the user namespace removes as soon as this process closes its pipe, however it ends.

mod bwrap;
mod holder;
mod ids;
mod inputs;
mod merged;
mod options;
mod problems;
mod rootfs;
mod sandbox;
mod seccomp;
mod unpack;
mod user;
mod work;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use self::holder::UserNamespace;
use self::ids::Ids;
use self::rootfs::Rootfs;
use self::sandbox::{Ended, Sandbox};
use self::work::{Place, WorkFolder};
use super::StepError;
use super::changes::{OverlayFormat, TAR_OPTIONS};
use super::output::Output;
use super::owners::{self, RecordedOwners};
use super::runner::{ChangesReader, LowerLayer, Reuse, Runner};
use super::step::{Step, View};
use crate::image::Platform;
use crate::linux::foreign;

/// Runs steps in namespaces of this host.
#[derive(Debug)]
pub struct Namespace {
    architecture: String,
    reuse: Reuse,
}

impl Namespace {
    /// A runner for images of `architecture`, a Go name.
    pub fn new(architecture: &str, reuse: Reuse) -> Self {
        Self { architecture: architecture.to_owned(), reuse }
    }

    /// Checks whether this host can run steps in namespaces.
    ///
    /// # Errors
    /// If it cannot, with the reason and how to remove it.
    pub fn check_host() -> Result<(), StepError> {
        problems::check_programs()?;
        working_folder().map(drop)
    }

    fn check_architecture(&self, step: &Step) -> Result<(), StepError> {
        let host = Platform::host();
        let is_own = step.view == View::TopLayer || host.arch.goarch() == self.architecture;
        match is_own || foreign::runs(foreign::machine(&self.architecture)) {
            true => Ok(()),
            false => Err(problems::other_architecture(&self.architecture, host.arch.goarch())),
        }
    }
}

impl Runner for Namespace {
    fn identity(&self) -> Result<String, StepError> {
        // With a single ID, permissions are those of root.
        Ok(match Ids::available()?.single() {
            Some(_) => "namespace with a single ID".to_owned(),
            None => "namespace".to_owned(),
        })
    }

    fn run(
        &self,
        layers: &[LowerLayer<'_>],
        step: &Step,
        output: &mut Output<'_>,
        changes: &mut ChangesReader<'_>,
    ) -> Result<(), StepError> {
        self.check_architecture(step)?;
        problems::check_programs()?;
        let (work, namespace) = working_folder()?;
        work::remove_abandoned(&namespace);
        if let Some(reason) = namespace.ids.single() {
            output.status(reason.note());
        }
        let shared = match work.place() {
            Place::Cache => self.reuse != Reuse::Nothing,
            Place::Temporary(reason) => {
                output.status(&problems::temporary_folder(reason));
                false
            }
        };
        let rootfs = Rootfs::open(&namespace, work.path(), shared)?;
        let is_seen = |layer: &&LowerLayer<'_>| step.view == View::Image || layer.has_contents;
        let mut lower = Vec::new();
        for layer in layers.iter().filter(is_seen) {
            lower.push(rootfs.unpacked(layer)?);
        }
        let folders: Vec<PathBuf> = lower.iter().map(|layer| layer.path().to_owned()).collect();
        let sandbox = Sandbox { namespace: &namespace, work: work.path(), lower: &folders, step };
        let deadline = Instant::now() + step.timeout;
        let ended = sandbox.run(output, deadline)?;
        let last = output.last_lines();
        match ended {
            Ended::Success => {}
            Ended::Failure(status) => {
                return Err(StepError::failed(step, status, last));
            }
            Ended::Timeout => {
                let (step, limit) = (step.title(), step.timeout);
                return Err(StepError::Timeout { step, limit, output: last });
            }
        }
        read_changes(&namespace, work.path(), changes)?;
        rootfs.prune();
        Ok(())
    }
}

/// Creates a working folder, and the namespace that removes it: the namespace first, so that a
/// killed process leaves nothing. It is dropped first, too, since the folder is locked until then.
fn working_folder() -> Result<(WorkFolder, UserNamespace), StepError> {
    let (path, place) = WorkFolder::unused_path();
    let namespace = UserNamespace::create(&path)?;
    Ok((WorkFolder::create(path, place)?, namespace))
}

/// Passes the files that the step changed to `changes`.
fn read_changes(
    namespace: &UserNamespace,
    work: &std::path::Path,
    changes: &mut ChangesReader<'_>,
) -> Result<(), StepError> {
    let failed = || StepError::io("run", "tar");
    let mut tar = namespace.command("tar");
    tar.args(TAR_OPTIONS).arg("-C").arg(work.join(work::UPPER)).args(["--file=-", "."]);
    tar.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = tar.spawn().map_err(failed())?;
    let errors = holder::collect(child.stderr.take());
    let mut stdout =
        child.stdout.take().ok_or_else(|| failed()(std::io::ErrorKind::Other.into()))?;
    let mut result = changes(&mut stdout, OverlayFormat::User, recorded_owners(namespace, work)?);
    if result.is_ok() {
        // The padding behind the end; otherwise the closed pipe may kill `tar`.
        result = std::io::copy(&mut stdout, &mut std::io::sink()).map(drop).map_err(failed());
    }
    drop(stdout);
    let status = child.wait().map_err(failed())?;
    result?;
    match status.success() {
        true => Ok(()),
        false => Err(failed()(holder::failure(status, errors))),
    }
}

/// The owners that were recorded, if the namespace has a single ID.
fn recorded_owners(
    namespace: &UserNamespace,
    work: &std::path::Path,
) -> Result<RecordedOwners, StepError> {
    if namespace.ids.single().is_none() {
        return Ok(RecordedOwners::default());
    }
    let path = work.join(owners::RECORDED);
    let recorded = std::fs::read(&path).map_err(StepError::io("read", &path))?;
    let invalid = || StepError::io("read", &path)(std::io::ErrorKind::InvalidData.into());
    RecordedOwners::parse(&recorded).ok_or_else(invalid)
}
