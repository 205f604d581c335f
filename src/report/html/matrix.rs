//! The matrix of an image: the result of each test case (rows) on each engine (columns).

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::results::{Explained, Kind, NumberedCase, column};
use crate::report::unique;
use crate::text;

/// Returns the matrix of `cases`. Test cases that failed nowhere are hidden until a box is ticked,
/// and so is the whole matrix if there are no others.
pub(super) fn matrix(cases: &[NumberedCase<'_>]) -> Markup {
    let columns = unique(cases.iter().map(column));
    let names = unique(cases.iter().map(|(_, case)| case.name.as_str()));
    let explained = Explained::new(cases);
    let mut cells: BTreeMap<(&str, &str), NumberedCase<'_>> = BTreeMap::new();
    for case in cases {
        let cell = cells.entry((&case.1.name, column(case))).or_insert(*case);
        if Kind::of(case.1) > Kind::of(cell.1) {
            *cell = *case;
        }
    }
    let row = |name: &str| -> Vec<Option<NumberedCase<'_>>> {
        columns.iter().map(|column| cells.get(&(name, *column)).copied()).collect()
    };
    let is_quiet = |row: &[Option<NumberedCase<'_>>]| {
        row.iter().flatten().all(|(_, case)| Kind::of(case) < Kind::Failed)
    };
    let rows: Vec<_> = names.into_iter().map(|name| (name, row(name))).collect();
    let (quiet, loud): (Vec<_>, Vec<_>) = rows.iter().partition(|(_, row)| is_quiet(row));
    html! {
        div class="matrix-box" {
            @if !quiet.is_empty() {
                @let summary = summary(quiet.len(), loud.is_empty());
                label class="more" { input type="checkbox"; " " (summary) }
            }
            div class={ "matrix" @if loud.is_empty() { " quiet-matrix" } } {
                table style={ "--engines:" (columns.len()) } {
                    colgroup { col class="names"; @for _ in &columns { col; } }
                    (head(&columns, cases))
                    @if !loud.is_empty() {
                        tbody { @for (name, row) in loud { (self::row(name, row, &explained)) } }
                    }
                    @if !quiet.is_empty() {
                        tbody class="quiet-rows" {
                            @for (name, row) in quiet { (self::row(name, row, &explained)) }
                        }
                    }
                }
            }
        }
    }
}

/// The text beside the box, if it shows `count` rows, and whether these are all.
fn summary(count: usize, all: bool) -> String {
    let cases = format!("{count} test case{}", if count == 1 { "" } else { "s" });
    match all {
        true => format!("Show the table of {cases}"),
        false => format!("Show {cases} without failures"),
    }
}

/// The names of the columns, and the number of test cases that failed in each.
fn head(columns: &[&str], cases: &[NumberedCase<'_>]) -> Markup {
    let count = |name: &str, kind: Kind| {
        cases.iter().filter(|case| column(case) == name && Kind::of(case.1) == kind).count()
    };
    html! {
        thead {
            tr {
                th scope="col" { "Test case" }
                @for name in columns {
                    th scope="col" {
                        (name)
                        @for kind in [Kind::Failed, Kind::Error] {
                            @let count = count(name, kind);
                            @if count > 0 {
                                small class=(kind.class()) { (count) " " (kind.class()) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn row(name: &str, cells: &[Option<NumberedCase<'_>>], explained: &Explained) -> Markup {
    let kinds = unique(cells.iter().flatten().map(|(_, case)| Kind::of(case).class())).join(" ");
    html! {
        tr data-row data-name=(text::escape(name)) data-results=(kinds) {
            th scope="row" { (text::escape(name)) }
            @for cell in cells {
                @match cell {
                    Some(case) => (self::cell(*case, explained)),
                    None => td {},
                }
            }
        }
    }
}

fn cell(case: NumberedCase<'_>, explained: &Explained) -> Markup {
    let (number, kind) = (case.0, Kind::of(case.1));
    let name = text::escape(&case.1.name);
    let label = format!("{name}: {} ({})", kind.class(), column(&case));
    html! {
        td class=(kind.class()) {
            a href={ "#c" (explained.place_of(number)) } title=(label) aria-label=(label) {
                (kind.sign())
            }
        }
    }
}
