//! `seatrial logout`: removes the credentials for a registry.

use std::io::Write;

use super::login::describe;
use super::streams::{is_quiet, messages, stderr, stdout};
use crate::registry::{Registries, RegistryOptions, registry_of};
use crate::text;
use crate::text::errors::chain;

/// Removes the stored user name and password for a registry
#[derive(Debug, clap::Args)]
#[command(after_help = "\
They are removed wherever seatrial would find them: in the files of docker login
and podman login, and in the credential helpers that these files name.

Example:
  seatrial logout registry.example")]
pub(super) struct Args {
    /// Registry, as for login
    #[arg(value_name = "REGISTRY")]
    registry: String,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let registry = registry_of(&args.registry)?;
    let options = RegistryOptions { cache: false, ..RegistryOptions::default() };
    let removed = Registries::new(options)?.log_out(&registry)?;
    if !is_quiet() {
        let mut output = stdout();
        for place in &removed.places {
            writeln!(output, "removed the credentials for {registry} {}", describe(place))?;
        }
        if removed.places.is_empty() && removed.failed.is_empty() {
            writeln!(output, "there were no credentials for {registry}")?;
        }
    }
    for (path, key) in &removed.parts {
        let (path, key) = (text::path(path), text::shorten(key));
        writeln!(messages(), "note: {path} still has credentials for {key}")?;
    }
    let mut failed = removed.failed;
    let Some(last) = failed.pop() else { return Ok(()) };
    for error in failed {
        writeln!(stderr(), "seatrial: {}", text::message(&chain(&error)))?;
    }
    Err(last.into())
}
