//! The size of a summary, which GitHub limits.

/// The most bytes of a summary. GitHub rejects the summary of a step that has more than 1 MiB, and
/// other commands of the step may add to it.
const SUMMARY_MAX: usize = 1_000_000;

/// The part of a summary, the most important ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Headings and heads of tables, which are never left out.
    Frame,
    /// A row of a table with a failure.
    Row,
    /// A failure.
    Failure,
    /// The reason why test cases were skipped.
    Skips,
    /// A row of a table without failures.
    QuietRow,
}

impl Part {
    /// The number and name of parts that are left out.
    fn count(self, count: usize) -> String {
        let (one, several) = match self {
            Self::Frame => ("heading", "headings"),
            Self::Row => ("row with a failure", "rows with failures"),
            Self::Failure => ("failure", "failures"),
            Self::Skips => ("reason of skips", "reasons of skips"),
            Self::QuietRow => ("row without failures", "rows without failures"),
        };
        format!("{count} {}", if count == 1 { one } else { several })
    }
}

/// A summary in parts, in the order of the page.
#[derive(Default)]
pub(super) struct Page(Vec<(Part, String)>);

impl Page {
    pub(super) fn push(&mut self, part: Part, text: impl Into<String>) {
        self.0.push((part, text.into()));
    }

    /// Joins the parts. If they are too large together, the least important ones are left out, and
    /// a sentence at the end says so.
    pub(super) fn into_text(self) -> String {
        self.limit(SUMMARY_MAX)
    }

    fn limit(self, max: usize) -> String {
        let Self(parts) = self;
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by_key(|index| parts[*index].0);
        let mut size = 0;
        let fits = |index: &&usize| {
            let (part, text) = &parts[**index];
            size += text.len();
            *part == Part::Frame || size <= max
        };
        let kept = order.iter().take_while(fits).count();
        let mut left_out = order.split_off(kept);
        left_out.sort_unstable();
        let is_kept = |index: &usize| left_out.binary_search(index).is_err();
        let kept = (0..parts.len()).filter(is_kept);
        let mut page: String = kept.map(|index| parts[index].1.as_str()).collect();
        let counts = [Part::Row, Part::Failure, Part::Skips, Part::QuietRow].map(|part| {
            let count = left_out.iter().filter(|index| parts[**index].0 == part).count();
            (count > 0).then(|| part.count(count))
        });
        let counts: Vec<String> = counts.into_iter().flatten().collect();
        if !counts.is_empty() {
            page.push_str(&format!(
                "\nThis summary is cut, because GitHub rejects more than 1 MiB. It leaves out {}. \
                 The JSON, JUnit and HTML reports have everything.\n",
                counts.join(", ")
            ));
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        let mut page = Page::default();
        page.push(Part::Frame, "# head\n");
        page.push(Part::Row, "row\n");
        page.push(Part::Failure, "first\n");
        page.push(Part::Failure, "second\n");
        page.push(Part::QuietRow, "quiet\n");
        page.push(Part::Frame, "# end\n");
        page
    }

    #[test]
    fn a_summary_that_fits_is_complete() {
        assert_eq!(page().limit(1000), "# head\nrow\nfirst\nsecond\nquiet\n# end\n");
    }

    #[test]
    fn a_summary_that_is_too_large_keeps_headings_and_rows_and_says_what_it_leaves_out() {
        let cut = page().limit(24);
        let sentence = "\nThis summary is cut, because GitHub rejects more than 1 MiB. It leaves \
                        out 1 failure, 1 row without failures. The JSON, JUnit and HTML reports \
                        have everything.\n";
        assert_eq!(cut, format!("# head\nrow\nfirst\n# end\n{sentence}"));
        assert!(page().limit(0).starts_with("# head\n# end\n\nThis summary is cut"));
    }
}
