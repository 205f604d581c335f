//! Commands that this build of the program does not have, because it lacks a feature.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::exit::UsageError;

/// The commands of a feature, each with its message.
macro_rules! commands {
    ($feature:literal: $($name:literal),*) => {
        &[$((
            $name,
            concat!(
                $name, " needs feature ", $feature, "; install with: cargo install --path . ",
                "--features ", $feature
            ),
        )),*]
    };
}

const OF_REGISTRY: &[(&str, &str)] =
    commands!("registry": "lock", "pull", "push", "copy", "login", "logout");
const OF_VM: &[(&str, &str)] = commands!("vm": "load", "check", "expect", "replay", "vm");

/// Replaces an error about an unknown command by one that names the feature that it needs.
pub(super) fn check(error: &clap::Error) -> Result<(), UsageError> {
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidSubcommand) else {
        return Ok(());
    };
    let missing = missing(unknown).filter(|_| error.kind() == ErrorKind::InvalidSubcommand);
    missing.map_or(Ok(()), |message| Err(UsageError(message)))
}

/// The message for the command `name`, if it is one of a feature.
fn missing(name: &str) -> Option<&'static str> {
    let all = OF_REGISTRY.iter().chain(OF_VM);
    all.copied().find_map(|(command, message)| (command == name).then_some(message))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    // A program without the commands of the features.
    #[derive(Debug, Parser)]
    enum Cli {
        Build,
    }

    #[test]
    fn a_command_of_a_missing_feature_names_the_feature() {
        for (command, expected) in [
            ("check", "check needs feature vm; install with: cargo install --path . --features vm"),
            (
                "push",
                "push needs feature registry; install with: cargo install --path . --features \
                 registry",
            ),
        ] {
            let error = Cli::try_parse_from(["seatrial", command]).unwrap_err();
            assert_eq!(check(&error).unwrap_err().to_string(), expected);
        }
        let unknown = Cli::try_parse_from(["seatrial", "biuld"]).unwrap_err();
        assert!(check(&unknown).is_ok());
    }

    #[test]
    fn the_commands_are_those_of_the_program() {
        let command = crate::cli::Cli::command();
        let has = |name: &str| command.find_subcommand(name).is_some();
        assert!(OF_VM.iter().all(|(name, _)| has(name) == cfg!(feature = "vm")));
        assert!(OF_REGISTRY.iter().all(|(name, _)| has(name) == cfg!(feature = "registry")));
    }
}
