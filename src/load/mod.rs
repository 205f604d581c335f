//! Loads an image into an engine, and sends only the layers that the engine does not have.
//!
//! Docker's classic image store does not read a layer whose chain ID it has, so the layer may be
//! missing in the archive (moby `image/tarexport/load.go`). The containerd image store needs every
//! blob. Afterwards the engine's image is compared with what was sent; if they differ, all layers
//! are sent.

mod error;
pub(crate) mod present;

use std::sync::Arc;
use std::time::Duration;

pub use error::LoadError;

use crate::archive::Image;
use crate::archive::docker;
use crate::archive::pipeline::LayerInfo;
use crate::archive::verify;
use crate::build::incremental::{self, PresentLayers};
use crate::build::{CacheUse, Plan};
use crate::engine::Docker;
use crate::engine::stream::{Sender, transfer};
use crate::image::{DiffId, Digest, Reference};

/// The image to load.
#[derive(Debug)]
pub enum Source {
    /// The image of a plan, which is built.
    Plan(Box<Plan>),
    /// The image of an archive, and the reference to load it under.
    Image(Box<Image>, Reference),
}

/// How an image is loaded.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The number of threads that read and hash.
    pub threads: usize,
    /// How the layer cache is used.
    pub cache: CacheUse,
    /// Whether to send every layer, even those that the engine has.
    pub whole: bool,
    /// The time limit for the engine to load the image.
    pub timeout: Duration,
}

/// A loaded image.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Loaded {
    /// The image's reference.
    pub reference: String,
    /// The image's ID: the digest of its config.
    pub id: Digest,
    /// The number of layers.
    pub layers: usize,
    /// The number of layers that were sent.
    pub sent: usize,
    /// The number of bytes that were sent.
    pub bytes: u64,
    /// The reason for sending every layer although the engine has some, if that happened.
    pub whole_because: Option<String>,
}

/// An image whose layers are known, as far as that decides what is sent.
struct Prepared {
    source: Source,
    /// The new layers of a plan, if the engine may have some.
    new_layers: Vec<LayerInfo>,
    /// The uncompressed sizes of an archive's layers.
    sizes: Vec<u64>,
}

/// The image that was sent to the engine.
struct Sent {
    reference: String,
    id: Digest,
    diff_ids: Vec<DiffId>,
}

/// Loads `source` into the engine.
///
/// # Errors
/// If the image cannot be built or read, or the engine rejects it or does not have it afterwards.
pub async fn load(engine: &Docker, source: Source, options: Options) -> Result<Loaded, LoadError> {
    // Such an engine also has other image IDs than the digest of the config.
    let all_layers = engine.needs_all_layers().await?;
    let present = match options.whole || all_layers {
        true => Vec::new(),
        false => engine.present_layers().await?,
    };
    let none_present = present.is_empty();
    let image = blocking(move || Prepared::new(source, options, none_present)).await?;
    let image = Arc::new(image);
    let skip = present::common_layers(&image.diff_ids(), &present);
    let mut whole_because = None;
    if skip > 0 {
        match send(engine, &image, options, skip, all_layers).await {
            Ok(loaded) => return Ok(loaded),
            Err(error @ (LoadError::Engine(_) | LoadError::Mismatch { .. })) => {
                whole_because = Some(crate::text::errors::chain(&error));
            }
            Err(error) => return Err(error),
        }
    }
    let loaded = send(engine, &image, options, 0, all_layers).await?;
    Ok(Loaded { whole_because, ..loaded })
}

impl Prepared {
    /// Computes the layers of `source`, as far as they are needed.
    fn new(source: Source, options: Options, none_present: bool) -> Result<Self, LoadError> {
        let (mut new_layers, mut sizes) = (Vec::new(), Vec::new());
        match &source {
            Source::Plan(plan) if !none_present => {
                new_layers = incremental::new_layers(plan, options.threads, options.cache)?;
            }
            Source::Plan(_) => {}
            Source::Image(image, _) => {
                let facts = verify::layers(image, options.threads)?;
                sizes = facts.into_iter().map(|layer| layer.size).collect();
            }
        }
        Ok(Self { source, new_layers, sizes })
    }

    /// The diff IDs of the image, or none if they were not computed.
    fn diff_ids(&self) -> Vec<DiffId> {
        match &self.source {
            Source::Plan(_) if self.new_layers.is_empty() => Vec::new(),
            Source::Plan(plan) => plan
                .base_layers()
                .into_iter()
                .chain(self.new_layers.iter().map(|layer| layer.diff_id))
                .collect(),
            Source::Image(image, _) => image.layers.iter().map(|layer| layer.diff_id).collect(),
        }
    }

    /// Writes the archive without its first `skip` layers.
    fn write(&self, options: Options, skip: usize, sender: &mut Sender) -> Result<Sent, LoadError> {
        match &self.source {
            Source::Plan(plan) => {
                let present = PresentLayers { count: skip, new_layers: &self.new_layers };
                let Options { threads, cache, .. } = options;
                let summary =
                    incremental::stream_missing_layers(plan, threads, cache, present, sender)?;
                Ok(Sent {
                    reference: summary.reference.unwrap_or_default(),
                    id: summary.id,
                    diff_ids: summary.layers.iter().map(|layer| layer.diff_id).collect(),
                })
            }
            Source::Image(image, reference) => {
                docker::repack(image, &self.sizes, reference, skip, sender)?;
                Ok(Sent {
                    reference: reference.to_string(),
                    id: image.id(),
                    diff_ids: self.diff_ids(),
                })
            }
        }
    }
}

/// Sends all but the first `skip` layers, and checks that the engine has the image afterwards.
async fn send(
    engine: &Docker,
    image: &Arc<Prepared>,
    options: Options,
    skip: usize,
    all_layers: bool,
) -> Result<Loaded, LoadError> {
    let image = Arc::clone(image);
    let write = move |sender: &mut Sender| -> Result<_, LoadError> {
        let sent = image.write(options, skip, sender)?;
        Ok((sent, sender.sent()))
    };
    let (Sent { reference, id, diff_ids }, bytes) =
        transfer(write, |stream| engine.load(stream, options.timeout)).await?;
    let inspected = engine.inspect(&reference).await?;
    let found_layers = inspected.root_fs.and_then(|root| root.layers).unwrap_or_default();
    let expected_layers: Vec<String> = diff_ids.iter().map(ToString::to_string).collect();
    let found = inspected.id.unwrap_or_default();
    if found_layers != expected_layers || (!all_layers && found != id.to_string()) {
        return Err(LoadError::Mismatch { reference, expected: id, found });
    }
    Ok(Loaded {
        reference,
        id,
        layers: diff_ids.len(),
        sent: diff_ids.len() - skip,
        bytes,
        whole_because: None,
    })
}

/// Runs blocking `work` on a thread for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| crate::engine::EngineError::Unexpected(e.to_string()))?
}
