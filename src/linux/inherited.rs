//! Keeps from steps and background processes what this process inherited from the one that started
//! it.

// The standard library and rustix have no `close_range`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The first descriptor behind standard input, output and error.
const FIRST: RawFd = 3;
/// The end of the descriptors that are closed one by one, if `close_range` is forbidden.
const END: RawFd = 4096;
/// `CLOSE_RANGE_CLOEXEC` of `linux/close_range.h`.
const CLOSE_ON_EXEC: libc::c_uint = 1 << 2;

/// Starts `command` without the files that were open when this process began. Those that this
/// process opened are closed anyway.
pub(crate) fn close_files(command: &mut Command) {
    // SAFETY: the closure only makes system calls, and allocates nothing.
    unsafe { command.pre_exec(close_at_exec) };
}

/// Marks all descriptors but the standard ones, so that they are closed when a program starts.
fn close_at_exec() -> io::Result<()> {
    // SAFETY: the arguments are numbers, and descriptors stay open until then.
    let result = unsafe {
        libc::syscall(libc::SYS_close_range, FIRST as libc::c_uint, u32::MAX, CLOSE_ON_EXEC)
    };
    if result == 0 {
        return Ok(());
    }
    for descriptor in FIRST..END {
        // SAFETY: as above; for a descriptor that is not open, this is an error without effect.
        unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(())
}
