//! Values of checks: words as code, and texts of several lines as blocks.

use maud::{Markup, html};

use crate::check::verdict::{Check, Description};
use crate::report::multi_line::{self, NO_LINE_BREAK};
use crate::report::parts::{Part, is_one_line, parts};
use crate::text;

/// How a page shows white space of texts that nobody sees.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Spaces {
    /// As it is.
    Plain,
    /// Marked, and tabs and carriage returns escaped, because the text is compared with another.
    Marked,
}

impl Spaces {
    /// That of the value which `check` found.
    pub(super) fn of_found(check: &Check) -> Self {
        if multi_line::is_exact(check) { Self::Marked } else { Self::Plain }
    }
}

/// Returns `value`, in full.
pub(super) fn value(value: &Description, spaces: Spaces) -> Markup {
    let parts = parts(value);
    if is_one_line(&parts) {
        return html! { code { (value) } };
    }
    let is_whole = parts.len() == 1;
    html! {
        div class="value" {
            @for part in &parts {
                @match part {
                    Part::Prose(prose) => code { (multi_line::between_texts(prose)) },
                    Part::Block(text) => {
                        // Parsers drop the first line break of a `pre`.
                        pre { "\n" @for line in &text.lines { (self::line(line, spaces)) "\n" } }
                        @if spaces == Spaces::Marked && is_whole && !text.ends_with_break {
                            p class="quiet" { (NO_LINE_BREAK) }
                        }
                    },
                }
            }
        }
    }
}

fn line(line: &str, spaces: Spaces) -> Markup {
    let visible = line.trim_end_matches(' ');
    match spaces {
        Spaces::Plain => html! { (line) },
        Spaces::Marked => html! {
            (text::escape(visible))
            @if visible.len() < line.len() { span class="spaces" { (line[visible.len()..]) } }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_several_lines_are_blocks_and_words_are_code() {
        let found = Description::from("127, standard error ").then_quote("<a>\n\tb\r\n");
        let found = found.then(", standard output ").then_quote("c\n");
        assert_eq!(
            value(&found, Spaces::Plain).into_string(),
            "<div class=\"value\"><code>127, standard error</code>\
             <pre>\n&lt;a&gt;\n\tb\r\n</pre><code>standard output &quot;c\\n&quot;</code></div>"
        );
        let one = Description::quote("a\n");
        assert_eq!(value(&one, Spaces::Plain).into_string(), "<code>&quot;a\\n&quot;</code>");
    }

    #[test]
    fn ends_of_lines_are_visible_where_texts_are_compared_as_they_are() {
        let text = Description::quote("a \n\tb\r\n\nc");
        let shown = value(&text, Spaces::Marked).into_string();
        let lines = "<pre>\na<span class=\"spaces\"> </span>\n\\tb\\r\n\nc\n</pre>";
        assert!(shown.contains(lines), "{shown}");
        assert!(shown.contains("<p class=\"quiet\">(no line break at the end)</p>"), "{shown}");
        assert!(!value(&text, Spaces::Plain).into_string().contains("line break"), "{shown}");
    }
}
