//! What a text should be.

use std::fmt;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// What a text should be: all of what is given must be so. A plain string stands for `equals`.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(with = "Written")]
pub struct Text {
    equals: Option<String>,
    contains: Vec<String>,
    lacks: Vec<String>,
    matches: Vec<Pattern>,
}

/// A regular expression; one that does not compile cannot be read.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Pattern(Regex);

impl TryFrom<String> for Pattern {
    type Error = regex::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Regex::new(&text).map(Self)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.0)
    }
}

impl Pattern {
    /// Whether it matches somewhere in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

/// A text, or rules for one.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Written {
    Plain(String),
    Rules(Rules),
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Rules {
    /// It is exactly this.
    equals: Option<String>,
    /// It has this, or all of these, somewhere.
    contains: Several,
    /// It has this, or any of these, nowhere.
    lacks: Several,
    /// This regular expression, or all of these, match somewhere in it.
    matches: Several,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Several {
    One(String),
    Many(Vec<String>),
}

impl Default for Several {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl From<Several> for Vec<String> {
    fn from(several: Several) -> Self {
        match several {
            Several::One(text) => vec![text],
            Several::Many(texts) => texts,
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rules = match Written::deserialize(deserializer) {
            Ok(Written::Plain(text)) => Rules { equals: Some(text), ..Rules::default() },
            Ok(Written::Rules(rules)) => rules,
            Err(_) => {
                let expected =
                    "a text must be a string, or a table of equals, contains, lacks and matches";
                return Err(serde::de::Error::custom(expected));
            }
        };
        let matches = Vec::from(rules.matches);
        let patterns: Result<_, _> =
            matches.iter().map(|text| Pattern::try_from(text.clone())).collect();
        Ok(Self {
            equals: rules.equals,
            contains: rules.contains.into(),
            lacks: rules.lacks.into(),
            matches: patterns
                .map_err(|error| serde::de::Error::custom(error.to_string().replace('\n', " ")))?,
        })
    }
}

impl Text {
    /// Whether `text` is as it should be.
    pub fn fits(&self, text: &str) -> bool {
        self.equals.as_ref().is_none_or(|expected| expected == text)
            && self.contains.iter().all(|part| text.contains(part))
            && !self.lacks.iter().any(|part| text.contains(part))
            && self.matches.iter().all(|pattern| pattern.is_match(text))
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rules: Vec<String> = self.equals.iter().map(|text| format!("{text:?}")).collect();
        rules.extend(self.contains.iter().map(|text| format!("has {text:?}")));
        rules.extend(self.lacks.iter().map(|text| format!("lacks {text:?}")));
        rules.extend(self.matches.iter().map(|pattern| format!("matches {pattern}")));
        f.write_str(&rules.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Text {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn all_rules_must_hold_and_a_string_stands_for_the_whole() {
        assert!(text(r#""a\n""#).fits("a\n") && !text(r#""a""#).fits("a\n"));
        let rules = text(r#"{"contains": "b", "lacks": ["x", "y"], "matches": "^a.c$"}"#);
        assert!(rules.fits("abc"));
        for wrong in ["adc", "abcx", "zabc"] {
            assert!(!rules.fits(wrong), "{wrong}");
        }
        assert!(serde_json::from_str::<Text>(r#"{"contain": "b"}"#).is_err());
        assert!(
            serde_json::from_str::<Text>(r#"{"matches": "("}"#)
                .unwrap_err()
                .to_string()
                .contains("regex")
        );
    }
}
