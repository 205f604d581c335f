//! Patterns of goss for the lines of a text: a string that a line contains, or a regular expression
//! between slashes; with `!` in front, no line may match.

use regex::Regex;

use crate::conditions::go_regex;
use crate::text::{self, Description};

/// A pattern.
#[derive(Clone, Debug)]
pub(super) struct LinePattern {
    negated: bool,
    is_empty: bool,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    Contains(String),
    Matches(Regex),
}

impl LinePattern {
    pub(super) fn parse(written: &str) -> Result<Self, String> {
        let negated = written.starts_with('!');
        let rule = match regex_of(written.strip_prefix('!').unwrap_or(written)) {
            Some(regex) => {
                let of_pattern = |problem| format!("pattern {}: {problem}", text::quote(written));
                Rule::Matches(go_regex::compile(&regex).map_err(of_pattern)?)
            }
            None => Rule::Contains(written.trim_start_matches(['\\', '/', '!']).to_owned()),
        };
        Ok(Self { negated, is_empty: written.is_empty(), rule })
    }

    /// Describes the pattern.
    pub(super) fn in_words(&self) -> Description {
        match (&self.rule, self.negated) {
            (Rule::Contains(text), false) => Description::from("contains ").then_quote(text),
            (Rule::Contains(text), true) => Description::from("does not contain ").then_quote(text),
            (Rule::Matches(regex), false) => format!("has a line that matches /{regex}/").into(),
            (Rule::Matches(regex), true) => format!("has no line that matches /{regex}/").into(),
        }
    }

    fn is_match(&self, line: &str) -> bool {
        match &self.rule {
            Rule::Contains(text) => line.contains(text),
            Rule::Matches(regex) => regex.is_match(line),
        }
    }
}

/// Returns the regular expression of `/regex/` or `/regex/flags`.
fn regex_of(written: &str) -> Option<String> {
    let (regex, flags) = written.strip_prefix('/')?.rsplit_once('/')?;
    let is_flag = |c: char| matches!(c, 'i' | 'm' | 's');
    match (flags.is_empty(), flags.chars().all(is_flag)) {
        (true, _) => Some(regex.to_owned()),
        (_, true) => Some(format!("(?{flags}){regex}")),
        _ => None,
    }
}

/// Whether `text` has a line for each pattern, and none for those that are negated.
pub(super) fn all_found(patterns: &[LinePattern], text: &str) -> bool {
    patterns.iter().all(|pattern| {
        let found = text.lines().any(|line| pattern.is_match(line));
        found != pattern.negated || pattern.is_empty
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_the_results_of_goss() {
        // goss docs/gossfile.md, "Patterns", and matchers/have_patterns.go.
        let text = "first line\n/usr/bin\n!bang\nUPPER\n";
        for (pattern, expected) in [
            ("first", true),
            ("!first", false),
            ("!second", true),
            ("/^first.*e$/", true),
            ("!/^line/", true),
            ("/first\\nline/", false),
            ("/upper/i", true),
            ("/upper/", false),
            ("\\/usr/bin", true),
            ("/usr/bin", true),
            ("\\!bang", true),
            ("", true),
        ] {
            let patterns = [LinePattern::parse(pattern).unwrap()];
            assert_eq!(all_found(&patterns, text), expected, "{pattern}");
        }
        assert!(all_found(&[LinePattern::parse("").unwrap()], ""));
        assert!(LinePattern::parse("/(/").is_err());
    }
}
