//! Machine types: the hardware that QEMU emulates for an architecture, and what else depends on the
//! architecture alone.

use crate::image::platform::Arch;
use crate::vm::tools::{QEMU_ARM, QEMU_X86, Tool};

/// The hardware that QEMU emulates for an architecture.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MachineType {
    /// The architecture. Debian uses the same names as GOARCH for those listed here.
    pub arch: Arch,
    /// The QEMU program.
    pub(in crate::vm) qemu: Tool,
    /// QEMU's machine type.
    pub(in crate::vm) machine: &'static str,
    /// The emulated CPU model: a fixed one, so that a guest behaves the same on every host.
    pub(in crate::vm) cpu: &'static str,
    /// The console on the first serial port.
    pub(in crate::vm) console: &'static str,
    /// Arguments for the kernel.
    pub(in crate::vm) cmdline: &'static str,
    /// The architecture as `uname -m` prints it, which is also part of QEMU's program names.
    pub(in crate::vm) machine_name: &'static str,
}

const MACHINE_TYPES: [MachineType; 2] = [
    MachineType {
        arch: Arch::Amd64,
        qemu: QEMU_X86,
        machine: "q35",
        // Emulating the extensions of newer models is slower than not having them.
        cpu: "Nehalem",
        console: "ttyS0",
        // Skip the calibration of the emulated clock.
        cmdline: "tsc=reliable no_timer_check",
        machine_name: "x86_64",
    },
    MachineType {
        arch: Arch::Arm64,
        qemu: QEMU_ARM,
        // The newest interrupt controller that the accelerator supports.
        machine: "virt,gic-version=max",
        // Newer models sign pointers, which is slow to emulate.
        cpu: "cortex-a57",
        console: "ttyAMA0",
        cmdline: "",
        machine_name: "aarch64",
    },
];

impl MachineType {
    /// Returns all machine types.
    pub(in crate::vm) fn all() -> impl Iterator<Item = &'static Self> {
        MACHINE_TYPES.iter()
    }

    /// Returns the machine type for `arch`, if there are guests for it.
    pub(in crate::vm) fn for_arch(arch: Arch) -> Option<&'static Self> {
        MACHINE_TYPES.iter().find(|machine_type| machine_type.arch == arch)
    }

    /// Returns the machine type for the host's architecture, or for amd64 if there are no guests
    /// for the host's.
    pub fn host() -> &'static Self {
        Self::for_arch(crate::image::Platform::host().arch).unwrap_or(&MACHINE_TYPES[0])
    }

    /// Splits the architecture from the full name of a guest, if there is one.
    pub(in crate::vm) fn split_name(name: &str) -> Option<(&str, &'static Self)> {
        MACHINE_TYPES.iter().find_map(|machine_type| {
            let rest = name.strip_suffix(machine_type.arch.goarch())?.strip_suffix('-')?;
            Some((rest, machine_type))
        })
    }

    /// Whether this is the host's architecture, so that KVM may be used.
    pub fn is_host(&self) -> bool {
        crate::image::Platform::host().arch == self.arch
    }
}
