//! Variables in paths and commands, as Go's `os.Expand` replaces them.

use std::collections::BTreeMap;

use crate::check::expectations::{Expectations, FileExpectations, RunExpectations};

/// Returns `expectations` with the variables in paths and commands replaced, if they have any:
/// by those of a container, or else by those of `env`, the image's entries.
pub(in crate::check) fn expand(expectations: &Expectations, env: &[String]) -> Expectations {
    if !expectations.has_variables {
        return expectations.clone();
    }
    let image: BTreeMap<&str, &str> =
        env.iter().filter_map(|entry| entry.split_once('=')).collect();
    let expand_file = |file: &FileExpectations| {
        let path = replace(&file.path, |name| image.get(name).copied());
        FileExpectations { path, ..file.clone() }
    };
    Expectations {
        file: expectations.file.iter().map(expand_file).collect(),
        run: expectations.run.iter().map(|run| expand_run(run, &image)).collect(),
        ..expectations.clone()
    }
}

fn expand_run(run: &RunExpectations, image: &BTreeMap<&str, &str>) -> RunExpectations {
    let mut run = run.clone();
    // Values may refer to the image's variables: PATH=/env/bin:$PATH.
    let in_image = |name: &str| image.get(name).copied();
    run.container.env.values_mut().for_each(|value| *value = replace(value, in_image));
    let env = run.container.env.clone();
    let value = |name: &str| env.get(name).map(String::as_str).or(in_image(name));
    let words = [&mut run.container.entrypoint, &mut run.container.command];
    for word in words.into_iter().flatten().flatten() {
        *word = replace(word, value);
    }
    run
}

/// Replaces `$NAME` and `${NAME}` in `text` by the values; variables that do not exist are empty.
fn replace<'v>(text: &str, value: impl Fn(&str) -> Option<&'v str>) -> String {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        replaced.push_str(before);
        let (name, after) = name(after);
        match name {
            Some(name) => replaced.push_str(value(name).unwrap_or_default()),
            None => replaced.push('$'),
        }
        rest = after;
    }
    replaced + rest
}

/// Splits the text after a `$` into the name of a variable, if one follows, and the rest.
fn name(text: &str) -> (Option<&str>, &str) {
    if let Some((name, rest)) = text.strip_prefix('{').and_then(|text| text.split_once('}')) {
        return (Some(name), rest);
    }
    let end = text.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    match text.starts_with(|c: char| c.is_ascii_digit()) {
        // One digit is a whole name, as in shells.
        true => (Some(&text[..1]), &text[1..]),
        false => ((end > 0).then_some(&text[..end]), &text[end..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_as_go_does_it() {
        // Results of os.Expand with a lookup that returns "" for other names.
        let value = |name: &str| (name == "HOME" || name == "A_1").then_some("/srv");
        for (text, expected) in [
            ("$HOME/x", "/srv/x"),
            ("${HOME}x", "/srvx"),
            ("$A_1-$B-", "/srv--"),
            ("a$", "a$"),
            ("$1st", "st"),
            ("no variable", "no variable"),
        ] {
            assert_eq!(replace(text, value), expected, "{text}");
        }
    }
}
