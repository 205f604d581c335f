//! Explains why a document is malformed: serde's messages in the words of documents.

use crate::text::{self, suggest};

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

/// Names that are in camelCase and in another form for other reasons than dockerTools.
const CAMEL_CASE_ALIASES: &[&str] = &["layeringPipeline", "runAsRoot"];

/// The keys whose value is a program with its arguments.
const COMMANDS: &[&str] = &["command", "entrypoint", "cmd"];
/// The expected type of values that are a command.
pub(super) const STRINGS: &str = "a list of strings";
/// The expected type of others.
pub(super) const TABLES: &str = "a list of tables";
/// The key whose value is a list of tables with a program each.
const EXEC: &str = "exec";

/// A problem of a document, and how to fix it.
pub(crate) struct Problem {
    /// The problem in words.
    pub(crate) text: String,
    /// The key, if it is an unknown one.
    pub(crate) unknown_key: Option<UnknownKey>,
}

/// A key that a table of a document does not have.
pub(crate) struct UnknownKey {
    /// The key.
    pub(crate) name: String,
    /// Whether the table has a key with a similar name, which the problem names.
    pub(crate) has_similar: bool,
}

#[cfg(feature = "vm")]
impl Problem {
    /// The name of the unknown key.
    pub(crate) fn unknown_key(&self) -> Option<&str> {
        self.unknown_key.as_ref().map(|key| key.name.as_str())
    }
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self { text, unknown_key: None }
    }
}

/// Rewrites a message of serde about `key`, if that is known.
pub(super) fn explain(key: Option<&str>, message: &str) -> Problem {
    match message.starts_with("unknown field") {
        true => unknown_key(message),
        false => explain_value(key, message).into(),
    }
}

/// Rewrites any other message.
fn explain_value(key: Option<&str>, message: &str) -> String {
    if let Some(missing) =
        message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'))
    {
        return format!("missing key {}", text::quote(missing));
    }
    if let Some(key) = message.strip_prefix("duplicate field `") {
        return duplicate(key.trim_end_matches('`'));
    }
    let message = message.lines().collect::<Vec<_>>().join(" ");
    let of_value = unknown_value(&message).or_else(|| other_type(key, &message));
    // Formats without a description of the found value.
    let of_value = of_value.or_else(|| {
        let is_short = ["a list", "a table", "a string", "a whole number"];
        let (_, expected) = message.split_once("expected ")?;
        let is_plain = message.starts_with("expected ") && is_short.contains(&expected);
        is_plain.then(|| message.clone())
    });
    let problem = match (key, of_value) {
        (Some(key), Some(problem)) => format!("{}: {problem}", text::shorten(key)),
        (None, Some(problem)) => problem,
        (_, None) if message == "unexpected leading zero, expected nothing" => {
            "a number cannot begin with 0; a mode is written in quotes, such as \"0755\"".to_owned()
        }
        (_, None) => without_types(&message),
    };
    text::excerpt(&problem).into_owned()
}

/// Explains a message about an unknown key, which lists all known keys: the new name of a renamed
/// key, or the nearest key, is more useful.
fn unknown_key(message: &str) -> Problem {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let key = quoted.next().unwrap_or_default();
    let known: Vec<&str> = quoted.collect();
    let problem = |hint: &str, has_similar| Problem {
        text: format!("unknown key {}{hint}", text::quote(key)),
        unknown_key: Some(UnknownKey { name: key.to_owned(), has_similar }),
    };
    let renamed = RENAMED.iter().find(|(old, new)| *old == key && known.contains(new));
    if let Some((_, new)) = renamed {
        return problem(&format!("; it is now called {new:?}"), false);
    }
    let holds = |(table, keys): &&(&str, &[&str])| known.contains(table) && keys.contains(&key);
    if let Some((table, _)) = INNER.iter().find(holds) {
        return problem(&format!("; it is a key of {table:?}"), false);
    }
    // A key without its unit: memory for memory_mib.
    let with_unit = |known: &&&str| known.strip_prefix(key).is_some_and(|it| it.starts_with('_'));
    let nearest = suggest::nearest(key, known.iter().copied())
        .or_else(|| known.iter().find(with_unit).copied());
    // Names of dockerTools for keys that are listed too.
    let is_alias = |key: &&&str| {
        CAMEL_CASE_ALIASES.contains(key)
            || key.contains(|c: char| c.is_ascii_uppercase())
                && known.contains(&snake_case(key).as_str())
    };
    let listed: Vec<&str> = known.iter().filter(|key| !is_alias(key)).copied().collect();
    let hint = match (&nearest, known.is_empty()) {
        (Some(_), _) => suggest::hint(&nearest),
        (None, true) => String::new(),
        // Variables of the environment.
        (None, false) if known.starts_with(&["has", "exactly"]) => {
            format!("; variables are keys of \"has\"; valid keys: {}", listed.join(", "))
        }
        (None, false) => format!("; valid keys: {}", listed.join(", ")),
    };
    problem(&hint, nearest.is_some())
}

