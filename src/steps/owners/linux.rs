//! Fields of files and processes, in the form that system calls use.
#![allow(unsafe_code)]

use std::io;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use super::owner::Owner;

/// The size of the largest of the types that describe a file.
const STAT_MAX: usize = 256;

/// The bytes of a `struct stat` about the open file, with this owner.
pub(super) fn stat(file: BorrowedFd<'_>, owner: Owner) -> Result<Vec<u8>, Errno> {
    let mut bytes = [0_u8; STAT_MAX];
    let (fd, path, flags) = (file.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH);
    // SAFETY: the system call writes a type that is smaller than the buffer.
    let result =
        unsafe { libc::syscall(libc::SYS_newfstatat, fd, path, bytes.as_mut_ptr(), flags) };
    let offsets = [offset_of!(libc::stat, st_uid), offset_of!(libc::stat, st_gid)];
    with_owner(result, &bytes[..size_of::<libc::stat>()], offsets, owner)
}

/// The bytes of a `struct statx` with the fields of `mask` about the open file, with this owner.
pub(super) fn statx(file: BorrowedFd<'_>, mask: u32, owner: Owner) -> Result<Vec<u8>, Errno> {
    let mut bytes = [0_u8; STAT_MAX];
    let (fd, path, flags) = (file.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH);
    // SAFETY: the system call writes a type of the size of the buffer.
    let result =
        unsafe { libc::syscall(libc::SYS_statx, fd, path, flags, mask, bytes.as_mut_ptr()) };
    let offsets = [offset_of!(libc::statx, stx_uid), offset_of!(libc::statx, stx_gid)];
    with_owner(result, &bytes, offsets, owner)
}

fn with_owner(
    result: i64,
    bytes: &[u8],
    [uid, gid]: [usize; 2],
    owner: Owner,
) -> Result<Vec<u8>, Errno> {
    if result < 0 {
        return Err(last_error());
    }
    let mut bytes = bytes.to_vec();
    bytes[uid..uid + 4].copy_from_slice(&owner.uid.to_ne_bytes());
    bytes[gid..gid + 4].copy_from_slice(&owner.gid.to_ne_bytes());
    Ok(bytes)
}

/// Reads the number that the process of the thread `pid` has inherited; `None` if it has none. The
/// number is the soft limit of CPU time for real-time scheduling, which steps cannot have:
/// processes inherit it, also at `exec`, and it has no other effect. Numbers are below the hard
/// limit, which stays as it is.
pub(super) fn inherited(pid: u32) -> Result<Option<u64>, Errno> {
    let limit = limit(pid, None)?;
    Ok((limit.rlim_cur != limit.rlim_max).then_some(limit.rlim_cur))
}

/// Sets the number that children of the process inherit.
pub(super) fn set_inherited(pid: u32, number: Option<u64>) -> Result<(), Errno> {
    let rlim_max = limit(pid, None)?.rlim_max;
    let rlim_cur = match number {
        Some(number) if number >= rlim_max => return Err(Errno::NOMEM),
        number => number.unwrap_or(rlim_max),
    };
    limit(pid, Some(libc::rlimit { rlim_cur, rlim_max })).map(drop)
}

/// The limit of the process, which `new` replaces.
fn limit(pid: u32, new: Option<libc::rlimit>) -> Result<libc::rlimit, Errno> {
    let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let new = new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the call reads the new limit, if there is one, and writes the old one.
    let result = unsafe { libc::prlimit(pid as i32, libc::RLIMIT_RTTIME, new, &mut old) };
    if result == 0 { Ok(old) } else { Err(last_error()) }
}

fn last_error() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}
