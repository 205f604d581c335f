//! Exit codes, written as a number or as the name of the signal that ends a command.

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::linux::signals;
use crate::text;
use crate::text::suggest;

/// The JSON schema of what [`exit_code`] reads.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum CodeOrSignal {
    /// An exit code.
    Code(i64),
    /// The name of a signal, such as `SIGTERM`.
    Signal(String),
}

/// Reads an exit code: a number, or a signal, which stands for 128 plus its number.
pub(super) fn exit_code<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
    match CodeOrSignal::deserialize(deserializer) {
        Ok(CodeOrSignal::Code(code)) => Ok(Some(code)),
        Ok(CodeOrSignal::Signal(name)) => {
            number(&name).map(|signal| Some(128 + signal)).map_err(D::Error::custom)
        }
        Err(_) => {
            let problem = "invalid exit code; write a number, or a signal such as \"SIGTERM\"";
            Err(D::Error::custom(problem))
        }
    }
}

/// Reads the name of a signal.
pub(super) fn signal<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(deserializer)?;
    number(&name).map(|_| Some(name)).map_err(D::Error::custom)
}

fn number(name: &str) -> Result<i64, String> {
    signals::number(name).ok_or_else(|| {
        let hint = suggest::hint(&suggest::nearest(name, signals::names()));
        format!("unknown signal {}{hint}", text::quote(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Codes {
        #[serde(default, deserialize_with = "exit_code")]
        exit_code: Option<i64>,
    }

    fn read(toml: &str) -> Result<Option<i64>, String> {
        let codes: Result<Codes, _> = toml::from_str(toml);
        codes.map(|codes| codes.exit_code).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn an_exit_code_is_a_number_or_the_name_of_a_signal() {
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("exit_code = 3"), Ok(Some(3)));
        assert_eq!(read("exit_code = 'SIGTERM'"), Ok(Some(143)));
        assert_eq!(read("exit_code = 'SIGKILL'"), Ok(Some(137)));
        assert_eq!(read("exit_code = 'SIGRTMIN+3'"), Ok(Some(165)));
    }

    #[test]
    fn an_unknown_signal_is_an_error_that_names_the_nearest() {
        let error = read("exit_code = 'SIGTREM'").unwrap_err();
        assert_eq!(error, "unknown signal \"SIGTREM\"; did you mean \"SIGTERM\"?");
        let error = read("exit_code = true").unwrap_err();
        assert_eq!(error, "invalid exit code; write a number, or a signal such as \"SIGTERM\"");
    }
}
