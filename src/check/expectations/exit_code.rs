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

/// Reads the name of a signal. As for engines, `TERM` is short for `SIGTERM`.
pub(super) fn signal<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let name = with_prefix(String::deserialize(deserializer)?);
    number(&name).map(|_| Some(name)).map_err(D::Error::custom)
}

fn with_prefix(name: String) -> String {
    let prefixed = format!("SIG{name}");
    if signals::number(&prefixed).is_some() { prefixed } else { name }
}

fn number(name: &str) -> Result<i64, String> {
    let known = |name: String| signals::number(&name).map(|_| name);
    signals::number(&with_prefix(name.to_owned())).ok_or_else(|| {
        let upper = name.to_uppercase();
        let nearest = known(with_prefix(upper)).or_else(|| {
            suggest::nearest(name, signals::names()).map(|nearest| nearest.to_string())
        });
        format!("unknown signal {}{}", text::quote(name), suggest::hint(&nearest))
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
        assert_eq!(read("exit_code = 'HUP'"), Ok(Some(129)));
        assert_eq!(read("exit_code = 'RTMIN+3'"), Ok(Some(165)));
    }

    #[test]
    fn a_signal_gets_the_prefix_of_its_name() {
        #[derive(Deserialize)]
        struct Stop {
            #[serde(deserialize_with = "signal")]
            signal: Option<String>,
        }
        let read = |name: &str| toml::from_str::<Stop>(&format!("signal = '{name}'"));
        for (name, full) in [("SIGHUP", "SIGHUP"), ("TERM", "SIGTERM"), ("IO", "SIGIO")] {
            assert_eq!(read(name).unwrap().signal.as_deref(), Some(full));
        }
        assert!(read("SIGSIGTERM").is_err() && read("").is_err());
    }

    #[test]
    fn an_unknown_signal_is_an_error_that_names_the_nearest() {
        let error = read("exit_code = 'SIGTREM'").unwrap_err();
        assert_eq!(error, "unknown signal \"SIGTREM\"; did you mean \"SIGTERM\"?");
        for name in ["sigterm", "term", "Term"] {
            let error = read(&format!("exit_code = '{name}'")).unwrap_err();
            let expected = format!("unknown signal \"{name}\"; did you mean \"SIGTERM\"?");
            assert_eq!(error, expected);
        }
        let error = read("exit_code = true").unwrap_err();
        assert_eq!(error, "invalid exit code; write a number, or a signal such as \"SIGTERM\"");
    }
}
