//! Documents that users write: TOML, or JSON with the same keys.
//!
//! Errors name the line, if it is known, and the nearest valid key.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use serde::de::DeserializeOwned;

use crate::suggest;
use crate::text;

/// A malformed document.
pub(crate) struct DocumentError {
    /// The path of the document, with the line if that is known.
    pub(crate) place: String,
    /// The problem, and how to fix it.
    pub(crate) problem: String,
}

/// Keys that had another name in earlier versions: old name, new name.
const RENAMED: &[(&str, &str)] = &[
    ("within", "timeout"),
    ("lacks", "not_contains"),
    ("up", "ready"),
    ("layout", "layering"),
    ("architectures", "platforms"),
    ("per_architecture", "per_platform"),
    ("explained", "link"),
    ("before_engine", "engine_delay"),
    ("before_containerd", "containerd_delay"),
    ("network_online", "network_delay"),
    ("by_hand_after", "manual_delay"),
    ("does", "action"),
    ("on", "seen_with"),
];

/// Keys that belong into a table of the place where users write them: the table, its keys.
const INNER: &[(&str, &[&str])] = &[(
    "container",
    &[
        "command",
        "entrypoint",
        "shell",
        "env",
        "user",
        "working_dir",
        "volumes",
        "network",
        "stdin",
        "privileged",
        "read_only",
        "tmpfs",
        "memory_mib",
        "files",
        "mounts",
        "restricted",
        "capabilities",
        "groups",
        "pids_limit",
        "init",
        "tty",
        "hostname",
        "hosts",
        "sysctls",
    ],
)];

/// The size limit of recipes, expectations and scenarios in bytes: far more than people write, and
/// little enough to parse at once.
pub(crate) const MAX_SIZE: u64 = 4 << 20;

/// Reads the text of the document at `path`, of at most `limit` bytes.
///
/// # Errors
/// If it cannot be read, is longer, or is not a regular file: a pipe or a device may have no end,
/// so it is not read at all.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<String> {
    read_text(open(path)?, limit)
}

/// Reads the bytes of the file at `path` like [`read`].
#[cfg(any(feature = "vm", feature = "registry"))]
pub(crate) fn read_bytes(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let count = open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if count as u64 > limit {
        let problem = format!("it is longer than the limit of {} MiB", limit >> 20);
        return Err(io::Error::other(problem));
    }
    Ok(bytes)
}

/// Opens the regular file at `path`.
fn open(path: &Path) -> io::Result<File> {
    // Devices may react to being opened.
    check_regular(&std::fs::metadata(path)?)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    check_regular(&file.metadata()?)?;
    Ok(file)
}

fn check_regular(metadata: &Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    let problem = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "it is a folder, not a file",
        () if kind.is_fifo() => "it is a pipe, not a regular file",
        () if kind.is_socket() => "it is a socket, not a regular file",
        () => "it is a device, not a regular file",
    };
    Err(io::Error::other(problem))
}

/// Reads the text of a document of at most `limit` bytes from `source`.
///
/// # Errors
/// If it cannot be read, is longer, or is not UTF-8.
pub(crate) fn read_text(source: impl Read, limit: u64) -> io::Result<String> {
    let mut text = String::new();
    let count =
        source.take(limit + 1).read_to_string(&mut text).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => io::Error::other("it is not UTF-8 text"),
            _ => error,
        })?;
    if count as u64 > limit {
        let problem = format!("it is longer than the limit of {} MiB", limit >> 20);
        return Err(io::Error::other(problem));
    }
    Ok(text)
}

/// The text without the byte order mark that some editors put at its beginning.
pub(crate) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Whether `text`, the content of the document at `path`, is JSON.
pub(crate) fn is_json(path: &Path, text: &str) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
        || text.trim_start().starts_with('{')
}

/// Whether the document at `path` is YAML: a format for files of other tools.
#[cfg(feature = "vm")]
pub(crate) fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// Parses `text`: JSON if the name of `path` ends in `.json` or the text begins with `{`; YAML if
/// the name ends in `.yaml` or `.yml`, with feature `vm`; else TOML.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, DocumentError> {
    let text = without_mark(text);
    if text.contains('\0') {
        let problem = "it has binary data; expected TOML or JSON".to_owned();
        return Err(DocumentError { place: text::path(path), problem });
    }
    let parsed = match () {
        () if is_json(path, text) => from_json(text),
        #[cfg(feature = "vm")]
        () if is_yaml(path) => from_yaml(text),
        () => from_toml(text),
    };
    parsed.map_err(|(line, problem)| {
        let path = text::path(path);
        let place = line.map_or_else(|| path.to_string(), |line| format!("{path}:{line}"));
        DocumentError { place, problem }
    })
}

/// A line number, and a message.
type LineError = (Option<usize>, String);

fn from_toml<T: DeserializeOwned>(text: &str) -> Result<T, LineError> {
    toml::from_str(text).map_err(|error| {
        let line =
            error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        // The message does not have the key, which is what the span has.
        let key = error.span().and_then(|span| text.get(span)).unwrap_or_default();
        match error.message() {
            "duplicate key" => (line, duplicate(key)),
            message => (line, explain(message)),
        }
    })
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, LineError> {
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let position = format!(" at line {} column {}", error.line(), error.column());
        (
            (error.line() > 0).then_some(error.line()),
            explain(message.strip_suffix(&position).unwrap_or(&message)),
        )
    })
}

