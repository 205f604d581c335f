//! System calls about the users and groups of a process.

use rustix::io::Errno;

use super::calls::State;
use super::credentials::{Credentials, Ids};
use super::notifications::{Answer, Call};
use super::process::Process;

/// The most groups of a process, as in Linux.
const GROUPS_MAX: usize = 65536;

impl State {
    /// The answer to a call about users and groups; all others are the kernel's.
    pub(super) fn identity(&mut self, call: &Call, process: &Process) -> Result<Answer, Errno> {
        let [a, b, c, ..] = call.arguments;
        let [x, y, z] = [a, b, c].map(|id| id as u32);
        let mut own = self.credentials.get(call.pid)?;
        let is_root = own.is_root();
        let Credentials { users, groups, other_groups } = &mut own;
        let mut value = 0;
        match call.number {
            libc::SYS_getuid => return id(users.real),
            libc::SYS_geteuid => return id(users.effective),
            libc::SYS_getgid => return id(groups.real),
            libc::SYS_getegid => return id(groups.effective),
            libc::SYS_getresuid => return write_ids(process, users, [a, b, c]),
            libc::SYS_getresgid => return write_ids(process, groups, [a, b, c]),
            libc::SYS_getgroups => return write_groups(process, other_groups, x as usize, b),
            libc::SYS_setuid => users.set(x, is_root)?,
            libc::SYS_setgid => groups.set(x, is_root)?,
            libc::SYS_setreuid => users.set_two(x, y, is_root)?,
            libc::SYS_setregid => groups.set_two(x, y, is_root)?,
            libc::SYS_setresuid => users.set_three([x, y, z], is_root)?,
            libc::SYS_setresgid => groups.set_three([x, y, z], is_root)?,
            libc::SYS_setfsuid => value = users.set_file(x, is_root),
            libc::SYS_setfsgid => value = groups.set_file(x, is_root),
            libc::SYS_setgroups if !is_root => return Err(Errno::PERM),
            libc::SYS_setgroups => *other_groups = read_groups(process, x as usize, b)?.into(),
            _ => return Ok(Answer::Continue),
        }
        self.credentials.set(call.pid, own)?;
        Ok(Answer::Value(value.into()))
    }
}

fn id(id: u32) -> Result<Answer, Errno> {
    Ok(Answer::Value(id.into()))
}

fn write_ids(process: &Process, ids: &Ids, addresses: [u64; 3]) -> Result<Answer, Errno> {
    for (id, address) in [ids.real, ids.effective, ids.saved].into_iter().zip(addresses) {
        process.write(address, &id.to_ne_bytes())?;
    }
    Ok(Answer::Value(0))
}

fn write_groups(
    process: &Process,
    groups: &[u32],
    size: usize,
    address: u64,
) -> Result<Answer, Errno> {
    if size != 0 {
        if size < groups.len() {
            return Err(Errno::INVAL);
        }
        let bytes: Vec<u8> = groups.iter().flat_map(|group| group.to_ne_bytes()).collect();
        process.write(address, &bytes)?;
    }
    Ok(Answer::Value(groups.len() as i64))
}

fn read_groups(process: &Process, count: usize, address: u64) -> Result<Vec<u32>, Errno> {
    if count > GROUPS_MAX {
        return Err(Errno::INVAL);
    }
    let bytes = process.read(address, 4 * count)?;
    let (groups, rest) = bytes.as_chunks();
    match groups.len() == count && rest.is_empty() {
        true => Ok(groups.iter().map(|group| u32::from_ne_bytes(*group)).collect()),
        false => Err(Errno::FAULT),
    }
}
