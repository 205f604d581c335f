//! Produces layers: lists, reads, hashes and writes in parallel, in bounded memory.
//!
//! | stage | threads | task |
//! |---|---|---|
//! | list | several | list the entries of layers, each of one at a time |
//! | cut | one | cuts the layers, in order, into segments |
//! | read | several | fill buffers with the bytes of segments, in any order |
//! | hash | one | hashes the segments in order and computes each layer's diff ID |
//! | write | the caller's | writes the same segments in order into a [`LayerSink`] |
//!
//! A fixed number of buffers circulates between the stages, which bounds memory and makes fast
//! stages wait for slow ones. The output depends on the layers only, not on the number of threads.

use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::ArchiveError;
use super::layer::{Fingerprint, Layer, SEGMENT_SIZE, Segment};
pub use super::layer_cache::{CachedLayer, LayerCache, NoCache};
pub use super::list_ahead::LayerSource;
use super::list_ahead::{self, ListedAhead};
use super::sink::LayerSink;
use super::write::write_failed;
use crate::image::DiffId;
use crate::image::digest::Hasher;

/// The digest and size of a produced layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerInfo {
    /// The diff ID: the digest of its tar.
    pub diff_id: DiffId,
    /// The size of its tar in bytes.
    pub size: u64,
    /// The number of its entries.
    pub entries: usize,
}

/// A step of writing layers, from the list stage to the write stage.
enum Step<T> {
    Begin { size: u64, entries: usize, fingerprint: Fingerprint, cached: Option<CachedLayer> },
    Data(T),
    End,
}

/// A step of hashing layers, from the write stage to the hash stage.
enum HashStep {
    Data(Arc<Vec<u8>>),
    End,
}

/// A buffer with the bytes of a segment.
type FilledBuffer = Result<Vec<u8>, ArchiveError>;

/// How many segments are listed ahead of the read stage, so that a layer is listed while the
/// previous one is read. A listed segment is small.
const QUEUE_LENGTH: usize = 64;

/// Writes the layers of `sources`, in order, into `sink`; `threads` threads read files. `progress`
/// is called with the number of bytes of each step.
///
/// # Errors
/// The first error of a source, a reader or the sink; the sink may then have an incomplete layer.
pub fn run<E: From<ArchiveError> + Send>(
    sources: Vec<LayerSource<'_, E>>,
    threads: usize,
    cache: &dyn LayerCache,
    sink: &mut dyn LayerSink,
    mut progress: impl FnMut(u64),
) -> Result<Vec<LayerInfo>, E> {
    let wants_bytes = sink.wants_bytes();
    let threads = threads.max(1);
    let buffers = 2 * threads + 6;
    let (free, empty) = bounded::<Vec<u8>>(buffers);
    for _ in 0..buffers {
        let _ = free.send(Vec::with_capacity(SEGMENT_SIZE + 4096));
    }
    let (jobs, queue) = bounded::<(Segment, Sender<FilledBuffer>)>(QUEUE_LENGTH);
    let (listed, steps) = bounded::<Result<Step<Receiver<FilledBuffer>>, E>>(QUEUE_LENGTH);
    // Everything is moved in, so that an error drops the writer's ends of the queues, which ends
    // the other stages.
    thread::scope(move |scope| {
        let (sources, unlisted) = ListedAhead::new(sources, threads);
        for _ in 0..sources.listers() {
            let unlisted = unlisted.clone();
            scope.spawn(move || list_ahead::list(&unlisted));
        }
        drop(unlisted);
        scope.spawn(move || cut(sources, cache, wants_bytes, &jobs, &listed));
        for _ in 0..threads {
            let (queue, empty) = (queue.clone(), empty.clone());
            scope.spawn(move || read(&queue, &empty));
        }
        drop((queue, empty));
        let (to_hash, to_hasher) = bounded::<HashStep>(buffers);
        let (hashed, diff_ids) = unbounded();
        let returned = free.clone();
        scope.spawn(move || hash(&to_hasher, &hashed, &returned));
        Writer { steps, cache, to_hash, diff_ids, free }.write(sink, &mut progress)
    })
}

/// The cut stage. Ends early if the other stages have ended.
fn cut<E: From<ArchiveError>>(
    sources: ListedAhead<'_, E>,
    cache: &dyn LayerCache,
    wants_bytes: bool,
    jobs: &Sender<(Segment, Sender<FilledBuffer>)>,
    listed: &Sender<Result<Step<Receiver<FilledBuffer>>, E>>,
) {
    sources.each(|layer| match layer {
        Ok(layer) => cut_layer(&Arc::new(layer), cache, wants_bytes, jobs, listed).is_some(),
        Err(error) => {
            let _ = listed.send(Err(error));
            false
        }
    });
}

