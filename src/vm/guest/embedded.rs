//! The definitions and files of guests, embedded in the program, so that an installed one can
//! assemble its guests.

/// The part that all guests have in common.
pub(super) const BASE: &str = include_str!("../../../vm/guest/base.toml");

/// The guests: names and files.
pub(super) const GUESTS: &[(&str, &str)] = &[
    ("docker-20.10.5", include_str!("../../../vm/guests/docker-20.10.5.toml")),
    ("docker-20.10", include_str!("../../../vm/guests/docker-20.10.toml")),
    ("docker-26", include_str!("../../../vm/guests/docker-26.toml")),
    ("docker-28", include_str!("../../../vm/guests/docker-28.toml")),
    ("docker-28-containerd", include_str!("../../../vm/guests/docker-28-containerd.toml")),
    ("podman-4.3", include_str!("../../../vm/guests/podman-4.3.toml")),
    ("podman-5.4", include_str!("../../../vm/guests/podman-5.4.toml")),
    ("podman-5.8", include_str!("../../../vm/guests/podman-5.8.toml")),
    ("containerd-1.6", include_str!("../../../vm/guests/containerd-1.6.toml")),
    ("containerd-1.7", include_str!("../../../vm/guests/containerd-1.7.toml")),
    ("containerd-2.1", include_str!("../../../vm/guests/containerd-2.1.toml")),
];

/// Installs packages of another architecture.
pub(super) const INSTALL: &str = include_str!("../../../vm/guest/install");
/// Turns a Debian tree into a guest.
pub(super) const CONFIGURE: &str = include_str!("../../../vm/guest/configure");
/// The first process of a guest.
const INIT: &str = include_str!("../../../vm/guest/init");

/// The files that are added to every guest, by path.
pub(super) const FILES: &[(&str, &str)] = &[
    ("init", INIT),
    (
        "etc/systemd/system/seatrial-agent.service",
        include_str!("../../../vm/guest/files/etc/systemd/system/seatrial-agent.service"),
    ),
    (
        "etc/systemd/system/seatrial-wake.service",
        include_str!("../../../vm/guest/files/etc/systemd/system/seatrial-wake.service"),
    ),
    (
        "etc/systemd/system/seatrial-tls@.service",
        include_str!("../../../vm/guest/files/etc/systemd/system/seatrial-tls@.service"),
    ),
    (
        "etc/systemd/system/seatrial-pause.service",
        include_str!("../../../vm/guest/files/etc/systemd/system/seatrial-pause.service"),
    ),
    (
        "usr/lib/seatrial/host-rules",
        include_str!("../../../vm/guest/files/usr/lib/seatrial/host-rules"),
    ),
    ("usr/lib/seatrial/node", include_str!("../../../vm/guest/files/usr/lib/seatrial/node")),
    ("usr/lib/seatrial/wake", include_str!("../../../vm/guest/files/usr/lib/seatrial/wake")),
    (
        "etc/systemd/journald.conf.d/seatrial.conf",
        include_str!("../../../vm/guest/files/etc/systemd/journald.conf.d/seatrial.conf"),
    ),
];
