//! The files that a scenario adds to and removes from a guest's root. The names of units and
//! sockets come from the guest's family; this module does not know any engine.

use std::collections::BTreeMap;

use super::scenario::{StartMode, TimedFault, parse_trigger};
use super::{Fault, Scenario};
use crate::vm::instance::units::FAULT_MARKER;
use crate::vm::{Family, GuestChanges};

const UNITS: &str = "etc/systemd/system";

impl Scenario {
    /// The changes for a guest of `family`. `image` is the archive that the client loads.
    pub(super) fn guest_changes(&self, family: &Family, image: Vec<u8>) -> GuestChanges {
        let mut changes = GuestChanges::default();
        changes.add_file("usr/lib/seatrial/await", include_str!("../../vm/replay/await"));
        changes.add_file("usr/lib/seatrial/client", include_str!("../../vm/replay/client"));
        changes.add_file("usr/lib/seatrial/client.tar", image);
        self.set_start_mode(family, &mut changes);
        self.add_delays(family, &mut changes);
        let Some(settings) = self.on.get(&family.name) else { return changes };
        add_files(&mut changes, &settings.files);
        settings.removed.iter().for_each(|path| changes.remove(path));
        let faults = settings.faults.iter();
        let scripts = faults.filter_map(|fault| Some((fault, fault.fault.script(&family.store)?)));
        for (number, (fault, script)) in scripts.enumerate() {
            let name = format!("seatrial-fault-{number}");
            changes.add_file(&format!("{UNITS}/{name}.service"), fault_unit(fault, &script));
            want_service(&mut changes, "sysinit.target", &name);
        }
        changes
    }

    fn set_start_mode(&self, family: &Family, changes: &mut GuestChanges) {
        let start = &family.start;
        let disable_service = |changes: &mut GuestChanges| {
            for target in ["multi-user", "default"] {
                changes.remove(&format!("{UNITS}/{target}.target.wants/{}", start.service));
            }
        };
        let disable_socket = |changes: &mut GuestChanges| {
            if let Some(unit) = &start.socket_unit {
                changes.remove(&format!("{UNITS}/sockets.target.wants/{unit}"));
            }
        };
        match self.start {
            StartMode::Boot => {}
            StartMode::SocketActivation => disable_service(changes),
            StartMode::OrphanedSocket => add_files(changes, &start.orphaned_socket),
            StartMode::NoSocketUnit => {
                disable_socket(changes);
                add_files(changes, &start.no_socket_unit);
            }
            StartMode::Manual => {
                disable_service(changes);
                disable_socket(changes);
                let unit = format!(
                    "[Unit]\nAfter=multi-user.target\n[Service]\nExecStartPre=/bin/sleep {}\n\
                     ExecStart=/bin/systemctl start {}\n",
                    self.manual_delay, start.service
                );
                changes.add_file(&format!("{UNITS}/seatrial-manual-start.service"), unit);
                want_service(changes, "multi-user.target", "seatrial-manual-start");
            }
        }
    }

    fn add_delays(&self, family: &Family, changes: &mut GuestChanges) {
        let service = &family.start.service;
        for (unit, seconds) in
            [(service.as_str(), self.engine_delay), ("containerd.service", self.containerd_delay)]
        {
            if seconds > 0 {
                let delay = format!("[Service]\nExecStartPre=/bin/sleep {seconds}\n");
                changes.add_file(&format!("{UNITS}/{unit}.d/zz-delay.conf"), delay);
            }
        }
        if self.network_delay > 0 {
            let delay = format!(
                "[Unit]\nDefaultDependencies=no\nAfter=sysinit.target\n\
                 Before=network-online.target\n\
                 [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep {}\n",
                self.network_delay
            );
            changes.add_file(&format!("{UNITS}/seatrial-network-delay.service"), delay);
            want_service(changes, "network-online.target", "seatrial-network-delay");
            let after = "[Unit]\nWants=network-online.target\nAfter=network-online.target\n";
            changes.add_file(&format!("{UNITS}/{service}.d/zz-network-delay.conf"), after);
        }
    }

    /// The faults that the host injects into a VM of `family`, as soon as it has resumed.
    pub(super) fn host_faults<'a>(&'a self, family: &'a Family) -> impl Iterator<Item = &'a Fault> {
        let settings = self.on.get(&family.name).into_iter();
        let faults = settings.flat_map(|settings| &settings.faults).map(|timed| &timed.fault);
        faults.filter(|fault| fault.script(&family.store).is_none())
    }
}

fn add_files(changes: &mut GuestChanges, files: &BTreeMap<String, String>) {
    files.iter().for_each(|(path, content)| changes.add_file(path, content.as_str()));
}

/// Makes `target` start the service `name`.
fn want_service(changes: &mut GuestChanges, target: &str, name: &str) {
    let wants = format!("[Unit]\nWants={name}.service\n");
    changes.add_file(&format!("{UNITS}/{target}.d/{name}.conf"), wants);
}

/// The unit that injects a fault. Its description is in the journal, from which the timeline gets
/// the time of the fault.
fn fault_unit(TimedFault { when, after, fault }: &TimedFault, script: &str) -> String {
    let wait = when.as_deref().and_then(parse_trigger).map(|(kind, target)| {
        format!("ExecStart=/usr/bin/perl /usr/lib/seatrial/await 600 {kind} {target}\n")
    });
    format!(
        "[Unit]\nDescription={FAULT_MARKER}{fault}\nDefaultDependencies=no\n\
         After=seatrial-hold.service\n\
         [Service]\nType=oneshot\nTimeoutStartSec=infinity\n{}ExecStart=/bin/sleep {after}\n\
         ExecStart=/bin/sh -c '{}'\n",
        wait.unwrap_or_default(),
        script.replace('$', "$$").replace('%', "%%")
    )
}
