//! Brings an image into an engine, and sends no more of it than the engine lacks.
//!
//! Docker's classic image store takes a layer whose chain id it holds from itself, and its file may be absent from the
//! archive (moby `image/tarexport/load.go`); so what it holds is asked for, and only the layers above that are sent. The
//! containerd image store wants every blob, and so gets every one. What came of it is looked at afterwards: where the
//! engine has another image than was meant, everything is sent.

mod error;
pub mod present;

use std::sync::Arc;
use std::time::Duration;

pub use error::LoadError;

use crate::archive::Image;
use crate::archive::docker;
use crate::archive::pipeline::LayerInfo;
use crate::archive::verify;
use crate::build::{CacheUse, Plan, assemble};
use crate::engine::Docker;
use crate::engine::stream::{Sender, transfer};
use crate::image::{DiffId, Digest, Reference};

/// What is loaded.
#[derive(Debug)]
pub enum Source {
    /// The image that a plan makes.
    Plan(Box<Plan>),
    /// An image that lies in an archive, under this reference.
    Image(Box<Image>, Reference),
}

/// How it is loaded.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many threads read and hash.
    pub threads: usize,
    /// How what is known from builds before is used.
    pub cache: CacheUse,
    /// Send everything, whatever the engine holds.
    pub whole: bool,
    /// How long the engine may take to load it.
    pub limit: Duration,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Loaded {
    /// The image's reference.
    pub reference: String,
    /// Its id: the digest of its config.
    pub id: Digest,
    /// How many layers it has.
    pub layers: usize,
    /// How many of them were sent.
    pub sent: usize,
    /// How many bytes were sent.
    pub bytes: u64,
    /// Why everything was sent although the engine holds some of it, if that was so.
    pub whole_because: Option<String>,
}

/// An image that is ready to be sent: what its layers are is known.
struct Ready {
    source: Source,
    /// Its new layers, where they were looked at before sending: those of a plan.
    made: Vec<LayerInfo>,
    /// The uncompressed sizes of its layers, where it is an archive.
    sizes: Vec<u64>,
}

/// Loads `source` into the engine.
///
/// # Errors
/// When it cannot be built or read, or the engine refuses it or does not have it afterwards.
pub async fn load(engine: &Docker, source: Source, options: Options) -> Result<Loaded, LoadError> {
    // Its id of an image is then not the config's digest, and it takes nothing for held.
    let every_blob = engine.needs_all_layers().await?;
    let held = match options.whole || every_blob {
        true => Vec::new(),
        false => engine.present_layers().await?,
    };
    let nothing_held = held.is_empty();
    let ready = blocking(move || Ready::look(source, options, nothing_held)).await?;
    let ready = Arc::new(ready);
    let skip = present::prefix(&ready.diff_ids(), &held);
    let mut because = None;
    if skip > 0 {
        match send(engine, &ready, options, skip, every_blob).await {
            Ok(loaded) => return Ok(loaded),
            Err(error @ (LoadError::Engine(_) | LoadError::Different { .. })) => {
                because = Some(crate::errors::chain(&error));
            }
            Err(error) => return Err(error),
        }
    }
    let loaded = send(engine, &ready, options, 0, every_blob).await?;
    Ok(Loaded { whole_because: because, ..loaded })
}

impl Ready {
    /// Finds out what the layers are, where that decides what is sent.
    fn look(source: Source, options: Options, nothing_held: bool) -> Result<Self, LoadError> {
        let (mut made, mut sizes) = (Vec::new(), Vec::new());
        match &source {
            Source::Plan(plan) if !nothing_held => {
                made = assemble::layers(plan, options.threads, options.cache)?;
            }
            Source::Plan(_) => {}
            Source::Image(image, _) => {
                let facts = verify::layers(image, options.threads)?;
                sizes = facts.into_iter().map(|layer| layer.size).collect();
            }
        }
        Ok(Self { source, made, sizes })
    }

    fn diff_ids(&self) -> Vec<DiffId> {
        match &self.source {
            Source::Plan(_) if self.made.is_empty() => Vec::new(),
            Source::Plan(plan) => plan
                .base_layers()
                .into_iter()
                .chain(self.made.iter().map(|made| made.diff_id))
                .collect(),
            Source::Image(image, _) => image.layers.iter().map(|layer| layer.diff_id).collect(),
        }
    }

    /// Writes the archive without its first `skip` layers; gives the image's reference, id and layers.
    fn write(
        &self,
        options: Options,
        skip: usize,
        sender: &mut Sender,
    ) -> Result<(String, Digest, Vec<DiffId>), LoadError> {
        match &self.source {
            Source::Plan(plan) => {
                let held = assemble::PresentLayers { layers: skip, made: &self.made };
                let summary =
                    assemble::stream_less(plan, options.threads, options.cache, held, sender)?;
                let layers = summary.layers.iter().map(|layer| layer.diff_id).collect();
                Ok((summary.reference.unwrap_or_default(), summary.id, layers))
            }
            Source::Image(image, reference) => {
                docker::repack(image, &self.sizes, reference, skip, sender)?;
                Ok((reference.to_string(), image.id(), self.diff_ids()))
            }
        }
    }
}

/// Sends all but the first `skip` layers, and makes sure that the engine has what was meant.
async fn send(
    engine: &Docker,
    ready: &Arc<Ready>,
    options: Options,
    skip: usize,
    every_blob: bool,
) -> Result<Loaded, LoadError> {
    let ready = Arc::clone(ready);
    let write = move |sender: &mut Sender| -> Result<_, LoadError> {
        let written = ready.write(options, skip, sender)?;
        Ok((written, sender.sent()))
    };
    let ((reference, id, layers), bytes) =
        transfer(write, |stream| engine.load(stream, options.limit)).await?;
    let found = engine.inspect(&reference).await?;
    let has = found.root_fs.and_then(|root| root.layers).unwrap_or_default();
    let meant: Vec<String> = layers.iter().map(ToString::to_string).collect();
    let found_id = found.id.unwrap_or_default();
    if has != meant || (!every_blob && found_id != id.to_string()) {
        return Err(LoadError::Different { reference, meant: id, found: found_id });
    }
    Ok(Loaded {
        reference,
        id,
        layers: layers.len(),
        sent: layers.len() - skip,
        bytes,
        whole_because: None,
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| crate::engine::EngineError::Unexpected(e.to_string()))?
}
