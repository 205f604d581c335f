//! QEMU's arguments (qemu(1)), made by small pure functions.

use std::path::Path;

use crate::conditions::Protocol;
use crate::vm::egress::Egress;
use crate::vm::guest::MachineType;
use crate::vm::instance::Accelerator;
use crate::vm::instance::wake;
use crate::vm::published_port::PublishedPort;

/// The guest's port for the API.
const API_PORT: u16 = 2376;

/// Everything that QEMU's arguments depend on.
#[derive(Clone, Debug)]
pub(in crate::vm) struct QemuOptions<'a> {
    /// The emulated hardware.
    pub(in crate::vm) machine_type: &'a MachineType,
    /// How the CPUs run.
    pub(in crate::vm) accelerator: Accelerator,
    /// Whether one thread emulates all CPUs, because VMs compete for the host's CPUs.
    pub(in crate::vm) single_thread: bool,
    /// Memory in MiB.
    pub(in crate::vm) memory_mib: u32,
    /// The number of CPUs.
    pub(in crate::vm) cpus: u32,
    /// The file that backs the memory, if it is not anonymous.
    pub(in crate::vm) ram: Option<RamFile<'a>>,
    /// Whether the VM is restored instead of booted.
    pub(in crate::vm) restored: bool,
    /// The kernel.
    pub(in crate::vm) kernel: &'a Path,
    /// The initial RAM disk.
    pub(in crate::vm) initrd: &'a Path,
    /// The kernel's command line.
    pub(in crate::vm) cmdline: &'a str,
    /// The read-only root image.
    pub(in crate::vm) root: &'a Path,
    /// The VM's scratch disk, a qcow2 image.
    pub(in crate::vm) scratch: &'a Path,
    /// The VM's private folder.
    pub(in crate::vm) folder: &'a Path,
    /// The port on the loopback interface that is forwarded to the engine's API.
    pub(in crate::vm) port: u16,
    /// The network.
    pub(in crate::vm) network: Network<'a>,
}

/// The network of a VM.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::vm) struct Network<'a> {
    /// The connections that the guest may make.
    pub(in crate::vm) egress: Egress,
    /// Further ports on the loopback interface that are forwarded to the guest.
    pub(in crate::vm) published: &'a [PublishedPort],
}

/// A file that backs the memory of a VM.
#[derive(Clone, Copy, Debug)]
pub(in crate::vm) struct RamFile<'a> {
    /// The file.
    pub(in crate::vm) path: &'a Path,
    /// Whether the guest writes to the file. Otherwise, its changes are private.
    pub(in crate::vm) shared: bool,
}

/// Returns all arguments.
pub(in crate::vm) fn arguments(options: &QemuOptions<'_>) -> Vec<String> {
    let parts = [
        machine(options.machine_type),
        cpu(options),
        memory(options.memory_mib, options.ram),
        // A restored VM has its kernel in memory.
        if options.restored { Vec::new() } else { kernel(options) },
        disk("root", options.root, "raw,readonly=on"),
        disk("scratch", options.scratch, "qcow2,cache=unsafe,discard=unmap"),
        network(options.port, options.network),
        channels(options.folder),
        sandbox(),
        if options.restored { owned(["-incoming", "defer"]) } else { Vec::new() },
    ];
    parts.concat()
}

fn owned<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

/// A machine without default devices, which exits instead of rebooting.
fn machine(machine_type: &MachineType) -> Vec<String> {
    owned([
        "-machine",
        machine_type.machine,
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
    ])
}

