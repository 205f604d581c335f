//! The VM in which an image is tested.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::vm::{Egress, Options, Resources};

/// Requirements of the VM in which an image is tested. The VM boots then instead of being restored,
/// unless only `egress` is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VmSettings {
    /// Memory in MiB, at least 256.
    pub memory_mib: Option<u32>,
    /// The number of CPUs, 64 at most.
    pub cpus: Option<u32>,
    /// The size of the disk for images and containers in GiB, at least 16.
    pub disk_gib: Option<u32>,
    /// The connections that the guest may make: `"none"` (the default), `"network"`, or `"host"`.
    pub egress: Option<Egress>,
}

impl VmSettings {
    /// Describes a value that no VM can have, if there is one.
    pub(super) fn mistake(&self) -> Option<String> {
        let limits = [
            ("memory_mib", self.memory_mib, 256..=u32::MAX, "at least 256"),
            ("cpus", self.cpus, 1..=64, "1 to 64"),
            ("disk_gib", self.disk_gib, 16..=8192, "16 to 8192"),
        ];
        limits.into_iter().find_map(|(key, value, range, expected)| {
            let value = value.filter(|value| !range.contains(value))?;
            Some(format!("invalid {key} {value} in vm; expected {expected}"))
        })
    }

    /// Adds what the VM of `options` lacks. What `options` has already, stays.
    pub(in crate::check) fn complete(&self, options: &Options) -> Options {
        let given = options.resources;
        Options {
            egress: options.egress.or(self.egress),
            resources: Resources {
                memory_mib: given.memory_mib.or(self.memory_mib),
                cpus: given.cpus.or(self.cpus),
                disk_gib: given.disk_gib.or(self.disk_gib),
            },
            ..options.clone()
        }
    }

    /// Returns what the VM must have to meet both: the larger of two numbers.
    pub(in crate::check) fn and(&self, other: &Self) -> Self {
        Self {
            memory_mib: self.memory_mib.max(other.memory_mib),
            cpus: self.cpus.max(other.cpus),
            disk_gib: self.disk_gib.max(other.disk_gib),
            egress: self.egress.max(other.egress),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_files_the_larger_numbers_count_and_options_count_more() {
        let first = VmSettings { memory_mib: Some(2048), cpus: Some(1), ..VmSettings::default() };
        let second = VmSettings {
            memory_mib: Some(1024),
            disk_gib: Some(20),
            egress: Some(Egress::Network),
            cpus: None,
        };
        let both = first.and(&second);
        let expected = VmSettings {
            memory_mib: Some(2048),
            cpus: Some(1),
            disk_gib: Some(20),
            egress: Some(Egress::Network),
        };
        assert_eq!(both, expected);
        let resources = Resources { memory_mib: Some(512), ..Resources::default() };
        let options = both.complete(&Options { resources, ..Options::default() });
        let expected = Resources { memory_mib: Some(512), cpus: Some(1), disk_gib: Some(20) };
        assert_eq!((options.resources, options.allowed_egress()), (expected, Egress::Network));
        let none = Options { egress: Some(Egress::None), ..Options::default() };
        assert_eq!(both.complete(&none).allowed_egress(), Egress::None);
    }
}
