//! Output of containers with its colours: the SGR sequences of ECMA-48 become spans. All other
//! control sequences stay text, which the page shows escaped.

use std::fmt::Write as _;
use std::sync::LazyLock;

use maud::{Markup, html};
use regex::Regex;

/// A sequence that selects colours and styles.
static SEQUENCE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("\u{1b}\\[([0-9;:]{0,64})m").ok());

/// A colour of the terminal.
#[derive(Clone, Copy, PartialEq)]
enum Colour {
    /// One of the 16 that a theme defines.
    Theme(u8),
    /// Red, green and blue.
    Rgb(u8, u8, u8),
}

/// The style of a piece of text.
#[derive(Clone, Copy, Default, PartialEq)]
struct Style {
    text: Option<Colour>,
    background: Option<Colour>,
    bold: bool,
    faint: bool,
    italic: bool,
    underlined: bool,
}

/// Returns `output` with spans for its colours.
pub(super) fn output(output: &str) -> Markup {
    let mut style = Style::default();
    let mut rest = 0;
    let mut pieces: Vec<(Style, &str)> = Vec::new();
    for sequence in SEQUENCE.iter().flat_map(|regex| regex.captures_iter(output)) {
        let (Some(whole), Some(codes)) = (sequence.get(0), sequence.get(1)) else { continue };
        pieces.push((style, &output[rest..whole.start()]));
        style.apply(codes.as_str());
        rest = whole.end();
    }
    pieces.push((style, &output[rest..]));
    html! {
        @for (style, text) in pieces.iter().filter(|(_, text)| !text.is_empty()) {
            @if *style == Style::default() { (text) }
            @else { span class=[style.classes()] style=[style.css()] { (text) } }
        }
    }
}

impl Style {
    /// Applies the codes of one sequence, such as `1;31` or `38;5;208`.
    fn apply(&mut self, codes: &str) {
        let mut codes = codes.split([';', ':']).map(|code| match code {
            "" => Some(0),
            code => code.parse::<u16>().ok(),
        });
        while let Some(code) = codes.next() {
            match code.unwrap_or(u16::MAX) {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.faint = true,
                3 => self.italic = true,
                4 => self.underlined = true,
                22 => (self.bold, self.faint) = (false, false),
                23 => self.italic = false,
                24 => self.underlined = false,
                code @ 30..=37 => self.text = Some(Colour::Theme(code as u8 - 30)),
                code @ 90..=97 => self.text = Some(Colour::Theme(code as u8 - 82)),
                code @ 40..=47 => self.background = Some(Colour::Theme(code as u8 - 40)),
                code @ 100..=107 => self.background = Some(Colour::Theme(code as u8 - 92)),
                38 => self.text = extended(&mut codes).or(self.text),
                48 => self.background = extended(&mut codes).or(self.background),
                39 => self.text = None,
                49 => self.background = None,
                _ => {}
            }
        }
    }

    fn classes(&self) -> Option<String> {
        let mut classes = String::new();
        for (set, class) in [
            (self.bold, "bold"),
            (self.faint, "faint"),
            (self.italic, "italic"),
            (self.underlined, "underlined"),
        ] {
            if set {
                let _ = write!(classes, "{class} ");
            }
        }
        for (colour, prefix) in [(self.text, 't'), (self.background, 'b')] {
            if let Some(Colour::Theme(number)) = colour {
                let _ = write!(classes, "{prefix}{number} ");
            }
        }
        (!classes.is_empty()).then(|| classes.trim_end().to_owned())
    }

    /// The colours that are not in a theme.
    fn css(&self) -> Option<String> {
        let mut css = String::new();
        for (colour, property) in [(self.text, "color"), (self.background, "background")] {
            if let Some(Colour::Rgb(red, green, blue)) = colour {
                let _ = write!(css, "{property}:#{red:02x}{green:02x}{blue:02x};");
            }
        }
        (!css.is_empty()).then_some(css)
    }
}

