//! How a VM is started, and with which resources.

use std::time::Duration;

use crate::vm::egress::Egress;
use crate::vm::guest::Guest;
use crate::vm::guest::changes::GuestChanges;
use crate::vm::instance::accelerator::AcceleratorChoice;
use crate::vm::published_port::PublishedPort;

/// How a VM is started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How the CPUs run.
    pub accelerator: AcceleratorChoice,
    /// The connections that the guest may make; none by default.
    pub egress: Option<Egress>,
    /// Whether the VM boots instead of being restored from a snapshot.
    pub cold: bool,
    /// Whether the VM starts without a VM slot, however many are running.
    pub skip_slot_queue: bool,
    /// The timeout until the engine is ready, instead of the defaults for an emulated CPU.
    pub timeout: Option<Duration>,
    /// Arguments that are added to the kernel's command line. With any, the VM boots.
    pub kernel_arguments: String,
    /// Changes to the guest's root. With any, the VM boots.
    pub changes: GuestChanges,
    /// Resources instead of the guest's defaults. With any, the VM boots.
    pub resources: Resources,
    /// Ports of the guest that are reachable on this host.
    pub published: Vec<PublishedPort>,
}

impl Options {
    /// The connections that the guest may make.
    pub fn allowed_egress(&self) -> Egress {
        self.egress.unwrap_or_default()
    }

    /// Whether the VM is restored from a snapshot.
    pub fn restores(&self) -> bool {
        !self.cold
            && self.kernel_arguments.is_empty()
            && self.changes == GuestChanges::default()
            && self.resources == Resources::default()
    }
}

/// Resources of a VM instead of the guest's defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Memory in MiB.
    pub memory_mib: Option<u32>,
    /// The number of CPUs.
    pub cpus: Option<u32>,
    /// The size of the disk for images and containers in GiB. The disk cannot be smaller than the
    /// default.
    pub disk_gib: Option<u32>,
}

impl Resources {
    /// Returns `guest` with these resources.
    pub(super) fn apply_to(self, guest: &Guest) -> Guest {
        let mut guest = guest.clone();
        let family = &mut guest.definition.family;
        family.memory_mib = self.memory_mib.unwrap_or(family.memory_mib);
        family.cpus = self.cpus.unwrap_or(family.cpus);
        guest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vm_with_other_resources_is_booted() {
        assert!(Options::default().restores());
        let resources = Resources { cpus: Some(1), ..Resources::default() };
        assert!(!Options { resources, ..Options::default() }.restores());
    }
}
