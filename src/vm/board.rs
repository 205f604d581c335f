//! What machines of a CPU architecture are made of: the one thing about a guest that its engine's family and its
//! Debian release do not decide.

use crate::image::platform::Arch;

use super::tools::{QEMU_ARM, QEMU_X86, Tool};

/// The machines of an architecture.
#[derive(Debug, PartialEq, Eq)]
pub struct Board {
    /// The architecture; Debian calls these as GOARCH does.
    pub arch: Arch,
    /// The program that runs them.
    pub qemu: Tool,
    /// QEMU's machine type.
    pub machine: &'static str,
    /// The CPU model where it is emulated: a fixed one, so that the same guest runs the same everywhere.
    pub cpu: &'static str,
    /// The console that its first serial port is.
    pub console: &'static str,
    /// What its kernel is told beside that.
    pub cmdline: &'static str,
    /// How `uname -m`, and programs named after it, call the architecture.
    pub machine_name: &'static str,
}

const BOARDS: [Board; 2] = [
    Board {
        arch: Arch::Amd64,
        qemu: QEMU_X86,
        machine: "q35",
        // Emulating what newer ones add costs more than it gives.
        cpu: "Nehalem",
        console: "ttyS0",
        // Trusting the emulated clock.
        cmdline: "tsc=reliable no_timer_check",
        machine_name: "x86_64",
    },
    Board {
        arch: Arch::Arm64,
        qemu: QEMU_ARM,
        // The newest interrupt controller that the accelerator has.
        machine: "virt,gic-version=max",
        // Newer ones sign pointers, which is slow to emulate.
        cpu: "cortex-a57",
        console: "ttyAMA0",
        cmdline: "",
        machine_name: "aarch64",
    },
];

impl Board {
    /// All there are.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        BOARDS.iter()
    }

    /// Those of `arch`, where there are guests of it.
    pub fn of(arch: Arch) -> Option<&'static Self> {
        BOARDS.iter().find(|board| board.arch == arch)
    }

    /// Those of this host's architecture; of amd64 where there are no guests of the host's.
    pub fn host() -> &'static Self {
        Self::of(crate::image::Platform::host().arch).unwrap_or(&BOARDS[0])
    }

    /// The board that a guest's full name ends with, and the name without it.
    pub(super) fn named(name: &str) -> Option<(&str, &'static Self)> {
        BOARDS.iter().find_map(|board| {
            let rest = name.strip_suffix(board.arch.goarch())?.strip_suffix('-')?;
            Some((rest, board))
        })
    }

    /// Whether the host's CPU is of its kind, so that it need not be emulated.
    pub fn is_host(&self) -> bool {
        crate::image::Platform::host().arch == self.arch
    }
}
