//! Rules for a text, such as the output of a command.

use std::fmt;
use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::carriage_returns::CarriageReturns;
use super::goss::Matcher;
use super::pattern::Pattern;
use super::rule::Rule;
use super::rules::{Rules, StringOrRules};
use crate::text::Description;

/// Rules for a text, all of which must hold. A plain string is short for `equals`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "StringOrRules")]
pub struct Text(Rules);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(deserializer, Self::equal_to)
    }
}

impl Text {
    /// Whether a table of rules may have this key.
    pub(super) fn has_key(key: &str) -> bool {
        Rules::has_key(key)
    }

    /// Reads rules; a plain string becomes the rules that `of_string` returns.
    pub(super) fn read<'de, D: Deserializer<'de>>(
        deserializer: D,
        of_string: fn(String) -> Self,
    ) -> Result<Self, D::Error> {
        Rules::read(deserializer, |text| of_string(text).0).map(Self)
    }

    /// The rule that a text is exactly `text`.
    pub fn equal_to(text: impl Into<String>) -> Self {
        Self(Rules { equals: Some(text.into()), ..Rules::default() })
    }

    /// The rule that a text contains `part`.
    pub fn containing(part: impl Into<String>) -> Self {
        Self(Rules { contains: vec![part.into()], ..Rules::default() })
    }

    /// The rule that a text is matched by `pattern`, a regular expression.
    ///
    /// # Errors
    /// If the regular expression does not compile.
    pub fn matching(pattern: &str) -> Result<Self, regex::Error> {
        let matches = vec![Pattern::compile(pattern)?];
        Ok(Self(Rules { matches, ..Rules::default() }))
    }

    /// The same rules, but a text contains at least `times` times what it must contain, and is
    /// matched as often by what it must be matched by. Zero is as good as one.
    #[must_use]
    pub fn times(self, times: u16) -> Self {
        Self(Rules { times: NonZeroU16::new(times), ..self.0 })
    }

    /// The rules that a text is `equals`, if that is given, and matched by all of `matches`.
    pub(crate) fn equal_and_matched(equals: Option<String>, matches: Vec<Pattern>) -> Self {
        Self(Rules { equals, matches, ..Rules::default() })
    }

    /// The rules that a text is matched by all of `matches` and none of `not_matches`.
    pub(crate) fn patterns(matches: Vec<Pattern>, not_matches: Vec<Pattern>) -> Self {
        Self(Rules { matches, not_matches, ..Rules::default() })
    }

    /// The rule that a text is matched by `matcher`.
    pub(crate) fn matched_by(matcher: Matcher) -> Self {
        Self(Rules { matcher: Some(matcher), ..Rules::default() })
    }

    fn rules(&self) -> impl Iterator<Item = Rule<'_>> {
        let Rules { equals, contains, not_contains, matches, not_matches, matcher, times } =
            &self.0;
        let times = times.map_or(1, |times| usize::from(times.get()));
        let equals = equals.iter().map(|text| Rule::Equals(text));
        let rules = equals.chain(contains.iter().map(move |part| Rule::Contains(part, times)));
        let rules = rules.chain(not_contains.iter().map(|part| Rule::NotContains(part)));
        let rules = rules.chain(matches.iter().map(move |pattern| Rule::Matches(pattern, times)));
        rules.chain(not_matches.iter().map(Rule::NotMatches)).chain(matcher.iter().map(Rule::Goss))
    }

    /// Whether `text` meets all rules.
    pub fn is_match(&self, text: &str) -> bool {
        self.is_met(text, CarriageReturns::Exact)
    }

    /// Whether `text`, which has these carriage `returns`, meets all rules. If some may be missing,
    /// a rule may be written with or without them.
    pub(crate) fn is_met(&self, text: &str, returns: CarriageReturns) -> bool {
        self.rules().all(|rule| rule.is_met(text, returns))
    }

    /// Describes all rules.
    pub(crate) fn in_words(&self) -> Description {
        describe(self.rules()).unwrap_or_default()
    }

    /// Describes the rules that `text` does not meet; `None` if it meets all.
    pub(crate) fn unmet_by(&self, text: &str) -> Option<Description> {
        self.unmet(text, CarriageReturns::Exact)
    }

    /// Describes the rules that none of `texts` meets; `None` if there are none.
    pub(crate) fn unmet_by_all(&self, texts: &[String]) -> Option<Description> {
        describe(self.rules().filter(|rule| !texts.iter().any(|text| rule.is_met_by(text))))
    }

    /// Like [`unmet_by`](Self::unmet_by), for a text that has these carriage `returns`.
    pub(crate) fn unmet(&self, text: &str, returns: CarriageReturns) -> Option<Description> {
        describe(self.unmet_rules(text, returns))
    }

    fn unmet_rules(&self, text: &str, returns: CarriageReturns) -> impl Iterator<Item = Rule<'_>> {
        self.rules().filter(move |rule| !rule.is_met(text, returns))
    }

    /// Returns hints about rules that `text` does not meet although it seems to, and about those
    /// that missing carriage `returns` decide.
    pub(crate) fn hints(&self, text: &str, returns: CarriageReturns) -> Vec<String> {
        let near = self.unmet_rules(text, returns).filter_map(|rule| rule.near_miss(text));
        let doubts = self.rules().filter_map(|rule| rule.doubt(text));
        near.chain(doubts.filter(|_| returns == CarriageReturns::Dropped)).collect()
    }

    /// Describes `text` in a mismatch: quoted, after the number of times that it has what it must
    /// have several times, if those are too few.
    pub(crate) fn shown(&self, text: &str, returns: CarriageReturns) -> Description {
        let unmet = self.unmet_rules(text, returns);
        let counts = unmet.filter_map(|rule| rule.too_few_in(text, returns));
        match Description::join(counts, ", ") {
            None => Description::quote(text),
            Some(counts) => counts.then(" in ").then_quote(text),
        }
    }

    /// The only text that meets the rules, if they are nothing but that it is this one.
    pub(crate) fn exactly(&self) -> Option<&str> {
        let equals = self.0.equals.as_deref()?;
        (*self == Self::equal_to(equals)).then_some(equals)
    }
}

