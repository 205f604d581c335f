//! `seatrial vm exec -i` and `-t`.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::LocalModes;

use crate::pseudo_terminal::PseudoTerminal;
use crate::workbench::{GUEST, NamedVm, RUN_TIMEOUT, seatrial, stdout};

/// A shell script instead of Perl, which runs sessions in the guest: they never start.
const NO_START: &str = "#!/bin/sh\nexec sleep 4321\n";
/// A program of a hostile guest: it reports that the command has taken input again and again, and
/// reads none.
const NO_READER: &str = r#"#!/usr/bin/real-perl
use Socket;
socket my $listener, AF_INET, SOCK_STREAM, 0;
bind $listener, sockaddr_in(0, inet_aton('10.0.2.15'));
listen $listener, 8;
$| = 1;
my ($port) = sockaddr_in(getsockname $listener);
print "$port\n";
exit 0 if fork;
open STDIN, '<', '/dev/null';
open STDOUT, '>', '/dev/null';
open STDERR, '>', '/dev/null';
accept my $host, $listener;
syswrite $host, pack 'A1 N', 't', 0 for 1 .. 1000;
syswrite $host, pack 'A1 N/a*', 'o', "ready\n";
sleep 1000;
"#;

fn up(name: &'static str) -> NamedVm {
    let vm = NamedVm(name);
    stdout(&seatrial(&["vm", "up", GUEST, "--name", vm.0]));
    vm
}

/// Starts `vm exec -i` with pipes.
fn exec_interactively(vm: &NamedVm, command: &[&str]) -> Child {
    exec_with(vm, &[], command)
}

fn exec_with(vm: &NamedVm, options: &[&str], command: &[&str]) -> Child {
    let mut exec = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    exec.args(["vm", "exec", "-i", vm.0]).args(options).arg("--").args(command);
    exec.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Reads a line of standard output, and nothing after it is read.
fn read_line(exec: &mut Child) -> BufReader<ChildStdout> {
    let mut output = BufReader::new(exec.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    output
}

/// Waits until `exec` catches SIGTERM (proc(5), `SigCgt`).
fn wait_until_it_catches_signals(exec: &Child) {
    let caught = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", exec.id())).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
        u64::from_str_radix(mask, 16).unwrap() & 1 << (Signal::TERM.as_raw() - 1) != 0
    };
    while !caught() {
        std::thread::yield_now();
    }
}

/// Replaces Perl in the guest.
fn replace_perl(vm: &NamedVm, script: &str) {
    let replace = "[ -e /usr/bin/real-perl ] || mv /usr/bin/perl /usr/bin/real-perl\n\
                   printf %s \"$1\" > /usr/bin/perl; chmod 755 /usr/bin/perl";
    stdout(&seatrial(&["vm", "exec", vm.0, "--", "sh", "-ec", replace, "sh", script]));
}

/// Waits until the guest has no process whose command line matches `pattern`.
fn wait_until_gone(vm: &NamedVm, pattern: &str) {
    let script = format!("while pgrep -f '{pattern}'; do :; done");
    let limit = RUN_TIMEOUT.as_secs().to_string();
    stdout(&seatrial(&["vm", "exec", vm.0, "--timeout", &limit, "--", "sh", "-c", &script]));
}

#[test]
fn a_shell_on_a_terminal_has_its_size_gets_ctrl_c_and_passes_its_exit_code_on() {
    let vm = up("shell-of-a-test");
    let arguments = ["vm", "exec", "-it", vm.0, "--", "sh"];
    let mut terminal = PseudoTerminal::run(&arguments, 33, 99);
    let before = terminal.settings();
    terminal.type_text("echo $((6 * 7))-$TERM\n");
    terminal.expect("42-xterm");
    assert!(!terminal.settings().local_modes.intersects(LocalModes::ECHO | LocalModes::ISIG));
    terminal.type_text("stty size\n");
    terminal.expect("33 99");
    terminal.resize(40, 120);
    terminal.type_text("until [ \"$(stty size)\" = '40 120' ]; do :; done; echo resized=$?\n");
    terminal.expect("resized=0");
    terminal.type_text("sh -c 'echo star\"\"ted; exec sleep 1000'\n");
    terminal.expect("started");
    terminal.type_text("\x03");
    // Sent when the shell reads again: Ctrl-C discards what was typed before.
    terminal.expect("# ");
    terminal.type_text("echo code=$?\n");
    terminal.expect("code=130");
    terminal.type_text("exit 7\n");
    assert_eq!(terminal.exit_code(), 7);
    assert_eq!(format!("{:?}", terminal.settings()), format!("{before:?}"));
}

#[test]
fn the_terminal_is_restored_and_the_command_ends_when_the_program_is_killed() {
    let vm = up("killed-by-a-test");
    let script = "echo started; exec sleep 1234";
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let arguments = ["vm", "exec", "-it", vm.0, "--", "sh", "-c", script];
        let mut terminal = PseudoTerminal::run(&arguments, 24, 80);
        let before = format!("{:?}", terminal.settings());
        terminal.expect("started");
        assert_ne!(format!("{:?}", terminal.settings()), before);
        terminal.kill(signal);
        assert_eq!(terminal.exit_code(), code);
        assert_eq!(format!("{:?}", terminal.settings()), before);
        wait_until_gone(&vm, "[s]leep 1234");
    }
    // The command's own end by a signal, and a program that does not exist.
    for (command, code) in [(&["sh", "-c", "kill -USR1 $$"][..], 138), (&["no-such-program"], 127)]
    {
        let arguments = [&["vm", "exec", "-it", vm.0, "--"][..], command].concat();
        let mut terminal = PseudoTerminal::run(&arguments, 24, 80);
        assert_eq!(terminal.exit_code(), code, "{command:?}");
        assert!(terminal.settings().local_modes.contains(LocalModes::ECHO | LocalModes::ISIG));
    }
}

