//! The frame of a page: head, style, header, and the filter of its test cases.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use crate::text;

/// Adds the filter to a page; everything can be read without it.
const SCRIPT: &str = include_str!("filter.js");

/// The result of a page as a whole.
#[derive(Clone, Copy)]
pub(super) enum Status {
    Passed,
    Failed,
    Undetermined,
}

impl Status {
    fn title(self) -> &'static str {
        match self {
            Self::Passed => "Passed",
            Self::Failed => "Failed",
            Self::Undetermined => "Could not be determined",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Undetermined => "error",
        }
    }
}

/// Returns a whole page. `summary` holds the lines below the page's title. With `filter`, the page
/// has a filter for elements with the attributes `data-name` and `data-results`.
///
/// Templates escape text from images and engines, so that it cannot become markup. Its control
/// characters, which HTML does not allow, and its invisible characters are escaped here.
pub(super) fn page(status: Status, summary: &[String], filter: bool, body: Markup) -> String {
    let title = status.title();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(policy());
                title { (title) @if let Some(line) = summary.first() { ": " (line) } }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                header class=(status.class()) {
                    h1 { (title) }
                    @for line in summary { p { (line) } }
                }
                @if filter { (filter_form()) }
                (body)
                @if filter { script { (PreEscaped(SCRIPT)) } }
            }
        }
    };
    text::lines(&page.into_string()).into_owned()
}

/// Allows this page's own style and script, and nothing else: if text of an image became markup by
/// a mistake here, it could load and run nothing.
fn policy() -> String {
    let digest = STANDARD.encode(Sha256::digest(SCRIPT));
    format!("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'")
}

/// The filter, which the script shows.
fn filter_form() -> Markup {
    html! {
        form class="filter" hidden {
            input type="search" placeholder="Filter test cases" aria-label="Filter test cases";
            select aria-label="Result" {
                option value="" { "all results" }
                @for result in ["failed", "error", "skipped", "passed"] {
                    option value=(result) { (result) }
                }
            }
            output {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_a_page_is_escaped_and_has_no_control_characters() {
        let text = "<script>\u{1b}[31m \"a\" & b\0\u{9b}\u{202e}\r\n\t</script>";
        let body = html! { p title=(text) { (text) } };
        let page = page(Status::Passed, &[text.to_owned()], false, body);
        assert!(!page.contains("<script>") && !page.contains("title=\"<"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;\\u{1b}[31m &quot;a&quot; &amp; b").count(), 4);
        assert!(page.contains("b\\u{0}\\u{9b}\\u{202e}\n\t&lt;/script&gt;"), "{page}");
        assert!(page.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'), "{page:?}");
    }
}
