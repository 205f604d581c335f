//! The end of a command or a container, in words.

use crate::engine::{Container, Exit, RunOutput, State};
use crate::text::{Description, value};

/// Formats the exit code that was found; with standard error, which usually explains it, if
/// `with_stderr` is true.
pub(crate) fn found_exit_code(output: &RunOutput, with_stderr: bool) -> Description {
    let reason = output.reason().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let found = Description::from(format!("{}{reason}", output.code));
    match with_stderr && !output.stderr.is_empty() {
        true => found.then(", standard error ").then_quote(&output.stderr),
        false => found,
    }
}

/// Describes how the command of a container ended, for a report that shows its output.
pub(crate) async fn describe_end(container: &Container, state: &State) -> String {
    let text = describe_exit(state);
    match container.logs().await {
        Ok((stdout, stderr)) if stdout.is_empty() && stderr.is_empty() => {
            format!("{text}; it printed nothing")
        }
        _ => text,
    }
}

/// Describes how the command of a container ended, with the end of its output.
pub(super) async fn describe_end_and_output(container: &Container, state: &State) -> String {
    let text = describe_exit(state);
    match container.logs().await {
        Ok((stdout, stderr)) => format!("{text}; {}", describe_output(&stdout, &stderr)),
        Err(_) => text,
    }
}

fn describe_exit(state: &State) -> String {
    let exit = state.exit.as_ref().map(Exit::to_string);
    format!("its command ended with {}", exit.as_deref().unwrap_or("no code"))
}

/// Describes a command that did not end in time, with what it printed.
pub(crate) fn describe_still_running(stdout: &str, stderr: &str) -> Description {
    let printed = [("standard error", stderr), ("standard output", stdout)];
    let printed = printed.iter().filter(|(_, output)| !output.is_empty());
    printed.fold(Description::from("still running"), |found, (name, output)| {
        found.then(format!(", {name} ")).then_quote(*output)
    })
}

/// Describes the end of the output of a container.
pub(super) fn describe_output(stdout: &str, stderr: &str) -> String {
    let described = [("standard error", stderr), ("standard output", stdout)].map(
        |(name, output)| match output.is_empty() {
            true => format!("{name} nothing"),
            false => format!("{name} {}", value::excerpt_of_end(output)),
        },
    );
    described.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_is_still_running_is_described_with_what_it_printed() {
        assert_eq!(describe_still_running("", ""), "still running");
        assert_eq!(
            describe_still_running("waiting for db\n", ""),
            "still running, standard output \"waiting for db\\n\""
        );
        assert_eq!(
            describe_still_running("a", "b"),
            "still running, standard error \"b\", standard output \"a\""
        );
    }
}
