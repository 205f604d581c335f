//! Files of environment variables, as godotenv 1.5.1 reads them for container-structure-test.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// The variables of a file by their names.
type Variables = BTreeMap<String, String>;

/// Parses a file with a `NAME=VALUE` in each line. A value may be quoted, and contain variables of
/// the lines before. Variables without a value are left out, as in container-structure-test.
pub(super) fn parse(text: &str) -> Result<Variables, String> {
    let text = text.replace("\r\n", "\n");
    let (mut variables, mut rest) = (Variables::new(), text.trim_start());
    while !rest.is_empty() {
        if rest.starts_with('#') {
            rest = after_line(rest);
            continue;
        }
        let line = rest.lines().next().unwrap_or_default();
        let malformed = || format!("malformed line {line}; expected NAME=VALUE");
        let (name, after) = rest.split_once(['=', ':']).ok_or_else(malformed)?;
        let name = match name.strip_prefix("export") {
            Some(exported) if exported.starts_with([' ', '\t']) => exported.trim(),
            _ => name.trim_end(),
        };
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(malformed());
        }
        let after = after.trim_start_matches([' ', '\t']);
        let value;
        (value, rest) = read_value(after, &variables).ok_or_else(malformed)?;
        variables.insert(name.to_owned(), value);
    }
    variables.retain(|_, value| !value.is_empty());
    Ok(variables)
}

/// Returns the value at the beginning of `text`, with `variables` replaced, and the text after it.
/// `None` if its quotation mark is missing at the end.
fn read_value<'t>(text: &'t str, variables: &Variables) -> Option<(String, &'t str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''));
    let Some(quote) = quote else {
        let line = text.lines().next().unwrap_or_default();
        // Before a comment, there is white space. The last one ends the value.
        let comment = [" #", "\t#"].iter().filter_map(|start| line.rfind(start)).max();
        let value = line[..comment.unwrap_or(line.len())].trim();
        return Some((expand(value, variables), after_line(text)));
    };
    // Any backslash escapes a quotation mark, also one that is escaped itself.
    let is_end = |(index, c): &(usize, char)| *c == quote && !text[..*index].ends_with('\\');
    let (end, _) = text.char_indices().skip(1).find(is_end)?;
    let (quoted, after) = (text[..end].trim_matches(quote), text[end + 1..].trim_start());
    let value = match quote {
        '"' => expand(&unescape(quoted), variables),
        _ => quoted.to_owned(),
    };
    Some((value, after))
}

/// Replaces `$NAME` and `${NAME}` by the values; names have upper-case letters, and variables that
/// do not exist are empty. A backslash before the dollar sign keeps it.
fn expand(text: &str, variables: &Variables) -> String {
    static VARIABLE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(\\)?\$\(?\{?([A-Z0-9_]+)?\}?").ok());
    let Some(variable) = &*VARIABLE else { return text.to_owned() };
    let replace = |found: &Captures<'_>| match (found.get(1), found.get(2)) {
        (Some(_), _) => found[0][1..].to_owned(),
        (None, Some(name)) => variables.get(name.as_str()).cloned().unwrap_or_default(),
        (None, None) => found[0].to_owned(),
    };
    variable.replace_all(text, replace).into_owned()
}

fn after_line(text: &str) -> &str {
    text.split_once('\n').map_or("", |(_, after)| after.trim_start())
}

/// Replaces the escape sequences of a value in double quotation marks.
fn unescape(text: &str) -> String {
    let (mut unescaped, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        match (c, chars.clone().next()) {
            // Those before variables have a meaning later.
            ('\\', Some('$')) | (_, None) => unescaped.push(c),
            ('\\', Some(next)) => {
                chars.next();
                unescaped.push(match next {
                    'n' => '\n',
                    'r' => '\r',
                    other => other,
                });
            }
            _ => unescaped.push(c),
        }
    }
    unescaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_variables_are_read_as_godotenv_reads_them() {
        // Results of godotenv.Read.
        for (text, expected) in [
            ("A=1\nB=two words\n", vec![("A", "1"), ("B", "two words")]),
            ("A=\"x\"\nB='y'", vec![("A", "x"), ("B", "y")]),
            ("export A=1 # note\n# B=2\n\nC=a#b", vec![("A", "1"), ("C", "a#b")]),
            ("A = 1\nB: 2", vec![("A", "1"), ("B", "2")]),
            (r#"A="a\nb \"c\" \d""#, vec![("A", "a\nb \"c\" d")]),
            (r"A='a\nb'", vec![("A", r"a\nb")]),
            ("A=\"one\ntwo\"\r\nB=x=y", vec![("A", "one\ntwo"), ("B", "x=y")]),
            ("A=\nB=\"\"\nC=1", vec![("C", "1")]),
            ("A=x # y # z", vec![("A", "x # y")]),
            ("A=1\nA=2", vec![("A", "2")]),
            // Variables of lines before, in upper case.
            ("A=1\nB=$A-${A}\nC=\"<${B}>\"\nD='$A'", {
                vec![("A", "1"), ("B", "1-1"), ("C", "<1-1>"), ("D", "$A")]
            }),
            ("A=$B\nB=1\nC=x$HOME", vec![("B", "1"), ("C", "x")]),
            ("A=1\nB=$a$A2$Aa", vec![("A", "1"), ("B", "$a1a")]),
            ("A=1\nB=\\$A\nC=\"\\$A\\\\$A\"", { vec![("A", "1"), ("B", "$A"), ("C", "$A$A")] }),
            ("A=1\nB=$(A)$(x)", vec![("A", "1"), ("B", "1)$(x)")]),
            ("A=\"x\\\\\"y\"", vec![("A", "x\\\"y")]),
        ] {
            let found = parse(text).unwrap();
            let found: Vec<_> = found.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            assert_eq!(found, expected, "{text}");
        }
        for text in ["A", "A=\"x", "a b=1", "=x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