/// Reads the rest of an extended colour: `5;N` of the palette of 256, or `2;R;G;B`.
fn extended(codes: &mut impl Iterator<Item = Option<u16>>) -> Option<Colour> {
    let mut byte = || codes.next().flatten().and_then(|code| u8::try_from(code).ok());
    match byte()? {
        2 => Some(Colour::Rgb(byte()?, byte()?, byte()?)),
        5 => Some(match byte()? {
            number @ 0..=15 => Colour::Theme(number),
            number @ 16..=231 => {
                // A cube of 6 x 6 x 6 colours, as xterm has it.
                let level = |index: u8| if index == 0 { 0 } else { 55 + 40 * index };
                let index = number - 16;
                Colour::Rgb(level(index / 36), level(index / 6 % 6), level(index % 6))
            }
            number => {
                let grey = 8 + 10 * (number - 232);
                Colour::Rgb(grey, grey, grey)
            }
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The relative luminance of a colour, as WCAG 2.2 defines it.
    fn luminance(colour: &str) -> f64 {
        let digits = colour.trim_start_matches('#');
        let digits: String = match digits.len() {
            3 => digits.chars().flat_map(|digit| [digit, digit]).collect(),
            _ => digits.to_owned(),
        };
        let channel = |start: usize| {
            let level = u8::from_str_radix(&digits[start..start + 2], 16).unwrap();
            let level = f64::from(level) / 255.0;
            if level <= 0.04045 { level / 12.92 } else { ((level + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(0) + 0.7152 * channel(2) + 0.0722 * channel(4)
    }

    #[test]
    fn colours_of_text_have_the_contrast_that_wcag_requires_in_both_modes() {
        let css = include_str!("page.css");
        let modes: Vec<&str> = css.split(":root {").skip(1).collect();
        assert_eq!(modes.len(), 2, "light and dark");
        for mode in modes {
            let rules = mode.split('}').next().unwrap().split(';');
            let colours: std::collections::BTreeMap<&str, &str> =
                rules.filter_map(|rule| rule.trim().split_once(": ")).collect();
            let theme = (0..16).map(|number| format!("--t{number}"));
            let names = ["--text", "--quiet", "--accent", "--passed", "--failed", "--error"];
            for name in theme.chain(names.map(str::to_owned)) {
                for background in ["--background", "--shade"] {
                    let pair = [colours[name.as_str()], colours[background]].map(luminance);
                    let (dark, light) = (pair[0].min(pair[1]), pair[0].max(pair[1]));
                    let contrast = (light + 0.05) / (dark + 0.05);
                    assert!(contrast >= 4.5, "{name} on {background}: {contrast:.2} in {mode}");
                }
            }
        }
    }

    #[test]
    fn colours_and_styles_become_spans_and_text_is_escaped() {
        for (text, expected) in [
            ("plain <b>", "plain &lt;b&gt;"),
            ("\u{1b}[31mred\u{1b}[0m, no", r#"<span class="t1">red</span>, no"#),
            (
                "\u{1b}[1;4;93;44m<i>\u{1b}[m",
                r#"<span class="bold underlined t11 b4">&lt;i&gt;</span>"#,
            ),
            ("\u{1b}[1mA\u{1b}[22mB", r#"<span class="bold">A</span>B"#),
            // xterm's 256colres.pl: colour 208 is ff8700, colour 244 is 808080.
            ("\u{1b}[38;5;208mx", r#"<span style="color:#ff8700;">x</span>"#),
            ("\u{1b}[48;5;244mx", r#"<span style="background:#808080;">x</span>"#),
            (
                "\u{1b}[38;2;1;2;300mx\u{1b}[38:2:1:2:3my",
                r#"x<span style="color:#010203;">y</span>"#,
            ),
            // Other sequences remain text.
            ("\u{1b}[2Jx", "\u{1b}[2Jx"),
            ("\u{1b}[31", "\u{1b}[31"),
        ] {
            assert_eq!(output(text).into_string(), expected, "{text:?}");
        }
    }
}
