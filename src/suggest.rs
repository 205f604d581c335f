//! Suggestions for mistyped names: "did you mean ...?"

use crate::text;

/// The length in bytes of the longest name for which a suggestion is made.
const TYPED_MAX: usize = 100;

/// The name in `known` that is nearest to `typed`, if it is near enough.
pub(crate) fn nearest<'a>(
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // The time and memory for a distance grow with the length.
    if typed.len() > TYPED_MAX {
        return None;
    }
    let typed = typed.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&typed, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= name.len().max(3) / 3)
        .min()
        .map(|(_, name)| name)
}

/// The end of a message that suggests `nearest`; empty if there is none.
pub(crate) fn hint(nearest: &Option<impl AsRef<str>>) -> String {
    nearest
        .as_ref()
        .map(|name| format!("; did you mean {}?", text::quote(name.as_ref())))
        .unwrap_or_default()
}

/// Characters that mean something to a shell.
const SHELL: &[char] = &[
    '"', '\'', '`', '\\', '$', '&', '|', ';', '<', '>', '(', ')', '*', '?', '[', ']', '{', '}',
    '~', '#', '\n',
];

/// The list to write instead of the command line `text`: with a shell, if it is written for one.
pub(crate) fn command(text: &str) -> String {
    match text.contains(SHELL) {
        true => format!("[{}]", text::quoted_list(["/bin/sh", "-c", text])),
        false => format!("[{}]", text::quoted_list(text.split_whitespace())),
    }
}
