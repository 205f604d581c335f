//! `seatrial vm list`

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{HumanBytes, HumanDuration};
use serde_json::json;

use crate::vm::Definition;
use crate::vm::assemble::{Sources, described};
use crate::vm::kept::Kept;
use crate::vm::stock::{self, Item, Kind};

/// Lists the guests there are, what of them is ready to be used, and the machines that are kept
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let (stock, kept) = (stock::all()?, Kept::all()?);
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", as_json(&stock, &kept)?)?;
        return Ok(());
    }
    writeln!(out, "GUEST                ENGINE                                  ASSEMBLED TEMPLATE")?;
    for name in Definition::names() {
        let guest = described(name, &Sources::default())?;
        let size =
            |item: Option<&Item>| item.map_or("-".to_owned(), |item| HumanBytes(item.size).to_string());
        let assembled = size(stock.iter().find(|item| item.folder == guest.folder()));
        let of_it = |item: &&Item| item.current && item.kind == Kind::Template && item.guest == name;
        let template = size(stock.iter().find(of_it));
        let engine = guest.version().unwrap_or(guest.definition.description);
        writeln!(out, "{name:<21}{engine:<40}{assembled:<10} {template}")?;
    }
    let stale: Vec<&Item> = stock.iter().filter(|item| !item.current).collect();
    if !stale.is_empty() {
        let size = HumanBytes(stale.iter().map(|item| item.size).sum());
        writeln!(out, "\n{} of no more use, {size}; `seatrial vm prune` removes them", stale.len())?;
    }
    if !kept.is_empty() {
        writeln!(out, "\nMACHINE              GUEST                READY SINCE   API")?;
    }
    for machine in &kept {
        let since = age(machine.age());
        writeln!(
            out,
            "{:<21}{:<21}{since:<14}tcp://localhost:{}",
            machine.name, machine.guest, machine.port
        )?;
    }
    Ok(())
}

fn age(age: Duration) -> String {
    format!("{:#}", HumanDuration(age))
}

fn as_json(stock: &[Item], kept: &[Kept]) -> anyhow::Result<serde_json::Value> {
    let guests: Vec<_> = Definition::names()
        .map(|name| {
            let guest = described(name, &Sources::default())?;
            let (version, about) = (guest.version(), guest.definition.description);
            Ok(json!({ "name": name, "description": about, "version": version }))
        })
        .collect::<anyhow::Result<_>>()?;
    let cache: Vec<_> = stock
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
