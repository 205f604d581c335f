//! Regular expressions in the syntax of Go (package `regexp/syntax`), which files of other tools
//! have, translated into that of the `regex` crate.
//!
//! Both are descendants of RE2, but a few things that Go takes literally have a meaning in Rust, or
//! are errors there: `{` that opens no repetition, `[` and `-` in classes, `\<`; and `\d`, `\w`,
//! `\s` and `\b` are about ASCII in Go.

use regex::Regex;

use crate::text;

/// Compiles `written`, a regular expression of Go.
pub(super) fn compile(written: &str) -> Result<Regex, String> {
    let translated = translate(written).map_err(|problem| invalid(written, &problem))?;
    Regex::new(&translated).map_err(|error| explain(written, &error))
}

/// Explains in one line why `written` does not compile. The message of the crate draws a mark below
/// the expression, and ends with the problem.
pub(super) fn explain(written: &str, error: &regex::Error) -> String {
    let message = error.to_string();
    let last = message.lines().last().unwrap_or_default();
    let problem = last.strip_prefix("error: ").unwrap_or(last);
    invalid(written, problem)
}

fn invalid(written: &str, problem: &str) -> String {
    format!("invalid regular expression {}: {problem}", text::quote(written))
}

fn translate(written: &str) -> Result<String, String> {
    let (mut rust, mut rest) = (String::new(), written);
    // How many operators of one repetition were directly before.
    let mut operators = 0;
    while let Some(next) = rest.chars().next() {
        operators = match (next, operators) {
            ('*' | '+' | '?', 0) => 1,
            ('{', 0) if repetition(rest).is_some() => 1,
            // The second one makes the repetition lazy.
            ('?', 1) => 2,
            ('*' | '+' | '?', _) => return Err("Go does not nest repetitions".to_owned()),
            ('{', 1..) if repetition(rest).is_some() => {
                return Err("Go does not nest repetitions".to_owned());
            }
            _ => 0,
        };
        rest = match next {
            '\\' => escape(rest, &mut rust)?,
            '[' => class(rest, &mut rust)?,
            '{' => match repetition(rest) {
                Some(length) => copy(rest, length, &mut rust),
                None => literal(rest, '{', &mut rust),
            },
            '}' | ']' => literal(rest, next, &mut rust),
            '(' if rest.starts_with("(?") => group(rest, &mut rust)?,
            _ => copy(rest, next.len_utf8(), &mut rust),
        };
    }
    Ok(rust)
}

/// Appends the first `length` bytes of `rest`, and returns those after them.
fn copy<'r>(rest: &'r str, length: usize, rust: &mut String) -> &'r str {
    let (copied, after) = rest.split_at(length);
    rust.push_str(copied);
    after
}

/// Appends `text` as it is, and returns what comes after the first character of `rest`.
fn literal<'r>(rest: &'r str, text: char, rust: &mut String) -> &'r str {
    rust.push_str(&regex::escape(text.encode_utf8(&mut [0; 4])));
    &rest[rest.chars().next().map_or(0, char::len_utf8)..]
}

/// The length of `{n}`, `{n,}` or `{n,m}` at the beginning of `rest`.
fn repetition(rest: &str) -> Option<usize> {
    let (counts, _) = rest[1..].split_once('}')?;
    let (min, max) = counts.split_once(',').unwrap_or((counts, ""));
    let is_number = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    (!min.is_empty() && is_number(min) && is_number(max)).then_some(counts.len() + 2)
}

/// Copies `(?`, after which Go has fewer flags than Rust.
fn group<'r>(rest: &'r str, rust: &mut String) -> Result<&'r str, String> {
    let flags = &rest[2..];
    let end = flags.find(|c: char| !c.is_ascii_alphabetic() && c != '-').unwrap_or(flags.len());
    let is_flag = |c: char| matches!(c, 'i' | 'm' | 's' | 'U' | '-');
    // "P" begins the name of a group.
    match flags[..end].chars().find(|c| !is_flag(*c)) {
        Some(flag) if flag != 'P' => Err(format!("Go has no flag {flag} of groups")),
        _ => Ok(copy(rest, 2, rust)),
    }
}

