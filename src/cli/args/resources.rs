//! The resources of a VM, and whether it reaches the network.

use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::number;
use crate::cli::exit::UsageError;
use crate::vm::{Egress, Options, Resources};

#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct ResourceArgs {
    /// Let the guest connect to the network, but not to services that listen only
    /// on this host's loopback interface (127.0.0.1); with `=host`, also to those,
    /// as 10.0.2.2
    #[arg(long, value_name = "TO", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "network")]
    egress: Option<Egress>,
    /// Memory of the VM in MiB; boots instead of restoring [default: the guest's]
    #[arg(long, value_name = "MIB", value_parser = number::<u32>(256, u64::MAX))]
    memory: Option<u32>,
    /// Number of CPUs of the VM; boots instead of restoring [default: the guest's]
    #[arg(long, value_name = "N", value_parser = number::<u32>(1, 64))]
    cpus: Option<u32>,
    /// Size of the disk for images and containers in GiB, at least 16; boots
    /// instead of restoring [default: 16]
    #[arg(long, value_name = "GIB", value_parser = number::<u32>(16, 8192))]
    disk: Option<u32>,
}

const VALUE_AFTER_SPACE: UsageError =
    UsageError("the value of --egress follows a =, as in --egress=host");

/// Checks that the argument that `error` calls unexpected is not the value of `--egress`, written
/// after a space instead of `=`.
pub(in crate::cli) fn check_egress(
    error: &clap::Error,
    command_line: &[String],
) -> Result<(), UsageError> {
    let (ErrorKind::UnknownArgument, Some(ContextValue::String(unexpected))) =
        (error.kind(), error.get(ContextKind::InvalidArg))
    else {
        return Ok(());
    };
    let is_value = unexpected.parse::<Egress>().is_ok();
    let is_egress = |words: &[String]| words[0] == "--egress" && words[1] == *unexpected;
    match is_value && command_line.windows(2).any(is_egress) {
        true => Err(VALUE_AFTER_SPACE),
        false => Ok(()),
    }
}

impl ResourceArgs {
    /// Whether all are the defaults.
    pub(in crate::cli) fn is_default(&self) -> bool {
        self.egress.is_none() && self.resources() == Resources::default()
    }

    /// Checks that `word`, another argument, is not the value of `--egress`, written after a space
    /// instead of `=`.
    pub(in crate::cli) fn check_is_not_egress(&self, word: &Path) -> Result<(), UsageError> {
        let is_value = word.to_str().is_some_and(|word| word.parse::<Egress>().is_ok());
        match self.egress.is_some() && is_value && !word.exists() {
            true => Err(VALUE_AFTER_SPACE),
            false => Ok(()),
        }
    }

    /// Returns `options` with these resources.
    pub(in crate::cli) fn apply_to(&self, options: Options) -> Options {
        Options { egress: self.egress, resources: self.resources(), ..options }
    }

    fn resources(&self) -> Resources {
        Resources { memory_mib: self.memory, cpus: self.cpus, disk_gib: self.disk }
    }

    /// Formats the arguments as words of a command line.
    pub(in crate::cli) fn to_words(&self) -> Vec<String> {
        let numbers = [("memory", self.memory), ("cpus", self.cpus), ("disk", self.disk)];
        let numbers = numbers.into_iter().filter_map(|(name, number)| Some((name, number?)));
        let numbers = numbers.map(|(name, number)| format!("--{name}={number}"));
        let egress = self.egress.map(|egress| format!("--egress={egress}"));
        egress.into_iter().chain(numbers).collect()
    }
}
