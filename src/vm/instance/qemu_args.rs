//! QEMU's arguments, from small pure functions; each says why (qemu(1)).

use std::path::Path;

use crate::vm::guest::MachineType;
use crate::vm::instance::Accelerator;
use crate::vm::instance::wake;

/// What a machine is started with.
#[derive(Clone, Debug)]
pub struct Layout<'a> {
    /// What it is made of.
    pub machine_type: &'a MachineType,
    /// How the CPU is run.
    pub accelerator: Accelerator,
    /// Whether other machines want the host's CPUs as well.
    pub single_thread: bool,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// CPUs.
    pub cpus: u32,
    /// The file that the memory lies in, and whether what the guest writes goes there rather than to copies.
    pub ram: Option<(&'a Path, bool)>,
    /// Whether the machine waits to be given the state of another.
    pub incoming: bool,
    /// The kernel, its initial RAM disk and its command line.
    pub kernel: &'a Path,
    /// The initial RAM disk.
    pub initrd: &'a Path,
    /// The kernel's command line.
    pub cmdline: &'a str,
    /// The read-only root.
    pub root: &'a Path,
    /// The machine's own overlay of the scratch disk, qcow2.
    pub scratch: &'a Path,
    /// The machine's private folder.
    pub folder: &'a Path,
    /// The loopback port that leads to the engine's API.
    pub port: u16,
    /// Whether the guest may reach the network.
    pub egress: bool,
}

/// All arguments, in order.
pub fn all(layout: &Layout<'_>) -> Vec<String> {
    let parts = [
        base(layout.machine_type),
        cpu(layout),
        memory(layout.memory_mib, layout.ram),
        // A restored machine has its kernel in memory.
        if layout.incoming { Vec::new() } else { kernel(layout) },
        disk("root", layout.root, "raw,readonly=on"),
        disk("scratch", layout.scratch, "qcow2,cache=unsafe,discard=unmap"),
        network(layout.port, layout.egress),
        channels(layout.folder),
        sandbox(),
        if layout.incoming { owned(["-incoming", "defer"]) } else { Vec::new() },
    ];
    parts.concat()
}

fn owned<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

