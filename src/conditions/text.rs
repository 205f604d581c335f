//! Rules for a text, such as the output of a command.

use std::fmt;
use std::num::NonZeroU16;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::carriage_returns::CarriageReturns;
use super::matcher::Matcher;
use super::pattern::Pattern;
use super::rule::Rule;
use crate::document::string_or_list;
use crate::text::value;

/// Rules for a text, all of which must hold. A plain string is short for `equals`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "StringOrRules")]
pub struct Text(Rules);

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Rules {
    /// The text is exactly this.
    equals: Option<String>,
    /// The text contains this string, or all strings of a list.
    #[serde(deserialize_with = "one_or_more")]
    #[schemars(with = "StringOrList")]
    contains: Vec<String>,
    /// The text contains none of these: a string or a list.
    #[serde(deserialize_with = "one_or_more")]
    #[schemars(with = "StringOrList")]
    not_contains: Vec<String>,
    /// The text is matched by this regular expression, or by all of a list.
    #[serde(deserialize_with = "one_or_more")]
    #[schemars(with = "StringOrList")]
    matches: Vec<Pattern>,
    /// How often the text contains each string of `contains` and is matched by each regular
    /// expression of `matches`, at least. Once by default.
    times: Option<NonZeroU16>,
    /// The text is matched by none of these: a regular expression or a list.
    #[serde(deserialize_with = "one_or_more")]
    #[schemars(with = "StringOrList")]
    not_matches: Vec<Pattern>,
    /// A matcher of a goss file.
    #[serde(skip)]
    matcher: Option<Matcher>,
}

/// The keys of a table of rules.
static KEYS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let schema = schemars::schema_for!(Rules).to_value();
    let properties = schema["properties"].as_object();
    properties.into_iter().flat_map(serde_json::Map::keys).cloned().collect()
});

/// The JSON schema of [`Text`].
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)] // only its schema is used
enum StringOrRules {
    String(String),
    Rules(Rules),
}

/// The JSON schema of what [`one_or_more`] reads.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)] // only its schema is used
enum StringOrList {
    String(String),
    List(Vec<String>),
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(deserializer, Self::equal_to)
    }
}

/// Reads rules; `of_string` says what a plain string is short for. An untagged enum would hide the
/// reason why a table is wrong.
struct TextVisitor {
    of_string: fn(String) -> Text,
}

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a string, or a table of equals, contains, not_contains, matches, not_matches, times",
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
        (self.of_string)(text.to_owned()).checked()
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Text, A::Error> {
        Text(Rules::deserialize(MapAccessDeserializer::new(map))?).checked()
    }
}

/// Reads one string or a list of strings.
fn one_or_more<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<String, Error: fmt::Display>,
{
    let texts: Vec<String> = string_or_list::StringOrList::deserialize(deserializer)?.into();
    texts.into_iter().map(|text| T::try_from(text).map_err(de::Error::custom)).collect()
}

