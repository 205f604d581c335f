//! Values that matchers of goss files are applied to.

use serde_json::Value;

/// A value that a matcher is applied to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    /// Whether something exists or runs.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// Texts, such as the names of groups.
    List(Vec<String>),
}

impl Found {
    /// Whether it is `expected`, without any conversion.
    pub(super) fn is_equal(&self, expected: &Value) -> bool {
        match (self, expected) {
            (Self::Bool(found), Value::Bool(expected)) => found == expected,
            // goss's numbers are integers, which are equal to no number that is written as 1.0.
            (Self::Number(found), Value::Number(expected)) => {
                !expected.is_f64() && expected.as_f64() == Some(*found)
            }
            (Self::Text(found), Value::String(expected)) => found == expected,
            (Self::List(found), Value::Array(expected)) => {
                let found = found.iter().map(|element| Some(element.as_str()));
                found.eq(expected.iter().map(Value::as_str))
            }
            _ => false,
        }
    }

    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::Text(text) => text.clone(),
            Self::List(list) => list.join("\n"),
        }
    }

    pub(super) fn to_number(&self) -> Option<f64> {
        match self {
            Self::Bool(_) => None,
            Self::Number(value) => Some(*value),
            Self::Text(_) | Self::List(_) => self.to_text().trim().parse().ok(),
        }
    }

    /// The elements of a list, or the lines of a text.
    pub(super) fn elements(&self) -> Vec<String> {
        match self {
            Self::List(list) => list.clone(),
            other => other.to_text().split('\n').map(str::to_owned).collect(),
        }
    }
}
