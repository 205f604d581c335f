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

/// The length in bytes of the longest command line that is written in another form.
const COMMAND_MAX: usize = 500;

/// The end of a message that shows the list to write instead of the command line `text`; empty if
/// that is very long.
pub(crate) fn command(text: &str) -> String {
    command_list(text).map(|list| format!("; write {list}")).unwrap_or_default()
}

/// The list to write instead of the command line `text`: with a shell, if it is written for one.
/// `None` if it is very long.
pub(crate) fn command_list(text: &str) -> Option<String> {
    if text.len() > COMMAND_MAX {
        return None;
    }
    let sets_variable = text.split_whitespace().next().is_some_and(|word| word.contains('='));
    let words = match sets_variable || text.contains(SHELL) {
        true => vec!["/bin/sh", "-c", text],
        false => text.split_whitespace().collect(),
    };
    let words: Vec<String> =
        words.iter().map(|word| text::quote_up_to(word, COMMAND_MAX)).collect();
    Some(format!("[{}]", words.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_becomes_a_list_that_runs_the_same() {
        for (line, list) in [
            ("/bin/app -x  y", r#"["/bin/app", "-x", "y"]"#),
            (
                "a b c d e f g h i j k l",
                r#"["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]"#,
            ),
            ("FOO=1 app", r#"["/bin/sh", "-c", "FOO=1 app"]"#),
            ("app --x=1", r#"["app", "--x=1"]"#),
            ("echo \"a\"", r#"["/bin/sh", "-c", "echo \"a\""]"#),
        ] {
            assert_eq!(command(line), format!("; write {list}"));
        }
        let script = format!("echo {} | cat", "x".repeat(300));
        assert_eq!(command(&script), format!(r#"; write ["/bin/sh", "-c", "{script}"]"#));
        assert_eq!(command(&"x ".repeat(400)), "");
    }
}
