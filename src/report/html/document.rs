//! The frame of a page: head, style and header.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::text;

/// A part of a page with a script; everything can be read without it.
#[cfg_attr(not(feature = "vm"), allow(dead_code, reason = "only reports of tests have one"))]
pub(super) struct Filter {
    /// The elements that the script shows.
    pub(super) form: Markup,
    pub(super) script: &'static str,
    /// The digest of the script, as a content security policy writes it.
    pub(super) digest: String,
}

/// The result of a page as a whole.
#[derive(Clone, Copy)]
pub(super) enum Status {
    #[cfg(feature = "vm")]
    Passed,
    #[cfg(feature = "vm")]
    Failed,
    #[cfg(feature = "vm")]
    Undetermined,
    Same,
    Different,
}

impl Status {
    fn title(self) -> &'static str {
        match self {
            #[cfg(feature = "vm")]
            Self::Passed => "Passed",
            #[cfg(feature = "vm")]
            Self::Failed => "Failed",
            #[cfg(feature = "vm")]
            Self::Undetermined => "Could not be determined",
            Self::Same => "The images are the same",
            Self::Different => "The images differ",
        }
    }

    fn class(self) -> &'static str {
        match self {
            #[cfg(feature = "vm")]
            Self::Passed => "passed",
            #[cfg(feature = "vm")]
            Self::Failed => "failed",
            #[cfg(feature = "vm")]
            Self::Undetermined => "error",
            Self::Same => "passed",
            Self::Different => "error",
        }
    }
}

/// The head of a page.
pub(super) struct Head<'a> {
    pub(super) status: Status,
    /// The lines below the title.
    pub(super) summary: &'a [String],
    /// Further facts, which are smaller.
    pub(super) facts: Markup,
}

impl<'a> Head<'a> {
    pub(super) fn new(status: Status, summary: &'a [String]) -> Self {
        Self { status, summary, facts: html! {} }
    }
}

/// Returns a whole page, which may have a filter.
///
/// Templates escape text from images and engines, so that it cannot become markup. Its control
/// characters, which HTML does not allow, and its invisible characters are escaped here.
pub(super) fn page(head: &Head<'_>, filter: Option<&Filter>, body: Markup) -> String {
    let Head { status, summary, facts } = head;
    let title = status.title();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(policy(filter));
                title { (title) @if let Some(line) = summary.first() { ": " (line) } }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                header class=(status.class()) {
                    h1 { (title) }
                    @for line in *summary { p { (line) } }
                    (facts)
                }
                @if let Some(filter) = filter { (filter.form) }
                (body)
                @if let Some(filter) = filter { script { (PreEscaped(filter.script)) } }
            }
        }
    };
    text::lines(&page.into_string()).into_owned()
}

/// Allows this page's own style and script, and nothing else: if text of an image became markup by
/// a mistake here, it could load and run nothing.
fn policy(filter: Option<&Filter>) -> String {
    let script = filter.map(|filter| format!("; script-src '{}'", filter.digest));
    let script = script.unwrap_or_default();
    format!("default-src 'none'; style-src 'unsafe-inline'{script}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_a_page_is_escaped_and_has_no_control_characters() {
        let text = "<script>\u{1b}[31m \"a\" & b\0\u{9b}\u{202e}\r\n\t</script>";
        let body = html! { p title=(text) { (text) } };
        let page = page(&Head::new(Status::Same, &[text.to_owned()]), None, body);
        assert!(!page.contains("<script>") && !page.contains("title=\"<"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;\\u{1b}[31m &quot;a&quot; &amp; b").count(), 4);
        assert!(page.contains("b\\u{0}\\u{9b}\\u{202e}\n\t&lt;/script&gt;"), "{page}");
        assert!(page.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'), "{page:?}");
    }
}
