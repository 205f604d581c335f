//! Exit codes, and the message that a failed command prints.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use super::streams::stderr;
use crate::archive::ArchiveError;
use crate::build::BuildError;
use crate::files::output::WriteError;
use crate::text;
use crate::text::errors::chain;

/// Bad input or usage; nothing was written. The argument parser exits with the same code.
const BAD_INPUT: u8 = 2;
/// The environment failed.
const ENVIRONMENT: u8 = 3;

/// A usage error that the argument parser cannot detect.
#[derive(Debug)]
pub(super) struct UsageError(pub(super) &'static str);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for UsageError {}

/// A failure of the environment, with its message.
#[cfg(feature = "vm")]
#[derive(Debug)]
pub(super) struct EnvironmentError(pub(super) String);

#[cfg(feature = "vm")]
impl fmt::Display for EnvironmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(feature = "vm")]
impl std::error::Error for EnvironmentError {}

/// An exit code for which nothing is printed, because the command has printed the reason.
#[derive(Debug)]
pub(super) struct ExitWith(pub(super) u8);

impl ExitWith {
    /// Something is not as expected.
    pub(super) const NOT_AS_EXPECTED: Self = Self(1);
    /// The environment failed.
    #[cfg(feature = "vm")]
    pub(super) const ENVIRONMENT: Self = Self(ENVIRONMENT);
    /// Ctrl-C (SIGINT) ended the command.
    #[cfg(feature = "vm")]
    pub(super) const INTERRUPTED: Self = Self(130);
    /// The terminal was closed (SIGHUP).
    #[cfg(feature = "vm")]
    pub(super) const HUNG_UP: Self = Self(129);
    /// Ctrl-\ (SIGQUIT) ended the command.
    #[cfg(feature = "vm")]
    pub(super) const QUIT: Self = Self(131);
    /// SIGTERM ended the command.
    #[cfg(feature = "vm")]
    pub(super) const TERMINATED: Self = Self(143);
}

impl fmt::Display for ExitWith {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {}", self.0)
    }
}

impl std::error::Error for ExitWith {}

/// Prints the error of a failed command and returns the exit code.
pub(super) fn code(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    if let Some(ExitWith(code)) = error.downcast_ref() {
        return ExitCode::from(*code);
    }
    // As other programs do, it ends silently if the reader of its output has gone.
    if is_broken_pipe(&error) {
        return ExitCode::from(ENVIRONMENT);
    }
    // If standard error cannot be written either, the exit code remains.
    let _ = writeln!(stderr(), "seatrial: {}", text::message(&chain(&*error)));
    ExitCode::from(match () {
        () if is_environment(&error) => ENVIRONMENT,
        () if is_not_reproducible(&error) => ExitWith::NOT_AS_EXPECTED.0,
        () => BAD_INPUT,
    })
}

/// Prints an error of the argument parser without colors, and exits.
pub(super) fn with_usage(error: &clap::Error) -> ! {
    let _ = writeln!(stderr(), "{}", text::message(&error.render().to_string()));
    std::process::exit(error.exit_code())
}

/// Whether a step gave other bytes when it ran again.
fn is_not_reproducible(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(BuildError::is_not_reproducible)
}

/// Whether the environment failed rather than the input.
fn is_environment(error: &anyhow::Error) -> bool {
    error.is::<io::Error>()
        || error.downcast_ref().is_some_and(BuildError::is_environment)
        || error.downcast_ref().is_some_and(ArchiveError::is_environment)
        || error.downcast_ref().is_some_and(WriteError::is_environment)
        || is_registry_environment(error)
        || is_vm_environment(error)
}

/// Whether an error of the feature `registry` is a failure of the environment.
#[cfg(feature = "registry")]
fn is_registry_environment(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(crate::registry::RegistryError::is_environment)
}

#[cfg(not(feature = "registry"))]
fn is_registry_environment(_: &anyhow::Error) -> bool {
    false
}

/// Whether an error of the feature `vm` is a failure of the environment.
#[cfg(feature = "vm")]
fn is_vm_environment(error: &anyhow::Error) -> bool {
    use crate::check::CheckError;
    use crate::engine::EngineError;
    use crate::harness::HarnessError;
    use crate::load::LoadError;
    use crate::replay::ReplayError;
    use crate::vm::VmError;
    error.is::<EnvironmentError>()
        || error.downcast_ref().is_some_and(LoadError::is_environment)
        || error.downcast_ref().is_some_and(EngineError::is_environment)
        || error.downcast_ref().is_some_and(HarnessError::is_environment)
        || error.downcast_ref().is_some_and(CheckError::is_environment)
        || error.downcast_ref().is_some_and(ReplayError::is_environment)
        || error.downcast_ref().is_some_and(VmError::is_environment)
}

#[cfg(not(feature = "vm"))]
fn is_vm_environment(_: &anyhow::Error) -> bool {
    false
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    error.downcast_ref().is_some_and(BuildError::is_broken_pipe)
        || error.downcast_ref().is_some_and(ArchiveError::is_broken_pipe)
        || io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
