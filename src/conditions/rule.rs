//! One rule for a text.

use super::carriage_returns::{CarriageReturns, is_line_end, without};
use super::goss::{Found, Matcher};
use super::pattern::Pattern;
use crate::text::{Description, value};

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

    /// Whether `text`, which has these carriage `returns`, meets the rule. If some may be missing,
    /// an expected text may be there with or without them, and an excluded one must be absent in
    /// both forms, but for a mere line end. Regular expressions and matchers are taken as they are
    /// written.
    pub(super) fn is_met(&self, text: &str, returns: CarriageReturns) -> bool {
        let is_met = self.is_met_by(text);
        match self {
            _ if returns == CarriageReturns::Exact => is_met,
            Self::Equals(expected) => is_met || Rule::Equals(&without(expected)).is_met_by(text),
            Self::Contains(part, times) => {
                is_met || Rule::Contains(&without(part), *times).is_met_by(text)
            }
            Self::NotContains(part) if is_line_end(part) => is_met,
            Self::NotContains(part) => is_met && Rule::NotContains(&without(part)).is_met_by(text),
            Self::Matches(..) | Self::NotMatches(_) | Self::Goss(_) => is_met,
        }
    }

    /// Explains why the result for `text`, of which carriage returns may be missing, is uncertain,
    /// if they decide it.
    pub(super) fn doubt(&self, text: &str) -> Option<String> {
        let Self::NotContains(part) = self else { return None };
        let is_undecided = part.contains("\r\n")
            && self.is_met_by(text)
            && !Rule::NotContains(&without(part)).is_met_by(text);
        is_undecided.then(|| {
            let quoted = value::quote(part);
            let result = match is_line_end(part) {
                true => format!("so {quoted} would not be found here"),
                false => format!("so {quoted} was looked for without them"),
            };
            format!("containerd drops carriage returns before newlines, {result}")
        })
    }

    /// Explains why `text`, which does not meet the rule, seems to, or why a matcher cannot be
    /// applied to it.
    pub(super) fn near_miss(&self, text: &str) -> Option<String> {
        Some(match self {
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
            Self::Goss(matcher) => return matcher.hint(&Found::Text(text.to_owned())),
            _ => return None,
        })
    }

    /// Says how often `text`, which has these carriage `returns` and does not meet the rule,
    /// contains something or is matched by it, if it must be so several times.
    pub(super) fn too_few_in(&self, text: &str, returns: CarriageReturns) -> Option<Description> {
        let count_of = |part: &str| match returns {
            CarriageReturns::Exact => text.matches(part).count(),
            CarriageReturns::Dropped => {
                text.matches(part).count().max(text.matches(&without(part)).count())
            }
        };
        let (what, count) = match self {
            Self::Contains(part, 2..) => (Description::quote(*part), count_of(part)),
            Self::Matches(pattern, 2..) => (pattern.to_string().into(), pattern.count(text)),
            _ => return None,
        };
        Some(match count {
            0 => what.then(" never"),
            1 => what.then(" once"),
            count => what.then(format!(" {count} times")),
        })
    }

    /// Describes the rule.
    pub(super) fn in_words(&self) -> Description {
        let often = |times: usize| match times {
            1 => String::new(),
            times => format!(" at least {times} times"),
        };
        match self {
            Self::Equals(text) => Description::quote(*text),
            Self::Contains(part, times) => {
                Description::from("contains ").then_quote(*part).then(often(*times))
            }
            Self::NotContains(part) => Description::from("does not contain ").then_quote(*part),
            Self::Matches(pattern, times) => format!("matches {pattern}{}", often(*times)).into(),
            Self::NotMatches(pattern) => format!("does not match {pattern}").into(),
            Self::Goss(matcher) => matcher.in_words(),
        }
    }
}
