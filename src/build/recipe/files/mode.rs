//! Modes as `chmod` accepts them: octal, or symbolic (POSIX `chmod`, "Extended Description").

use crate::text;

/// How the modes of files and directories change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModeRule {
    /// The change for everything but directories, if there is one.
    files: Option<Change>,
    /// The change for directories, if there is one.
    directories: Option<Change>,
}

/// A change of a mode.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    Octal(u32),
    Symbolic(Vec<Operation>),
}

/// An operation of a symbolic mode.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Operation {
    /// The bits of the classes of users that it applies to, special bits included.
    who: u32,
    operator: u8,
    permissions: Permissions,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Permissions {
    /// These bits, and permission to execute for directories and programs.
    Bits { bits: u32, conditional_execute: bool },
    /// The permissions of a class, given as the number of bits that they are shifted by.
    CopyOf(u32),
}

/// The bits of user, group and others.
const USER: u32 = 0o4700;
const GROUP: u32 = 0o2070;
/// As in GNU chmod, the sticky bit belongs to others.
const OTHERS: u32 = 0o1007;
const STICKY: u32 = 0o1000;
const EXECUTE: u32 = 0o111;

impl ModeRule {
    /// Parses `text`, which applies to files and directories.
    ///
    /// # Errors
    /// If it is not a mode.
    pub fn parse(text: &str) -> Result<Self, String> {
        let change = parse(text)?;
        Ok(Self { files: Some(change.clone()), directories: Some(change) })
    }

    /// Parses the modes of files and of directories; those without one stay as they are.
    ///
    /// # Errors
    /// If one of them is not a mode.
    pub fn parse_apart(files: Option<&str>, directories: Option<&str>) -> Result<Self, String> {
        Ok(Self {
            files: files.map(parse).transpose()?,
            directories: directories.map(parse).transpose()?,
        })
    }

    /// The mode of a file or directory that had `mode`.
    pub fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        let change = if is_directory { &self.directories } else { &self.files };
        match change {
            None => mode,
            Some(Change::Octal(mode)) => *mode,
            Some(Change::Symbolic(operations)) => {
                let apply = |mode, operation: &Operation| operation.apply(mode, is_directory);
                operations.iter().fold(mode, apply)
            }
        }
    }
}

impl Operation {
    fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        let bits = match self.permissions {
            Permissions::Bits { bits, conditional_execute } => {
                let executes = is_directory || mode & EXECUTE != 0;
                if conditional_execute && executes { bits | EXECUTE } else { bits }
            }
            Permissions::CopyOf(shift) => ((mode >> shift) & 0o7) * EXECUTE,
        };
        let bits = bits & self.who;
        match self.operator {
            b'+' => mode | bits,
            b'-' => mode & !bits,
            // As in GNU chmod, a directory keeps setuid and setgid unless they are named.
            _ if is_directory => (mode & !(self.who & !0o6000)) | bits,
            _ => (mode & !self.who) | bits,
        }
    }
}

fn parse(text: &str) -> Result<Change, String> {
    let invalid = || {
        format!(
            "{} is not a mode; expected one such as \"0755\" or \"u=rwX,go=rX\"",
            text::quote(text)
        )
    };
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
        return mode.map(Change::Octal).ok_or_else(invalid);
    }
    let mut operations = Vec::new();
    for clause in text.split(',') {
        clause_operations(clause.as_bytes(), &mut operations).ok_or_else(invalid)?;
    }
    Ok(Change::Symbolic(operations))
}

/// Adds the operations of one clause: `[ugoa]*` and then `[-+=][perms]`, at least once.
fn clause_operations(clause: &[u8], operations: &mut Vec<Operation>) -> Option<()> {
    let classes = clause.iter().take_while(|byte| b"ugoa".contains(byte)).count();
    let (classes, mut rest) = clause.split_at(classes);
    let class = |byte: &u8| match byte {
        b'u' => USER,
        b'g' => GROUP,
        b'o' => OTHERS,
        _ => 0o7777,
    };
    let who = match classes {
        [] => 0o7777,
        classes => classes.iter().fold(0, |who, byte| who | class(byte)),
    };
    if rest.is_empty() {
        return None;
    }
    while let Some((operator, after)) = rest.split_first() {
        if !b"+-=".contains(operator) {
            return None;
        }
        let end = after.iter().position(|byte| b"+-=".contains(byte)).unwrap_or(after.len());
        let (letters, after) = after.split_at(end);
        let permissions = permissions(letters)?;
        operations.push(Operation { who, operator: *operator, permissions });
        rest = after;
    }
    Some(())
}

fn permissions(letters: &[u8]) -> Option<Permissions> {
    match letters {
        b"u" => return Some(Permissions::CopyOf(6)),
        b"g" => return Some(Permissions::CopyOf(3)),
        b"o" => return Some(Permissions::CopyOf(0)),
        _ => {}
    }
    let (mut bits, mut conditional_execute) = (0, false);
    for letter in letters {
        bits |= match letter {
            b'r' => 0o444,
            b'w' => 0o222,
            b'x' => EXECUTE,
            b's' => 0o6000,
            b't' => STICKY,
            b'X' => {
                conditional_execute = true;
                0
            }
            _ => return None,
        };
    }
    Some(Permissions::Bits { bits, conditional_execute })
}