#[cfg(feature = "vm")]
fn from_yaml<T: DeserializeOwned>(text: &str) -> Result<T, LineError> {
    serde_saphyr::from_str(text).map_err(|error| {
        let line = error.location().map(|location| location.line() as usize);
        let message = match error.without_snippet() {
            // In the form that serde gives to this error.
            serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => {
                let expected: Vec<String> =
                    expected.iter().map(|name| format!("`{name}`")).collect();
                format!("unknown field `{field}`, expected one of {}", expected.join(", "))
            }
            other => other.to_string(),
        };
        // The place is reported separately.
        let message = message.split(" at line ").next().unwrap_or_default();
        let message = match message {
            "expected sequence start" => "expected a list",
            "expected mapping start" => "expected a table",
            "expected string scalar" => "expected a string",
            "unexpected end of input" => "unexpected end of the file",
            message if message.starts_with("cannot deserialize null") => "a value is missing",
            message => message,
        };
        (line, explain(message.lines().next().unwrap_or_default()))
    })
}

/// Deserializes a part of a document that was parsed before; its lines are no longer known.
pub(crate) fn from_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| explain(&error.to_string()))
}

/// Rewrites serde's messages. The one about an unknown key lists all known keys: the new name of a
/// renamed key, or the nearest key, is more useful.
fn explain(message: &str) -> String {
    if let Some(key) =
        message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'))
    {
        return format!("missing key {}", text::quote(key));
    }
    if let Some(key) = message.strip_prefix("duplicate field `") {
        return duplicate(key.trim_end_matches('`'));
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let (true, Some(key)) = (message.starts_with("unknown field"), quoted.next()) else {
        let message = message.lines().collect::<Vec<_>>().join(" ");
        return text::excerpt(&with_known_words(&without_types(&message))).into_owned();
    };
    let known: Vec<&str> = quoted.collect();
    let renamed = RENAMED.iter().find(|(old, new)| *old == key && known.contains(new));
    if let Some((_, new)) = renamed {
        return format!("unknown key {}; it is now called {new:?}", text::quote(key));
    }
    let holds = |(table, keys): &&(&str, &[&str])| known.contains(table) && keys.contains(&key);
    if let Some((table, _)) = INNER.iter().find(holds) {
        return format!("unknown key {}; it is a key of {table:?}", text::quote(key));
    }
    // A key without its unit: memory for memory_mib.
    let with_unit = |known: &&&str| known.strip_prefix(key).is_some_and(|it| it.starts_with('_'));
    let nearest = suggest::nearest(key, known.iter().copied())
        .or_else(|| known.iter().find(with_unit).copied());
    // Names in camelCase are aliases, which dockerTools uses.
    let is_alias = |key: &&&str| key.contains(|c: char| c.is_ascii_uppercase());
    let mut listed: Vec<&str> = known.iter().filter(|key| !is_alias(key)).copied().collect();
    // A format of another tool may have names in camelCase alone.
    if listed.is_empty() {
        listed.clone_from(&known);
    }
    let hint = match (&nearest, known.is_empty()) {
        (Some(_), _) => suggest::hint(&nearest),
        (None, true) => String::new(),
        // Variables of the environment.
        (None, false) if known.starts_with(&["has", "exactly"]) => {
            format!("; variables are keys of \"has\"; valid keys: {}", listed.join(", "))
        }
        (None, false) => format!("; valid keys: {}", listed.join(", ")),
    };
    format!("unknown key {}{hint}", text::quote(key))
}

/// The error about a key that a table has twice.
fn duplicate(key: &str) -> String {
    format!("{} is there twice", text::quote(key.trim_matches(['[', ']', '"', '\''])))
}

/// Calls lists and tables as documents of users do, not as serde does.
fn with_known_words(message: &str) -> String {
    if message == "unexpected leading zero, expected nothing" {
        return "a number cannot begin with 0; a mode is written in quotes, such as \"0755\""
            .to_owned();
    }
    let expected = [("a sequence", "a list"), ("a map", "a table")];
    let found = [("sequence", "a list"), ("map", "a table")];
    // The name of a type of Rust.
    let is_type = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric());
    let mut message = match message.split_once("expected struct ") {
        Some((start, name)) if is_type(name) => format!("{start}expected a table"),
        _ => message.to_owned(),
    };
    for (word, known) in expected {
        if let Some(start) = message.strip_suffix(word).filter(|start| start.ends_with("expected "))
        {
            message = format!("{start}{known}");
        }
    }
    for (word, known) in found {
        if let Some(rest) = message.strip_prefix(&format!("invalid type: {word},")) {
            message = format!("invalid type: {known},{rest}");
        }
    }
    if message == "invalid type: a table, expected a list" {
        message += "; in TOML, a list of tables is written [[KEY]] instead of [KEY], or [{ ... }]";
    }
    message
}

/// Replaces the name of a type of Rust at the end of a message about a number.
fn without_types(message: &str) -> String {
    let (start, name) = message.rsplit_once(' ').unwrap_or_default();
    match name {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i64" => {
            // YAML: "invalid i64".
            let start = if start == "invalid" { "expected" } else { start };
            format!("{start} a whole number")
        }
        _ => message.to_owned(),
    }
}
