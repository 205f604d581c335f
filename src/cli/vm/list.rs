//! `seatrial vm list`

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{HumanBytes, HumanDuration};
use serde_json::json;

use crate::vm::NamedVm;
use crate::vm::guest::assemble::{Sources, locate};
use crate::vm::inventory::{self, Item, Kind};
use crate::vm::{Definition, Guest};

/// Lists the guests there are, what of them is ready to be used, and the machines that are kept
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let (cached, kept) = (inventory::list()?, NamedVm::list()?);
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", as_json(&cached, &kept)?)?;
        return Ok(());
    }
    writeln!(
        out,
        "GUEST                ENGINE                                  ASSEMBLED TEMPLATE"
    )?;
    for guest in guests()? {
        let size = |item: Option<&Item>| {
            item.map_or("-".to_owned(), |item| HumanBytes(item.size).to_string())
        };
        let assembled = size(cached.iter().find(|item| item.folder == guest.folder()));
        let of_it =
            |item: &&Item| item.current && item.kind == Kind::Snapshot && item.guest == guest.name;
        let template = size(cached.iter().find(of_it));
        let (name, engine) =
            (&guest.name, guest.engine_version().unwrap_or(guest.definition.description));
        writeln!(out, "{name:<20} {engine:<39} {assembled:<10} {template}")?;
    }
    let stale: Vec<&Item> = cached.iter().filter(|item| !item.current).collect();
    if !stale.is_empty() {
        let size = HumanBytes(stale.iter().map(|item| item.size).sum());
        writeln!(
            out,
            "\n{} of no more use, {size}; `seatrial vm prune` removes them",
            stale.len()
        )?;
    }
    if !kept.is_empty() {
        writeln!(out, "\nMACHINE              GUEST                READY SINCE   API")?;
    }
    for machine in &kept {
        let since = age(machine.age());
        writeln!(
            out,
            "{:<20} {:<20} {since:<13} tcp://localhost:{}",
            machine.name, machine.guest, machine.port
        )?;
    }
    Ok(())
}

/// The guests there are: all of the host's architecture, and those of others that were assembled.
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

fn age(age: Duration) -> String {
    format!("{:#}", HumanDuration(age))
}

fn as_json(cached: &[Item], kept: &[NamedVm]) -> anyhow::Result<serde_json::Value> {
    let guests: Vec<_> = guests()?
        .into_iter()
        .map(|guest| {
            let (version, architecture) = (guest.engine_version(), guest.definition.machine_type.arch.goarch());
            let about = guest.definition.description;
            json!({ "name": guest.name, "architecture": architecture, "description": about, "version": version })
        })
        .collect();
    let cache: Vec<_> = cached
        .iter()
        .map(|item| {
            let kind = format!("{:?}", item.kind).to_lowercase();
            json!({
                "kind": kind, "guest": item.guest, "folder": item.folder, "size": item.size,
                "age": item.age.as_secs(), "current": item.current, "about": item.about,
            })
        })
        .collect();
    Ok(json!({ "guests": guests, "cache": cache, "machines": kept }))
}
