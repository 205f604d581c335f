//! Matchers of properties.

use serde_json::Value;

use crate::check::expectations::{GossProperty, Matcher, Text};
use crate::text;

/// Parses a matcher; errors name its place.
pub(super) fn matcher(place: &str, written: &Value, stream: bool) -> Result<Matcher, String> {
    Matcher::parse(written, stream).map_err(|problem| format!("{}: {problem}", text::escape(place)))
}

/// Parses the rules for a text, such as the output of a command. An empty list of patterns expects
/// nothing.
pub(super) fn stream(place: &str, written: Option<Value>) -> Result<Option<Text>, String> {
    let written = written.filter(|value| !is_empty_list(value));
    let matcher = written.map(|value| matcher(place, &value, true)).transpose()?;
    Ok(matcher.map(Text::matched_by))
}

/// The expected value of a number.
pub(super) enum Number<T> {
    /// It is equal to this.
    Equal(T),
    /// Its digits meet these rules.
    Matching(Text),
}

/// Parses the matcher of a number.
pub(super) fn number<T: TryFrom<i64>>(place: &str, written: &Value) -> Result<Number<T>, String> {
    let equal = match written {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    if let Some(number) = equal.and_then(|number| T::try_from(number).ok()) {
        return Ok(Number::Equal(number));
    }
    let rules = matcher(place, written, false)?.of_number();
    Ok(Number::Matching(Text::matched_by(rules)))
}

fn is_empty_list(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

/// Parses the matchers of properties. An empty list of patterns expects nothing.
pub(super) fn properties(
    name: &str,
    written: Vec<(GossProperty, &str, Option<Value>)>,
) -> Result<Vec<(GossProperty, Matcher)>, String> {
    let mut properties = Vec::new();
    for (property, key, value) in written {
        let stream = property == GossProperty::Contents;
        if let Some(value) = value.filter(|value| !stream || !is_empty_list(value)) {
            let place = format!("{name}: {key}");
            if property == GossProperty::Mode && value.is_number() {
                return Err(format!("{place}: write the mode as a string, such as \"0644\""));
            }
            let digests = [GossProperty::Md5, GossProperty::Sha256, GossProperty::Sha512];
            if digests.contains(&property) && value.is_number() {
                return Err(format!("{place}: write the digest as a string in quotes"));
            }
            properties.push((property, matcher(&place, &value, stream)?));
        }
    }
    Ok(properties)
}
