//! Descriptions of matchers in words.

use serde_json::Value;

use super::matcher::{Matcher, Relation, Rule};
use super::patterns::LinePattern;
use crate::text::Description;

impl Matcher {
    /// Describes the rule.
    pub(crate) fn in_words(&self) -> Description {
        let quoted = |words: &str, text: &String| Description::from(words).then_quote(text);
        match &self.rule {
            Rule::Equal(Value::String(text)) | Rule::Text(text) => Description::quote(text),
            Rule::Equal(value) => value.to_string().into(),
            Rule::Number(relation, number) => format!("{}{number}", relation.in_words()).into(),
            Rule::Bool(value) => value.to_string().into(),
            Rule::Length(length) => format!("has the length {length}").into(),
            Rule::Element(matcher) => {
                Description::from("contains the element ").then(matcher.in_nested_words())
            }
            Rule::Elements { matchers, exactly, .. } => {
                let words =
                    if *exactly { "has exactly the elements " } else { "contains the elements " };
                Description::from(words).then(joined(matchers, ", "))
            }
            Rule::OfNumber(matcher) => matcher.in_words(),
            Rule::Not(matcher) => Description::from("not: ").then(matcher.in_nested_words()),
            Rule::And(matchers) => joined(matchers, " and "),
            Rule::Or(matchers) => joined(matchers, " or "),
            Rule::Prefix(text) => quoted("begins with ", text),
            Rule::Suffix(text) => quoted("ends with ", text),
            Rule::Substring(text) => quoted("contains ", text),
            Rule::Regexp(regex) => format!("matches /{regex}/").into(),
            Rule::Patterns(patterns) => {
                let patterns = patterns.iter().map(LinePattern::in_words);
                Description::join(patterns, ", ").unwrap_or_default()
            }
        }
    }

    /// Describes the rule, in parentheses if it has several parts.
    fn in_nested_words(&self) -> Description {
        match &self.rule {
            Rule::Not(_)
            | Rule::And(_)
            | Rule::Or(_)
            | Rule::Element(_)
            | Rule::Elements { .. } => Description::from("(").then(self.in_words()).then(")"),
            Rule::OfNumber(matcher) => matcher.in_nested_words(),
            _ => self.in_words(),
        }
    }
}

/// Describes `matchers`, with `word` between them.
fn joined(matchers: &[Matcher], word: &str) -> Description {
    Description::join(matchers.iter().map(Matcher::in_nested_words), word).unwrap_or_default()
}

impl Relation {
    /// The words before the number.
    fn in_words(self) -> &'static str {
        match self {
            Self::Equal => "",
            Self::Greater => "more than ",
            Self::GreaterOrEqual => "at least ",
            Self::Less => "less than ",
            Self::LessOrEqual => "at most ",
        }
    }
}
