//! A verdict as Markdown in the dialect of GitHub, for the summary of a CI job: the result, a table
//! of engines and test cases, and the details of what did not pass. If something failed, the test
//! cases that failed nowhere are folded.

mod size;

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use size::{Page, Part};

use super::skips::{Skips, skips};
use super::{column, explanation, is_same_failure, unique};
use crate::check::verdict::{EngineRun, Outcome, RunResult, TestCase, Verdict};
use crate::text;

/// Formats `verdict` as Markdown. A summary that GitHub would reject for its size is cut.
pub fn summary(verdict: &Verdict) -> String {
    let result = match verdict.result() {
        RunResult::Passed => "Passed",
        RunResult::Failed => "Failed",
        RunResult::Undetermined => "Could not be determined",
    };
    let mut page = Page::default();
    page.push(Part::Frame, format!("## {result}: {}\n", super::summary(verdict)));
    for image in unique(verdict.cases.iter().map(|case| case.image.as_str())) {
        let cases: Vec<&TestCase> =
            verdict.cases.iter().filter(|case| case.image == image).collect();
        page.push(Part::Frame, format!("\n### {}\n\n", code(&text::shorten(image))));
        let runs = verdict.engine_runs.iter().filter(|run| run.image == image);
        let engine =
            |run: &EngineRun| format!("{} {}", run.engine, code(&text::shorten(&run.version)));
        let engines: Vec<String> = runs.map(engine).collect();
        if !engines.is_empty() {
            page.push(Part::Frame, format!("Engines: {}\n\n", engines.join(", ")));
        }
        section(&mut page, &cases);
        reasons_of_skips(&mut page, &cases);
    }
    page.into_text()
}

/// The tables and details of an image.
fn section(page: &mut Page, cases: &[&TestCase]) {
    let names = unique(cases.iter().map(|case| case.name.as_str()));
    let failed: HashSet<&str> =
        cases.iter().filter(|case| needs_details(case)).map(|case| case.name.as_str()).collect();
    let (loud, quiet): (Vec<&str>, Vec<&str>) =
        names.into_iter().partition(|name| failed.contains(name));
    if loud.is_empty() {
        return table(page, Part::QuietRow, cases, &quiet);
    }
    table(page, Part::Row, cases, &loud);
    details(page, cases);
    if !quiet.is_empty() {
        let (count, s) = (quiet.len(), if quiet.len() == 1 { "" } else { "s" });
        let summary = format!("{count} test case{s} without failures");
        page.push(Part::Frame, format!("\n<details><summary>{summary}</summary>\n\n"));
        table(page, Part::QuietRow, cases, &quiet);
        page.push(Part::Frame, "\n</details>\n");
    }
}

/// The most names of test cases that have one reason.
const NAMES_MAX: usize = 20;

/// The reasons why test cases were skipped.
fn reasons_of_skips(page: &mut Page, cases: &[&TestCase]) {
    for (index, skips) in skips(cases.iter().copied()).into_iter().enumerate() {
        let Skips { names, columns, reason } = skips;
        if index == 0 {
            page.push(Part::Frame, "\nSkipped:\n\n");
        }
        let shown = names.iter().take(NAMES_MAX).map(|name| code(&text::shorten(name)));
        let more = names.len().saturating_sub(NAMES_MAX);
        let more = (more > 0).then(|| format!("and {more} more"));
        let names: Vec<String> = shown.chain(more).collect();
        let (names, columns) = (names.join(", "), columns.join(", "));
        let reason = code(&text::shorten(reason));
        page.push(Part::Skips, format!("- {names} ({columns}): {reason}\n"));
    }
}

/// The table of the test cases with these names, whose rows are parts of one kind.
fn table(page: &mut Page, kind: Part, cases: &[&TestCase], names: &[&str]) {
    let columns = unique(cases.iter().map(|case| column(case)));
    let titles: String = columns.iter().map(|column| format!(" {column} |")).collect();
    let rule = "---|".repeat(columns.len());
    page.push(Part::Frame, format!("| test case |{titles}\n|---|{rule}\n"));
    let mut cells: HashMap<(&str, &str), &TestCase> = HashMap::new();
    for case in cases {
        let cell = cells.entry((&case.name, column(case))).or_insert(case);
        if needs_details(case) >= needs_details(cell) {
            *cell = case;
        }
    }
    for name in names {
        let mut row = format!("| {} |", escape_bars(&code(&text::shorten(name))));
        for column in &columns {
            let word = cells.get(&(*name, *column)).map_or("", |case| word(&case.outcome));
            let _ = write!(row, " {word} |");
        }
        page.push(kind, row + "\n");
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed { .. } => "**failed**",
        Outcome::Error { .. } => "**error**",
        Outcome::Skipped { .. } => "skipped",
    }
}

fn needs_details(case: &TestCase) -> bool {
    matches!(case.outcome, Outcome::Failed { .. } | Outcome::Error { .. })
}

/// Explains what did not pass. The same failure on several engines is explained once.
fn details(page: &mut Page, cases: &[&TestCase]) {
    let mut failures: Vec<(&TestCase, Vec<&str>)> = Vec::new();
    for case in cases.iter().filter(|case| needs_details(case)) {
        match failures.iter_mut().find(|(first, _)| is_same_failure(first, case)) {
            Some((_, columns)) => columns.push(column(case)),
            None => failures.push((case, vec![column(case)])),
        }
    }
    for (case, columns) in failures {
        let name = code(&text::shorten(&case.name));
        let columns = unique(columns.into_iter()).join(", ");
        let lines = explanation(case).join("\n");
        let fence = fence(&lines, 3);
        let heading = format!("\n**{name} ({columns})**\n\n");
        page.push(Part::Failure, format!("{heading}{fence}text\n{lines}\n{fence}\n"));
    }
}

