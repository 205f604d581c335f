//! Matchers, with the semantics of goss.

use std::fmt;

use regex::Regex;
use serde_json::Value;

use super::found::{Found, NotApplicable};
use super::pairs::can_pair;
use super::patterns::{LinePattern, all_found};

/// A matcher.
#[derive(Clone, Debug)]
pub(crate) struct Matcher {
    /// The matcher as it was written.
    pub(super) written: Value,
    pub(super) rule: Rule,
}

#[derive(Clone, Debug)]
pub(super) enum Rule {
    /// The value is this, of the same type.
    Equal(Value),
    /// The value as text is this.
    Text(String),
    /// The value as number is in this relation to the other.
    Number(Relation, f64),
    Bool(bool),
    Prefix(String),
    Suffix(String),
    Substring(String),
    Regexp(Regex),
    Length(usize),
    Patterns(Vec<LinePattern>),
    /// An element of a list or a line of a text is matched.
    Element(Box<Matcher>),
    /// Each matcher matches an element of its own. There are no others if `exactly` is true. The
    /// lines of a text are its elements if `lines` is true.
    Elements {
        matchers: Vec<Matcher>,
        lines: bool,
        exactly: bool,
    },
    /// The text is a number that this matches.
    OfNumber(Box<Matcher>),
    Not(Box<Matcher>),
    And(Vec<Matcher>),
    Or(Vec<Matcher>),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Relation {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Matcher {
    /// The same matcher, but for the number that a text is.
    pub(crate) fn of_number(self) -> Self {
        Self { written: self.written.clone(), rule: Rule::OfNumber(Box::new(self)) }
    }

    /// Whether the value is as expected. A matcher that cannot be applied to it fails the test.
    pub(crate) fn is_match(&self, found: &Found) -> bool {
        self.matches(found) == Ok(true)
    }

    /// Explains why the matcher cannot be applied to the value, if it cannot.
    pub(crate) fn hint(&self, found: &Found) -> Option<String> {
        let reason = self.matches(found).err()?;
        Some(format!("a matcher is applied to {reason}; that fails in goss, even within \"not\""))
    }

    /// Whether the matcher matches the value.
    fn matches(&self, found: &Found) -> Result<bool, NotApplicable> {
        Ok(match &self.rule {
            Rule::Equal(value) => found.is_equal(value),
            Rule::Text(text) => found.to_text() == *text,
            Rule::Number(relation, number) => relation.holds(found.to_number()?, *number),
            Rule::Bool(value) => *found == Found::Bool(*value),
            Rule::Prefix(text) => found.to_text().starts_with(text),
            Rule::Suffix(text) => found.to_text().ends_with(text),
            Rule::Substring(text) => found.to_text().contains(text),
            Rule::Regexp(regex) => regex.is_match(&found.to_text()),
            Rule::Length(length) => found.length()? == *length,
            Rule::Patterns(patterns) => all_found(patterns, &found.to_text()),
            Rule::Element(matcher) => match_element(matcher, &found.elements(true)?)?,
            Rule::Elements { matchers, lines, exactly } => {
                match_elements(matchers, *exactly, &found.elements(*lines)?)
            }
            Rule::OfNumber(matcher) => matcher.matches(&Found::Number(found.to_number()?))?,
            Rule::Not(matcher) => !matcher.matches(found)?,
            Rule::And(matchers) => {
                for matcher in matchers {
                    if !matcher.matches(found)? {
                        return Ok(false);
                    }
                }
                true
            }
            Rule::Or(matchers) => {
                for matcher in matchers {
                    if matcher.matches(found)? {
                        return Ok(true);
                    }
                }
                false
            }
        })
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written.fmt(f)
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Matcher {}

/// Whether `matcher` matches one of `elements`. If it matches none, and cannot be applied to one of
/// them, that is the result.
fn match_element(matcher: &Matcher, elements: &[Found]) -> Result<bool, NotApplicable> {
    let mut result = Ok(false);
    for element in elements {
        match matcher.matches(element) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(reason) => result = Err(reason),
        }
    }
    result
}

/// Whether each of `matchers` matches an element of its own, and if `exactly` is true, there are no
/// others. Here, a matcher that cannot be applied to an element does not match it.
fn match_elements(matchers: &[Matcher], exactly: bool, elements: &[Found]) -> bool {
    if exactly && elements.len() != matchers.len() {
        return false;
    }
    let indexes = |matcher: &Matcher| {
        let matching = elements.iter().enumerate().filter(|(_, element)| matcher.is_match(element));
        matching.map(|(index, _)| index).collect()
    };
    let candidates: Vec<Vec<usize>> = matchers.iter().map(indexes).collect();
    can_pair(&candidates, elements.len())
}

impl Relation {
    fn holds(self, found: f64, number: f64) -> bool {
        match self {
            Self::Equal => found == number,
            Self::Greater => found > number,
            Self::GreaterOrEqual => found >= number,
            Self::Less => found < number,
            Self::LessOrEqual => found <= number,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn is_match(matcher: Value, found: Found) -> bool {
        Matcher::parse(&matcher, false).unwrap().is_match(&found)
    }

    #[test]
    fn matchers_have_the_results_of_goss() {
        let text = |text: &str| Found::Text(text.to_owned());
        let list = |list: &[&str]| Found::List(list.iter().map(|it| (*it).to_owned()).collect());
        // goss docs/gossfile.md, "Matchers", and matchers/type_conversion.go.
        for (matcher, found, expected) in [
            (json!("0644"), text("0644"), true),
            (json!("644"), text("0644"), false),
            (json!(7), Found::Number(7.0), true),
            (json!("7"), Found::Number(7.0), true),
            (json!(7), text(" 7\n"), true),
            (json!(true), Found::Bool(true), true),
            (json!("true"), Found::Bool(true), true),
            (json!(["a", "b"]), list(&["b", "c", "a"]), true),
            (json!(["a", "d"]), list(&["b", "c", "a"]), false),
            (json!({ "equal": ["a", "b"] }), list(&["a", "b"]), true),
            (json!({ "equal": ["a", "b"] }), list(&["b", "a"]), false),
            (json!({ "equal": ["a"] }), list(&["a", "b"]), false),
            (json!({ "equal": [{ "have-prefix": "a" }] }), list(&["a"]), false),
            (json!({ "equal": "a" }), list(&["a"]), false),
            (json!({ "equal": ["a"] }), text("a"), false),
            (json!({ "equal": [1] }), list(&["1"]), false),
            (json!({ "equal": "a" }), text("a"), true),
            (json!({ "equal": 7 }), Found::Number(7.0), true),
            (json!({ "equal": 7.0 }), Found::Number(7.0), false),
            (json!({ "equal": "7" }), Found::Number(7.0), false),
            (json!({ "equal": 7 }), text("7"), false),
            (json!({ "equal": true }), Found::Bool(true), true),
            (json!({ "equal": "true" }), Found::Bool(true), false),
            (json!({ "not": { "equal": "7" } }), Found::Number(7.0), true),
            (json!({ "consist-of": ["a", "b"] }), list(&["b", "a"]), true),
            (json!({ "consist-of": ["a"] }), list(&["b", "a"]), false),
            // Each matcher needs an element of its own (gomega, matchers/consist_of.go and
            // contain_elements_matcher.go: a maximum matching).
            (
                json!({ "consist-of": ["a", "a", { "have-prefix": "" }] }),
                list(&["a", "b", "c"]),
                false,
            ),
            (json!({ "consist-of": [{ "have-prefix": "" }, "a"] }), list(&["a", "b"]), true),
            (json!({ "consist-of": ["a", "b"] }), list(&["a", "a"]), false),
            (json!(["a", "a"]), list(&["a"]), false),
            (json!(["a", "a"]), list(&["a", "b", "a"]), true),
            (json!({ "contain-elements": [{ "have-prefix": "" }, "a"] }), list(&["a"]), false),
            (json!({ "contain-element": { "have-prefix": "b" } }), list(&["a", "bc"]), true),
            (json!({ "contain-elements": ["one", "two"] }), text("one\ntwo\n"), true),
            (json!({ "not": { "have-len": 3 } }), text("abc"), false),
            (json!({ "and": [{ "ge": 1 }, { "lt": 3 }] }), Found::Number(2.0), true),
            (json!({ "or": ["a", "b"] }), text("c"), false),
            (json!({ "match-regexp": "^a.c" }), text("abcd"), true),
            (json!({ "have-suffix": "d" }), text("abcd"), true),
            (json!({ "contain-substring": "x" }), text("abcd"), false),
            (json!({ "gt": 5 }), text("x"), false),
        ] {
            assert_eq!(is_match(matcher.clone(), found.clone()), expected, "{matcher} {found:?}");
        }
    }

    #[test]
    fn a_matcher_that_cannot_be_applied_fails_also_in_a_not() {
        let text = || Found::Text("abc".to_owned());
        let lines = || Found::Text("1\nabc\n".to_owned());
        let list = || Found::List(vec!["abc".to_owned()]);
        // The errors of goss's matchers (resource/gomega.go) and of those of gomega.
        for (matcher, found) in [
            (json!({ "gt": 5 }), text()),
            (json!(5), text()),
            (json!({ "gt": 0 }), Found::Bool(true)),
            (json!(["zzz"]), text()),
            (json!({ "consist-of": ["abc", ""] }), text()),
            (json!({ "contain-element": { "gt": 5 } }), list()),
            (json!({ "contain-element": { "gt": 5 } }), lines()),
            (json!({ "contain-elements": ["abc"] }), Found::Number(5.0)),
            (json!({ "have-len": 3 }), Found::Number(5.0)),
            (json!({ "or": [{ "gt": 5 }, "abc"] }), text()),
            (json!({ "and": [{ "gt": 5 }, "x"] }), text()),
        ] {
            let not = json!({ "not": matcher.clone() });
            assert!(!is_match(matcher.clone(), found.clone()), "{matcher}");
            assert!(!is_match(not.clone(), found.clone()), "{not}");
            let not_not = json!({ "not": not });
            assert!(!is_match(not_not.clone(), found), "{not_not}");
        }
        let not_a_number = Matcher::parse(&json!({ "not": { "gt": 5 } }), false).unwrap();
        assert_eq!(
            not_a_number.hint(&text()).unwrap(),
            "a matcher is applied to a value that is not a number; that fails in goss, even within \
             \"not\""
        );
        assert_eq!(not_a_number.hint(&Found::Number(5.0)), None);
        for (matcher, found) in [
            // What comes first decides.
            (json!({ "or": ["abc", { "gt": 5 }] }), text()),
            (json!({ "not": { "and": ["x", { "gt": 5 }] } }), text()),
            // Elements of several matchers are only found or not.
            (json!({ "not": { "contain-elements": [{ "gt": 5 }] } }), text()),
            (json!({ "not": { "consist-of": [{ "gt": 5 }] } }), list()),
            (json!({ "contain-element": { "gt": 0 } }), lines()),
            (json!({ "not": ["zzz"] }), list()),
            (json!({ "not": { "consist-of": ["x"] } }), list()),
            (json!({ "not": { "equal": 5 } }), text()),
        ] {
            assert!(is_match(matcher.clone(), found), "{matcher}");
        }
    }

    #[test]
    fn a_rule_is_shown_in_words() {
        for (matcher, words) in [
            (
                json!(["Welcome", "!bye", "/^a/"]),
                "contains \"Welcome\", does not contain \"bye\", has a line that matches /^a/",
            ),
            (json!({ "and": [{ "ge": 200 }, { "lt": 300 }] }), "at least 200 and less than 300"),
            (
                json!({ "or": [7, { "and": [{ "gt": 1 }, { "not": { "equal": 3 } }] }] }),
                "7 or (more than 1 and (not: 3))",
            ),
            (json!({ "not": { "have-prefix": "a" } }), "not: begins with \"a\""),
            (
                json!({ "contain-elements": ["a", { "have-suffix": "b" }] }),
                "contains the elements \"a\", ends with \"b\"",
            ),
            (json!({ "consist-of": [1, "b"] }), "has exactly the elements 1, \"b\""),
            (json!({ "have-len": 3 }), "has the length 3"),
            (json!(true), "true"),
        ] {
            assert_eq!(Matcher::parse(&matcher, true).unwrap().in_words(), words);
        }
        let of_number = Matcher::parse(&json!({ "le": 5 }), false).unwrap().of_number();
        assert_eq!(of_number.in_words(), "at most 5");
    }

    #[test]
    fn a_matcher_of_a_number_compares_the_number_that_a_text_is() {
        let is_match = |matcher: Value, found: &str| {
            let matcher = Matcher::parse(&matcher, false).unwrap().of_number();
            matcher.is_match(&Found::Text(found.to_owned()))
        };
        assert!(is_match(json!({ "or": [{ "equal": 0 }, { "equal": 3 }] }), "3"));
        assert!(is_match(json!({ "not": { "equal": "3" } }), "3"));
        assert!(is_match(json!({ "have-prefix": "20" }), "204"));
        assert!(!is_match(json!({ "equal": 0 }), "3"));
    }
}
