//! `seatrial vm list`: lists guests and named VMs.

use std::io::{self, Write};

use indicatif::{HumanBytes, HumanDuration};
use serde_json::Value;

use crate::cli::streams::{json, stdout};
use crate::vm::guest::assemble::{Sources, locate};
use crate::vm::inventory::{self, Item, Kind};
use crate::vm::{Definition, Guest, NamedVm};

/// Lists guests, what is cached of them, and named VMs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial vm list
  seatrial vm list --json | jq -r '.guests[].name'")]
pub(super) struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let (cached, vms) = (inventory::list()?, NamedVm::list()?);
    let mut output = stdout();
    if args.json {
        writeln!(output, "{}", json(&to_json(&cached, &vms)?)?)?;
        return Ok(());
    }
    print_guests(&mut output, &cached)?;
    print_layered(&mut output, &cached)?;
    let unused: Vec<&Item> = cached.iter().filter(|item| !item.current).collect();
    if !unused.is_empty() {
        let size = HumanBytes(unused.iter().map(|item| item.size).sum());
        let count = unused.len();
        writeln!(output, "\nunused: {count}, {size}; `seatrial vm prune` removes them")?;
    }
    if !vms.is_empty() {
        print_vms(&mut output, &vms)?;
    }
    Ok(())
}

fn print_guests(output: &mut dyn Write, cached: &[Item]) -> anyhow::Result<()> {
    let size =
        |item: Option<&Item>| item.map_or("-".to_owned(), |item| HumanBytes(item.size).to_string());
    writeln!(output, "{:<26} {:<33} {:<10} SNAPSHOT", "GUEST", "ENGINE", "ASSEMBLED")?;
    for guest in guests()? {
        let is_snapshot = |item: &&Item| {
            item.current
                && item.kind == Kind::Snapshot
                && item.guest == guest.name
                && item.layers.is_empty()
        };
        let assembled = size(cached.iter().find(|item| item.folder == guest.folder()));
        let snapshot = size(cached.iter().find(is_snapshot));
        let engine = match guest.engine_version() {
            Some(version) => format!("{} {version}", guest.definition.family.name),
            None => guest.definition.description.to_owned(),
        };
        writeln!(output, "{:<26} {engine:<33} {assembled:<10} {snapshot}", guest.name)?;
    }
    Ok(())
}

/// Prints the snapshots that have layers of images.
fn print_layered(output: &mut dyn Write, cached: &[Item]) -> io::Result<()> {
    let layered: Vec<&Item> = cached.iter().filter(|item| !item.layers.is_empty()).collect();
    if layered.is_empty() {
        return Ok(());
    }
    writeln!(output, "\n{:<26} {:<33} {:<10} UNUSED FOR", "GUEST", "SNAPSHOT WITH", "SIZE")?;
    for item in layered {
        let age = format!("{:#}", HumanDuration(item.age));
        let (guest, layers, size) = (&item.guest, &item.layers, HumanBytes(item.size).to_string());
        writeln!(output, "{guest:<26} {layers:<33} {size:<10} {age}")?;
    }
    Ok(())
}

fn print_vms(output: &mut dyn Write, vms: &[NamedVm]) -> io::Result<()> {
    writeln!(output, "\n{:<20} {:<20} {:<13} API", "VM", "GUEST", "READY FOR")?;
    for vm in vms {
        let age = format!("{:#}", HumanDuration(vm.age()));
        let (name, guest, port) = (&vm.name, &vm.guest, vm.port);
        writeln!(output, "{name:<20} {guest:<20} {age:<13} tcp://localhost:{port}")?;
    }
    Ok(())
}

/// Returns all guests of the host's architecture, and those of others that are assembled.
fn guests() -> anyhow::Result<Vec<Guest>> {
    let mut guests = Vec::new();
    for name in Definition::all_names() {
        let guest = locate(&name, &Sources::default())?;
        if guest.definition.machine_type.is_host() || guest.folder().is_dir() {
            guests.push(guest);
        }
    }
    Ok(guests)
}

fn to_json(cached: &[Item], vms: &[NamedVm]) -> anyhow::Result<Value> {
    let guest = |guest: Guest| {
        serde_json::json!({
            "name": guest.name,
            "architecture": guest.definition.machine_type.arch.goarch(),
            "description": guest.definition.description,
            "version": guest.engine_version(),
        })
    };
    let item = |item: &Item| {
        let kind = match item.kind {
            Kind::Guest => "guest",
            Kind::Snapshot => "snapshot",
            Kind::Unfinished => "unfinished",
        };
        serde_json::json!({
            "kind": kind, "guest": item.guest, "folder": item.folder, "size": item.size,
            "age": item.age.as_secs(), "current": item.current, "about": item.about,
        })
    };
    let guests: Vec<_> = guests()?.into_iter().map(guest).collect();
    let cache: Vec<_> = cached.iter().map(item).collect();
    Ok(serde_json::json!({ "guests": guests, "cache": cache, "vms": vms }))
}