impl Text {
    /// Whether a table of rules may have this key.
    pub(super) fn has_key(key: &str) -> bool {
        KEYS.iter().any(|known| known == key)
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

    /// Reads rules; a plain string becomes the rules that `of_string` returns.
    pub(super) fn read<'de, D: Deserializer<'de>>(
        deserializer: D,
        of_string: fn(String) -> Self,
    ) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor { of_string })
    }

    /// Refuses rules that every text meets, or none.
    fn checked<E: de::Error>(self) -> Result<Self, E> {
        let Self(rules) = &self;
        let Rules { contains, not_contains, matches, not_matches, times, .. } = rules;
        let is_once = times.is_none_or(|times| times.get() == 1);
        let mut matches_all = matches.iter().filter(|_| is_once).chain(not_matches);
        if let Some(pattern) = matches_all.find(|pattern| pattern.matches_everything()) {
            return Err(E::custom(format!(
                "every text matches {pattern}; write a stricter pattern, or \"^\" for any value"
            )));
        }
        let is_empty = |text: &String| text.is_empty();
        let problem = if *rules == Rules::default() {
            "the table has no rule; write one, such as contains = \"ready\""
        } else if times.is_some() && contains.is_empty() && matches.is_empty() {
            "times needs contains or matches"
        } else if contains.iter().any(is_empty) {
            "every text contains \"\"; write what it must contain, or { equals = \"\" } for no text"
        } else if not_contains.iter().any(is_empty) {
            "every text contains \"\"; write what it must not contain"
        } else {
            return Ok(self);
        };
        Err(E::custom(problem))
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

    /// Describes the rules that `text` does not meet; `None` if it meets all.
    pub(crate) fn unmet_by(&self, text: &str) -> Option<String> {
        self.unmet(text, CarriageReturns::Exact)
    }

    /// Describes the rules that none of `texts` meets; `None` if there are none.
    pub(crate) fn unmet_by_all(&self, texts: &[String]) -> Option<String> {
        describe(self.rules().filter(|rule| !texts.iter().any(|text| rule.is_met_by(text))))
    }

    /// Like [`unmet_by`](Self::unmet_by), for a text that has these carriage `returns`.
    pub(crate) fn unmet(&self, text: &str, returns: CarriageReturns) -> Option<String> {
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

    /// Quotes `text` for a mismatch, after the number of times that it has what it must have
    /// several times, if those are too few.
    pub(crate) fn shown(&self, text: &str, returns: CarriageReturns) -> String {
        let unmet = self.unmet_rules(text, returns);
        let counts: Vec<String> = unmet.filter_map(|rule| rule.too_few_in(text, returns)).collect();
        match counts.is_empty() {
            true => value::quote(text),
            false => format!("{} in {}", counts.join(", "), value::quote(text)),
        }
    }

    /// The only text that meets the rules, if they are nothing but that it is this one.
    pub(crate) fn exactly(&self) -> Option<&str> {
        let equals = self.0.equals.as_deref()?;
        (*self == Self::equal_to(equals)).then_some(equals)
    }
}

/// Describes `rules`, if there are any.
fn describe<'r>(rules: impl Iterator<Item = Rule<'r>>) -> Option<String> {
    let rules: Vec<String> = rules.map(|rule| rule.to_string()).collect();
    (!rules.is_empty()).then(|| rules.join(", "))
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<String> = self.rules().map(|rule| rule.to_string()).collect();
        f.write_str(&rules.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Text {
        serde_json::from_str(json).unwrap()
    }

    fn error(json: &str) -> String {
        serde_json::from_str::<Text>(json).unwrap_err().to_string()
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
        let unmet = rules.unmet("12.15\n", CarriageReturns::Exact).unwrap();
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
        assert!(
            error(r#"{"equals": "a", "times": 2}"#).contains("times needs contains or matches")
        );
        assert!(error(r#"{"contains": "a", "times": 0}"#).contains("nonzero"));
    }

    #[test]
    fn not_matches_takes_one_regular_expression_or_a_list() {
        assert!(!text(r#"{"not_matches": "^E[0-9]+"}"#).is_match("E12: broken"));
        assert!(text(r#"{"not_matches": "^E[0-9]+"}"#).is_match("fine, no E12"));
        assert!(!text(r#"{"not_matches": ["a", "b"]}"#).is_match("b"));
    }

    #[test]
    fn mistakes_are_errors_that_show_the_reason() {
        assert!(error(r#"{"contain": "b"}"#).contains("unknown field `contain`"));
        assert!(error(r#"{"matches": "("}"#).contains("\"(\": unclosed group"));
        assert!(error(r#"{"not_matches": ["("]}"#).contains("\"(\": unclosed group"));
        assert!(error(r#"{"contains": 5}"#).contains("a string or a list of strings"));
        let expected = error("5");
        for key in ["equals", "contains", "not_contains", "matches", "not_matches", "times"] {
            assert!(expected.contains(key) && Text::has_key(key), "{expected}");
        }
    }

    #[test]
    fn regular_expressions_that_match_every_text_are_mistakes() {
        for pattern in
            ["", ".*", "(?s).*", "a*", "x|", "(a|b)?", "[^x]*", r"\w*", r"\s*", r"[^4]*\.*"]
        {
            for key in ["matches", "not_matches"] {
                let message = error(&serde_json::json!({ key: pattern }).to_string());
                assert!(message.contains(&format!("every text matches /{pattern}/")), "{message}");
            }
        }
        for pattern in ["^$", "^a*$", ".+", "a", "(?m)^", "[^x]", r"\b", r"\w+", r"a*\z"] {
            text(&serde_json::json!({ "matches": pattern }).to_string());
        }
        assert!(!text(r#"{"matches": "a*", "times": 2}"#).is_match(""));
    }

    #[test]
    fn a_table_without_rules_is_a_mistake_because_it_would_hold_for_everything() {
        for json in ["{}", r#"{"contains": []}"#, r#"{"matches": [], "not_contains": []}"#] {
            assert!(error(json).contains("the table has no rule"), "{json}");
        }
    }
}
