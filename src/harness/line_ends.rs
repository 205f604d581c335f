//! The ends of lines in the output of containers: containerd drops a carriage return before each
//! newline when it writes a log for a kubelet.

use crate::conditions::Text;
use crate::engine::Engine;

/// The carriage returns before the newlines of a container's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEnds {
    /// They are those that the container has printed.
    Exact,
    /// The engine has dropped one of each line, and the container's terminal had put one there.
    Terminal,
    /// The engine has dropped one of some lines.
    Dropped,
}

impl LineEnds {
    /// The line ends in the output of a container on `engine`. `tty` says whether the container has
    /// a terminal.
    pub(crate) fn new(engine: &Engine, tty: bool) -> Self {
        match (engine.drops_carriage_returns(), tty) {
            (false, _) => Self::Exact,
            (true, true) => Self::Terminal,
            (true, false) => Self::Dropped,
        }
    }

    /// Returns the output as the container has printed it, as far as that is known.
    pub(crate) fn restore(self, output: String) -> String {
        match self {
            Self::Terminal => output.replace('\n', "\r\n"),
            Self::Exact | Self::Dropped => output,
        }
    }

    /// Describes the rules of `expected` that `output`, which is restored, does not meet; `None` if
    /// it meets all.
    pub(crate) fn unmet(self, expected: &Text, output: &str) -> Option<String> {
        match self {
            Self::Dropped => expected.unmet_without_carriage_returns(output),
            Self::Exact | Self::Terminal => expected.unmet_by(output),
        }
    }

    /// Whether all rules of `expected` hold for `output`, which is restored.
    pub(crate) fn is_match(self, expected: &Text, output: &str) -> bool {
        match self {
            Self::Dropped => expected.is_match_without_carriage_returns(output),
            Self::Exact | Self::Terminal => expected.is_match(output),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn is_match(ends: LineEnds, expected: &str, output: &str) -> bool {
        ends.is_match(&Text::equal_to(expected), &ends.restore(output.to_owned()))
    }

    #[test]
    fn a_rule_for_the_output_of_a_terminal_holds_on_each_engine_or_on_none() {
        // Docker has a\r\n of "echo a" on a terminal, and containerd's log a\n
        // (docs/engines.md, "Output of containers").
        for (expected, holds) in [("a\r\n", true), ("a\n", false), ("a", false)] {
            assert_eq!(is_match(LineEnds::Exact, expected, "a\r\n"), holds, "{expected:?}");
            assert_eq!(is_match(LineEnds::Terminal, expected, "a\n"), holds, "{expected:?}");
        }
        // "printf 'a\r\n'" on a terminal.
        assert!(is_match(LineEnds::Exact, "a\r\r\n", "a\r\r\n"));
        assert!(is_match(LineEnds::Terminal, "a\r\r\n", "a\r\n"));
        assert!(!is_match(LineEnds::Terminal, "a\r\n", "a\r\n"));
    }

    #[test]
    fn carriage_returns_that_are_dropped_may_be_expected() {
        assert!(is_match(LineEnds::Dropped, "a\r\n", "a\n"));
        assert!(is_match(LineEnds::Dropped, "a\n", "a\n"));
        assert!(!is_match(LineEnds::Dropped, "a\r", "a\n"));
        assert!(is_match(LineEnds::Dropped, "a\rb\r\n", "a\rb\n"));
        assert!(is_match(LineEnds::Dropped, "a\r\nb\n", "a\r\nb\n"));
    }

    #[test]
    fn text_that_must_be_absent_is_found_with_and_without_its_carriage_returns() {
        // Docker has fatal\r\n of "printf 'fatal\r\n'", and containerd's log fatal\n.
        let holds = |rules: &str, output: &str| {
            let rules: Text =
                toml::from_str::<BTreeMap<String, Text>>(rules).unwrap()["log"].clone();
            LineEnds::Dropped.is_match(&rules, output)
        };
        let rules = r#"log = { not_contains = "fatal\r\n" }"#;
        assert!(!holds(rules, "fatal\n") && !holds(rules, "fatal\r\n"));
        assert!(holds(rules, "fatal error\n"));
        // Each rule is decided by itself.
        let rules = r#"log = { contains = "ok\r\n", not_contains = "fatal\r\n" }"#;
        assert!(holds(rules, "ok\n") && !holds(rules, "ok\nfatal\n"));
    }
}
