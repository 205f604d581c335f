//! Regular expressions.

use std::fmt;

use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

use super::go_regex;

/// A regular expression. One that does not compile is an error when it is parsed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Pattern {
    written: String,
    regex: Regex,
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        Self::compile(&written).map_err(|error| go_regex::explain(&written, &error))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.written)
    }
}

impl Pattern {
    /// A regular expression in the syntax of Rust.
    pub(super) fn compile(written: &str) -> Result<Self, regex::Error> {
        Ok(Self { regex: Regex::new(written)?, written: written.to_owned() })
    }

    /// A regular expression in the syntax of Go.
    pub(crate) fn of_go(written: String) -> Result<Self, String> {
        Ok(Self { regex: go_regex::compile(&written)?, written })
    }

    /// Whether the regular expression matches anywhere in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// Whether every text is matched: nothing is required, neither characters nor a position.
    pub(super) fn matches_everything(&self) -> bool {
        regex_syntax::parse(self.regex.as_str()).is_ok_and(|parsed| {
            let properties = parsed.properties();
            properties.minimum_len() == Some(0) && properties.look_set().is_empty()
        })
    }

    /// Whether the regular expression matches `times` parts of `text` that do not overlap.
    pub(super) fn is_found(&self, text: &str, times: usize) -> bool {
        self.regex.find_iter(text).take(times).count() == times
    }

    /// Whether the regular expression matches in `text` if its `^` and `$` are the beginnings and
    /// ends of lines.
    pub(super) fn matches_lines(&self, text: &str) -> bool {
        self.written.contains(['^', '$'])
            && Regex::new(&format!("(?m){}", self.regex)).is_ok_and(|regex| regex.is_match(text))
    }

    /// The number of parts of `text` that the regular expression matches and do not overlap.
    pub(super) fn count(&self, text: &str) -> usize {
        self.regex.find_iter(text).count()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str()
    }
}

impl Eq for Pattern {}
