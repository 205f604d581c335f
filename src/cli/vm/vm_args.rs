//! How a named VM is started: arguments of `vm up`, which passes them on to `vm background`.

use std::time::Duration;

use crate::cli::args::{ResourceArgs, seconds};
use crate::cli::exit::UsageError;
use crate::conditions::Protocol;
use crate::vm::{AcceleratorChoice, Egress, Options, PublishedPort};

#[derive(Debug, clap::Args)]
pub(super) struct VmArgs {
    /// kvm, tcg (emulation), or auto: KVM if it boots a guest on this host
    #[arg(long, default_value = "auto")]
    pub(super) accel: AcceleratorChoice,
    /// Boot instead of restoring a snapshot
    #[arg(long)]
    cold: bool,
    /// Time limit until the engine is ready [default: 120; 30 for a restored VM]
    #[arg(long, value_name = "SECONDS", value_parser = seconds(0))]
    timeout: Option<u64>,
    /// Append to the kernel command line, and boot instead of restoring
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    #[arg(allow_hyphen_values = true)]
    kernel_arguments: String,
    #[command(flatten)]
    pub(super) resources: ResourceArgs,
    /// Make a port of the guest reachable on this host's loopback interface; may
    /// be repeated. A UDP port needs --egress
    #[arg(long, value_name = "HOST:GUEST[/udp]")]
    publish: Vec<PublishedPort>,
}

impl VmArgs {
    /// Formats the arguments as words of a command line.
    pub(super) fn to_words(&self) -> Vec<String> {
        let mut words = vec![format!("--accel={}", self.accel)];
        words.extend(self.resources.to_words());
        words.extend(self.cold.then(|| "--cold".to_owned()));
        words.extend(self.timeout.map(|seconds| format!("--timeout={seconds}")));
        words.push(format!("--kernel-arguments={}", self.kernel_arguments));
        words.extend(self.publish.iter().map(|port| format!("--publish={port}")));
        words
    }

    /// Checks that published UDP ports work: without egress, QEMU drops answers of the guest to
    /// datagrams.
    pub(super) fn check_published(&self) -> Result<(), UsageError> {
        let has_udp = self.publish.iter().any(|port| port.protocol == Protocol::Udp);
        match has_udp && self.options().allowed_egress() == Egress::None {
            true => Err(UsageError(
                "--publish of a UDP port needs --egress: QEMU drops the answers without it",
            )),
            false => Ok(()),
        }
    }

    /// Returns the options of the VM. Users wait for named VMs, so that these skip the queue.
    pub(super) fn options(&self) -> Options {
        self.resources.apply_to(Options {
            accelerator: self.accel,
            cold: self.cold,
            skip_slot_queue: true,
            timeout: self.timeout.map(Duration::from_secs),
            kernel_arguments: self.kernel_arguments.clone(),
            published: self.publish.clone(),
            ..Options::default()
        })
    }
}
