//! A verdict as Markdown in the dialect of GitHub, for the summary of a CI job: the result, a table
//! of engines and test cases, and the details of what did not pass. If something failed, the test
//! cases that failed nowhere are folded.

use std::fmt::Write;

use super::skips::{Skips, skips};
use super::{column, explanation, unique};
use crate::check::verdict::{EngineRun, Outcome, RunResult, TestCase, Verdict};
use crate::text;

/// Formats `verdict` as Markdown.
pub fn summary(verdict: &Verdict) -> String {
    let result = match verdict.result() {
        RunResult::Passed => "Passed",
        RunResult::Failed => "Failed",
        RunResult::Undetermined => "Could not be determined",
    };
    let mut page = format!("## {result}: {}\n", super::summary(verdict));
    for image in unique(verdict.cases.iter().map(|case| case.image.as_str())) {
        let cases: Vec<&TestCase> =
            verdict.cases.iter().filter(|case| case.image == image).collect();
        let _ = write!(page, "\n### {}\n\n", code(&text::shorten(image)));
        let runs = verdict.engine_runs.iter().filter(|run| run.image == image);
        let engine =
            |run: &EngineRun| format!("{} {}", run.engine, code(&text::shorten(&run.version)));
        let engines: Vec<String> = runs.map(engine).collect();
        if !engines.is_empty() {
            let _ = write!(page, "Engines: {}\n\n", engines.join(", "));
        }
        page.push_str(&section(&cases));
        page.push_str(&reasons_of_skips(&cases));
    }
    page
}

/// The tables and details of an image.
fn section(cases: &[&TestCase]) -> String {
    let names = unique(cases.iter().map(|case| case.name.as_str()));
    let failed = |name: &&str| cases.iter().any(|case| case.name == *name && needs_details(case));
    let (loud, quiet): (Vec<&str>, Vec<&str>) = names.into_iter().partition(failed);
    if loud.is_empty() {
        return table(cases, &quiet);
    }
    let mut section = table(cases, &loud);
    let details = cases.iter().filter(|case| needs_details(case));
    details.for_each(|case| section.push_str(&details_of(case)));
    if !quiet.is_empty() {
        let (count, s) = (quiet.len(), if quiet.len() == 1 { "" } else { "s" });
        let table = table(cases, &quiet);
        let _ = write!(
            section,
            "\n<details><summary>{count} test case{s} without failures</summary>\n\n{table}\n\
             </details>\n"
        );
    }
    section
}

/// The most names of test cases that have one reason.
const NAMES_MAX: usize = 20;

/// The reasons why test cases were skipped.
fn reasons_of_skips(cases: &[&TestCase]) -> String {
    let reason = |Skips { names, columns, reason }: Skips<'_>| {
        let shown = names.iter().take(NAMES_MAX).map(|name| code(&text::shorten(name)));
        let more = names.len().saturating_sub(NAMES_MAX);
        let more = (more > 0).then(|| format!("and {more} more"));
        let names: Vec<String> = shown.chain(more).collect();
        let reason = code(&text::shorten(reason));
        format!("- {} ({}): {reason}\n", names.join(", "), columns.join(", "))
    };
    let reasons: String = skips(cases.iter().copied()).into_iter().map(reason).collect();
    match reasons.is_empty() {
        true => reasons,
        false => format!("\nSkipped:\n\n{reasons}"),
    }
}

/// The table of the test cases with these names.
fn table(cases: &[&TestCase], names: &[&str]) -> String {
    let columns = unique(cases.iter().map(|case| column(case)));
    let titles: String = columns.iter().map(|column| format!(" {column} |")).collect();
    let mut table = format!("| test case |{titles}\n|---|{}\n", "---|".repeat(columns.len()));
    for name in names {
        let _ = write!(table, "| {} |", escape_bars(&code(&text::shorten(name))));
        for column in &columns {
            let same =
                cases.iter().filter(|case| case.name == *name && super::column(case) == *column);
            let worst = same.max_by_key(|case| needs_details(case));
            let word = worst.map_or("", |case| word(&case.outcome));
            let _ = write!(table, " {word} |");
        }
        table.push('\n');
    }
    table
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

fn details_of(case: &TestCase) -> String {
    let (name, column) = (code(&text::shorten(&case.name)), column(case));
    let lines = explanation(case).join("\n");
    let fence = fence(&lines, 3);
    format!("\n**{name} ({column})**\n\n{fence}text\n{lines}\n{fence}\n")
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
        TestCase {
            image: "my/app:1.0".to_owned(),
            engine: engine.map(str::to_owned),
            name: name.to_owned(),
            outcome,
            seconds: 0.0,
            passed_checks: Vec::new(),
            hints: Vec::new(),
            stderr: String::new(),
            output: String::new(),
        }
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
            let table = table(&[&case(None, name, Outcome::Passed)], &[name]);
            let row = format!("| {cell} | passed |\n");
            assert!(table.ends_with(&row), "{table}");
        }
    }
}
