//! How the program ends: exit codes and error messages.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::archive::ArchiveError;
use crate::build::BuildError;

/// Something is not as it was expected to be.
pub(super) const NOT_AS_EXPECTED: u8 = 1;
/// Bad input or usage; nothing was written. The same code that the argument parser ends with.
const BAD_INPUT: u8 = 2;
/// The environment failed.
pub(super) const ENVIRONMENT: u8 = 3;

/// A wrong use of the command line that the argument parser cannot see.
#[derive(Debug)]
pub(super) struct Usage(pub(super) &'static str);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Usage {}

/// An end that has been explained already.
#[derive(Debug)]
pub(super) struct Ended(pub(super) u8);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ended with {}", self.0)
    }
}

impl std::error::Error for Ended {}

/// Says what went wrong, if anything did, and gives the exit code for it.
pub(super) fn code(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    if let Some(Ended(code)) = error.downcast_ref() {
        return ExitCode::from(*code);
    }
    if is_broken_pipe(&error) {
        return ExitCode::from(ENVIRONMENT);
    }
    // Nothing can be done where even this cannot be written.
    let _ = writeln!(io::stderr(), "seatrial: {error:#}");
    ExitCode::from(if is_environment(&error) { ENVIRONMENT } else { BAD_INPUT })
}

fn is_environment(error: &anyhow::Error) -> bool {
    if let Some(error) = error.downcast_ref::<BuildError>() {
        error.is_environment()
    } else if let Some(error) = error.downcast_ref::<ArchiveError>() {
        error.is_environment()
    } else if is_environment_of_vm(error) {
        true
    } else {
        error.is::<io::Error>()
    }
}

/// Whether an error of the feature `vm` is a failure of the environment.
#[cfg(feature = "vm")]
fn is_environment_of_vm(error: &anyhow::Error) -> bool {
    use crate::check::CheckError;
    use crate::engine::EngineError;
    use crate::harness::HarnessError;
    use crate::load::LoadError;
    use crate::replay::ReplayError;
    use crate::vm::VmError;
    error.downcast_ref().is_some_and(LoadError::is_environment)
        || error.downcast_ref().is_some_and(EngineError::is_environment)
        || error.downcast_ref().is_some_and(HarnessError::is_environment)
        || error.downcast_ref().is_some_and(CheckError::is_environment)
        || error.downcast_ref().is_some_and(ReplayError::is_environment)
        || error.downcast_ref().is_some_and(VmError::is_environment)
}

#[cfg(not(feature = "vm"))]
fn is_environment_of_vm(_: &anyhow::Error) -> bool {
    false
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    error.downcast_ref::<BuildError>().is_some_and(BuildError::is_broken_pipe)
        || error.downcast_ref::<ArchiveError>().is_some_and(ArchiveError::is_broken_pipe)
        || io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
