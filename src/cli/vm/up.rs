//! `seatrial vm up`

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::Context;

use super::prepare;
use super::start::Start;
use crate::cli::exit::Ended;
use crate::vm::Definition;
use crate::vm::NamedVm;
use crate::vm::guest::Api;
use crate::vm::guest::assemble::Sources;

/// Starts a machine, keeps it until `seatrial vm down`, and prints what to export for `docker`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which guest; see `seatrial vm list`
    guest: String,
    /// What to call the machine [default: as its guest]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    start: Start,
    /// Also print, to standard error, what was true when
    #[arg(long)]
    timeline: bool,
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let guest = prepare::assemble(&args.guest, &Sources::default())?;
    if args.start.restores() {
        prepare::make_template(&guest, args.start.accel)?;
    }
    let name = args.name.as_deref().unwrap_or(&args.guest);
    let mut keeper = Command::new(std::env::current_exe()?);
    keeper.args(["vm", "keep", &args.guest, name]).args(args.start.words());
    // Should this process end before the machine is ready, its end of the pipe goes, and the keeper with it.
    let mut keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    if let Some(said) = keeper.stdout.take() {
        BufReader::new(said).read_line(&mut line)?;
    }
    if line.is_empty() {
        // It has said why itself.
        let code = keeper.wait()?.code().unwrap_or(3);
        return Err(Ended(u8::try_from(code).unwrap_or(3)).into());
    }
    if args.json {
        write!(io::stdout(), "{line}")?;
        return Ok(());
    }
    let kept: NamedVm =
        serde_json::from_str(&line).context("the keeper said something else than expected")?;
    if args.timeline {
        kept.timeline.iter().try_for_each(|event| writeln!(io::stderr(), "{event}"))?;
    }
    let (name, seconds) = (&kept.name, kept.ready_after().as_secs_f64());
    writeln!(
        io::stdout(),
        "# {name} is ready after {seconds:.2} s; seatrial vm down {name} ends it"
    )?;
    let family = Definition::named(&kept.guest)?.family;
    if family.api == Api::Cri {
        writeln!(
            io::stdout(),
            "# it speaks CRI; seatrial vm exec {name} -- ctr --namespace k8s.io images list"
        )?;
        return Ok(());
    }
    writeln!(
        io::stdout(),
        "export DOCKER_HOST=tcp://localhost:{}\nexport DOCKER_TLS_VERIFY=1\nexport DOCKER_CERT_PATH={}",
        kept.port,
        shell_word(&kept.folder.display().to_string()),
    )?;
    Ok(())
}

/// `text` as one word of a shell.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
