//! System calls about owners, users and groups.

use std::os::fd::AsFd;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::create::{self, NewFile};
use super::credentials::AllCredentials;
use super::files::{Files, touch_owner};
use super::filter::{FCHMODAT2, MISSING_CALLS};
use super::linux;
use super::notifications::{Answer, Call};
use super::owner::{ATTRIBUTE, Owner};
use super::process::{Process, Target};

/// The argument of `chown` for an ID that stays.
const UNCHANGED: u32 = u32::MAX;

/// The size of the flags of `openat2`.
const OPEN_HOW_SIZE: usize = 24;

/// Everything that answers depend on.
pub(super) struct State {
    pub(super) files: Files,
    pub(super) credentials: AllCredentials,
}

impl State {
    /// The answer to `call` of `process`.
    pub(super) fn answer(&mut self, call: &Call, process: &Process) -> Result<Answer, Errno> {
        let [a, b, c, d, e, _] = call.arguments;
        match call.number {
            libc::SYS_fchown => self.chown(call, process, Target::open(a), [b, c]),
            libc::SYS_fchownat => self.chown(call, process, Target::at(a, b, e), [c, d]),
            libc::SYS_fstat => self.stat(process, Target::open(a), b, None),
            libc::SYS_newfstatat => self.stat(process, Target::at(a, b, d), c, None),
            libc::SYS_statx => self.stat(process, Target::at(a, b, c), e, Some(d as u32)),
            libc::SYS_setxattr
            | libc::SYS_lsetxattr
            | libc::SYS_fsetxattr
            | libc::SYS_removexattr
            | libc::SYS_lremovexattr
            | libc::SYS_fremovexattr => {
                // Copying a file with its attributes does not change the owner of the copy.
                match process.text(b)? == ATTRIBUTE {
                    true => Ok(Answer::Value(0)),
                    false => Ok(Answer::Continue),
                }
            }
            libc::SYS_openat => self.open(call, process, (a, b), [c, d]),
            libc::SYS_openat2 => self.open_as(call, process, (a, b), [c, d]),
            libc::SYS_mkdirat => self.create(call, process, (a, b), NewFile::Folder(mode(c))),
            libc::SYS_mknodat => self.make_node(call, process, (a, b), c),
            libc::SYS_symlinkat => {
                let target = process.text(a)?;
                self.create(call, process, (b, c), NewFile::Symlink { target })
            }
            libc::SYS_linkat => {
                let target =
                    Target { follow: has(e, libc::AT_SYMLINK_FOLLOW), ..Target::at(a, b, e) };
                self.keep(process, &[target])
            }
            libc::SYS_renameat => self.keep(process, &[link(a, b)]),
            libc::SYS_renameat2 => self.keep(process, &[link(a, b), link(c, d)]),
            libc::SYS_fchmod => self.keep(process, &[Target::open(a)]),
            libc::SYS_fchmodat => self.keep(process, &[Target::at(a, b, 0)]),
            FCHMODAT2 => self.keep(process, &[Target::at(a, b, d)]),
            // Without a path, it is about the descriptor.
            libc::SYS_utimensat if b == 0 => self.keep(process, &[Target::open(a)]),
            libc::SYS_utimensat => self.keep(process, &[Target::at(a, b, d)]),
            number if MISSING_CALLS.contains(&number) => Err(Errno::NOSYS),
            _ => match self.older(call, process)? {
                Some(answer) => Ok(answer),
                None => self.identity(call, process),
            },
        }
    }

