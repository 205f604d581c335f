//! The command line of this process, as reports show it.

use std::borrow::Cow;
use std::ffi::OsString;

use crate::lint::{HIDDEN, is_secret};

/// Algorithms of digests, which follow an `@` in the reference of an image.
const DIGESTS: [&str; 2] = ["sha256:", "sha512:"];

/// Returns the command line as a user would write it for a shell, with secrets hidden.
pub(super) fn shown() -> String {
    command_line(std::env::args_os().skip(1))
}

fn command_line(arguments: impl Iterator<Item = OsString>) -> String {
    let word = |argument: OsString| {
        let argument = argument.to_string_lossy().into_owned();
        shell_quoted(&without_credentials(&without_value(&argument))).into_owned()
    };
    std::iter::once("seatrial".to_owned()).chain(arguments.map(word)).collect::<Vec<_>>().join(" ")
}

/// Hides the value of `NAME=value`, also behind a flag, if the name suggests a secret.
fn without_value(argument: &str) -> Cow<'_, str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let hides = |(end, _): &(usize, &str)| {
        let name = argument[..*end].rsplit(|c| !is_name(c)).next().unwrap_or_default();
        is_secret(name) && end + 1 < argument.len()
    };
    match argument.match_indices('=').find(hides) {
        Some((end, _)) => format!("{}={HIDDEN}", &argument[..end]).into(),
        None => argument.into(),
    }
}

/// Hides the user name and password of a URL.
fn without_credentials(argument: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = argument.split_once("://") else { return argument.into() };
    let authority = rest.find(['/', '?', '#']).map_or(rest, |end| &rest[..end]);
    match authority.rsplit_once('@') {
        Some((credentials, host)) if !DIGESTS.iter().any(|name| host.starts_with(name)) => {
            format!("{scheme}://{HIDDEN}{}", &rest[credentials.len()..]).into()
        }
        _ => argument.into(),
    }
}

/// Quotes `text` for a shell, if necessary.
pub(super) fn shell_quoted(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:,@+%".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.into(),
        false => format!("'{}'", text.replace('\'', r"'\''")).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_and_secrets_hidden() {
        for (argument, shown) in [
            ("check", "check"),
            ("html=out/report.html", "html=out/report.html"),
            ("", "''"),
            ("run it's fine", r"'run it'\''s fine'"),
            ("DB_PASSWORD=hunter2", "'DB_PASSWORD=<hidden>'"),
            ("--filter=api-token=a=b", "'--filter=api-token=<hidden>'"),
            ("DB_PASSWORD=", "DB_PASSWORD="),
            ("docker://registry.example:5000/a:1", "docker://registry.example:5000/a:1"),
            ("docker://app@sha256:00", "docker://app@sha256:00"),
            ("docker://me:p@ss@host/app@sha256:00", "'docker://<hidden>@host/app@sha256:00'"),
            ("https://me@host?x", "'https://<hidden>@host?x'"),
        ] {
            let line = command_line([OsString::from(argument)].into_iter());
            assert_eq!(line, format!("seatrial {shown}"));
        }
    }
}
