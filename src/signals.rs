//! The signals of Linux: names and numbers.

/// Signals of Linux with their numbers on x86 and ARM (signal(7)), other names of the same signal
/// after the usual one. Real-time signals have no fixed names.
const SIGNALS: [(&str, i64); 34] = [
    ("SIGHUP", 1),
    ("SIGINT", 2),
    ("SIGQUIT", 3),
    ("SIGILL", 4),
    ("SIGTRAP", 5),
    ("SIGABRT", 6),
    ("SIGIOT", 6),
    ("SIGBUS", 7),
    ("SIGFPE", 8),
    ("SIGKILL", 9),
    ("SIGUSR1", 10),
    ("SIGSEGV", 11),
    ("SIGUSR2", 12),
    ("SIGPIPE", 13),
    ("SIGALRM", 14),
    ("SIGTERM", 15),
    ("SIGSTKFLT", 16),
    ("SIGCHLD", 17),
    ("SIGCLD", 17),
    ("SIGCONT", 18),
    ("SIGSTOP", 19),
    ("SIGTSTP", 20),
    ("SIGTTIN", 21),
    ("SIGTTOU", 22),
    ("SIGURG", 23),
    ("SIGXCPU", 24),
    ("SIGXFSZ", 25),
    ("SIGVTALRM", 26),
    ("SIGPROF", 27),
    ("SIGWINCH", 28),
    ("SIGIO", 29),
    ("SIGPOLL", 29),
    ("SIGPWR", 30),
    ("SIGSYS", 31),
];
/// The highest number of a signal.
pub(crate) const MAX: i64 = 64;

/// Returns the names of all signals.
#[cfg(feature = "vm")]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    SIGNALS.iter().map(|(name, _)| *name)
}

/// Returns the number of the signal called `name`, such as `SIGTERM`.
pub(crate) fn number(name: &str) -> Option<i64> {
    SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

/// Formats a signal with its name, if it has one: `signal 11, SIGSEGV`.
pub(crate) fn describe(number: i64) -> String {
    match name(number) {
        Some(name) => format!("signal {number}, {name}"),
        None => format!("signal {number}"),
    }
}

/// Returns the signal of an exit code, which is 128 plus its number, as in shells.
#[cfg(feature = "vm")]
pub(crate) fn of_exit_code(code: i64) -> Option<i64> {
    Some(code - 128).filter(|signal| (1..=MAX).contains(signal))
}

/// Formats an expected exit code: `SIGTERM (143)` if it stands for a signal with a name.
#[cfg(feature = "vm")]
pub(crate) fn describe_exit_code(code: i64) -> String {
    match of_exit_code(code).and_then(name) {
        Some(name) => format!("{name} ({code})"),
        None => code.to_string(),
    }
}

fn name(number: i64) -> Option<&'static str> {
    SIGNALS.iter().find(|(_, known)| *known == number).map(|(name, _)| *name)
}

#[cfg(all(test, feature = "vm"))]
mod tests {
    use super::*;

    #[test]
    fn signals_are_shown_with_name_and_number() {
        // `kill -l` in bash: 11) SIGSEGV, 29) SIGIO; 34) is the first real-time signal.
        assert_eq!(describe(11), "signal 11, SIGSEGV");
        assert_eq!(describe(29), "signal 29, SIGIO");
        assert_eq!(describe(34), "signal 34");
        let codes = [0, 1, 128, 129, 143, 162, 192, 193, 255, -1].map(describe_exit_code);
        let expected =
            ["0", "1", "128", "SIGHUP (129)", "SIGTERM (143)", "162", "192", "193", "255", "-1"];
        assert_eq!(codes, expected);
    }
}
