//! The observed behavior of a container, and the expectations that are drafted from it.

use std::fmt::Write as _;

use super::lines::{line, string};
use crate::check::expectations::{Port, Protocol};
use crate::engine::RunOutput;

/// The longest output in bytes that a draft has in full.
const OUTPUT_MAX: usize = 4096;

/// The behavior of a container with the image's own command and no settings, on an engine.
#[derive(Clone, Debug)]
pub struct Behavior {
    /// The name of the engine.
    pub engine: String,
    /// The kind of behavior.
    pub kind: Kind,
}

/// A kind of behavior.
#[derive(Clone, Debug)]
pub enum Kind {
    /// The engine refused to start it, for this reason.
    Refused(String),
    /// Its command ended by itself: in two containers, one after the other.
    Ended([RunOutput; 2]),
    /// Its command kept running.
    Served {
        /// The ports on which it listened for other hosts: first those that the image exposes, and
        /// TCP ports before UDP ports.
        ports: Vec<OpenPort>,
        /// The ports that the image exposes, and on which it did not listen.
        silent: Vec<Port>,
        /// How it ended when it was asked to stop.
        stop: Stop,
    },
}

/// A port on which a container listened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenPort {
    /// The port.
    pub port: Port,
    /// The status of the answer to `GET /`, if there was one in HTTP.
    pub status: Option<u16>,
    /// Whether that answer came over TLS: without it, there is none, or status 400.
    pub tls: bool,
}

/// How a container ended after its stop signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// With this exit code.
    Ended(i64),
    /// It was killed, because it did not end within this number of seconds.
    Killed(u64),
}

impl Behavior {
    /// Appends the expectations to `draft`. `shell` says whether the command is a shell without
    /// arguments.
    pub(super) fn draft(&self, shell: bool, draft: &mut String) {
        let engine = &self.engine;
        match &self.kind {
            Kind::Refused(problem) => {
                let _ = write!(
                    draft,
                    "\n# On {engine}, a container did not start:\n# {}\n",
                    problem.replace('\n', "\n# ")
                );
            }
            Kind::Ended([first, second]) => {
                let _ = write!(draft, "\n# What the image's command did on {engine}.\n");
                draft.push_str(guess_of_end(first, shell));
                draft_end(first, second, draft);
            }
            Kind::Served { ports, silent, stop } => {
                draft_service(engine, (ports, silent), stop, draft);
            }
        }
    }
}

/// Comments on an end that may not be what the image is for.
fn guess_of_end(output: &RunOutput, shell: bool) -> &'static str {
    match output.code {
        0 if shell => {
            "# It is a shell, which ends at once without input. Guess: users give other commands;\n\
             # add one to container: shell = \"...\".\n"
        }
        0 => "",
        _ => {
            "# It failed. Guess: it needs settings. If so, add them to container, such as\n\
             # env = { NAME = \"value\" }, and change what follows.\n"
        }
    }
}

fn draft_end(first: &RunOutput, second: &RunOutput, draft: &mut String) {
    draft.push_str("[[run]]\nname = \"image's command\"\n");
    draft.push_str("# As it was observed. Without a network, commands start sooner.\n");
    draft.push_str("container = { network = true }\n");
    match first.code == second.code {
        true => line(draft, "exit_code", toml::Value::Integer(first.code)),
        false => {
            let _ = writeln!(
                draft,
                "# The exit code differs each time: {} and {}.\nexit_code = {}",
                first.code, second.code, first.code
            );
        }
    }
    draft_output("stdout", &first.stdout, &second.stdout, draft);
    draft_output("stderr", &first.stderr, &second.stderr, draft);
}

/// Output that is the same in both runs is expected in full if it is short, otherwise the first
/// line that both have.
fn draft_output(key: &str, first: &str, second: &str, draft: &mut String) {
    if first == second && first.len() <= OUTPUT_MAX {
        return line(draft, key, string(first));
    }
    let reason = if first == second { "is long" } else { "differs each time" };
    let common = first
        .lines()
        .find(|line| !line.trim().is_empty() && second.lines().any(|other| other == *line));
    match common {
        Some(text) => {
            let _ = writeln!(draft, "# The output {reason}; this line is always in it.");
            let text = text.get(..OUTPUT_MAX).unwrap_or(text);
            line(
                draft,
                key,
                toml::Value::Table([("contains".to_owned(), string(text))].into_iter().collect()),
            );
        }
        None => {
            let _ = writeln!(draft, "# {key} {reason}, and is not checked.");
        }
    }
}

fn draft_service(
    engine: &str,
    (ports, silent): (&[OpenPort], &[Port]),
    stop: &Stop,
    draft: &mut String,
) {
    let _ = write!(draft, "\n# What the image's command did on {engine}.\n[[service]]\n");
    draft.push_str("name = \"image's command\"\n");
    draft.push_str(&ready(ports));
    for OpenPort { port, .. } in ports.iter().skip(1) {
        let _ = writeln!(draft, "# It also listens on port {port}.");
    }
    for port in silent {
        let _ = writeln!(draft, "# It does not listen on port {port}, which the image exposes.");
    }
    draft.push_str(&requests(ports));
    draft.push_str(&stop_of(stop));
}

