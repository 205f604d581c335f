//! Notifications about system calls: how Linux sends them, and takes the answers.
//!
//! See seccomp_unotify(2).
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// A flag of Linux 6.6: the woken process runs on the same CPU, which is faster.
const SYNC_WAKE_UP: u64 = 1;

/// Receives notifications about the processes of a command.
pub(super) struct Listener(OwnedFd);

/// A system call that waits for its answer.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: u64,
    /// The thread that made it.
    pub(super) pid: u32,
    pub(super) number: i64,
    pub(super) arguments: [u64; 6],
}

/// The answer to a system call.
#[derive(Debug)]
pub(super) enum Answer {
    /// The kernel handles it.
    Continue,
    /// It returns this.
    Value(i64),
    /// It returns a new descriptor of this file, which is closed at `exec` or not.
    File { file: OwnedFd, close_on_exec: bool },
}

impl Listener {
    /// Starts `command` with a filter, and returns a listener for its notifications.
    pub(super) fn spawn(
        command: &mut Command,
        filter: Vec<libc::sock_filter>,
    ) -> io::Result<(Child, Self)> {
        let (ours, theirs) = UnixStream::pair()?;
        let install = move || {
            let listener = install(&filter)?;
            send(&theirs, listener.as_fd())
        };
        // SAFETY: the closure only makes system calls, and allocates nothing.
        unsafe { command.pre_exec(install) };
        let child = command.spawn()?;
        let listener = Self(receive(&ours)?);
        // Older versions of Linux have no flags.
        // SAFETY: the request takes its flags by value.
        unsafe {
            libc::ioctl(listener.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP);
        }
        Ok((child, listener))
    }

    /// Receives a notification; `None` if the process has ended since.
    pub(super) fn receive(&self) -> io::Result<Option<Call>> {
        // SAFETY: the type consists of integers, and Linux wants it to be zero.
        let mut received: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the request writes to the type that it is given.
        let result = unsafe {
            libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &mut received)
        };
        if result < 0 {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::ENOENT | libc::EINTR) => Ok(None),
                _ => Err(error),
            };
        }
        let data = received.data;
        Ok(Some(Call {
            id: received.id,
            pid: received.pid,
            number: data.nr.into(),
            arguments: data.args,
        }))
    }

    /// Whether the process still waits for the answer to `call`, so that its ID is not another's.
    pub(super) fn waits(&self, call: &Call) -> bool {
        // SAFETY: the request reads the ID that it is given.
        let result = unsafe {
            libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &call.id)
        };
        result == 0
    }

    /// Answers `call`. A process that has ended since needs no answer.
    pub(super) fn answer(&self, call: &Call, answer: Result<Answer, Errno>) -> io::Result<()> {
        // SAFETY: the type consists of integers.
        let mut response: libc::seccomp_notif_resp = unsafe { std::mem::zeroed() };
        response.id = call.id;
        match answer {
            Ok(Answer::Continue) => response.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
            Ok(Answer::Value(value)) => response.val = value,
            Ok(Answer::File { file, close_on_exec }) => {
                match self.add_file(call, &file, close_on_exec) {
                    Ok(descriptor) => response.val = descriptor.into(),
                    Err(error) => response.error = -error.raw_os_error().unwrap_or(libc::EIO),
                }
            }
            Err(error) => response.error = -error.raw_os_error(),
        }
        // SAFETY: the request reads the type that it is given.
        let result = unsafe {
            libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &mut response)
        };
        match (result < 0).then(io::Error::last_os_error) {
            Some(error) if error.raw_os_error() != Some(libc::ENOENT) => Err(error),
            _ => Ok(()),
        }
    }

    /// Gives the process a descriptor of `file`, and returns its number.
    fn add_file(&self, call: &Call, file: &OwnedFd, close_on_exec: bool) -> io::Result<RawFd> {
        // SAFETY: the type consists of integers.
        let mut request: libc::seccomp_notif_addfd = unsafe { std::mem::zeroed() };
        request.id = call.id;
        request.srcfd = file.as_raw_fd().unsigned_abs();
        request.newfd_flags = if close_on_exec { libc::O_CLOEXEC.unsigned_abs() } else { 0 };
        // SAFETY: the request reads the type that it is given.
        let result = unsafe {
            libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ADDFD, &mut request)
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Installs `filter` in this process, and returns the listener.
fn install(filter: &[libc::sock_filter]) -> io::Result<OwnedFd> {
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    let mut flags =
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    loop {
        let mode = libc::SECCOMP_SET_MODE_FILTER;
        // SAFETY: Linux reads the program, which points to `filter`.
        let result = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &program) };
        if result >= 0 {
            // SAFETY: the system call returned a new descriptor.
            return Ok(unsafe { OwnedFd::from_raw_fd(result as RawFd) });
        }
        // Before Linux 5.19, signals may interrupt a call that is being answered.
        if flags & libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV == 0 {
            return Err(io::Error::last_os_error());
        }
        flags &= !libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    }
}

fn send(socket: &UnixStream, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor];
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(socket, &[io::IoSlice::new(&[0])], &mut control, SendFlags::empty())?;
    Ok(())
}

fn receive(socket: &UnixStream) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut buffers = [io::IoSliceMut::new(&mut byte)];
    recvmsg(socket, &mut buffers, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let descriptor = descriptors.next().and_then(|mut descriptors| descriptors.next());
    descriptor.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
