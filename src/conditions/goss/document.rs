//! Reads matchers of goss files.

use serde_json::Value;

use super::matcher::{Matcher, Relation, Rule};
use super::patterns::LinePattern;
use crate::conditions::go_regex;
use crate::text;

impl Matcher {
    /// Parses a matcher. For a `stream`, such as the output of a command or the content of a file,
    /// a list holds patterns for its lines.
    pub(crate) fn parse(written: &Value, stream: bool) -> Result<Self, String> {
        let rule = match written {
            Value::String(text) => Rule::Text(text.clone()),
            Value::Number(number) => Rule::Number(Relation::Equal, to_f64(number)),
            Value::Bool(value) => Rule::Bool(*value),
            Value::Array(list) if stream => Rule::Patterns(patterns(list)?),
            Value::Array(list) => {
                Rule::Elements { matchers: all(list)?, lines: false, exactly: false }
            }
            Value::Object(table) if table.len() == 1 => {
                let (name, value) = table.iter().next().ok_or("an empty matcher")?;
                named(name, value)?
            }
            Value::Object(_) => return Err("a matcher must have exactly one name".to_owned()),
            Value::Null => return Err("the expected value is missing".to_owned()),
        };
        Ok(Self { written: written.clone(), rule })
    }
}

/// Parses a matcher that is a table of its name and a value.
fn named(name: &str, value: &Value) -> Result<Rule, String> {
    let text = || match value {
        Value::String(text) => Ok(text.clone()),
        _ => Err(format!("{name} needs a string")),
    };
    let list = || value.as_array().ok_or(format!("{name} needs a list"));
    let number = || value.as_f64().ok_or(format!("{name} needs a number"));
    let one = |value: &Value| Matcher::parse(value, false);
    Ok(match name {
        "equal" if value.is_null() => return Err("equal needs a value".to_owned()),
        "equal" => Rule::Equal(value.clone()),
        "have-prefix" => Rule::Prefix(text()?),
        "have-suffix" => Rule::Suffix(text()?),
        "contain-substring" => Rule::Substring(text()?),
        "match-regexp" => {
            Rule::Regexp(go_regex::compile(&text()?).map_err(|error| format!("{name}: {error}"))?)
        }
        "have-len" => Rule::Length(value.as_u64().ok_or("have-len needs a number")? as usize),
        "have-patterns" => Rule::Patterns(patterns(list()?)?),
        "contain-element" => Rule::Element(Box::new(one(value)?)),
        "contain-elements" => {
            Rule::Elements { matchers: all(list()?)?, lines: true, exactly: false }
        }
        "consist-of" => Rule::Elements { matchers: all(list()?)?, lines: false, exactly: true },
        "not" => Rule::Not(Box::new(one(value)?)),
        "and" => Rule::And(all(list()?)?),
        "or" => Rule::Or(all(list()?)?),
        "gt" => Rule::Number(Relation::Greater, number()?),
        "ge" => Rule::Number(Relation::GreaterOrEqual, number()?),
        "lt" => Rule::Number(Relation::Less, number()?),
        "le" => Rule::Number(Relation::LessOrEqual, number()?),
        "gjson" | "have-key" | "semver-constraint" | "xml" => {
            return Err(format!("seatrial does not support goss's matcher {name}"));
        }
        other => return Err(format!("unknown matcher {}", text::quote(other))),
    })
}

fn all(list: &[Value]) -> Result<Vec<Matcher>, String> {
    list.iter().map(|value| Matcher::parse(value, false)).collect()
}

fn patterns(list: &[Value]) -> Result<Vec<LinePattern>, String> {
    let pattern = |value: &Value| match value {
        Value::String(text) => LinePattern::parse(text),
        _ => Err("patterns must be strings".to_owned()),
    };
    list.iter().map(pattern).collect()
}

fn to_f64(number: &serde_json::Number) -> f64 {
    number.as_f64().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn matchers_that_are_malformed_or_not_supported_are_errors_that_name_them() {
        for (matcher, problem) in [
            (json!(null), "the expected value is missing"),
            (json!({ "gt": 1, "lt": 2 }), "exactly one name"),
            (json!({ "equal": null }), "equal needs a value"),
            (json!({ "have-prefix": 5 }), "have-prefix needs a string"),
            (json!({ "semver-constraint": ">1" }), "goss's matcher semver-constraint"),
            (json!({ "almost": 1 }), "unknown matcher \"almost\""),
        ] {
            let error = Matcher::parse(&matcher, true).unwrap_err();
            assert!(error.contains(problem), "{matcher}: {error}");
        }
    }
}
