//! What machines of a CPU architecture are made of: the one thing about a guest that its engine's family and its
//! Debian release do not decide.

use crate::image::platform::Arch;

use crate::vm::tools::{QEMU_ARM, QEMU_X86, Tool};

/// The machines of an architecture.
#[derive(Debug, PartialEq, Eq)]
pub struct MachineType {
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

const MACHINE_TYPES: [MachineType; 2] = [
    MachineType {
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
    MachineType {
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

impl MachineType {
    /// All there are.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        MACHINE_TYPES.iter()
    }

    /// Those of `arch`, where there are guests of it.
    pub fn for_arch(arch: Arch) -> Option<&'static Self> {
        MACHINE_TYPES.iter().find(|machine_type| machine_type.arch == arch)
    }

    /// Those of this host's architecture; of amd64 where there are no guests of the host's.
    pub fn host() -> &'static Self {
        Self::for_arch(crate::image::Platform::host().arch).unwrap_or(&MACHINE_TYPES[0])
    }

    /// The machine_type that a guest's full name ends with, and the name without it.
    pub(in crate::vm) fn named(name: &str) -> Option<(&str, &'static Self)> {
        MACHINE_TYPES.iter().find_map(|machine_type| {
            let rest = name.strip_suffix(machine_type.arch.goarch())?.strip_suffix('-')?;
            Some((rest, machine_type))
        })
    }

    /// Whether the host's CPU is of its kind, so that it need not be emulated.
    pub fn is_host(&self) -> bool {
        crate::image::Platform::host().arch == self.arch
    }
}