/// A machine with nothing that was not asked for, that ends rather than reboots.
fn base(machine_type: &MachineType) -> Vec<String> {
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

/// The host's CPU, or the model that the machine_type has.
fn cpu(layout: &Layout<'_>) -> Vec<String> {
    let Layout { machine_type, accelerator, cpus, memory_mib, .. } = layout;
    let (accelerator, model) = match accelerator {
        Accelerator::Kvm => ("kvm".to_owned(), "host"),
        Accelerator::Tcg => {
            // Each CPU on a thread of its own, where the host has a CPU for each. Where it has not, they take turns on one:
            // a CPU that waits for another one's answer spins until the host lets that one run.
            let thread = if layout.single_thread { "single" } else { "multi" };
            // Room for translated code. A boot runs through a lot of it. Of machines that were restored there are many;
            // what starting a container takes, some 190 MiB, must fit: where it does not, all of it is translated again
            // and again.
            let room = if layout.incoming { 256 } else { 1024 };
            (format!("tcg,thread={thread},tb-size={room}"), machine_type.cpu)
        }
    };
    let (cpus, memory) = (cpus.to_string(), memory_mib.to_string());
    owned(["-accel", &accelerator, "-cpu", model, "-smp", &cpus, "-m", &memory])
}

/// Memory in a file, so that a template's can be shared, page by page, by all machines restored from it.
fn memory(memory_mib: u32, ram: Option<(&Path, bool)>) -> Vec<String> {
    let Some((file, shared)) = ram else { return Vec::new() };
    let share = if shared { "on" } else { "off" };
    let path = escaped(file);
    let file =
        format!("memory-backend-file,id=ram,size={memory_mib}M,mem-path={path},share={share}");
    owned(["-object", &file, "-machine", "memory-backend=ram"])
}

fn kernel(layout: &Layout<'_>) -> Vec<String> {
    let (kernel, initrd) = (text(layout.kernel), text(layout.initrd));
    owned(["-kernel", &kernel, "-initrd", &initrd, "-append", layout.cmdline])
}

fn disk(name: &str, file: &Path, format: &str) -> Vec<String> {
    let drive = format!("if=none,id={name},file={},format={format}", escaped(file));
    owned(["-drive", &drive, "-device", &format!("virtio-blk-pci,drive={name}")])
}

/// User-mode networking: no rights needed. The one way in is a loopback port, behind which nothing answers
/// without the client's key; the way out is shut unless asked for.
fn network(port: u16, egress: bool) -> Vec<String> {
    let restrict = if egress { "off" } else { "on" };
    let user = format!("user,id=net,restrict={restrict},hostfwd=tcp:127.0.0.1:{port}-:2376");
    owned(["-netdev", &user, "-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci"])
}

/// Console to a file; agent, monitor and waker in the private folder.
fn channels(folder: &Path) -> Vec<String> {
    let console = format!("file:{}", text(&folder.join("console.log")));
    let agent =
        format!("socket,id=agent,path={},server=on,wait=off", escaped(&folder.join("agent.sock")));
    let monitor = format!("unix:{},server=on,wait=off", escaped(&folder.join("qmp.sock")));
    let wake = format!("pipe,id=wake,path={}", escaped(&folder.join(wake::NAME)));
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

/// QEMU gives up what it does not need: new programs, other users' rights.
fn sandbox() -> Vec<String> {
    owned(["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"])
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// QEMU's option parser takes a doubled comma for one.
fn escaped(path: &Path) -> String {
    text(path).replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::platform::Arch;

    fn layout(egress: bool) -> Layout<'static> {
        Layout {
            machine_type: MachineType::for_arch(Arch::Amd64).unwrap(),
            accelerator: Accelerator::Tcg,
            single_thread: false,
            memory_mib: 1024,
            cpus: 2,
            ram: None,
            incoming: false,
            kernel: Path::new("/g/kernel"),
            initrd: Path::new("/m/initrd"),
            cmdline: "quiet x=1",
            root: Path::new("/g,1/root.erofs"),
            scratch: Path::new("/m/scratch"),
            folder: Path::new("/m"),
            port: 4711,
            egress,
        }
    }

    fn arguments(egress: bool) -> String {
        all(&layout(egress)).join(" ")
    }

    #[test]
    fn a_restored_machine_copies_the_pages_of_its_template_and_waits_for_its_state() {
        let ram = Path::new("/t,1/ram");
        let template = all(&Layout { ram: Some((ram, true)), ..layout(false) }).join(" ");
        let restored =
            all(&Layout { ram: Some((ram, false)), incoming: true, ..layout(false) }).join(" ");
        assert!(
            template.contains("size=1024M,mem-path=/t,,1/ram,share=on -machine memory-backend=ram")
        );
        let kernel = " -kernel /g/kernel -initrd /m/initrd -append quiet x=1";
        let expected = template
            .replace("share=on", "share=off")
            .replace(kernel, "")
            .replace("=1024 ", "=256 ");
        let expected = expected + " -incoming defer";
        assert_eq!(restored, expected);
    }

    #[test]
    fn where_others_want_the_hosts_cpus_too_a_machine_takes_one_of_them() {
        let single_thread = all(&Layout { single_thread: true, ..layout(false) }).join(" ");
        assert_eq!(single_thread, arguments(false).replace("thread=multi", "thread=single"));
    }

    #[test]
    fn the_api_is_on_loopback_alone_and_the_way_out_is_shut() {
        assert!(arguments(false).contains("restrict=on,hostfwd=tcp:127.0.0.1:4711-:2376"));
        assert!(arguments(true).contains("restrict=off,hostfwd=tcp:127.0.0.1:4711-:2376"));
    }

    #[test]
    fn the_root_is_read_only_and_commas_in_paths_are_doubled() {
        assert!(arguments(false).contains("file=/g,,1/root.erofs,format=raw,readonly=on"));
    }

    #[test]
    fn a_machine_of_another_architecture_differs_in_its_board_alone() {
        let arm = all(&Layout {
            machine_type: MachineType::for_arch(Arch::Arm64).unwrap(),
            ..layout(false)
        })
        .join(" ");
        let expected = arguments(false).replace("-machine q35", "-machine virt,gic-version=max");
        assert_eq!(arm, expected.replace("-cpu Nehalem", "-cpu cortex-a57"));
    }

    #[test]
    fn the_sandbox_is_on_and_nothing_is_there_by_default() {
        let arguments = arguments(false);
        for part in ["-sandbox on,", "-nodefaults", "-no-user-config", "-no-reboot"] {
            assert!(arguments.contains(part), "{part}");
        }
    }
}
