//! Descriptions of values: words, and texts that they quote.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::value;

/// The description of a value in a report: words, and texts that are quoted. As a string, it is one
/// line in which quoted texts are escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description(Vec<Part>);

/// A part of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Words.
    Words(String),
    /// A text, as it is.
    Text(String),
}

impl Part {
    fn is_empty(&self) -> bool {
        let (Self::Words(text) | Self::Text(text)) = self;
        text.is_empty()
    }
}

impl Description {
    /// Quotes `text`.
    pub(crate) fn quote(text: impl Into<String>) -> Self {
        Self(vec![Part::Text(text.into())])
    }

    /// Quotes bytes that are text, as far as they are UTF-8.
    pub(crate) fn quote_bytes(bytes: &[u8]) -> Self {
        match str::from_utf8(bytes) {
            Ok(text) => Self::quote(text),
            Err(_) => value::quote_bytes(bytes).into(),
        }
    }

    /// Describes a value: a string is quoted, lists and objects are as in JSON, and an absent value
    /// is "nothing".
    pub(crate) fn of(value: impl Serialize) -> Self {
        match serde_json::to_value(&value) {
            Ok(Value::String(text)) => Self::quote(text),
            _ => value::format(value).into(),
        }
    }

    /// Adds `words`, or another description.
    #[must_use]
    pub(crate) fn then(mut self, other: impl Into<Self>) -> Self {
        for part in other.into().0 {
            if let (Some(Part::Words(words)), Part::Words(more)) = (self.0.last_mut(), &part) {
                words.push_str(more);
            } else {
                self.0.push(part);
            }
        }
        self
    }

    /// Adds `text`, quoted.
    #[must_use]
    pub(crate) fn then_quote(self, text: impl Into<String>) -> Self {
        self.then(Self::quote(text))
    }

    /// Joins `descriptions`, if there are any, with `separator` between them.
    pub(crate) fn join(
        descriptions: impl IntoIterator<Item = Self>,
        separator: &str,
    ) -> Option<Self> {
        descriptions.into_iter().reduce(|all, next| all.then(separator).then(next))
    }

    /// The words and texts, in order. No two words follow each other.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.0
    }

    /// Keeps the first `max` bytes, and counts the others.
    #[must_use]
    pub(crate) fn limit(mut self, max: usize) -> Self {
        let (mut room, mut left_out) = (max, 0);
        for Part::Words(text) | Part::Text(text) in &mut self.0 {
            let end = (0..=room.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
            let end = end.unwrap_or_default();
            left_out += text.len() - end;
            room = if left_out == 0 { room - end } else { 0 };
            text.truncate(end);
            text.shrink_to_fit();
        }
        match left_out {
            0 => self,
            _ => {
                self.0.retain(|part| !part.is_empty());
                self.then(format!("... ({left_out} more bytes)"))
            }
        }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Words(words) => f.write_str(words),
            Part::Text(text) => f.write_str(&value::quote(text)),
        })
    }
}

impl Serialize for Description {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl PartialEq<str> for Description {
    fn eq(&self, other: &str) -> bool {
        let shown = self.to_string();
        shown == other
    }
}

impl PartialEq<&str> for Description {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl From<String> for Description {
    /// Words.
    fn from(words: String) -> Self {
        match words.is_empty() {
            true => Self::default(),
            false => Self(vec![Part::Words(words)]),
        }
    }
}

impl From<&str> for Description {
    /// Words.
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_and_words_are_not() {
        let found = Description::from("127, standard error ").then_quote("a \"b\"\n").then("; x");
        assert_eq!(found.to_string(), r#"127, standard error "a \"b\"\n"; x"#);
        assert_eq!(serde_json::to_value(&found).unwrap(), found.to_string());
        let joined = Description::join(["a".into(), Description::quote("b"), "c".into()], ", ");
        let joined = joined.unwrap();
        assert_eq!(joined.to_string(), r#"a, "b", c"#);
        assert_eq!(joined.parts().len(), 3);
        assert_eq!(Description::join([], ", "), None);
    }

    #[test]
    fn values_are_described_as_users_write_them() {
        for (described, expected) in [
            (Description::of(Some("x\"")), r#""x\"""#),
            (Description::of(None::<&str>), "nothing"),
            (Description::of(["a\n", "b"]), r#"["a\n", "b"]"#),
            (Description::of(5), "5"),
        ] {
            assert_eq!(described, expected);
        }
        assert_eq!(Description::of("a\nb").parts(), [Part::Text("a\nb".to_owned())]);
    }

    #[test]
    fn long_descriptions_are_cut_and_the_bytes_left_out_are_counted() {
        let found = Description::from("found ").then_quote("é\né").then(" here");
        assert_eq!(found.clone().limit(16), found);
        assert_eq!(found.clone().limit(9).to_string(), "found \"é\\n\"... (7 more bytes)");
        assert_eq!(found.clone().limit(7).to_string(), "found ... (10 more bytes)");
        assert_eq!(found.limit(3).to_string(), "fou... (13 more bytes)");
        assert_eq!(Description::quote("").limit(0).to_string(), "\"\"");
    }
}
