//! Matchers of properties.

use serde_json::Value;

use crate::check::expectations::{GossProperty, Matcher};
use crate::text;

/// Parses a matcher; errors name its place.
pub(super) fn matcher(place: &str, written: &Value, stream: bool) -> Result<Matcher, String> {
    Matcher::parse(written, stream).map_err(|problem| format!("{}: {problem}", text::escape(place)))
}

/// Parses the matchers of properties. An empty list of patterns expects nothing.
pub(super) fn properties(
    name: &str,
    written: Vec<(GossProperty, &str, Option<Value>)>,
) -> Result<Vec<(GossProperty, Matcher)>, String> {
    let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    let mut properties = Vec::new();
    for (property, key, value) in written {
        let stream = property == GossProperty::Contents;
        if let Some(value) = value.filter(|value| !stream || !is_empty(value)) {
            let place = format!("{name}: {key}");
            if property == GossProperty::Mode && value.is_number() {
                return Err(format!("{place}: write the mode as a string, such as \"0644\""));
            }
            properties.push((property, matcher(&place, &value, stream)?));
        }
    }
    Ok(properties)
}
