//! The rules for a text as documents have them: a table, or a plain string.

use std::fmt;
use std::num::NonZeroU16;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::goss::Matcher;
use super::pattern::Pattern;
use crate::document::string_or_list;

/// Rules as a table has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Rules {
    /// The text is exactly this.
    pub(super) equals: Option<String>,
    /// The text contains this string, or all strings of a list.
    #[serde(deserialize_with = "one_or_more")]
    #[schemars(with = "StringOrList")]
    pub(super) contains: Vec<String>,
    /// The text contains none of these: a string or a list.
    #[serde(deserialize_with = "one_or_more")]
    #[schemars(with = "StringOrList")]
    pub(super) not_contains: Vec<String>,
    /// The text is matched by this regular expression, or by all of a list.
    #[serde(deserialize_with = "one_or_more")]
    #[schemars(with = "StringOrList")]
    pub(super) matches: Vec<Pattern>,
    /// How often the text contains each string of `contains` and is matched by each regular
    /// expression of `matches`, at least. Once by default.
    pub(super) times: Option<NonZeroU16>,
    /// The text is matched by none of these: a regular expression or a list.
    #[serde(deserialize_with = "one_or_more")]
    #[schemars(with = "StringOrList")]
    pub(super) not_matches: Vec<Pattern>,
    /// A matcher of a goss file.
    #[serde(skip)]
    pub(super) matcher: Option<Matcher>,
}

/// The JSON schema of a plain string or a table.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)] // only its schema is used
pub(super) enum StringOrRules {
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

/// The keys of a table of rules.
static KEYS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let schema = schemars::schema_for!(Rules).to_value();
    let properties = schema["properties"].as_object();
    properties.into_iter().flat_map(serde_json::Map::keys).cloned().collect()
});

impl Rules {
    /// Whether a table of rules may have this key.
    pub(super) fn has_key(key: &str) -> bool {
        KEYS.iter().any(|known| known == key)
    }

    /// Reads rules; a plain string becomes those that `of_string` returns.
    pub(super) fn read<'de, D: Deserializer<'de>>(
        deserializer: D,
        of_string: impl FnOnce(String) -> Self,
    ) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RulesVisitor { of_string })
    }

    /// Refuses mistakes, where the deserializer knows their line.
    fn checked<E: de::Error>(self) -> Result<Self, E> {
        match self.mistake() {
            Some(mistake) => Err(E::custom(mistake)),
            None => Ok(self),
        }
    }

    /// Returns the mistake of rules that every text meets, or none.
    fn mistake(&self) -> Option<String> {
        let Self { contains, not_contains, matches, not_matches, times, .. } = self;
        let is_once = times.is_none_or(|times| times.get() == 1);
        let mut matches_all = matches.iter().filter(|_| is_once).chain(not_matches);
        if let Some(pattern) = matches_all.find(|pattern| pattern.matches_everything()) {
            return Some(format!(
                "every text matches {pattern}; write a stricter pattern, or \"^\" for any value"
            ));
        }
        let is_empty = |text: &String| text.is_empty();
        let mistake = if *self == Self::default() {
            "the table has no rule; write one, such as contains = \"ready\""
        } else if times.is_some() && contains.is_empty() && matches.is_empty() {
            "times needs contains or matches"
        } else if contains.iter().any(is_empty) {
            "every text contains \"\"; write what it must contain, or { equals = \"\" } for no text"
        } else if not_contains.iter().any(is_empty) {
            "every text contains \"\"; write what it must not contain"
        } else {
            return None;
        };
        Some(mistake.to_owned())
    }
}

/// Reads a string or a table. An untagged enum would hide the reason why a table is wrong.
struct RulesVisitor<F> {
    of_string: F,
}

impl<'de, F: FnOnce(String) -> Rules> Visitor<'de> for RulesVisitor<F> {
    type Value = Rules;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a string, or a table of equals, contains, not_contains, matches, not_matches, times",
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Rules, E> {
        (self.of_string)(text.to_owned()).checked()
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rules, A::Error> {
        Rules::deserialize(MapAccessDeserializer::new(map))?.checked()
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

#[cfg(test)]
mod tests {
    use crate::conditions::Text;

    fn text(json: &str) -> Text {
        serde_json::from_str(json).unwrap()
    }

    fn error(json: &str) -> String {
        serde_json::from_str::<Text>(json).unwrap_err().to_string()
    }

    #[test]
    fn times_needs_a_rule_that_it_can_be_about() {
        assert!(
            error(r#"{"equals": "a", "times": 2}"#).contains("times needs contains or matches")
        );
        assert!(error(r#"{"contains": "a", "times": 0}"#).contains("nonzero"));
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

    #[test]
    fn not_matches_takes_one_regular_expression_or_a_list() {
        assert!(!text(r#"{"not_matches": "^E[0-9]+"}"#).is_match("E12: broken"));
        assert!(text(r#"{"not_matches": "^E[0-9]+"}"#).is_match("fine, no E12"));
        assert!(!text(r#"{"not_matches": ["a", "b"]}"#).is_match("b"));
    }
}