/// The name `key`, in camelCase, with underscores.
fn snake_case(key: &str) -> String {
    let mut name = String::new();
    for c in key.chars() {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

/// Explains a message about a text that is none of several.
fn unknown_value(message: &str) -> Option<String> {
    let mut quoted = message.strip_prefix("unknown variant `")?.split('`').step_by(2);
    let found = quoted.next()?;
    let known: Vec<&str> = quoted.collect();
    let mut longer =
        known.iter().copied().filter(|name| found.len() > 1 && name.starts_with(found));
    let nearest = suggest::nearest(found, known.iter().copied())
        .or_else(|| longer.next().filter(|_| longer.next().is_none()));
    let hint = match &nearest {
        Some(_) => suggest::hint(&nearest),
        None => {
            let known: Vec<String> = known.iter().map(|name| format!("\"{name}\"")).collect();
            format!("; expected {}", known.join(", "))
        }
    };
    Some(format!("unknown value {}{hint}", text::quote(found)))
}

/// Explains a message about a value of `key` that has another type or is out of range.
fn other_type(key: Option<&str>, message: &str) -> Option<String> {
    let is_range = message.starts_with("invalid value: ");
    let rest = message.strip_prefix("invalid type: ");
    let rest = rest.or_else(|| message.strip_prefix("invalid value: "))?;
    let (found, expected) = rest.split_once(", expected ")?;
    let string = found.strip_prefix("string ").map(|quoted| {
        let text: Option<String> = serde_json::from_str(quoted).ok();
        text.unwrap_or_else(|| quoted.trim_matches('"').to_owned())
    });
    let expected = expected_type(expected, is_range);
    let mut problem = format!("found {}, expected {expected}", found_value(found, &string));
    match (&string, key.and_then(|key| key.rsplit('.').next())) {
        (Some(string), Some(last)) if expected == "a list" && COMMANDS.contains(&last) => {
            problem += &suggest::command(string);
        }
        // Only commands need such a list.
        (Some(string), _) if expected == STRINGS => problem += &suggest::command(string),
        (Some(string), Some(EXEC)) if expected == TABLES => {
            let list = suggest::command_list(string);
            problem +=
                &list.map(|list| format!("; write [{{ command = {list} }}]")).unwrap_or_default();
        }
        (None, _) if matches!(&*expected, "a list" | TABLES) && found == "map" => {
            problem += "; in TOML, a list of tables is written [[KEY]] instead of [KEY], or \
                        [{ ... }]";
        }
        _ => {}
    }
    Some(problem)
}

/// The words for what serde calls `found`, which is the text `string` if that is one.
fn found_value(found: &str, string: &Option<String>) -> String {
    if let Some(string) = string {
        return format!("the string {}", text::quote(string));
    }
    match found {
        "sequence" => "a list".to_owned(),
        "map" => "a table".to_owned(),
        "null" | "unit value" | "Option value" => "no value".to_owned(),
        // "integer `5`", "boolean `true`", "floating point `1.5`"
        _ => found.split('`').nth(1).unwrap_or(found).to_owned(),
    }
}

/// The words for the type that serde calls `expected`; with its range if `is_range` is true.
fn expected_type(expected: &str, is_range: bool) -> String {
    let max = match expected {
        "u8" => u64::from(u8::MAX),
        "u16" => u64::from(u16::MAX),
        "u32" => u64::from(u32::MAX),
        "u64" | "usize" => u64::MAX,
        _ => 0,
    };
    match expected {
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        "a boolean" => "true or false".to_owned(),
        _ if max > 0 && is_range => format!("a whole number from 0 to {max}"),
        "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" => "a whole number".to_owned(),
        // The name of a type of Rust.
        _ => match expected.strip_prefix("struct ") {
            Some(name) if name.chars().all(|c| c.is_ascii_alphanumeric()) => "a table".to_owned(),
            _ => expected.to_owned(),
        },
    }
}

/// The error about a key that a table has twice.
pub(super) fn duplicate(key: &str) -> String {
    format!("{} is there twice", text::quote(key.trim_matches(['[', ']', '"', '\''])))
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