/// Describes `rules`, if there are any.
fn describe<'r>(rules: impl Iterator<Item = Rule<'r>>) -> Option<Description> {
    Description::join(rules.map(|rule| rule.in_words()), ", ")
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.in_words().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Text {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_string_must_equal_the_whole_text() {
        assert!(text(r#""a\n""#).is_match("a\n"));
        assert!(!text(r#""a""#).is_match("a\n"));
    }

    #[test]
    fn all_rules_of_a_table_must_hold() {
        let rules = text(
            r#"{"contains": "b", "not_contains": ["x", "y"],
                "matches": "^a.c", "not_matches": ["[0-9]$", "^abcd"]}"#,
        );
        assert!(rules.is_match("abc"));
        for wrong in ["adc", "abcx", "zabc", "abc1", "abcd"] {
            assert!(!rules.is_match(wrong), "{wrong}");
        }
        assert_eq!(
            rules.to_string(),
            "contains \"b\", does not contain \"x\", does not contain \"y\", \
             matches /^a.c/, does not match /[0-9]$/, does not match /^abcd/"
        );
    }

    #[test]
    fn only_the_rules_that_a_text_does_not_meet_are_shown() {
        let rules = text(r#"{"contains": ["1", "zz"], "not_contains": "12", "matches": "[0-9]"}"#);
        let unmet = rules.unmet("12.15\n", CarriageReturns::Exact).unwrap().to_string();
        assert_eq!(unmet, r#"contains "zz", does not contain "12""#);
        assert_eq!(rules.unmet("1 zz", CarriageReturns::Exact), None);
    }

    #[test]
    fn a_text_that_seems_to_meet_a_rule_has_a_hint() {
        let rules = text(r#"{"matches": "^b$", "contains": "Ready"}"#);
        assert_eq!(
            rules.hints("a\nb\nready\n", CarriageReturns::Exact),
            [
                "it contains \"Ready\" in other upper and lower case letters",
                "^ and $ in /^b$/ are the beginning and the end of the whole text; those of lines \
                 need (?m) before",
            ]
        );
        assert!(
            rules.hints("c", CarriageReturns::Exact).is_empty()
                && text(r#"{"matches": "c"}"#).hints("c", CarriageReturns::Exact).is_empty()
        );
        assert!(
            text(r#"{"contains": "a", "times": 2}"#).hints("a", CarriageReturns::Exact).is_empty()
        );
    }

    #[test]
    fn times_says_how_often_a_text_contains_or_is_matched_by_something() {
        for json in
            [r#"{"contains": "ready", "times": 2}"#, r#"{"matches": "re[a-z]+y", "times": 2}"#]
        {
            let rules = text(json);
            assert!(!rules.is_match("ready, read"), "{json}");
            assert!(
                rules.is_match("ready\nready\n") && rules.is_match("ready ready ready"),
                "{json}"
            );
        }
        let rules = text(r#"{"contains": "GET", "matches": "[a-z]", "times": 3}"#);
        assert_eq!(
            rules.shown("GET\nGET a\n", CarriageReturns::Exact),
            r#""GET" 2 times, /[a-z]/ once in "GET\nGET a\n""#
        );
        assert_eq!(rules.shown("GET GET GET abc", CarriageReturns::Exact), r#""GET GET GET abc""#);
        let rules = Text::containing("aa").times(2);
        assert!(!rules.is_match("aaa") && rules.is_match("aaaa"));
        assert_eq!(rules.to_string(), "contains \"aa\" at least 2 times");
    }
}
