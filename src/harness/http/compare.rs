//! Compares an answer with the expected one.

use hyper::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::answer::Answer;
use crate::conditions::{Checks, HttpExpectations, JsonExpectation, Statuses};
use crate::text::value;

/// The number of characters of an unexpected answer's body that are shown.
const BODY_SHOWN: usize = 200;

/// Compares the answer to a request with the expected one.
pub(crate) fn check_answer(expected: &HttpExpectations, answer: &Answer, checks: &mut Checks) {
    let request = expected.name();
    let body = String::from_utf8_lossy(&answer.body);
    check_status(&request, expected, answer, checks);
    let Some(_) = answer.status else { return };
    check_headers(&request, expected, &answer.headers, checks);
    let subject = format!("body of {request}");
    if let Some(problem) = &answer.problem {
        let limit = expected.time_limit();
        let complete = || format!("a complete body within {limit}");
        let text = expected.body.as_ref().map_or_else(complete, ToString::to_string);
        let found = format!("{problem}; until then {}", value::quote(&body));
        return checks.record(&subject, text, found, false);
    }
    if let Some(text) = &expected.body {
        checks.record_text(&subject, text, Some(&body));
    }
    if !expected.json.is_empty() {
        check_json(&subject, expected, answer, checks);
    }
}

fn check_status(request: &str, expected: &HttpExpectations, answer: &Answer, checks: &mut Checks) {
    let statuses = expected.status.clone().unwrap_or(Statuses::One(200));
    let status = answer.status.map(|status| status.as_u16());
    let passed = status.is_some_and(|status| statuses.contains(status));
    let found = match status {
        Some(status) if passed || expected.body.is_some() => status.to_string(),
        Some(status) => format!("{status}{}", start_of(&answer.body)),
        None => {
            let problem = answer.problem.as_deref().unwrap_or("nothing was received");
            let received = String::from_utf8_lossy(&answer.received);
            match received.is_empty() {
                true => format!("no status: {problem}"),
                false => format!("no status: {problem}; received {}", value::quote(&received)),
            }
        }
    };
    checks.record(&format!("status of {request}"), statuses, found, passed);
}

/// Shows the beginning of the body of an answer with an unexpected status, in one line.
fn start_of(body: &[u8]) -> String {
    // So much that the spaces in it are not all that is shown.
    let start = &body[..body.len().min(16 << 10)];
    let text = String::from_utf8_lossy(start);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown: String = line.chars().take(BODY_SHOWN).collect();
    match shown.len() {
        0 => String::new(),
        length if length == line.len() && start.len() == body.len() => {
            format!("; the body is {}", value::quote(shown))
        }
        _ => format!("; the body begins with {}", value::quote(shown)),
    }
}

fn check_headers(
    request: &str,
    expected: &HttpExpectations,
    headers: &HeaderMap,
    checks: &mut Checks,
) {
    let values = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    };
    for (name, text) in &expected.headers {
        let found = values(name);
        let subject = format!("header {name} of {request}");
        match &found[..] {
            [] => checks.record_text(&subject, text, None),
            [value] => checks.record_text(&subject, text, Some(value)),
            values => {
                let passed = values.iter().any(|value| text.is_match(value));
                let rules = match text.unmet_by_all(values) {
                    Some(unmet) => unmet,
                    // Each rule is met by another value.
                    None if !passed => format!("in one value: {text}"),
                    None => text.to_string(),
                };
                checks.record(&subject, rules, value::format(values), passed);
            }
        }
    }
    for name in &expected.absent_headers {
        let found = values(name);
        let shown = found.first().map_or("nothing".to_owned(), value::quote);
        let subject = format!("header {name} of {request}");
        checks.record(&subject, "nothing", shown, found.is_empty());
    }
    if let Some(text) = &expected.header_lines {
        let found = header_lines(headers);
        checks.record_text(&format!("headers of {request}"), text, Some(&found));
    }
}

/// Returns a line for each header, sorted, with names in the form that Go gives them.
fn header_lines(headers: &HeaderMap) -> String {
    let canonical = |name: &str| {
        let capital = |word: &str| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_ascii_uppercase() + rest
        };
        name.split('-').map(capital).collect::<Vec<_>>().join("-")
    };
    let line = |(name, value): (&HeaderName, &HeaderValue)| {
        format!("{}: {}", canonical(name.as_str()), String::from_utf8_lossy(value.as_bytes()))
    };
    let mut lines: Vec<String> = headers.iter().map(line).collect();
    lines.sort();
    lines.join("\n")
}