    /// System calls of older architectures.
    #[cfg(target_arch = "x86_64")]
    fn older(&mut self, call: &Call, process: &Process) -> Result<Option<Answer>, Errno> {
        let [a, b, c, ..] = call.arguments;
        let here = libc::AT_FDCWD as u64;
        let answer = match call.number {
            libc::SYS_chown => self.chown(call, process, Target::path(a, true), [b, c]),
            libc::SYS_lchown => self.chown(call, process, Target::path(a, false), [b, c]),
            libc::SYS_stat => self.stat(process, Target::path(a, true), b, None),
            libc::SYS_lstat => self.stat(process, Target::path(a, false), b, None),
            libc::SYS_open => self.open(call, process, (here, a), [b, c]),
            libc::SYS_creat => {
                let flags = libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC;
                self.open(call, process, (here, a), [flags as u64, b])
            }
            libc::SYS_mkdir => self.create(call, process, (here, a), NewFile::Folder(mode(b))),
            libc::SYS_mknod => self.make_node(call, process, (here, a), b),
            libc::SYS_symlink => {
                let target = process.text(a)?;
                self.create(call, process, (here, b), NewFile::Symlink { target })
            }
            libc::SYS_link | libc::SYS_rename => self.keep(process, &[link(here, a)]),
            libc::SYS_chmod | libc::SYS_utime | libc::SYS_utimes => {
                self.keep(process, &[Target::path(a, true)])
            }
            libc::SYS_futimesat if b == 0 => self.keep(process, &[Target::open(a)]),
            libc::SYS_futimesat => self.keep(process, &[Target::at(a, b, 0)]),
            _ => return Ok(None),
        };
        answer.map(Some)
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn older(&mut self, _: &Call, _: &Process) -> Result<Option<Answer>, Errno> {
        Ok(None)
    }

    fn chown(
        &mut self,
        call: &Call,
        process: &Process,
        target: Target,
        ids: [u64; 2],
    ) -> Result<Answer, Errno> {
        let [uid, gid] = ids.map(|id| id as u32);
        let (has_uid, has_gid) = (uid != UNCHANGED, gid != UNCHANGED);
        let file = match process.file(target) {
            // It may be there for the process only, as in its folder below /proc.
            Err(Errno::NOENT) => return Ok(Answer::Continue),
            file => file?,
        };
        let file = match self.files.describe(file)? {
            Ok(file) => file,
            Err(file) => {
                touch_owner(&file, has_uid, has_gid)?;
                return Ok(Answer::Value(0));
            }
        };
        let owner = self.files.owner(&file)?;
        let new = Owner {
            uid: if has_uid { uid } else { owner.uid },
            gid: if has_gid { gid } else { owner.gid },
        };
        if !self.credentials.get(call.pid)?.may_change(owner, new) {
            return Err(Errno::PERM);
        }
        file.touch_owner(has_uid, has_gid)?;
        if new != owner {
            self.files.record(&file, new)?;
        }
        Ok(Answer::Value(0))
    }

    /// Answers `stat`, or `statx` with the fields of `mask`, if the owner is not root. All others,
    /// and errors, are the kernel's.
    fn stat(
        &mut self,
        process: &Process,
        target: Target,
        buffer: u64,
        mask: Option<u32>,
    ) -> Result<Answer, Errno> {
        let Ok(file) = process.file(target) else { return Ok(Answer::Continue) };
        let Ok(Ok(file)) = self.files.describe(file) else { return Ok(Answer::Continue) };
        let owner = self.files.owner(&file)?;
        if owner == Owner::ROOT {
            return Ok(Answer::Continue);
        }
        let bytes = match mask {
            Some(mask) => linux::statx(file.file.as_fd(), mask, owner)?,
            None => linux::stat(file.file.as_fd(), owner)?,
        };
        process.write(buffer, &bytes)?;
        Ok(Answer::Value(0))
    }

    fn open(
        &mut self,
        call: &Call,
        process: &Process,
        path: (u64, u64),
        [flags, bits]: [u64; 2],
    ) -> Result<Answer, Errno> {
        let flags = OFlags::from_bits_retain(flags as u32);
        self.create(call, process, path, NewFile::File { flags, mode: mode(bits), resolve: None })
    }

    /// `openat2`, whose flags are in memory, with the address and size of these.
    fn open_as(
        &mut self,
        call: &Call,
        process: &Process,
        path: (u64, u64),
        [how, size]: [u64; 2],
    ) -> Result<Answer, Errno> {
        if size != OPEN_HOW_SIZE as u64 {
            return Ok(Answer::Continue);
        }
        let bytes = process.read(how, OPEN_HOW_SIZE)?;
        let (&[flags, bits, resolve], _) = bytes.as_chunks() else {
            return Err(Errno::FAULT);
        };
        let [flags, bits, resolve] = [flags, bits, resolve].map(u64::from_ne_bytes);
        let resolve = ResolveFlags::from_bits_retain(resolve);
        let (Ok(flags), Ok(bits)) = (u32::try_from(flags), u32::try_from(bits)) else {
            return Ok(Answer::Continue);
        };
        // Linux creates nothing if it may only look at its cache.
        if resolve.contains(ResolveFlags::CACHED) {
            return Ok(Answer::Continue);
        }
        let (flags, mode) = (OFlags::from_bits_retain(flags), Mode::from_bits_retain(bits));
        self.create(call, process, path, NewFile::File { flags, mode, resolve: Some(resolve) })
    }

    fn make_node(
        &mut self,
        call: &Call,
        process: &Process,
        path: (u64, u64),
        mode: u64,
    ) -> Result<Answer, Errno> {
        match FileType::from_raw_mode(mode as u32) {
            // The kernel refuses devices.
            FileType::CharacterDevice | FileType::BlockDevice => Ok(Answer::Continue),
            _ => self.create(call, process, path, NewFile::Node(mode as u32)),
        }
    }

    fn create(
        &mut self,
        call: &Call,
        process: &Process,
        (descriptor, path): (u64, u64),
        new: NewFile,
    ) -> Result<Answer, Errno> {
        if let NewFile::File { flags, .. } = new
            && !flags.intersects(OFlags::CREATE | OFlags::TMPFILE.difference(OFlags::DIRECTORY))
        {
            return Ok(Answer::Continue);
        }
        let credentials = self.credentials.get(call.pid)?;
        let path = process.text(path)?;
        create::create(&mut self.files, process, &credentials, (descriptor, path), &new)
    }

    /// Records the owners of symlinks and the like that a call copies.
    fn keep(&mut self, process: &Process, targets: &[Target]) -> Result<Answer, Errno> {
        for target in targets {
            let Ok(file) = process.file(*target) else { continue };
            if let Ok(file) = self.files.describe(file)? {
                self.files.keep(&file)?;
            }
        }
        Ok(Answer::Continue)
    }
}

/// A file that is a symlink, or not.
fn link(descriptor: u64, path: u64) -> Target {
    Target::at(descriptor, path, libc::AT_SYMLINK_NOFOLLOW as u64)
}

fn has(flags: u64, flag: i32) -> bool {
    flags as i32 & flag != 0
}

fn mode(bits: u64) -> Mode {
    Mode::from_bits_truncate(bits as u32)
}
