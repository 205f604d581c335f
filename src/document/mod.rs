//! Documents that users write: TOML, or JSON with the same keys.
//!
//! Errors name the line, if it is known, and the nearest valid key.

pub(crate) mod duration;
mod explain;
mod keys;
#[cfg(feature = "vm")]
pub(crate) mod list;
pub(crate) mod size;
pub(crate) mod string_or_list;

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use serde::de::DeserializeOwned;

use self::explain::{duplicate, explain};
use crate::text;

pub(crate) use self::explain::{Problem, UnknownKey};
pub(crate) use self::keys::keys_of;

/// A malformed document.
pub(crate) struct DocumentError {
    /// The path of the document, with the line if that is known.
    pub(crate) place: String,
    /// The problem, and how to fix it.
    pub(crate) problem: Problem,
}

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
        return Err(DocumentError { place: text::path(path), problem: problem.into() });
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

/// A line number, and the problem there.
type LineError = (Option<usize>, Problem);

fn from_toml<T: DeserializeOwned>(text: &str) -> Result<T, LineError> {
    toml::from_str(text).map_err(|error| {
        let start = error.span().map(|span| span.start.min(text.len()));
        let line = start.map(|start| 1 + text[..start].matches('\n').count());
        // The message does not have the key, which is what the span has.
        let key = error.span().and_then(|span| text.get(span)).unwrap_or_default();
        match error.message() {
            "duplicate key" => (line, duplicate(key).into()),
            message => {
                let of_value = start.and_then(|start| keys::before(text.get(..start)?, '='));
                (line, explain(of_value, message))
            }
        }
    })
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, LineError> {
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let position = format!(" at line {} column {}", error.line(), error.column());
        let message = message.strip_suffix(&position).unwrap_or(&message);
        // The position is behind the value.
        let before = text.lines().nth(error.line().wrapping_sub(1));
        let before = before.and_then(|line| line.get(..error.column().min(line.len())));
        let key = before.and_then(|before| {
            let start = match before.trim_end().strip_suffix('"') {
                Some(string) => &string[..string.rfind('"')?],
                None => before,
            };
            keys::before(&start[..=start.rfind(':')?], ':')
        });
        ((error.line() > 0).then_some(error.line()), explain(key, message))
    })
}

#[cfg(feature = "vm")]
fn from_yaml<T: DeserializeOwned>(text: &str) -> Result<T, LineError> {
    serde_saphyr::from_str(text).map_err(|error| {
        let location = error.location();
        let line = location.map(|location| location.line() as usize);
        let key = location.and_then(|location| {
            let line = text.lines().nth(line?.wrapping_sub(1))?;
            let column = usize::try_from(location.column()).ok()?.wrapping_sub(1);
            let end = line.char_indices().nth(column)?.0;
            keys::before(&line[..end], ':')
        });
        let message = match error.without_snippet() {
            serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => {
                return (line, duplicate(key).into());
            }
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
        (line, explain(key, message.lines().next().unwrap_or_default()))
    })
}

/// Deserializes a part of a document that was parsed before; its lines are no longer known.
pub(crate) fn from_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, Problem> {
    serde_json::from_value(value).map_err(|error| explain(None, &error.to_string()))
}