fn check_json(subject: &str, expected: &HttpExpectations, answer: &Answer, checks: &mut Checks) {
    let document: Value = match serde_json::from_slice(&answer.body) {
        Ok(document) => document,
        Err(error) => {
            let body = value::quote(String::from_utf8_lossy(&answer.body));
            return checks.record(subject, "JSON", format!("{error}: {body}"), false);
        }
    };
    for (pointer, expected) in &expected.json {
        let found = document.pointer(pointer);
        let (wanted, passed) = match expected {
            JsonExpectation::Value(value) => {
                (value::format(value), found.is_some_and(|found| is_equal(value, found)))
            }
            JsonExpectation::Text(text) => {
                let found = found.and_then(Value::as_str);
                let unmet = found.map_or(Some(text.to_string()), |found| text.unmet_by(found));
                let passed = unmet.is_none();
                (unmet.unwrap_or_else(|| text.to_string()), passed)
            }
        };
        let is_text = matches!(expected, JsonExpectation::Text(_));
        let found = match found {
            None => "no such value".to_owned(),
            // It may well look as if it met the rules.
            Some(found) if is_text && !found.is_string() => not_text(found),
            Some(Value::Null) => "null".to_owned(),
            Some(found) => value::format(found),
        };
        checks.record(&format!("{pointer} in the {subject}"), wanted, found, passed);
    }
}

/// Describes a value for which there are only rules for texts.
fn not_text(value: &Value) -> String {
    let kind = match value {
        Value::Null => return "null, not a text".to_owned(),
        Value::Number(_) => "number",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
        Value::Bool(_) | Value::String(_) => "value",
    };
    format!("the {kind} {}, not a text", value::format(value))
}

