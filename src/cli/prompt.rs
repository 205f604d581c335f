//! Questions on the terminal.

use std::io::{self, Read, StdinLock, Write};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

use super::exit::ExitWith;
use super::streams::stderr;

/// The most bytes of an answer.
const ANSWER_MAX: usize = 64 << 10;
/// The exit code of programs that Ctrl-C ends.
const INTERRUPTED: ExitWith = ExitWith(130);
/// The bytes of keys: Ctrl-C, Ctrl-D, backspace in two forms, and Ctrl-U.
const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;
const BACKSPACE: [u8; 2] = [8, 127];
const CTRL_U: u8 = 21;

/// Asks for a line, which the terminal shows.
pub(super) fn line(question: &str) -> anyhow::Result<String> {
    ask(question)?;
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    while let Some(byte) = next(&mut input)? {
        if byte == b'\n' || line.len() == ANSWER_MAX {
            break;
        }
        line.push(byte);
    }
    Ok(String::from_utf8_lossy(&line).trim().to_owned())
}

/// Asks for a text that the terminal does not show.
pub(super) fn password(question: &str) -> anyhow::Result<String> {
    let hidden = HiddenInput::begin()?;
    ask(question)?;
    let answer = read_hidden();
    drop(hidden);
    writeln!(stderr())?;
    answer
}

/// Reads bytes until the end of a line. Keys that would end or edit the line are handled here.
fn read_hidden() -> anyhow::Result<String> {
    let mut input = io::stdin().lock();
    let mut answer = Vec::new();
    while let Some(byte) = next(&mut input)? {
        match byte {
            b'\n' | b'\r' => break,
            CTRL_C => return Err(INTERRUPTED.into()),
            CTRL_D if answer.is_empty() => break,
            CTRL_U => answer.clear(),
            byte if BACKSPACE.contains(&byte) => {
                // A character may have several bytes.
                while answer.pop().is_some_and(|last: u8| last & 0xc0 == 0x80) {}
            }
            byte if answer.len() < ANSWER_MAX => answer.push(byte),
            _ => break,
        }
    }
    Ok(String::from_utf8(answer)?)
}

fn ask(question: &str) -> io::Result<()> {
    let mut output = stderr();
    write!(output, "{question}")?;
    output.flush()
}

fn next(input: &mut StdinLock<'_>) -> io::Result<Option<u8>> {
    let mut byte = [0];
    Ok((input.read(&mut byte)? == 1).then_some(byte[0]))
}

/// Standard input as a terminal that shows nothing and passes Ctrl-C on, so that it never stays
/// like that. Dropping this restores the terminal.
struct HiddenInput {
    before: Termios,
}

impl HiddenInput {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self { before })
    }
}

impl Drop for HiddenInput {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
