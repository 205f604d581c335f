//! Variables in paths and commands, as Go's `os.Expand` replaces them.

use std::collections::BTreeMap;

use crate::check::expectations::{Expectations, FileExpectations, RunExpectations};

/// Returns `expectations` with the variables in paths and commands replaced, if they have any: by
/// those of the file's `globalEnvVars`, or else by those of `env`, the image's entries.
pub(in crate::check) fn expand(expectations: &Expectations, env: &[String]) -> Expectations {
    let Some(global) = &expectations.variables else { return expectations.clone() };
    let pairs = env.iter().filter_map(|entry| entry.split_once('='));
    let mut image: Variables =
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    // Values may refer to the image's variables: PATH=/env/bin:$PATH.
    let global = replace_in(global, &image);
    image.extend(global.clone());
    let expand_file = |file: &FileExpectations| match file.is_literal {
        true => file.clone(),
        false => FileExpectations { path: replace(&file.path, &image), ..file.clone() },
    };
    Expectations {
        file: expectations.file.iter().map(expand_file).collect(),
        run: expectations.run.iter().map(|run| expand_run(run, &global, &image)).collect(),
        ..expectations.clone()
    }
}

fn expand_run(run: &RunExpectations, global: &Variables, image: &Variables) -> RunExpectations {
    let mut run = run.clone();
    let own = replace_in(&run.variables, image);
    let mut known = image.clone();
    // container-structure-test commits the image after each command of the setup. Without a setup,
    // the command is expanded before the variables of the test are set.
    if !run.setup.is_empty() {
        known.extend(own.clone());
    }
    let words = [&mut run.container.entrypoint, &mut run.container.command];
    for word in words.into_iter().flatten().flatten() {
        *word = replace(word, &known);
    }
    let options = std::mem::take(&mut run.container.env);
    run.container.env = global.clone();
    run.container.env.extend(options);
    run.container.env.extend(own);
    run
}

type Variables = BTreeMap<String, String>;

fn replace_in(values: &Variables, variables: &Variables) -> Variables {
    let replaced = |(name, value): (&String, &String)| (name.clone(), replace(value, variables));
    values.iter().map(replaced).collect()
}

/// Replaces `$NAME` and `${NAME}` in `text` by the values; variables that do not exist are empty.
fn replace(text: &str, variables: &Variables) -> String {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        replaced.push_str(before);
        let (name, after) = name(after);
        match name {
            Some(name) => replaced.push_str(variables.get(name).map_or("", String::as_str)),
            None => replaced.push('$'),
        }
        rest = after;
    }
    replaced + rest
}

/// Splits the text after a `$` into the name of a variable, if one follows, and the rest.
fn name(text: &str) -> (Option<&str>, &str) {
    if let Some(braced) = text.strip_prefix('{') {
        // A brace that is not closed is left out.
        return braced
            .split_once('}')
            .map_or((Some(""), braced), |(name, rest)| (Some(name), rest));
    }
    // The special parameters of shells are names of one character, and so is a digit.
    let is_special = |c: char| "*#$@!?-".contains(c) || c.is_ascii_digit();
    if text.starts_with(is_special) {
        return (Some(&text[..1]), &text[1..]);
    }
    let end = text.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    ((end > 0).then_some(&text[..end]), &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_as_go_does_it() {
        // Results of os.Expand with a lookup that returns "" for other names.
        let variables = ["HOME", "A_1"].map(|name| (name.to_owned(), "/srv".to_owned()));
        let variables = Variables::from(variables);
        for (text, expected) in [
            ("$HOME/x", "/srv/x"),
            ("${HOME}x", "/srvx"),
            ("$A_1-$B-", "/srv--"),
            ("a$", "a$"),
            ("$1st", "st"),
            ("no variable", "no variable"),
            ("$$-a$?b", "-ab"),
            ("$(x)${}y", "$(x)y"),
            ("${HOME", "HOME"),
            ("${A:-x}y", "y"),
            ("$é", "$é"),
        ] {
            assert_eq!(replace(text, &variables), expected, "{text}");
        }
    }
}
