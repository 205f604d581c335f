//! One rule for a text.

use std::fmt;

use super::found::Found;
use super::matcher::Matcher;
use super::pattern::Pattern;
use crate::text::value;

/// A rule. A number says how often a text contains something, or is matched by it, at least.
pub(super) enum Rule<'r> {
    Equals(&'r str),
    Contains(&'r str, usize),
    NotContains(&'r str),
    Matches(&'r Pattern, usize),
    NotMatches(&'r Pattern),
    Goss(&'r Matcher),
}

impl Rule<'_> {
    /// Whether `text` meets the rule.
    pub(super) fn is_met_by(&self, text: &str) -> bool {
        match self {
            Self::Equals(expected) => *expected == text,
            Self::Contains(part, times) => text.matches(part).take(*times).count() == *times,
            Self::NotContains(part) => !text.contains(part),
            Self::Matches(pattern, times) => pattern.is_found(text, *times),
            Self::NotMatches(pattern) => !pattern.is_match(text),
            Self::Goss(matcher) => matcher.is_match(&Found::Text(text.to_owned())),
        }
    }

    /// Whether `text`, of which carriage returns before newlines may be missing, meets the rule.
    /// An expected text may be there with or without them, an excluded one must be absent in both
    /// forms. Regular expressions and matchers are taken as they are written.
    pub(super) fn is_met_without_carriage_returns(&self, text: &str) -> bool {
        let shortened = |text: &str| text.replace("\r\n", "\n");
        let is_met = self.is_met_by(text);
        match self {
            Self::Equals(expected) => is_met || Rule::Equals(&shortened(expected)).is_met_by(text),
            Self::Contains(part, times) => {
                is_met || Rule::Contains(&shortened(part), *times).is_met_by(text)
            }
            Self::NotContains(part) => {
                is_met && Rule::NotContains(&shortened(part)).is_met_by(text)
            }
            Self::Matches(..) | Self::NotMatches(_) | Self::Goss(_) => is_met,
        }
    }

    /// Explains why `text` does not meet the rule although it seems to.
    pub(super) fn near_miss(&self, text: &str) -> Option<String> {
        let hint = match self {
            Self::Contains(part, _)
                if !text.contains(part) && text.to_lowercase().contains(&part.to_lowercase()) =>
            {
                let part = value::quote(part);
                format!("it contains {part} in other upper and lower case letters")
            }
            Self::Matches(pattern, _) if pattern.matches_lines(text) => format!(
                "^ and $ in {pattern} are the beginning and the end of the whole text; those of \
                 lines need (?m) before"
            ),
            _ => return None,
        };
        (!self.is_met_by(text)).then_some(hint)
    }

    /// Says how often `text` contains something or is matched by it, if it must be so several times
    /// and is not.
    pub(super) fn too_few_in(&self, text: &str) -> Option<String> {
        let (what, count) = match self {
            Self::Contains(part, 2..) => (value::quote(part), text.matches(part).count()),
            Self::Matches(pattern, 2..) => (pattern.to_string(), pattern.count(text)),
            _ => return None,
        };
        let often = match count {
            0 => "never".to_owned(),
            1 => "once".to_owned(),
            count => format!("{count} times"),
        };
        (!self.is_met_by(text)).then(|| format!("{what} {often}"))
    }
}

impl fmt::Display for Rule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let often = |times: usize| match times {
            1 => String::new(),
            times => format!(" at least {times} times"),
        };
        match self {
            Self::Equals(text) => f.write_str(&value::quote(text)),
            Self::Contains(part, times) => {
                write!(f, "contains {}{}", value::quote(part), often(*times))
            }
            Self::NotContains(part) => write!(f, "does not contain {}", value::quote(part)),
            Self::Matches(pattern, times) => write!(f, "matches {pattern}{}", often(*times)),
            Self::NotMatches(pattern) => write!(f, "does not match {pattern}"),
            Self::Goss(matcher) => f.write_str(&matcher.in_words()),
        }
    }
}
