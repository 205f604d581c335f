//! Errors as text.

use std::error::Error;

use crate::text;

/// Formats `error` and its causes, joined by colons. A cause that its error's message ends with is
/// not repeated. Errors of other libraries may quote text of others, which is escaped.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let is_library = is_library(error);
        let cause = match is_foreign(error) {
            _ if is_library => last_cause(error),
            true => text::excerpt(without_number(&error.to_string())).into_owned(),
            false => error.to_string(),
        };
        if !chain.ends_with(&cause) {
            chain.push_str(&format!(": {cause}"));
        }
        source = error.source().filter(|_| !is_library);
    }
    chain
}

/// The last cause of `error`, without the number of an error of the operating system.
pub(crate) fn last_cause(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    text::excerpt(without_number(&last.to_string())).into_owned()
}

/// The text of an error of the operating system without its number.
fn without_number(text: &str) -> &str {
    match text.rsplit_once(" (os error ") {
        Some((words, number)) if number.ends_with(')') => words,
        _ => text,
    }
}

/// Whether `error` is of a library for HTTP, whose causes are the layers of the library: only the
/// last one means something to users.
fn is_library(error: &(dyn Error + 'static)) -> bool {
    #[cfg(feature = "vm")]
    if error.is::<bollard::errors::Error>() {
        return true;
    }
    #[cfg(feature = "registry")]
    if error.is::<reqwest::Error>() {
        return true;
    }
    let _ = error;
    false
}

fn is_foreign(error: &(dyn Error + 'static)) -> bool {
    error.is::<std::io::Error>() || error.is::<serde_json::Error>()
}
