//! Compares an answer with the expected one.

use hyper::http::{HeaderMap, HeaderName, HeaderValue};

use super::answer::Answer;
use super::json::check_json;
use crate::conditions::{Checks, HttpExpectations, Statuses, Text};
use crate::text::{Description, value};

/// The number of characters of an unexpected answer's body that are shown.
const BODY_SHOWN: usize = 200;

/// Compares the answer to a request with the expected one.
pub(crate) fn check_answer(expected: &HttpExpectations, answer: &Answer, checks: &mut Checks) {
    let request = expected.name();
    let body = String::from_utf8_lossy(&answer.body);
    check_status(&request, expected, answer, checks);
    let Some(_) = answer.status else { return };
    check_headers(&request, expected, &answer.headers, checks);
    if expected.ignores_body {
        return;
    }
    let subject = format!("body of {request}");
    if let Some(problem) = &answer.problem {
        let limit = expected.time_limit();
        let complete = || format!("a complete body within {limit}").into();
        let expected = expected.body.as_ref().map_or_else(complete, Text::in_words);
        let found = Description::from(format!("{problem}; until then ")).then_quote(body);
        return checks.record(&subject, expected, found, false);
    }
    if let Some(text) = &expected.body {
        checks.record_text(&subject, text, Some(&body));
    }
    if !expected.json.is_empty() {
        check_json(&subject, &expected.json, &answer.body, checks);
    }
}

fn check_status(request: &str, expected: &HttpExpectations, answer: &Answer, checks: &mut Checks) {
    let statuses = expected.status.clone().unwrap_or(Statuses::One(200));
    let status = answer.status.map(|status| status.as_u16());
    let passed = status.is_some_and(|status| statuses.contains(status));
    let found = match status {
        Some(status) if passed || expected.body.is_some() => Description::of(status),
        Some(status) => Description::of(status).then(start_of(&answer.body)),
        None => {
            let problem = answer.problem.as_deref().unwrap_or("nothing was received");
            let found = Description::from(format!("no status: {problem}"));
            match answer.received.is_empty() {
                true => found,
                false => {
                    let received = String::from_utf8_lossy(&answer.received);
                    found.then("; received ").then_quote(received)
                }
            }
        }
    };
    checks.record(&format!("status of {request}"), statuses.to_string(), found, passed);
}

/// Shows the beginning of the body of an answer with an unexpected status, in one line.
fn start_of(body: &[u8]) -> Description {
    // So much that the spaces in it are not all that is shown.
    let start = &body[..body.len().min(16 << 10)];
    let text = String::from_utf8_lossy(start);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown: String = line.chars().take(BODY_SHOWN).collect();
    match shown.len() {
        0 => Description::default(),
        length if length == line.len() && start.len() == body.len() => {
            Description::from("; the body is ").then_quote(shown)
        }
        _ => Description::from("; the body begins with ").then_quote(shown),
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
                    None if !passed => Description::from("in one value: ").then(text.in_words()),
                    None => text.in_words(),
                };
                checks.record(&subject, rules, value::format(values), passed);
            }
        }
    }
    for name in &expected.absent_headers {
        let found = values(name);
        let shown = Description::of(found.first());
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
