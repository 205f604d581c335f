//! Test cases in words: those that did not pass, and, folded for each engine, the others.

use maud::{Markup, html};

use super::ansi;
use super::results::{Explained, Kind, NumberedCase, column};
use super::values::{self, Spaces};
use crate::check::verdict::{Check, Outcome, TestCase};
use crate::report::skips::{Skips, skips};
use crate::report::{IMAGE_ONLY, unique};
use crate::text;

/// Returns everything about the test cases that did not pass.
pub(super) fn details(cases: &[NumberedCase<'_>]) -> Markup {
    let explained = Explained::new(cases);
    let is_loud = |case: &&NumberedCase<'_>| Kind::of(case.1) >= Kind::Failed;
    let loud: Vec<NumberedCase<'_>> = cases.iter().filter(is_loud).copied().collect();
    html! {
        @for first in loud.iter().filter(|case| explained.place_of(case.0) == case.0) {
            @let same = loud.iter().filter(|case| explained.place_of(case.0) == first.0);
            (article(*first, &same.copied().collect::<Vec<_>>()))
        }
    }
}

fn article((number, case): NumberedCase<'_>, same: &[NumberedCase<'_>]) -> Markup {
    let engines = unique(same.iter().filter_map(|(_, case)| case.engine.as_deref())).join(", ");
    let seconds = same.iter().map(|(_, case)| case.seconds).fold(0.0, f64::max);
    let kind = Kind::of(case);
    html! {
        article id={ "c" (number) } class=(kind.class()) data-name=(text::escape(&case.name))
            data-results=(kind.class())
        {
            h3 {
                (badge(kind)) " " (text::escape(&case.name))
                @if !engines.is_empty() { span class="quiet" { " on " (engines) } }
                (duration(seconds))
            }
            (outcome(&case.outcome))
            (hints(case))
            (output(case))
            (passed_checks(case))
        }
    }
}

/// The most names of test cases that have one reason.
const NAMES_MAX: usize = 20;

/// Returns the reasons why test cases were skipped, which are in the folded ones, too.
pub(super) fn reasons_of_skips(cases: &[NumberedCase<'_>]) -> Markup {
    html! {
        @for Skips { names, columns, reason } in skips(cases.iter().map(|(_, case)| *case)) {
            p class="skip" {
                (badge(Kind::Skipped))
                @for (index, name) in names.iter().take(NAMES_MAX).enumerate() {
                    (if index == 0 { " " } else { ", " }) (text::escape(name))
                }
                @if names.len() > NAMES_MAX { " and " (names.len() - NAMES_MAX) " more" }
                span class="quiet" {
                    @if columns != [IMAGE_ONLY] { " on " (columns.join(", ")) }
                    ": " (text::message(reason))
                }
            }
        }
    }
}

/// Returns the test cases that passed or were skipped, folded for each column.
pub(super) fn folded(cases: &[NumberedCase<'_>]) -> Markup {
    let columns = unique(cases.iter().map(column));
    html! {
        @for name in columns {
            @let of_column = cases.iter().filter(|case| column(case) == name);
            @let quiet: Vec<_> =
                of_column.filter(|(_, case)| Kind::of(case) < Kind::Failed).collect();
            @if !quiet.is_empty() {
                details class="fold" {
                    summary { (name) ": " (counts(&quiet)) }
                    @for (number, case) in quiet { (line(*number, case)) }
                }
            }
        }
    }
}

fn counts(cases: &[&NumberedCase<'_>]) -> String {
    let count = |kind| cases.iter().filter(|(_, case)| Kind::of(case) == kind).count();
    let counts = [Kind::Passed, Kind::Skipped].map(|kind| (count(kind), kind.class()));
    let parts = counts.iter().filter(|(count, _)| *count > 0);
    parts.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

fn line(number: usize, case: &TestCase) -> Markup {
    let kind = Kind::of(case);
    html! {
        div class="line" id={ "c" (number) } data-name=(text::escape(&case.name))
            data-results=(kind.class())
        {
            p { (badge(kind)) " " (text::escape(&case.name)) (duration(case.seconds)) }
            (outcome(&case.outcome))
            (hints(case))
            (passed_checks(case))
            @if !case.output.is_empty() || !case.stderr.is_empty() {
                details { summary { "output" } (output(case)) }
            }
        }
    }
}

fn hints(case: &TestCase) -> Markup {
    html! {
        @for hint in &case.hints {
            @let (first, more) = hint.split_once('\n').unwrap_or((hint, ""));
            p { b { "Hint: " } (first) }
            @if !more.is_empty() { pre class="output" { (more) } }
        }
    }
}

/// Both output streams.
fn output(case: &TestCase) -> Markup {
    html! {
        @if !case.output.is_empty() {
            p class="quiet" { "standard output" }
            pre class="output end" { div { (ansi::output(&case.output)) } }
        }
        @if !case.stderr.is_empty() {
            p class="quiet" { "standard error" }
            pre class="output end" { div { (ansi::output(&case.stderr)) } }
        }
    }
}

fn duration(seconds: f64) -> Markup {
    html! {
        @if seconds >= 0.1 { span class="duration" { (format!("{seconds:.1} s")) } }
    }
}

fn outcome(outcome: &Outcome) -> Markup {
    html! {
        @match outcome {
            Outcome::Passed => {},
            Outcome::Failed { mismatches } => {
                @for check in mismatches { (mismatch(check)) }
            },
            Outcome::Error { problem } => pre { (text::message(problem)) },
            Outcome::Skipped { reason } => p class="quiet" { (text::message(reason)) },
        }
    }
}

fn mismatch(check: &Check) -> Markup {
    html! {
        dl {
            dt { (check.subject) }
            dd { span { "expected" } (values::value(&check.expected, Spaces::Marked)) }
            dd { span { "found" } (values::value(&check.found, Spaces::of_found(check))) }
        }
    }
}

fn passed_checks(case: &TestCase) -> Markup {
    html! {
        @if !case.passed_checks.is_empty() {
            details {
                summary { "passed checks" }
                dl { @for check in &case.passed_checks { (passed_check(check)) } }
            }
        }
    }
}

fn passed_check(check: &Check) -> Markup {
    html! { dd { span { (check.subject) } (values::value(&check.found, Spaces::Plain)) } }
}

fn badge(kind: Kind) -> Markup {
    html! { span class={ "badge " (kind.class()) } { (kind.class()) } }
}
