//! The system calls that steps cannot use: those that change the host, or with which a process gets
//! at more of the kernel than commands of an image need. The list follows those of Docker
//! (moby `profiles/seccomp`) and Flatpak (`common/flatpak-run.c`).

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use crate::steps::StepError;

/// System calls that fail with `EPERM`.
const FORBIDDEN: &[i64] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_userfaultfd,
];
/// The flag of `clone` and `unshare` that makes a user namespace.
const NEW_USER: u64 = libc::CLONE_NEWUSER as u64;
/// The request of `ioctl` that types into a terminal.
const TYPE_INTO_TERMINAL: u64 = libc::TIOCSTI;

/// The two filters, as Linux takes them.
pub(super) fn filters() -> Result<[Vec<u8>; 2], StepError> {
    let failed = |error: seccompiler::Error| StepError::Sandbox(error.to_string());
    let mut forbidden: BTreeMap<i64, Vec<SeccompRule>> =
        FORBIDDEN.iter().map(|number| (*number, Vec::new())).collect();
    let masked = |mask| SeccompCmpOp::MaskedEq(mask);
    let rules = [
        (libc::SYS_clone, 0, masked(NEW_USER), NEW_USER),
        (libc::SYS_unshare, 0, masked(NEW_USER), NEW_USER),
        (libc::SYS_ioctl, 1, SeccompCmpOp::Eq, TYPE_INTO_TERMINAL),
    ];
    for (call, argument, operation, value) in rules {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operation, value);
        let rule = condition.and_then(|condition| SeccompRule::new(vec![condition]));
        forbidden.insert(call, vec![rule.map_err(|error| failed(error.into()))?]);
    }
    // The flags of `clone3` are in memory, where a filter cannot read them. Programs use `clone` if
    // it does not exist.
    let missing = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    Ok([
        program(forbidden, libc::EPERM).map_err(failed)?,
        program(missing, libc::ENOSYS).map_err(failed)?,
    ])
}

/// A filter that makes the calls of `rules` fail with `error`.
fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    error: i32,
) -> Result<Vec<u8>, seccompiler::Error> {
    let action = SeccompAction::Errno(error.unsigned_abs());
    let architecture = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, architecture)?;
    let program: BpfProgram = filter.try_into()?;
    let encode = |instruction: &seccompiler::sock_filter| {
        let mut bytes = instruction.code.to_ne_bytes().to_vec();
        bytes.extend([instruction.jt, instruction.jf]);
        bytes.extend(instruction.k.to_ne_bytes());
        bytes
    };
    Ok(program.iter().flat_map(encode).collect())
}
