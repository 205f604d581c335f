//! The system calls that the supervisor answers.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// System calls that always notify the supervisor.
const CALLS: &[i64] = &[
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_fremovexattr,
    libc::SYS_fsetxattr,
    libc::SYS_fstat,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getgroups,
    libc::SYS_getresgid,
    libc::SYS_getresuid,
    libc::SYS_getuid,
    libc::SYS_lremovexattr,
    libc::SYS_lsetxattr,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_newfstatat,
    libc::SYS_openat2,
    libc::SYS_removexattr,
    libc::SYS_setfsgid,
    libc::SYS_setfsuid,
    libc::SYS_setgid,
    libc::SYS_setgroups,
    libc::SYS_setregid,
    libc::SYS_setresgid,
    libc::SYS_setresuid,
    libc::SYS_setreuid,
    libc::SYS_setuid,
    libc::SYS_setxattr,
    libc::SYS_statx,
    libc::SYS_symlinkat,
];
/// `setxattrat`, `getxattrat`, `listxattrat` and `removexattrat` of Linux 6.13, which do not exist
/// for the step: programs use the older ones.
pub(super) const MISSING_CALLS: [i64; 4] = [463, 464, 465, 466];
/// `fchmodat2` of Linux 6.6.
pub(super) const FCHMODAT2: i64 = 452;
/// Further ones, which only older architectures have.
#[cfg(target_arch = "x86_64")]
const OLDER_CALLS: &[i64] = &[
    libc::SYS_chown,
    libc::SYS_creat,
    libc::SYS_lchown,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_mknod,
    libc::SYS_stat,
    libc::SYS_symlink,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER_CALLS: &[i64] = &[];
/// Those that copy symlinks and the like of the layers below, which have to be recorded before.
const COPYING_CALLS: &[i64] = &[
    FCHMODAT2,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_linkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_utimensat,
];
#[cfg(target_arch = "x86_64")]
const OLDER_COPYING_CALLS: &[i64] = &[
    libc::SYS_chmod,
    libc::SYS_futimesat,
    libc::SYS_link,
    libc::SYS_rename,
    libc::SYS_utime,
    libc::SYS_utimes,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER_COPYING_CALLS: &[i64] = &[];
/// Those that may create files, and the argument with the flags that decide that.
#[cfg(target_arch = "x86_64")]
const OPEN_CALLS: &[(i64, u8)] = &[(libc::SYS_open, 1), (libc::SYS_openat, 2)];
#[cfg(not(target_arch = "x86_64"))]
const OPEN_CALLS: &[(i64, u8)] = &[(libc::SYS_openat, 2)];
/// The flags of `open` that create a file. `O_TMPFILE` has further bits.
const CREATE_FLAGS: [u64; 2] =
    [libc::O_CREAT as u64, (libc::O_TMPFILE & !libc::O_DIRECTORY) as u64];
/// A result that stands for the notification, which `seccompiler` does not know.
const PLACEHOLDER: u32 = libc::SECCOMP_RET_TRACE;

/// The filter. Only if `copies`, it has calls that copy symlinks and the like of the
/// layers below.
pub(super) fn program(copies: bool) -> io::Result<Vec<libc::sock_filter>> {
    let failed = |error: &dyn std::fmt::Display| io::Error::other(error.to_string());
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let copying = [COPYING_CALLS, OLDER_COPYING_CALLS].concat();
    let always = [CALLS, OLDER_CALLS, &MISSING_CALLS].concat();
    for call in always.into_iter().chain(copying.into_iter().filter(|_| copies)) {
        rules.insert(call, Vec::new());
    }
    for (call, argument) in OPEN_CALLS {
        let rule = |flag: &u64| {
            let operation = SeccompCmpOp::MaskedEq(*flag);
            let length = SeccompCmpArgLen::Dword;
            let condition = SeccompCondition::new(*argument, length, operation, *flag);
            condition.and_then(|condition| SeccompRule::new(vec![condition]))
        };
        let flags: Result<_, _> = CREATE_FLAGS.iter().map(rule).collect();
        rules.insert(*call, flags.map_err(|error| failed(&error))?);
    }
    let architecture = std::env::consts::ARCH.try_into().map_err(|error| failed(&error))?;
    let (other, notified) = (SeccompAction::Allow, SeccompAction::Trace(0));
    let filter = SeccompFilter::new(rules, other, notified, architecture);
    let program: BpfProgram = filter
        .and_then(|filter| filter.try_into())
        .map_err(|error: seccompiler::BackendError| failed(&error))?;
    let instruction = |filter: &seccompiler::sock_filter| libc::sock_filter {
        code: filter.code,
        jt: filter.jt,
        jf: filter.jf,
        k: match (u32::from(filter.code), filter.k) {
            (code, PLACEHOLDER) if code == libc::BPF_RET => libc::SECCOMP_RET_USER_NOTIF,
            (_, k) => k,
        },
    };
    Ok(program.iter().map(instruction).collect())
}
