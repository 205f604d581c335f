//! What a scenario changes in the root of a guest, and what it does to its machine from outside. Which files those are
//! comes from the guest's family; nothing here knows an engine.

use std::collections::BTreeMap;

use super::Fault;
use super::Scenario;
use super::scenario::{At, Start, moment};
use crate::vm::{Family, GuestChanges};

const UNITS: &str = "etc/systemd/system";

impl Scenario {
    /// What it changes in the root of a guest of `family`. `image` is what the client loads.
    pub(super) fn overlay(&self, family: &Family, image: Vec<u8>) -> GuestChanges {
        let mut overlay = GuestChanges::default();
        overlay.add_file("usr/lib/seatrial/await", include_str!("../../vm/replay/await"));
        overlay.add_file("usr/lib/seatrial/client", include_str!("../../vm/replay/client"));
        overlay.add_file("usr/lib/seatrial/client.tar", image);
        self.start(family, &mut overlay);
        self.delays(family, &mut overlay);
        let Some(on) = self.on.get(&family.name) else { return overlay };
        lay(&mut overlay, &on.files);
        on.removed.iter().for_each(|place| overlay.remove(place));
        let inside = on.faults.iter().filter_map(|at| Some((at, at.does.script(&family.store)?)));
        for (number, (at, script)) in inside.enumerate() {
            overlay.add_file(
                &format!("{UNITS}/seatrial-fault-{number}.service"),
                fault_unit(at, &script),
            );
            wanted(&mut overlay, "sysinit.target", &format!("seatrial-fault-{number}"));
        }
        overlay
    }

    fn start(&self, family: &Family, overlay: &mut GuestChanges) {
        let start = &family.start;
        let not_at_boot = |overlay: &mut GuestChanges| {
            for target in ["multi-user", "default"] {
                overlay.remove(&format!("{UNITS}/{target}.target.wants/{}", start.service));
            }
        };
        let nobody_listens = |overlay: &mut GuestChanges| {
            start
                .socket_unit
                .iter()
                .for_each(|it| overlay.remove(&format!("{UNITS}/sockets.target.wants/{it}")));
        };
        match self.start {
            Start::Boot => {}
            Start::Socket => not_at_boot(overlay),
            Start::SocketOrphaned => lay(overlay, &start.orphaned_socket),
            Start::Alone => {
                nobody_listens(overlay);
                lay(overlay, &start.no_socket_unit);
            }
            Start::Manual => {
                not_at_boot(overlay);
                nobody_listens(overlay);
                let unit = format!(
                    "[Unit]\nAfter=multi-user.target\n[Service]\nExecStartPre=/bin/sleep {}\n\
                     ExecStart=/bin/systemctl start {}\n",
                    self.by_hand_after, start.service
                );
                overlay.add_file(&format!("{UNITS}/seatrial-by-hand.service"), unit);
                wanted(overlay, "multi-user.target", "seatrial-by-hand");
            }
        }
    }

    fn delays(&self, family: &Family, overlay: &mut GuestChanges) {
        let service = &family.start.service;
        for (unit, seconds) in
            [(service.as_str(), self.before_engine), ("containerd.service", self.before_containerd)]
        {
            if seconds > 0 {
                let before = format!("[Service]\nExecStartPre=/bin/sleep {seconds}\n");
                overlay.add_file(&format!("{UNITS}/{unit}.d/zz-delay.conf"), before);
            }
        }
        if self.network_online > 0 {
            let online = format!(
                "[Unit]\nDefaultDependencies=no\nAfter=sysinit.target\nBefore=network-online.target\n\
                 [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep {}\n",
                self.network_online
            );
            overlay.add_file(&format!("{UNITS}/seatrial-online.service"), online);
            wanted(overlay, "network-online.target", "seatrial-online");
            let waits = "[Unit]\nWants=network-online.target\nAfter=network-online.target\n";
            overlay.add_file(&format!("{UNITS}/{service}.d/zz-online.conf"), waits);
        }
    }

    /// What is done to a machine of `family` from outside, once it is let go.
    pub(super) fn outside<'a>(&'a self, family: &'a Family) -> impl Iterator<Item = &'a Fault> {
        let faults =
            self.on.get(&family.name).into_iter().flat_map(|on| &on.faults).map(|at| &at.does);
        faults.filter(|fault| fault.script(&family.store).is_none())
    }
}

fn lay(overlay: &mut GuestChanges, files: &BTreeMap<String, String>) {
    files.iter().for_each(|(place, content)| overlay.add_file(place, content.as_str()));
}

/// Has `target` start the service called `name`.
fn wanted(overlay: &mut GuestChanges, target: &str, name: &str) {
    let wants = format!("[Unit]\nWants={name}.service\n");
    overlay.add_file(&format!("{UNITS}/{target}.d/{name}.conf"), wants);
}

fn fault_unit(At { when, after, does }: &At, script: &str) -> String {
    let wait = when.as_deref().and_then(moment).map_or(String::new(), |(what, of)| {
        format!("ExecStart=/usr/bin/perl /usr/lib/seatrial/await 600 {what} {of}\n")
    });
    format!(
        "[Unit]\nDescription=does: {does}\nDefaultDependencies=no\nAfter=seatrial-hold.service\n\
         [Service]\nType=oneshot\nTimeoutStartSec=infinity\n{wait}ExecStart=/bin/sleep {after}\n\
         ExecStart=/bin/sh -c '{}'\n",
        script.replace('$', "$$").replace('%', "%%")
    )
}
