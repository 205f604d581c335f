//! Errors as text.

use std::error::Error;

use crate::text;

/// Formats `error` and its causes, joined by colons. A cause that its error's message ends with is
/// not repeated. Errors of other libraries may quote text of others, which is escaped.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = match is_foreign(error) {
            true => text::excerpt(&error.to_string()).into_owned(),
            false => error.to_string(),
        };
        if !chain.ends_with(&cause) {
            chain.push_str(&format!(": {cause}"));
        }
        source = error.source();
    }
    chain
}

fn is_foreign(error: &(dyn Error + 'static)) -> bool {
    #[cfg(feature = "vm")]
    if error.is::<bollard::errors::Error>() {
        return true;
    }
    #[cfg(feature = "registry")]
    if error.is::<reqwest::Error>() {
        return true;
    }
    error.is::<std::io::Error>() || error.is::<serde_json::Error>()
}
