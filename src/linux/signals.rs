//! The signals of Linux: names and numbers.

/// Signals of Linux with their numbers on x86 and ARM (signal(7)), other names of the same signal
/// after the usual one, and without real-time signals.
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

/// The numbers of `SIGRTMIN` and `SIGRTMAX` in the GNU C library, which engines use as well.
const REAL_TIME: (i64, i64) = (34, MAX);
/// The highest real-time signal that is named after `SIGRTMIN`; higher ones are named after
/// `SIGRTMAX`.
const NAMED_AFTER_MIN: i64 = 49;

/// Returns the names of all signals but real-time ones.
#[cfg(feature = "vm")]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    SIGNALS.iter().map(|(name, _)| *name)
}

/// Returns the number of the signal called `name`, such as `SIGTERM` or `SIGRTMIN+3`.
pub(crate) fn number(name: &str) -> Option<i64> {
    let known = SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    let (min, max) = REAL_TIME;
    known.or_else(|| (min..=max).find(|number| real_time_name(*number) == name))
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

fn name(number: i64) -> Option<String> {
    let (min, max) = REAL_TIME;
    if (min..=max).contains(&number) {
        return Some(real_time_name(number));
    }
    SIGNALS.iter().find(|(_, known)| *known == number).map(|(name, _)| (*name).to_owned())
}

/// The name of a real-time signal: `SIGRTMIN`, `SIGRTMIN+1` to `SIGRTMIN+15`, `SIGRTMAX-14` to
/// `SIGRTMAX-1`, or `SIGRTMAX`.
fn real_time_name(number: i64) -> String {
    let (min, max) = REAL_TIME;
    match number {
        _ if number == min => "SIGRTMIN".to_owned(),
        _ if number == max => "SIGRTMAX".to_owned(),
        ..=NAMED_AFTER_MIN => format!("SIGRTMIN+{}", number - min),
        _ => format!("SIGRTMAX-{}", max - number),
    }
}

#[cfg(all(test, feature = "vm"))]
mod tests {
    use super::*;

    #[test]
    fn signals_are_shown_with_name_and_number() {
        // `kill -l` in bash: 11) SIGSEGV, 29) SIGIO, 34) SIGRTMIN, 64) SIGRTMAX.
        assert_eq!(describe(11), "signal 11, SIGSEGV");
        assert_eq!(describe(29), "signal 29, SIGIO");
        assert_eq!(describe(34), "signal 34, SIGRTMIN");
        // The two real-time signals that the GNU C library keeps for itself.
        assert_eq!(describe(33), "signal 33");
        let codes = [0, 1, 128, 129, 143, 161, 162, 193, 255, -1].map(describe_exit_code);
        let expected = [
            "0",
            "1",
            "128",
            "SIGHUP (129)",
            "SIGTERM (143)",
            "161",
            "SIGRTMIN (162)",
            "193",
            "255",
            "-1",
        ];
        assert_eq!(codes, expected);
    }

    #[test]
    fn real_time_signals_have_the_names_that_bash_and_docker_give_them() {
        // `kill -l` in bash; moby/sys/signal, `SignalMap`, has the same.
        for (name, expected) in [
            ("SIGRTMIN", Some(34)),
            ("SIGRTMIN+1", Some(35)),
            ("SIGRTMIN+3", Some(37)),
            ("SIGRTMIN+15", Some(49)),
            ("SIGRTMAX-14", Some(50)),
            ("SIGRTMAX-1", Some(63)),
            ("SIGRTMAX", Some(64)),
            ("SIGRTMIN+0", None),
            ("SIGRTMIN+16", None),
            ("SIGRTMIN+03", None),
            ("SIGRTMAX-15", None),
            ("RTMIN", None),
        ] {
            assert_eq!(number(name), expected, "{name}");
            if let Some(number) = expected {
                assert_eq!(describe(number), format!("signal {number}, {name}"));
            }
        }
    }
}
