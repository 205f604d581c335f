//! Tests in a running container, except for requests.

use super::document::{Command, Port, Process};
use super::matchers::{Number, matcher, number, stream};
use super::retry_delay::retry_delay;
use crate::check::expectations::{
    self, ExecExpectations, GossExpectations, GossTest, Protocol, Retries, SocketExpectations,
    SocketSubject, Timeout,
};
use crate::text;

/// The default timeout of commands in milliseconds.
const COMMAND_TIMEOUT: u64 = 10_000;

pub(super) fn command(id: &str, command: Command) -> Result<GossTest, String> {
    let name = format!("command {id}");
    if command.skip {
        return Ok(GossTest::skipped(name));
    }
    let line = command.exec.unwrap_or_else(|| id.to_owned());
    let place = |key: &str| format!("{name}: {key}");
    let (exit_code, exit_code_rules) = match number(&place("exit-status"), &command.exit_status)? {
        Number::Equal(code) => (Some(code), None),
        Number::Matching(rules) => (None, Some(rules)),
    };
    let delay = retry_delay(command.retry_delay.as_ref())
        .ok_or_else(|| format!("{}: invalid retry_delay", text::escape(&name)))?;
    let count = u32::try_from(command.retry_count.max(0)).unwrap_or(u32::MAX);
    let milliseconds = command.timeout.filter(|timeout| *timeout > 0).unwrap_or(COMMAND_TIMEOUT);
    let expected = ExecExpectations {
        exit_code,
        exit_code_rules,
        retries: Retries { count, delay },
        stdout: stream(&place("stdout"), command.stdout)?,
        stderr: stream(&place("stderr"), command.stderr)?,
        timeout: Some(Timeout::from_millis(milliseconds)),
        ..ExecExpectations::new(["sh", "-c", &line])
    };
    Ok(GossTest { expected: Some(GossExpectations::Exec(expected.into())), name })
}

pub(super) fn port(id: &str, port: Port) -> Result<GossTest, String> {
    let id = port.port.unwrap_or_else(|| id.to_owned());
    if port.skip {
        return Ok(GossTest::skipped(format!("port {id}")));
    }
    let (table, number) = id.split_once(':').unwrap_or(("tcp", &id));
    let (protocol, ipv6) = table.strip_suffix('6').map_or((table, false), |it| (it, true));
    let (protocol, number) = (Protocol::named(protocol), number.parse::<u16>().ok());
    let (protocol, number) = protocol.zip(number).ok_or_else(|| {
        format!("invalid port {}; expected a number, or such as tcp6:80", text::quote(&id))
    })?;
    let name = format!("port {table}:{number}");
    let addresses = port.ip.map(|ip| matcher(&format!("{name}: ip"), &ip, false)).transpose()?;
    let expected = SocketExpectations {
        subject: SocketSubject::Port { port: expectations::Port { number, protocol }, ipv6 },
        expected: matcher(&format!("{name}: listening"), &port.listening, false)?,
        addresses,
    };
    Ok(GossTest { expected: Some(GossExpectations::Socket(expected)), name })
}

pub(super) fn process(id: &str, process: Process) -> Result<GossTest, String> {
    let comm = process.comm.unwrap_or_else(|| id.to_owned());
    let name = format!("process {comm}");
    if process.skip {
        return Ok(GossTest::skipped(name));
    }
    let expected = SocketExpectations {
        expected: matcher(&format!("{name}: running"), &process.running, false)?,
        subject: SocketSubject::Process(comm),
        addresses: None,
    };
    Ok(GossTest { expected: Some(GossExpectations::Socket(expected)), name })
}