#[test]
fn standard_input_and_output_of_any_size_are_passed_as_they_come() {
    let vm = up("piped-by-a-test");
    let mut cat = exec_interactively(&vm, &["cat"]);
    let mut input = cat.stdin.take().unwrap();
    let mut output = BufReader::new(cat.stdout.take().unwrap());
    for line in ["one\n", "two\n"] {
        input.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        output.read_line(&mut answer).unwrap();
        assert_eq!(answer, line);
    }
    // More than `vm exec` without -i reads or captures.
    let block: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let blocks = 33;
    let written = block.clone();
    let writer = std::thread::spawn(move || {
        for _ in 0..blocks {
            input.write_all(&written).unwrap();
        }
    });
    for number in 0..blocks {
        let mut answer = vec![0; block.len()];
        output.read_exact(&mut answer).unwrap();
        assert!(answer == block, "block {number} has other bytes");
    }
    writer.join().unwrap();
    assert_eq!(output.read(&mut [0]).unwrap(), 0);
    assert_eq!(cat.wait().unwrap().code(), Some(0));
}

#[test]
fn ctrl_c_reaches_a_command_without_a_terminal_whatever_input_waits() {
    let vm = up("interrupted-by-a-test");
    let script = "trap 'exit 5' INT; echo started; while :; do sleep 0.1; done";
    let mut waiting = exec_interactively(&vm, &["sh", "-c", script]);
    let mut output = BufReader::new(waiting.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    let mut input = waiting.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(&[b'x'; 1 << 20]));
    kill_process(Pid::from_child(&waiting), Signal::INT).unwrap();
    assert_eq!(waiting.wait().unwrap().code(), Some(5));
    assert!(writer.join().unwrap().is_err(), "nobody read it");

    let arguments = ["vm", "exec", "-i", "-t", vm.0, "--", "sh"];
    let mut piped = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    let output = piped.args(arguments).stdin(Stdio::null()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("standard input is not a terminal"), "{error}");
}

#[test]
fn sessions_end_whatever_the_reader_of_the_output_and_the_guest_do() {
    let vm = up("stalled-by-a-test");
    time_limits_and_signals_end_a_session_whose_output_nobody_reads(&vm);
    sessions_end_with_the_command_or_this_process_whatever_processes_write(&vm);
    // The last one: these replace Perl.
    signals_end_a_session_that_does_not_start(&vm);
    signals_end_a_session_whose_input_nobody_reads(&vm);
}

fn time_limits_and_signals_end_a_session_whose_output_nobody_reads(vm: &NamedVm) {
    for (script, message) in [("exec yes", "still running after 2 s"), ("exec yes >&2", "y\n")] {
        let mut exec = exec_with(vm, &["--timeout", "2"], &["sh", "-c", script]);
        assert_eq!(exec.wait().unwrap().code(), Some(3), "{script}");
        let mut error = String::new();
        exec.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        assert!(error.contains(message), "{script}: {error}");
    }
    let mut exec = exec_interactively(vm, &["yes"]);
    let _output = read_line(&mut exec);
    kill_process(Pid::from_child(&exec), Signal::TERM).unwrap();
    assert_eq!(exec.wait().unwrap().code(), Some(143));
    wait_until_gone(vm, "^yes");
}

fn sessions_end_with_the_command_or_this_process_whatever_processes_write(vm: &NamedVm) {
    let mut exec = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    exec.args(["vm", "exec", "-i", vm.0, "--", "sh", "-c", "yes & exit 7"]);
    let status = exec.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(7));
    wait_until_gone(vm, "^yes");
    for script in ["yes & exit 0", "exec yes"] {
        let mut exec = exec_interactively(vm, &["sh", "-c", script]);
        let _output = read_line(&mut exec);
        kill_process(Pid::from_child(&exec), Signal::KILL).unwrap();
        exec.wait().unwrap();
        wait_until_gone(vm, "^yes");
    }
}

fn signals_end_a_session_that_does_not_start(vm: &NamedVm) {
    replace_perl(vm, NO_START);
    for (signal, code) in [(Signal::INT, 130), (Signal::QUIT, 131), (Signal::TERM, 143)] {
        let mut exec = exec_interactively(vm, &["true"]);
        wait_until_it_catches_signals(&exec);
        kill_process(Pid::from_child(&exec), signal).unwrap();
        assert_eq!(exec.wait().unwrap().code(), Some(code));
    }
}

fn signals_end_a_session_whose_input_nobody_reads(vm: &NamedVm) {
    replace_perl(vm, NO_READER);
    for (signal, code) in [(Signal::QUIT, 131), (Signal::TERM, 143)] {
        let mut exec = exec_interactively(vm, &["cat"]);
        let mut input = exec.stdin.take().unwrap();
        let writer = std::thread::spawn(move || input.write_all(&vec![0; 32 << 20]));
        let _output = read_line(&mut exec);
        kill_process(Pid::from_child(&exec), signal).unwrap();
        assert_eq!(exec.wait().unwrap().code(), Some(code));
        assert!(writer.join().unwrap().is_err(), "nobody read it");
    }
}