/// Translates the escape sequence at the beginning of `rest`, outside of a class.
fn escape<'r>(rest: &'r str, rust: &mut String) -> Result<&'r str, String> {
    let translated = match rest.as_bytes().get(1) {
        Some(b'b') => r"(?-u:\b)",
        Some(b'B') => r"(?-u:\B)",
        Some(b'A') => r"\A",
        Some(b'z') => r"\z",
        Some(b'Q') => {
            let (text, after) = rest[2..].split_once(r"\E").unwrap_or((&rest[2..], ""));
            rust.push_str(&regex::escape(text));
            return Ok(after);
        }
        _ => return character_or_set(rest, rust),
    };
    rust.push_str(translated);
    Ok(&rest[2..])
}

/// Translates an escape sequence that stands for a character or a set of characters.
fn character_or_set<'r>(rest: &'r str, rust: &mut String) -> Result<&'r str, String> {
    let set = match rest.as_bytes().get(1) {
        Some(b'd') => "[0-9]",
        Some(b'D') => "[^0-9]",
        Some(b'w') => "[0-9A-Za-z_]",
        Some(b'W') => "[^0-9A-Za-z_]",
        Some(b's') => r"[\t\n\f\r ]",
        Some(b'S') => r"[^\t\n\f\r ]",
        Some(b'p' | b'P') => return unicode_class(rest, rust),
        _ => return character(rest, rust),
    };
    rust.push_str(set);
    Ok(&rest[2..])
}

/// Copies `\pN` or `\p{Greek}`; `\p{^Greek}` becomes `\P{Greek}`.
fn unicode_class<'r>(rest: &'r str, rust: &mut String) -> Result<&'r str, String> {
    let Some(length) = argument(rest) else {
        return Err(format!("incomplete escape sequence {rest}"));
    };
    let Some(name) = rest[..length].strip_prefix(r"\p{^") else {
        return Ok(copy(rest, length, rust));
    };
    rust.push_str(r"\P{");
    rust.push_str(name);
    Ok(&rest[length..])
}

/// The length of an escape sequence such as `\pN` or `\p{Greek}` at the beginning of `rest`.
fn argument(rest: &str) -> Option<usize> {
    match rest[2..].chars().next()? {
        '{' => rest.find('}').map(|end| end + 1),
        name => Some(2 + name.len_utf8()),
    }
}

/// Translates an escape sequence that stands for one character.
fn character<'r>(rest: &'r str, rust: &mut String) -> Result<&'r str, String> {
    let Some(escaped) = rest[1..].chars().next() else {
        return Err("trailing backslash".to_owned());
    };
    let digits = rest[1..].bytes().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    match escaped {
        'a' | 'f' | 'n' | 'r' | 't' | 'v' => Ok(copy(rest, 2, rust)),
        'x' => {
            let length = if rest[2..].starts_with('{') { argument(rest) } else { Some(4) };
            let length = length.filter(|length| rest.is_char_boundary(*length));
            let length = length.ok_or_else(|| format!("incomplete escape sequence {rest}"))?;
            Ok(copy(rest, length, rust))
        }
        // One digit but 0 would be a reference to a group.
        '0'..='7' if escaped == '0' || digits > 1 => {
            let code = u32::from_str_radix(&rest[1..=digits], 8).unwrap_or_default();
            rust.push_str(&format!(r"\x{{{code:x}}}"));
            Ok(&rest[1 + digits..])
        }
        escaped if escaped.is_ascii() && !escaped.is_ascii_alphanumeric() => {
            Ok(literal(&rest[1..], escaped, rust))
        }
        escaped => Err(format!(r"Go has no escape sequence \{escaped}")),
    }
}

/// Translates the class, such as `[^a-z]`, at the beginning of `rest`.
fn class<'r>(rest: &'r str, rust: &mut String) -> Result<&'r str, String> {
    let mut rest = copy(rest, if rest.starts_with("[^") { 2 } else { 1 }, rust);
    let mut is_first = true;
    while is_first || !rest.starts_with(']') {
        is_first = false;
        let posix = rest.strip_prefix("[:").and_then(|name| name.find(":]"));
        rest = match posix {
            Some(length) => posix_class(rest, length, rust)?,
            None => members(rest, rust)?,
        };
    }
    Ok(copy(rest, 1, rust))
}

