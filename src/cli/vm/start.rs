//! How a machine is started: what `vm up` takes, and hands to the machine's keeper.

use std::time::Duration;

use crate::vm::AcceleratorChoice;
use crate::vm::Options;

#[derive(Debug, clap::Args)]
pub(super) struct Start {
    /// kvm, tcg, or auto: KVM where it really boots a guest
    #[arg(long, default_value = "auto")]
    pub(super) accel: AcceleratorChoice,
    /// Let the guest reach the network
    #[arg(long)]
    egress: bool,
    /// Boot afresh rather than restore a template
    #[arg(long)]
    cold: bool,
    /// How long it may take until the daemon is ready, in seconds [default: 120, restored 30]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// More for the kernel's command line; the machine is then booted
    #[arg(long, value_name = "TEXT", default_value = "", allow_hyphen_values = true)]
    kernel_arguments: String,
}

impl Start {
    /// Whether a template is used.
    pub(super) fn restores(&self) -> bool {
        self.options().restores()
    }

    /// The same as words of a command line.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = vec![format!("--accel={}", self.accel)];
        words.extend(self.egress.then(|| "--egress".to_owned()));
        words.extend(self.cold.then(|| "--cold".to_owned()));
        words.extend(self.timeout.map(|seconds| format!("--timeout={seconds}")));
        words.push(format!("--kernel-arguments={}", self.kernel_arguments));
        words
    }

    /// What it means. A machine for hand work does not wait for its turn.
    pub(super) fn options(&self) -> Options {
        Options {
            accelerator: self.accel,
            egress: self.egress,
            cold: self.cold,
            skip_slot_queue: true,
            timeout: self.timeout.map(Duration::from_secs),
            kernel_arguments: self.kernel_arguments.clone(),
            ..Options::default()
        }
    }
}
