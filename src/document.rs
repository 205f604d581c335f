//! What people write: TOML, or JSON with the same keys. Mistakes are told with their line and the nearest valid key.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::suggest;

/// What is wrong with a text, and in which line where that is known.
pub(crate) type Wrong = (Option<usize>, String);

/// Reads `text`, which is JSON where the file at `path` is called so or where it looks like an object.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, Wrong> {
    let json = path.extension().is_some_and(|e| e == "json") || text.trim_start().starts_with('{');
    if json { from_json(text) } else { from_toml(text) }
}

fn from_toml<T: DeserializeOwned>(text: &str) -> Result<T, Wrong> {
    toml::from_str(text).map_err(|error| {
        let line =
            error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        (line, explain(error.message()))
    })
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, Wrong> {
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        (
            (error.line() > 0).then_some(error.line()),
            explain(message.strip_suffix(&place).unwrap_or(&message)),
        )
    })
}

/// What `value` describes; what is wrong with it has no line any more.
pub(crate) fn of_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| explain(&error.to_string()))
}

/// Keys that had another name in earlier versions: old name, new name.
const RENAMED: &[(&str, &str)] =
    &[("within", "timeout"), ("lacks", "not_contains"), ("up", "ready")];

/// serde lists every known key after an unknown one; the nearest helps more, where one is near.
fn explain(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let (true, Some(key)) = (message.starts_with("unknown field"), quoted.next()) else {
        return message.lines().collect::<Vec<_>>().join(" ");
    };
    let known: Vec<&str> = quoted.collect();
    let renamed = RENAMED.iter().find(|(old, new)| *old == key && known.contains(new));
    if let Some((_, new)) = renamed {
        return format!("unknown key {key:?}; it is now called {new:?}");
    }
    let nearest = suggest::nearest(key, known.iter().copied());
    let listed =
        if known.is_empty() { String::new() } else { format!("; there are: {}", known.join(", ")) };
    let help = if nearest.is_some() { suggest::hint(&nearest) } else { listed };
    format!("unknown key {key:?}{help}")
}
