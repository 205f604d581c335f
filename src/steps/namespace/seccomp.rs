//! The system calls that steps cannot use: those that change the host, or with which a process gets
//! at more of the kernel than commands of an image need. The list follows those of Docker
//! (moby `profiles/seccomp`) and Flatpak (`common/flatpak-run.c`).

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, sock_filter,
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

/// The lowest number of the system calls of another interface for the same architecture: x32 on
/// x86-64, whose numbers filters do not list. Other architectures have no system calls there.
const OTHER_INTERFACE: u32 = 0x4000_0000;

/// The three filters, as Linux takes them.
pub(super) fn filters() -> Result<[Vec<u8>; 3], StepError> {
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
        encode(&without_other_interface()),
    ])
}

/// A filter for which system calls of another interface do not exist.
fn without_other_interface() -> [sock_filter; 4] {
    let missing = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    let instruction = |code: u32, jt, jf, k| sock_filter { code: code as u16, jt, jf, k };
    [
        // The number is the first field.
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, OTHER_INTERFACE),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, missing),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
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
    Ok(encode(&program))
}

fn encode(program: &[sock_filter]) -> Vec<u8> {
    let encode = |instruction: &sock_filter| {
        let mut bytes = instruction.code.to_ne_bytes().to_vec();
        bytes.extend([instruction.jt, instruction.jf]);
        bytes.extend(instruction.k.to_ne_bytes());
        bytes
    };
    program.iter().flat_map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer of a filter of loads, comparisons and returns to the system call `number`, as
    /// Linux runs it (Linux `Documentation/networking/filter.rst`).
    fn run(program: &[sock_filter], number: u32) -> u32 {
        let (mut position, mut value) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[position];
            match code {
                0x20 if k == 0 => value = number,
                0x35 => position += usize::from(if value >= k { jt } else { jf }),
                0x06 => return k,
                code => panic!("unknown instruction {code:#x}"),
            }
            position += 1;
        }
    }

    #[test]
    fn system_calls_of_x32_do_not_exist() {
        // Linux, arch/x86/include/uapi/asm/unistd.h and include/uapi/linux/seccomp.h.
        let (x32, allow, no_such_call) = (0x4000_0000, 0x7fff_0000, 0x0005_0000 | 38);
        let filter = without_other_interface();
        for (number, answer) in [
            (0, allow),
            (435, allow),
            (x32 - 1, allow),
            (x32, no_such_call),
            (x32 | 425, no_such_call),
            (u32::MAX, no_such_call),
        ] {
            assert_eq!(run(&filter, number), answer, "{number:#x}");
        }
    }
}