fn ready(ports: &[OpenPort]) -> String {
    let Some(OpenPort { port, .. }) = ports.first() else {
        return "# It listens on no port. Guess: it is ready at once.\nready = {}\n".to_owned();
    };
    let port = match port.protocol {
        Protocol::Tcp => toml::Value::Integer(port.number.into()),
        Protocol::Udp => string(&port.to_string()),
    };
    format!("ready = {{ port = {port} }}\n")
}

fn requests(ports: &[OpenPort]) -> String {
    let answers = ports.iter().filter_map(|OpenPort { port, status, tls }| {
        let (number, status) = (port.number, (*status)?);
        let tls = if *tls { "tls = { verify = false }, " } else { "" };
        Some(format!("{{ port = {number}, {tls}path = \"/\", status = {status} }}"))
    });
    let answers: Vec<String> = answers.collect();
    match answers.is_empty() {
        true => String::new(),
        false => format!("http = [{}]\n", answers.join(", ")),
    }
}

fn stop_of(stop: &Stop) -> String {
    match stop {
        Stop::Ended(code) => format!("stop = {{ timeout = 10, exit_code = {code} }}\n"),
        Stop::Killed(seconds) => {
            format!("# It does not end within {seconds} s after its stop signal, and is killed.\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::check::Expectations;

    fn drafted(kind: Kind) -> String {
        drafted_of(kind, false)
    }

    fn drafted_of(kind: Kind, shell: bool) -> String {
        let mut draft = String::new();
        Behavior { engine: "docker-20.10".to_owned(), kind }.draft(shell, &mut draft);
        let expectations = Expectations::parse(Path::new("draft.toml"), &draft);
        assert!(expectations.is_ok(), "{expectations:?}\n{draft}");
        draft
    }

    fn output(stdout: &str) -> RunOutput {
        RunOutput { code: 3, out_of_memory: None, stdout: stdout.to_owned(), stderr: String::new() }
    }

    #[test]
    fn output_that_differs_each_time_is_expected_as_far_as_it_is_the_same() {
        let same = drafted(Kind::Ended([output("a\nb\n"), output("a\nb\n")]));
        assert!(same.contains("exit_code = 3\nstdout = \"\"\"\na\nb\n\"\"\"\n"), "{same}");
        let differs =
            drafted(Kind::Ended([output("10:01\nstarted\n"), output("10:02\nstarted\n")]));
        assert!(differs.contains("stdout = { contains = \"started\" }\n"), "{differs}");
        let nothing = drafted(Kind::Ended([output("1\n"), output("2\n")]));
        assert!(nothing.contains("# stdout differs each time, and is not checked.\n"), "{nothing}");
    }

    #[test]
    fn a_shell_and_a_command_that_fails_have_a_comment_that_says_why_that_may_not_be_meant() {
        let code = |code| RunOutput { code, ..output("") };
        let shell = drafted_of(Kind::Ended([code(0), code(0)]), true);
        assert!(shell.contains("# It is a shell, which ends at once"), "{shell}");
        let fails = drafted(Kind::Ended([code(1), code(1)]));
        assert!(fails.contains("# It failed. Guess: it needs settings."), "{fails}");
        let ends = drafted(Kind::Ended([code(0), code(0)]));
        assert!(!ends.contains("Guess"), "{ends}");
    }

    #[test]
    fn a_service_is_ready_when_it_listens_on_its_first_port_and_the_others_are_named() {
        let draft = |ports: &[Port]| {
            let ports = ports.iter().map(|port| OpenPort { port: *port, status: None, tls: false });
            let silent = vec![Port::udp(69)];
            drafted(Kind::Served { ports: ports.collect(), silent, stop: Stop::Ended(0) })
        };
        let datagrams = draft(&[Port::udp(53)]);
        assert!(datagrams.contains("\nready = { port = \"53/udp\" }\n"), "{datagrams}");
        let silent = "# It does not listen on port 69/udp, which the image exposes.\n";
        assert!(datagrams.contains(silent), "{datagrams}");
        let both = draft(&[53.into(), Port::udp(53)]);
        let expected = "\nready = { port = 53 }\n# It also listens on port 53/udp.\n";
        assert!(both.contains(expected), "{both}");
    }

    #[test]
    fn an_answer_over_tls_is_drafted_with_tls() {
        let open = |number: u16, tls| OpenPort { port: number.into(), status: Some(200), tls };
        let ports = vec![open(80, false), open(443, true)];
        let stop = Stop::Ended(0);
        let draft = drafted(Kind::Served { ports, silent: Vec::new(), stop });
        let encrypted = "{ port = 443, tls = { verify = false }, path = \"/\", status = 200 }";
        let http = format!("http = [{{ port = 80, path = \"/\", status = 200 }}, {encrypted}]\n");
        assert!(draft.contains(&http), "{draft}");
    }

    #[test]
    fn a_service_without_ports_is_expected_to_keep_running() {
        let (ports, silent) = (Vec::new(), vec![9090.into()]);
        let draft = drafted(Kind::Served { ports, silent, stop: Stop::Killed(10) });
        let exposed = "# It does not listen on port 9090, which the image exposes.\n";
        assert!(draft.contains("\nready = {}\n") && draft.contains(exposed), "{draft}");
        assert!(
            draft.contains("[[service]]\nname = \"image's command\"\n# It listens on no"),
            "{draft}"
        );
        let read = Expectations::parse("e.toml".as_ref(), &draft);
        assert!(read.is_ok(), "{draft}\n{read:?}");
        assert!(draft.contains("# It does not end within 10 s after its stop signal"), "{draft}");
    }
}