/// The host's CPU model with KVM, and the machine type's under emulation.
fn cpu(options: &QemuOptions<'_>) -> Vec<String> {
    let QemuOptions { machine_type, accelerator, cpus, memory_mib, .. } = options;
    let (accelerator, model) = match accelerator {
        Accelerator::Kvm => ("kvm".to_owned(), "host"),
        Accelerator::Tcg => {
            // A thread for each CPU is faster only if the host has a CPU for each: a CPU that waits
            // for another one spins until the host schedules that one.
            let thread = if options.single_thread { "single" } else { "multi" };
            // The buffer for translated code, in MiB. A boot translates much code. Restored VMs are
            // many, but starting a container translates about 190 MiB, and if the buffer is too
            // small for that, QEMU translates everything again and again.
            let size = if options.restored { 256 } else { 1024 };
            (format!("tcg,thread={thread},tb-size={size}"), machine_type.cpu)
        }
    };
    let (cpus, memory) = (cpus.to_string(), memory_mib.to_string());
    owned(["-accel", &accelerator, "-cpu", model, "-smp", &cpus, "-m", &memory])
}

/// Memory in a file, so that VMs restored from one snapshot share its pages.
fn memory(memory_mib: u32, ram: Option<RamFile<'_>>) -> Vec<String> {
    let Some(RamFile { path, shared }) = ram else { return Vec::new() };
    let share = if shared { "on" } else { "off" };
    let path = escape(path);
    let file =
        format!("memory-backend-file,id=ram,size={memory_mib}M,mem-path={path},share={share}");
    owned(["-object", &file, "-machine", "memory-backend=ram"])
}

fn kernel(options: &QemuOptions<'_>) -> Vec<String> {
    let (kernel, initrd) = (text(options.kernel), text(options.initrd));
    owned(["-kernel", &kernel, "-initrd", &initrd, "-append", options.cmdline])
}

fn disk(name: &str, file: &Path, format: &str) -> Vec<String> {
    let drive = format!("if=none,id={name},file={},format={format}", escape(file));
    owned(["-drive", &drive, "-device", &format!("virtio-blk-pci,drive={name}")])
}

/// User-mode networking, which needs no privileges. The only ways in are a port on the loopback
/// interface, behind which the engine requires a client certificate, and published ports. There is
/// no way out unless `egress` is set.
fn network(port: u16, Network { egress, published }: Network<'_>) -> Vec<String> {
    let restrict = if egress == Egress::None { "on" } else { "off" };
    let api = PublishedPort { host: port, guest: API_PORT, protocol: Protocol::Tcp };
    let forward = |PublishedPort { host, guest, protocol }: &PublishedPort| {
        format!(",hostfwd={protocol}:127.0.0.1:{host}-:{guest}")
    };
    let forwards: String = std::iter::once(&api).chain(published).map(forward).collect();
    let user = format!("user,id=net,ipv6=off,restrict={restrict}{forwards}");
    owned(["-netdev", &user, "-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci"])
}

/// The console log, and the sockets and pipes of agent, monitor and wake program, in the private
/// folder.
fn channels(folder: &Path) -> Vec<String> {
    let console = format!("file:{}", text(&folder.join("console.log")));
    let agent =
        format!("socket,id=agent,path={},server=on,wait=off", escape(&folder.join("agent.sock")));
    let monitor = format!("unix:{},server=on,wait=off", escape(&folder.join("qmp.sock")));
    let wake = format!("pipe,id=wake,path={}", escape(&folder.join(wake::PIPE_NAME)));
    let port = "virtserialport,chardev=agent,name=org.qemu.guest_agent.0";
    owned([
        "-serial",
        &console,
        "-device",
        "virtio-serial-pci",
        "-chardev",
        &agent,
        "-device",
        port,
        "-chardev",
        &wake,
        "-device",
        "virtserialport,chardev=wake,name=org.seatrial.wake",
        "-qmp",
        &monitor,
    ])
}