/// Whether two values are equal; 1 and 1.0 are.
fn is_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        // As floating point, large integers would equal their neighbours.
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            a.as_f64() == b.as_f64()
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let equal = |(name, a)| b.get(name).is_some_and(|b| is_equal(a, b));
            a.len() == b.len() && a.iter().all(equal)
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use hyper::http::StatusCode;

    use super::*;

    fn mismatches(expected: &str, answer: &Answer) -> Vec<String> {
        let expected: HttpExpectations = toml::from_str(expected).unwrap();
        let mut checks = Checks::default();
        check_answer(&expected, answer, &mut checks);
        let line = |check: &crate::conditions::Check| {
            format!("{}: {} != {}", check.subject, check.expected, check.found)
        };
        checks.mismatches().iter().map(line).collect()
    }

    fn answer(status: u16, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "text/html; charset=utf-8".parse().unwrap());
        headers.append("set-cookie", "a=1".parse().unwrap());
        headers.append("set-cookie", "b=2".parse().unwrap());
        let status = StatusCode::from_u16(status).ok();
        Answer { status, headers, body: body.into(), ..Answer::default() }
    }

    #[test]
    fn a_status_may_be_one_of_a_list() {
        assert_eq!(mismatches("port=80\nstatus=[200,204]", &answer(204, "")), [""; 0]);
        let found = mismatches("port=80\nstatus=[200,204]", &answer(404, ""));
        assert_eq!(found, ["status of GET / at port 80: 200 or 204 != 404"]);
    }

    #[test]
    fn an_unexpected_status_shows_the_beginning_of_the_body_in_one_line() {
        let page = "<html>\r\n<title>400</title>\n\t<p>plain HTTP\n";
        assert_eq!(
            mismatches("port=443", &answer(400, page)),
            ["status of GET / at port 443: 200 != 400; the body is \"<html> <title>400</title> \
              <p>plain HTTP\""]
        );
        let found = &mismatches("port=443", &answer(500, &"é ".repeat(300)))[0];
        let expected = format!("500; the body begins with \"{}\"", "é ".repeat(100));
        assert!(found.ends_with(&expected), "{found}");
    }

    #[test]
    fn a_status_may_have_to_meet_rules() {
        let expected = "port=80\nstatus={matches='^2',not_matches='^20[45]'}";
        assert_eq!(mismatches(expected, &answer(201, "")), [""; 0]);
        let found = mismatches(expected, &answer(204, ""));
        let problem = "status of GET / at port 80: matches /^2/, does not match /^20[45]/ != 204";
        assert_eq!(found, [problem]);
        for invalid in ["'200'", "-1", "[200,'x']", "{matchs='^2'}"] {
            let text = format!("port=80\nstatus={invalid}");
            let error = toml::from_str::<HttpExpectations>(&text).unwrap_err();
            let message = error.message();
            let expected = match invalid {
                "{matchs='^2'}" => "unknown field `matchs`",
                _ => "invalid status; write a number, a list of numbers, or rules such as",
            };
            assert!(message.starts_with(expected), "{invalid}: {message}");
        }
    }

    #[test]
    fn headers_are_compared_without_regard_to_case_and_one_of_several_is_enough() {
        let expected = "port=80\nabsent_headers=['Server']\n[headers]\n\
                        Content-Type={contains='text/html'}\nSet-Cookie='b=2'";
        assert_eq!(mismatches(expected, &answer(200, "")), [""; 0]);
        let expected = "port=80\nabsent_headers=['Set-Cookie']\n[headers]\nX='1'\nSet-Cookie='c'";
        assert_eq!(
            mismatches(expected, &answer(200, "")),
            [
                "header Set-Cookie of GET / at port 80: \"c\" != [\"a=1\", \"b=2\"]",
                "header X of GET / at port 80: \"1\" != nothing",
                "header Set-Cookie of GET / at port 80: nothing != \"a=1\"",
            ]
        );
    }

    #[test]
    fn of_several_headers_those_rules_are_shown_that_no_value_meets() {
        let of = |rules: &str| {
            let expected = format!("port=80\n[headers]\nSet-Cookie={{{rules}}}");
            mismatches(&expected, &answer(200, "")).pop().unwrap_or_default()
        };
        let mismatch = |rules: &str| {
            format!("header Set-Cookie of GET / at port 80: {rules} != [\"a=1\", \"b=2\"]")
        };
        assert_eq!(of("contains='b',not_contains='1'"), "");
        assert_eq!(of("contains='b',matches='3$'"), mismatch("matches /3$/"));
        assert_eq!(
            of("contains=['a','2']"),
            mismatch(r#"in one value: contains "a", contains "2""#)
        );
    }

    #[test]
    fn values_in_json_are_found_by_pointers() {
        let body = answer(200, r#"{"items": [{"id": 1.0, "tag": "v1.2"}], "a/b": null}"#);
        let expected = "port=80\n[json]\n'/items/0/id'=1\n'/items/0/tag'={matches='^v1'}";
        assert_eq!(mismatches(expected, &body), [""; 0]);
        let large = answer(200, r#"{"id": 9007199254740993, "whole": 1.0}"#);
        assert_eq!(
            mismatches("port=80\n[json]\n'/id'=9007199254740993\n'/whole'=1", &large),
            [""; 0]
        );
        let found = mismatches("port=80\n[json]\n'/id'=9007199254740992", &large);
        assert!(found[0].ends_with(": 9007199254740992 != 9007199254740993"), "{found:?}");
        let expected = "port=80\n[json]\n'/items/1'=1\n'/a~1b'='x'\n'/items/0/id'={contains='1'}";
        assert_eq!(
            mismatches(expected, &body),
            [
                "/a~1b in the body of GET / at port 80: \"x\" != null",
                "/items/0/id in the body of GET / at port 80: contains \"1\" != \
                 the number 1.0, not a text",
                "/items/1 in the body of GET / at port 80: 1 != no such value",
            ]
        );
        let found = mismatches("port=80\n[json]\n'/a'=1", &answer(200, "<html>"));
        assert!(
            found[0].starts_with("body of GET / at port 80: JSON != expected value"),
            "{found:?}"
        );
    }

    #[test]
    fn an_incomplete_body_never_passes() {
        let problem = Some("it is larger than 16 MiB".to_owned());
        let cut = Answer { problem, ..answer(200, "wanted") };
        let found = mismatches("port=80\nbody={contains='wanted'}", &cut);
        assert_eq!(
            found,
            ["body of GET / at port 80: contains \"wanted\" != it is larger than 16 MiB; \
              until then \"wanted\""]
        );
    }
}