/// Returns at least `min` backticks, and more than there are in a row in `text`.
fn fence(text: &str, min: usize) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(min.max(longest + 1))
}

/// Formats a name as code. GitHub finds mentions, references to issues and links everywhere else,
/// also behind a backslash.
fn code(name: &str) -> String {
    let fence = fence(name, 1);
    // Markdown removes these spaces.
    let is_edge = |c: char| c == '`' || c == ' ';
    let space = if name.starts_with(is_edge) || name.ends_with(is_edge) { " " } else { "" };
    format!("{fence}{space}{name}{space}{fence}")
}

/// Escapes vertical bars, which end a cell of a table even within code. GitHub removes one
/// backslash before a bar, and takes others as they are.
fn escape_bars(cell: &str) -> String {
    cell.replace('|', r"\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::verdict::Check;

    fn case(engine: Option<&str>, name: &str, outcome: Outcome) -> TestCase {
        let engine = engine.map(str::to_owned);
        TestCase { engine, ..TestCase::with_outcome("my/app:1.0", name, outcome) }
    }

    #[test]
    fn the_summary_has_the_result_a_table_and_the_details_of_what_did_not_pass() {
        let mismatch = Check {
            subject: "exit code".to_owned(),
            expected: "0".into(),
            found: "``` 1 | 2".into(),
        };
        let cases = vec![
            case(None, "config", Outcome::Passed),
            case(Some("docker-28"), "run a|b <c>", Outcome::Passed),
            case(Some("podman"), "run a|b <c>", Outcome::Failed { mismatches: vec![mismatch] }),
        ];
        let page = summary(&Verdict { cases, seconds: 2.0, ..Verdict::default() });
        let expected = "\
## Failed: 2 passed, 1 failed in 2.0 s

### `my/app:1.0`

| test case | image only | docker-28 | podman |
|---|---|---|---|
| `run a\\|b <c>` |  | passed | **failed** |

**`run a|b <c>` (podman)**

````text
exit code
  expected  0
  found     ``` 1 | 2
````

<details><summary>1 test case without failures</summary>

| test case | image only | docker-28 | podman |
|---|---|---|---|
| `config` | passed |  |  |

</details>
";
        assert_eq!(page, expected);
    }

    #[test]
    fn the_same_failure_on_several_engines_is_explained_once() {
        let failed = |found: &str| {
            let (subject, expected) = ("exit code".to_owned(), "0".into());
            let check = Check { subject, expected, found: found.into() };
            Outcome::Failed { mismatches: vec![check] }
        };
        let cases = vec![
            case(Some("docker-28"), "run x", failed("1")),
            case(Some("podman-5.4"), "run x", failed("2")),
            case(Some("containerd-1.7"), "run x", failed("1")),
        ];
        let page = summary(&Verdict { cases, ..Verdict::default() });
        let headings: Vec<&str> = page.lines().filter(|line| line.starts_with("**")).collect();
        assert_eq!(
            headings,
            ["**`run x` (docker-28, containerd-1.7)**", "**`run x` (podman-5.4)**"],
            "{page}"
        );
    }

    #[test]
    fn a_summary_of_very_many_failures_is_smaller_than_the_limit_of_github() {
        let failure = |number: usize| {
            let problem = format!("{number}: {}", "long reason ".repeat(50));
            case(Some("docker-28"), &format!("run {number}"), Outcome::Error { problem })
        };
        let cases = (0..4000).map(failure).collect();
        let page = summary(&Verdict { cases, ..Verdict::default() });
        assert!((900_000..1 << 20).contains(&page.len()), "{}", page.len());
        assert_eq!(page.matches("| **error** |").count(), 4000);
        let shown = page.matches("```text").count();
        let end = page.lines().last().unwrap();
        assert!(end.contains(&format!("It leaves out {} failures.", 4000 - shown)), "{end}");
    }

    #[test]
    fn the_summary_has_the_versions_of_engines_and_the_reasons_of_skips() {
        let reason = "CRI ignores image health checks".to_owned();
        let cases = vec![case(Some("containerd-1.7"), "service web", Outcome::Skipped { reason })];
        let run = EngineRun {
            image: "my/app:1.0".to_owned(),
            engine: "containerd-1.7".to_owned(),
            version: "1.7.24".to_owned(),
            timeline: Vec::new(),
            fallback: None,
            load_seconds: 0.0,
            present_layers: 0,
        };
        let page = summary(&Verdict { cases, engine_runs: vec![run], ..Verdict::default() });
        assert!(page.contains("\n\nEngines: containerd-1.7 `1.7.24`\n\n| test case |"), "{page}");
        let skips = "\nSkipped:\n\n- `service web` (containerd-1.7): \
                     `CRI ignores image health checks`\n";
        assert!(page.ends_with(skips), "{page}");
    }

    #[test]
    fn names_are_code_so_that_they_are_neither_mentions_nor_references_nor_links() {
        // What cmark-gfm renders each cell to, which is the name again.
        for (name, cell) in [
            ("run @name", "`run @name`"),
            ("run fixes #12 as in a/b#3", "`run fixes #12 as in a/b#3`"),
            ("run https://example.com", "`run https://example.com`"),
            ("run a|b", r"`run a\|b`"),
            (r"run a\|b", r"`run a\\|b`"),
            (r"run a\\|b", r"`run a\\\|b`"),
            ("run `a` ``b``", "``` run `a` ``b`` ```"),
            (r"run \d+", r"`run \d+`"),
        ] {
            let mut page = Page::default();
            table(&mut page, Part::Row, &[&case(None, name, Outcome::Passed)], &[name]);
            let table = page.into_text();
            let row = format!("| {cell} | passed |\n");
            assert!(table.ends_with(&row), "{table}");
        }
    }
}