/// QEMU's seccomp sandbox: it cannot start programs or gain privileges.
fn sandbox() -> Vec<String> {
    owned(["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"])
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Doubles commas, which separate options in QEMU's arguments.
fn escape(path: &Path) -> String {
    text(path).replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::platform::Arch;

    fn options(egress: Egress) -> QemuOptions<'static> {
        QemuOptions {
            machine_type: MachineType::for_arch(Arch::Amd64).unwrap(),
            accelerator: Accelerator::Tcg,
            single_thread: false,
            memory_mib: 1024,
            cpus: 2,
            ram: None,
            restored: false,
            kernel: Path::new("/g/kernel"),
            initrd: Path::new("/m/initrd"),
            cmdline: "quiet x=1",
            root: Path::new("/g,1/root.erofs"),
            scratch: Path::new("/m/scratch"),
            folder: Path::new("/m"),
            port: 4711,
            network: Network { egress, published: &[] },
        }
    }

    fn command_line(options: &QemuOptions<'_>) -> String {
        arguments(options).join(" ")
    }

    #[test]
    fn a_restored_vm_maps_the_memory_of_its_snapshot_privately_and_waits_for_its_state() {
        let ram = |shared| Some(RamFile { path: Path::new("/t,1/ram"), shared });
        let saved = command_line(&QemuOptions { ram: ram(true), ..options(Egress::None) });
        let restored =
            command_line(&QemuOptions { ram: ram(false), restored: true, ..options(Egress::None) });
        assert!(
            saved.contains("size=1024M,mem-path=/t,,1/ram,share=on -machine memory-backend=ram")
        );
        let kernel = " -kernel /g/kernel -initrd /m/initrd -append quiet x=1";
        let expected =
            saved.replace("share=on", "share=off").replace(kernel, "").replace("=1024 ", "=256 ");
        assert_eq!(restored, expected + " -incoming defer");
    }

    #[test]
    fn one_thread_emulates_all_cpus_if_vms_compete_for_the_hosts() {
        let single = command_line(&QemuOptions { single_thread: true, ..options(Egress::None) });
        let multi = command_line(&options(Egress::None));
        assert_eq!(single, multi.replace("thread=multi", "thread=single"));
    }

    #[test]
    fn the_api_is_on_the_loopback_interface_and_only_egress_allows_connections_to_the_network() {
        let forward = ",hostfwd=tcp:127.0.0.1:4711-:2376";
        for (egress, restrict) in [(Egress::None, "restrict=on"), (Egress::Network, "restrict=off")]
        {
            assert!(command_line(&options(egress)).contains(&format!("{restrict}{forward}")));
        }
    }

    #[test]
    fn published_ports_are_on_the_loopback_interface() {
        let published = ["8080:80", "8053:53/udp"].map(|port| port.parse().unwrap());
        let network = Network { egress: Egress::None, published: &published };
        let command_line = command_line(&QemuOptions { network, ..options(Egress::None) });
        let forwards = "hostfwd=tcp:127.0.0.1:4711-:2376,hostfwd=tcp:127.0.0.1:8080-:80,\
                        hostfwd=udp:127.0.0.1:8053-:53 ";
        assert!(command_line.contains(forwards), "{command_line}");
    }

    #[test]
    fn the_root_is_read_only_and_commas_in_paths_are_doubled() {
        let root = "file=/g,,1/root.erofs,format=raw,readonly=on";
        assert!(command_line(&options(Egress::None)).contains(root));
    }

    #[test]
    fn a_vm_of_another_architecture_differs_only_in_its_machine_type() {
        let machine_type = MachineType::for_arch(Arch::Arm64).unwrap();
        let arm64 = command_line(&QemuOptions { machine_type, ..options(Egress::None) });
        let amd64 = command_line(&options(Egress::None));
        let expected = amd64.replace("-machine q35", "-machine virt,gic-version=max");
        assert_eq!(arm64, expected.replace("-cpu Nehalem", "-cpu cortex-a57"));
    }

    #[test]
    fn the_sandbox_is_on_and_there_are_no_default_devices() {
        let command_line = command_line(&options(Egress::None));
        for part in ["-sandbox on,", "-nodefaults", "-no-user-config", "-no-reboot"] {
            assert!(command_line.contains(part), "{part}");
        }
    }
}
