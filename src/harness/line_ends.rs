//! The ends of lines in the output of containers: containerd drops a carriage return before each
//! newline when it writes a log for a kubelet.

use crate::conditions::{CarriageReturns, Text};
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

    /// The carriage returns of restored output.
    pub(crate) fn carriage_returns(self) -> CarriageReturns {
        match self {
            Self::Dropped => CarriageReturns::Dropped,
            Self::Exact | Self::Terminal => CarriageReturns::Exact,
        }
    }

    /// Whether all rules of `expected` hold for `output`, which is restored.
    pub(crate) fn is_match(self, expected: &Text, output: &str) -> bool {
        expected.is_met(output, self.carriage_returns())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::conditions::{Check, Checks, Results};

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

    /// The mismatches and the hints of `rules` for `output` of which carriage returns are dropped.
    fn recorded(rules: &str, output: &str) -> (Vec<Check>, Vec<String>) {
        let rules: Text = toml::from_str::<BTreeMap<String, Text>>(rules).unwrap()["log"].clone();
        let mut checks = Checks::default();
        checks.record_output("log", &rules, output, LineEnds::Dropped.carriage_returns());
        let Results { mismatches, hints, .. } = checks.into_results();
        (mismatches, hints)
    }

    #[test]
    fn a_mere_line_end_with_a_carriage_return_is_not_found_where_those_are_dropped() {
        let rules = r#"log = { not_contains = "\r\n" }"#;
        let (mismatches, hints) = recorded(rules, "hello\n");
        assert_eq!(mismatches, []);
        assert!(hints[0].contains("drops carriage returns") && hints.len() == 1, "{hints:?}");
        // Docker has two carriage returns here.
        assert_eq!(recorded(rules, "hello\r\n").0.len(), 1);
        assert_eq!(recorded(rules, "hello"), (Vec::new(), Vec::new()));
    }

    #[test]
    fn a_mismatch_that_a_dropped_carriage_return_decides_has_a_hint() {
        let (mismatches, hints) = recorded(r#"log = { not_contains = "a\r\n" }"#, "a\n");
        assert_eq!(mismatches.len(), 1);
        let hint = r#"so "a\r\n" was looked for without them"#;
        assert!(hints[0].contains(hint) && hints.len() == 1, "{hints:?}");
    }

    #[test]
    fn rules_that_hold_without_carriage_returns_are_not_shown_as_unmet() {
        let rules = r#"log = { contains = "A\r\n", times = 2, not_contains = "x" }"#;
        let (mismatches, hints) = recorded(rules, "A\nA\nx\n");
        assert_eq!(mismatches[0].expected, r#"does not contain "x""#);
        assert_eq!(mismatches[0].found, r#""A\nA\nx\n""#);
        assert!(hints.is_empty(), "{hints:?}");
        let rules = r#"log = { contains = "A\r\n", times = 3 }"#;
        assert_eq!(recorded(rules, "A\nA\n").0[0].found, r#""A\r\n" 2 times in "A\nA\n""#);
    }
}