/// Cuts one layer. Returns `None` if no more are needed.
fn cut_layer<E: From<ArchiveError>>(
    layer: &Arc<Layer>,
    cache: &dyn LayerCache,
    wants_bytes: bool,
    jobs: &Sender<(Segment, Sender<FilledBuffer>)>,
    listed: &Sender<Result<Step<Receiver<FilledBuffer>>, E>>,
) -> Option<()> {
    let fingerprint = layer.fingerprint();
    let cached = cache.get(&fingerprint);
    let is_cached = cached.is_some();
    let needs_no_bytes =
        cached.as_ref().is_some_and(|cached| cached.blob.is_some() || !wants_bytes);
    let begin = Step::Begin { size: layer.size(), entries: layer.len(), fingerprint, cached };
    listed.send(Ok(begin)).ok()?;
    if needs_no_bytes {
        return Some(());
    }
    for segment in layer.segments() {
        let segment = match segment {
            // The cached digest is written with these bytes, which are not hashed.
            Ok(segment) if is_cached => segment.with_unchanged_files(),
            Ok(segment) => segment,
            Err(error) => {
                let _ = listed.send(Err(error.into()));
                return None;
            }
        };
        let (result, filled) = bounded(1);
        jobs.send((segment, result)).ok()?;
        listed.send(Ok(Step::Data(filled))).ok()?;
    }
    listed.send(Ok(Step::End)).ok()
}

/// The read stage. Takes a buffer before it takes a segment, so the oldest segment always has one.
fn read(queue: &Receiver<(Segment, Sender<FilledBuffer>)>, empty: &Receiver<Vec<u8>>) {
    while let Ok(mut buffer) = empty.recv() {
        let Ok((segment, result)) = queue.recv() else {
            return;
        };
        let filled = segment.read(&mut buffer).map(|()| buffer);
        if result.send(filled).is_err() {
            return;
        }
    }
}

/// The hash stage.
fn hash(steps: &Receiver<HashStep>, hashed: &Sender<DiffId>, free: &Sender<Vec<u8>>) {
    let mut hasher = Hasher::default();
    for step in steps {
        match step {
            HashStep::Data(buffer) => {
                hasher.update(&buffer);
                recycle(buffer, free);
            }
            HashStep::End => {
                if hashed.send(DiffId(hasher.finish())).is_err() {
                    return;
                }
            }
        }
    }
}

/// Returns a buffer for reuse, unless the other of hash and write stage still needs it.
fn recycle(buffer: Arc<Vec<u8>>, free: &Sender<Vec<u8>>) {
    if let Some(buffer) = Arc::into_inner(buffer) {
        let _ = free.send(buffer);
    }
}

/// The write stage.
struct Writer<'c, E> {
    steps: Receiver<Result<Step<Receiver<FilledBuffer>>, E>>,
    cache: &'c dyn LayerCache,
    to_hash: Sender<HashStep>,
    diff_ids: Receiver<DiffId>,
    free: Sender<Vec<u8>>,
}

impl<E: From<ArchiveError>> Writer<'_, E> {
    fn write(
        self,
        sink: &mut dyn LayerSink,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Vec<LayerInfo>, E> {
        let mut layers = Vec::new();
        let mut current = None;
        let failed = |error| E::from(write_failed(error));
        for step in &self.steps {
            match step? {
                Step::Begin {
                    size,
                    entries,
                    cached: Some(CachedLayer { diff_id, blob: Some(blob) }),
                    ..
                } => {
                    sink.cached(&blob, diff_id).map_err(failed)?;
                    progress(size);
                    layers.push(LayerInfo { diff_id, size, entries });
                }
                Step::Begin {
                    size, entries, cached: Some(CachedLayer { diff_id, .. }), ..
                } if !sink.wants_bytes() => {
                    layers.push(LayerInfo { diff_id, size, entries });
                }
                Step::Begin { size, entries, fingerprint, cached } => {
                    sink.begin(size).map_err(failed)?;
                    let cached = cached.map(|cached| cached.diff_id);
                    current = Some((size, entries, fingerprint, cached));
                }
                Step::Data(filled) => {
                    let buffer = Arc::new(filled.recv().map_err(|_| ArchiveError::WorkerLost)??);
                    if let Some((.., None)) = current {
                        self.hash(HashStep::Data(Arc::clone(&buffer)))?;
                    }
                    sink.data(&buffer).map_err(failed)?;
                    progress(buffer.len() as u64);
                    recycle(buffer, &self.free);
                }
                Step::End => {
                    let (size, entries, fingerprint, cached) =
                        current.take().ok_or(ArchiveError::WorkerLost)?;
                    let diff_id = match cached {
                        Some(diff_id) => diff_id,
                        None => self.diff_id(&fingerprint)?,
                    };
                    sink.end(diff_id).map_err(failed)?;
                    layers.push(LayerInfo { diff_id, size, entries });
                }
            }
        }
        Ok(layers)
    }

    /// Waits for the diff ID of the layer that was sent to the hash stage, and caches it.
    fn diff_id(&self, fingerprint: &Fingerprint) -> Result<DiffId, ArchiveError> {
        self.hash(HashStep::End)?;
        let diff_id = self.diff_ids.recv().map_err(|_| ArchiveError::WorkerLost)?;
        self.cache.insert(fingerprint, diff_id);
        Ok(diff_id)
    }

    fn hash(&self, step: HashStep) -> Result<(), ArchiveError> {
        self.to_hash.send(step).map_err(|_| ArchiveError::WorkerLost)
    }
}