/// Copies a class such as `[:digit:]`, whose name has `length` bytes. Rust takes one with an
/// unknown name for characters.
fn posix_class<'r>(rest: &'r str, length: usize, rust: &mut String) -> Result<&'r str, String> {
    const NAMES: [&str; 14] = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
        "space", "upper", "word", "xdigit",
    ];
    let name = &rest[2..2 + length];
    match NAMES.contains(&name.strip_prefix('^').unwrap_or(name)) {
        true => Ok(copy(rest, length + 4, rust)),
        false => Err(format!("Go has no class [:{name}:]")),
    }
}

/// Translates a character, a range, or an escape sequence of a class.
fn members<'r>(rest: &'r str, rust: &mut String) -> Result<&'r str, String> {
    let one = |rest: &'r str, rust: &mut String| match rest.chars().next() {
        None => Err("missing closing ]".to_owned()),
        Some('\\') => character(rest, rust),
        Some(c) => Ok(literal(rest, c, rust)),
    };
    let is_set = matches!(rest.get(..2), Some(r"\d" | r"\D" | r"\w" | r"\W" | r"\s" | r"\S"))
        || rest.starts_with(r"\p")
        || rest.starts_with(r"\P");
    if is_set {
        return character_or_set(rest, rust);
    }
    let after = one(rest, rust)?;
    match after.strip_prefix('-') {
        Some(end) if !end.is_empty() && !end.starts_with(']') => {
            rust.push('-');
            one(end, rust)
        }
        _ => Ok(after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_expressions_match_as_in_go() {
        // Results of regexp.MatchString of Go 1.19.
        for (pattern, text, expected) in [
            (r#"{"status": "ok"}"#, r#"{"status": "ok"}"#, true),
            ("^{$", "{", true),
            ("a{2}b{,2}", "aab{,2}", true),
            ("x{1,3}$", "xxxx", true),
            (r"\<b\>", "a <b>", true),
            (r"\<b", "a b", false),
            ("[[(]x", "(x", true),
            ("[]x]", "]", true),
            ("^[^]x]$", "x", false),
            (r"^[\w-.]+$", "a-b.c", true),
            ("^[a&&b]+$", "&", true),
            ("^[a~~b]$", "~", true),
            (r"[\-\]]", "]", true),
            (r"^[[:digit:]x]+$", "1x", true),
            (r"\Qa.b\E.$", "a.bc", true),
            (r"\Qa.b", "axb", false),
            (r"\101\x42\x{43}", "ABC", true),
            (r"^\d$", "٣", false),
            (r"^\w$", "é", false),
            (r"\bé", "é", false),
            (r"^\s$", "\u{b}", false),
            (r"^[^\s]$", "\u{a0}", true),
            (r"^\pL\p{Greek}\p{^Greek}$", "éλx", true),
            (r"^[\p{Greek}\pN]+$", "λ7", true),
            ("(?i)AHOY", "ahoy", true),
            (r"(?P<a>x)(?:y)(?s-m:.)", "xy\n", true),
            ("^line", "one\nline", false),
            ("(?m)^line$", "one\nline\n", true),
            ("one$", "one\n", false),
            (r"a\-b\/c\ \_\#", "a-b/c _#", true),
        ] {
            let regex = compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            assert_eq!(regex.is_match(text), expected, "{pattern} {text:?}");
        }
    }

    #[test]
    fn regular_expressions_that_go_does_not_compile_are_errors() {
        for pattern in [
            "(",
            "*",
            "[a",
            "[]",
            r"\u0041",
            r"a\",
            r"\1",
            r"\h",
            "(?x)a",
            "(?u)a",
            "(?=a)",
            "[z-a]",
            r"\C",
            r"\Z",
            "{2}",
            "a**",
            "a{2}+",
            "[[:nope:]]",
            "[b--c]",
        ] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
