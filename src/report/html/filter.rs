//! The filter of test cases: by name and result.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};
use sha2::{Digest as _, Sha256};

use super::document::Filter;

const SCRIPT: &str = include_str!("filter.js");

/// Returns a filter for elements with the attributes `data-name` and `data-results`.
pub(super) fn filter() -> Filter {
    let digest = format!("sha256-{}", STANDARD.encode(Sha256::digest(SCRIPT)));
    Filter { form: filter_form(), script: SCRIPT, digest }
}

/// The filter, which the script shows.
fn filter_form() -> Markup {
    html! {
        form class="filter" hidden {
            input type="search" placeholder="Filter test cases" aria-label="Filter test cases";
            select aria-label="Result" {
                option value="" { "all results" }
                @for result in ["failed", "error", "skipped", "passed"] {
                    option value=(result) { (result) }
                }
            }
            output {}
        }
    }
}
