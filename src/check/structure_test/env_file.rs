//! Files of environment variables, as godotenv reads them, which container-structure-test uses.

/// Parses a file with a `NAME=VALUE` in each line. A value may be quoted; variables without a value
/// are left out, as in container-structure-test. References to other variables stay as they are.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let text = text.replace("\r\n", "\n");
    let (mut variables, mut rest) = (Vec::new(), text.trim_start());
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
        let value;
        (value, rest) = read_value(after.trim_start_matches([' ', '\t'])).ok_or_else(malformed)?;
        if !value.is_empty() {
            variables.push((name.to_owned(), value));
        }
    }
    Ok(variables)
}

/// Returns the value at the beginning of `text`, and what comes after it. `None` if its quotation
/// mark is missing at the end.
fn read_value(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''));
    let Some(quote) = quote else {
        let line = text.lines().next().unwrap_or_default();
        let comment = [" #", "\t#"].iter().filter_map(|start| line.find(start)).min();
        let value = line[..comment.unwrap_or(line.len())].trim();
        return Some((value.to_owned(), after_line(text)));
    };
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let is_end = *c == quote && !escaped;
        escaped = *c == '\\' && !escaped;
        is_end
    })?;
    let (quoted, after) = (&text[1..end.0], text[end.0 + 1..].trim_start());
    let value = if quote == '"' { unescape(quoted) } else { quoted.to_owned() };
    Some((value, after))
}

fn after_line(text: &str) -> &str {
    text.split_once('\n').map_or("", |(_, after)| after.trim_start())
}

/// Replaces the escape sequences of a value in double quotation marks.
fn unescape(text: &str) -> String {
    let (mut unescaped, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        match (c, chars.clone().next()) {
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
