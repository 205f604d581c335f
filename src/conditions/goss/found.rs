//! Values that matchers of goss files are applied to.

use std::fmt;

use serde_json::Value;

/// The reason why a matcher cannot be applied to a value. goss's tests fail then, also those whose
/// matcher is in a `not`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotApplicable {
    NotANumber,
    WithoutLength,
    NotAList,
}

impl fmt::Display for NotApplicable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotANumber => "a value that is not a number",
            Self::WithoutLength => "a value that has no length",
            Self::NotAList => "a value that is not a list",
        })
    }
}

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

    pub(super) fn to_number(&self) -> Result<f64, NotApplicable> {
        match self {
            Self::Bool(_) => Err(NotApplicable::NotANumber),
            Self::Number(value) => Ok(*value),
            Self::Text(_) | Self::List(_) => {
                self.to_text().trim().parse().map_err(|_| NotApplicable::NotANumber)
            }
        }
    }

    /// The number of bytes of a text, or of elements of a list.
    pub(super) fn length(&self) -> Result<usize, NotApplicable> {
        match self {
            Self::Text(text) => Ok(text.len()),
            Self::List(list) => Ok(list.len()),
            Self::Bool(_) | Self::Number(_) => Err(NotApplicable::WithoutLength),
        }
    }

    /// The elements of a list. A text is not one, unless it is one of `lines`.
    pub(super) fn elements(&self, lines: bool) -> Result<Vec<Self>, NotApplicable> {
        let of = |texts: &mut dyn Iterator<Item = String>| Ok(texts.map(Self::Text).collect());
        match self {
            Self::List(list) => of(&mut list.iter().cloned()),
            Self::Text(text) if lines => of(&mut text.split('\n').map(str::to_owned)),
            _ => Err(NotApplicable::NotAList),
        }
    }
}
