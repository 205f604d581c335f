//! Flags that have new names. The old ones are usage errors that name the new ones.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The command, its old flag, and the new one.
const FLAGS: [(&str, &str, &str); 3] = [
    ("replay", "--policy", "--wait"),
    ("replay", "--patience", "--timeout"),
    ("prepare", "--no-template", "--no-snapshot"),
];

/// Adds the new name to an error about an old flag.
pub(super) fn explain(mut error: clap::Error, command_line: &[String]) -> clap::Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let renamed = FLAGS.iter().find(|(command, old, _)| {
        unknown == old && command_line.iter().any(|argument| argument == command)
    });
    if let Some((_, old, new)) = renamed {
        error.remove(ContextKind::SuggestedArg);
        error.remove(ContextKind::Usage);
        let hint = StyledStr::from(format!("'{old}' was renamed; use '{new}'"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![hint]));
    }
    error
}
