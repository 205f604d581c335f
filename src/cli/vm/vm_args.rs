//! How a named VM is started: arguments of `vm up`, which passes them on to `vm background`.

use std::time::Duration;

use crate::vm::{AcceleratorChoice, Options, PublishedPort, Resources};

#[derive(Debug, clap::Args)]
pub(super) struct VmArgs {
    /// kvm, tcg (emulation), or auto: KVM if it boots a guest on this host
    #[arg(long, default_value = "auto")]
    pub(super) accel: AcceleratorChoice,
    /// Let the guest reach the network, and this host: also services that listen
    /// only on its loopback interface (127.0.0.1), as 10.0.2.2
    #[arg(long)]
    egress: bool,
    /// Boot instead of restoring a snapshot
    #[arg(long)]
    cold: bool,
    /// Time limit until the engine is ready [default: 120; 30 for a restored VM]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Append to the kernel command line, and boot instead of restoring
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    #[arg(allow_hyphen_values = true)]
    kernel_arguments: String,
    /// Memory in MiB; boots instead of restoring [default: the guest's]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(256..))]
    memory: Option<u32>,
    /// Number of CPUs; boots instead of restoring [default: the guest's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    cpus: Option<u32>,
    /// Size of the disk for images and containers in GiB, at least 16; boots
    /// instead of restoring [default: 16]
    #[arg(long, value_name = "GIB", value_parser = clap::value_parser!(u32).range(16..=8192))]
    disk: Option<u32>,
    /// Make a port of the guest reachable on this host's loopback interface; may
    /// be repeated
    #[arg(long, value_name = "HOST:GUEST")]
    publish: Vec<PublishedPort>,
}

impl VmArgs {
    /// Formats the arguments as words of a command line.
    pub(super) fn to_words(&self) -> Vec<String> {
        let mut words = vec![format!("--accel={}", self.accel)];
        words.extend(self.egress.then(|| "--egress".to_owned()));
        words.extend(self.cold.then(|| "--cold".to_owned()));
        words.extend(self.timeout.map(|seconds| format!("--timeout={seconds}")));
        words.push(format!("--kernel-arguments={}", self.kernel_arguments));
        words.extend(self.memory.map(|mib| format!("--memory={mib}")));
        words.extend(self.cpus.map(|number| format!("--cpus={number}")));
        words.extend(self.disk.map(|gib| format!("--disk={gib}")));
        words.extend(self.publish.iter().map(|port| format!("--publish={port}")));
        words
    }

    /// Returns the options of the VM. Users wait for named VMs, so that these skip the queue.
    pub(super) fn options(&self) -> Options {
        Options {
            accelerator: self.accel,
            egress: self.egress,
            cold: self.cold,
            skip_slot_queue: true,
            timeout: self.timeout.map(Duration::from_secs),
            kernel_arguments: self.kernel_arguments.clone(),
            resources: Resources { memory_mib: self.memory, cpus: self.cpus, disk_gib: self.disk },
            published: self.publish.clone(),
            ..Options::default()
        }
    }
}
