//! Makes layers: lists, reads, hashes and writes at the same time, in bounded memory.
//!
//! | stage | threads | does |
//! |---|---|---|
//! | list | one | asks each layer for its entries and cuts them into segments |
//! | read | many | fills a buffer with a segment's bytes, in any order |
//! | hash | one | takes the segments in order, gives a diff id for each layer |
//! | write | the caller's | takes the same segments in order into a [`LayerSink`] |
//!
//! Buffers go round between the stages and there is a fixed number of them, which bounds memory and lets
//! a slow stage slow down the others. What comes out depends on the layers alone, never on the threads.

use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::ArchiveError;
use super::layer::{Fingerprint, Layer, SEGMENT, Segment};
use super::sink::{LayerSink, write_failed};
use super::store::StoredBlob;
use crate::image::DiffId;
use crate::image::digest::Hasher;

/// Gives one layer's entries when they are wanted.
pub type Source<'a, E> = Box<dyn FnOnce() -> Result<Layer, E> + Send + 'a>;

/// What is known of layers from before.
pub trait LayerCache: Sync {
    /// What is known of a layer that looks so.
    fn get(&self, fingerprint: &Fingerprint) -> Option<CachedLayer>;

    /// Takes in what a layer that looks so turned out to be.
    fn insert(&self, fingerprint: &Fingerprint, diff_id: DiffId);
}

/// What is known of a layer before it is read.
#[derive(Clone, Debug)]
pub struct CachedLayer {
    /// The digest of its tar.
    pub diff_id: DiffId,
    /// Its compressed bytes, where the sink takes those: it is not read then.
    pub blob: Option<StoredBlob>,
}

/// Knows nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoCache;

impl LayerCache for NoCache {
    fn get(&self, _: &Fingerprint) -> Option<CachedLayer> {
        None
    }

    fn insert(&self, _: &Fingerprint, _: DiffId) {}
}

/// What a layer turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerInfo {
    /// The digest of its tar.
    pub diff_id: DiffId,
    /// The size of its tar in bytes.
    pub size: u64,
    /// How many entries it has.
    pub entries: usize,
}

/// What the stages hand on, in order.
enum Step<T> {
    Begin { size: u64, entries: usize, fingerprint: Fingerprint, known: Option<CachedLayer> },
    Data(T),
    End,
}

/// What the hasher is given, in order.
enum Hash {
    Data(Arc<Vec<u8>>),
    End,
}

type Filled = Result<Vec<u8>, ArchiveError>;

/// Segments listed ahead of the readers. Each is small; the number lets the next layer be listed while
/// the last one is read.
const AHEAD: usize = 64;

/// Makes the layers of `sources`, in order, into `sink`, reading on `threads` threads. `seen` is told how
/// many bytes each step added.
///
/// # Errors
/// The first error of a source, a reader or the sink; the sink is then left in the middle.
pub fn run<E: From<ArchiveError> + Send>(
    sources: Vec<Source<'_, E>>,
    threads: usize,
    memory: &dyn LayerCache,
    sink: &mut dyn LayerSink,
    mut seen: impl FnMut(u64),
) -> Result<Vec<LayerInfo>, E> {
    let wants_bytes = sink.wants_bytes();
    let threads = threads.max(1);
    let buffers = 2 * threads + 6;
    let (free, empty) = bounded::<Vec<u8>>(buffers);
    for _ in 0..buffers {
        let _ = free.send(Vec::with_capacity(SEGMENT + 4096));
    }
    let (jobs, queue) = bounded::<(Segment, Sender<Filled>)>(AHEAD);
    let (listed, steps) = bounded::<Result<Step<Receiver<Filled>>, E>>(AHEAD);
    // Everything is moved in: when the writer gives up, its ends of the queues go, and that ends the others.
    thread::scope(move |scope| {
        scope.spawn(move || list(sources, memory, wants_bytes, &jobs, &listed));
        for _ in 0..threads {
            let (queue, empty) = (queue.clone(), empty.clone());
            scope.spawn(move || read(&queue, &empty));
        }
        drop((queue, empty));
        let (to_hash, to_hasher) = bounded::<Hash>(buffers);
        let (hashed, diff_ids) = unbounded();
        let returned = free.clone();
        scope.spawn(move || hash(&to_hasher, &hashed, &returned));
        Writer { steps, memory, to_hash, diff_ids, free }.write(sink, &mut seen)
    })
}

/// Lists the layers one after the other. Ends early when nobody listens any more.
fn list<E: From<ArchiveError>>(
    sources: Vec<Source<'_, E>>,
    memory: &dyn LayerCache,
    wants_bytes: bool,
    jobs: &Sender<(Segment, Sender<Filled>)>,
    listed: &Sender<Result<Step<Receiver<Filled>>, E>>,
) {
    for source in sources {
        let layer = match source() {
            Ok(layer) => Arc::new(layer),
            Err(error) => {
                let _ = listed.send(Err(error));
                return;
            }
        };
        let fingerprint = layer.fingerprint();
        let known = memory.get(&fingerprint);
        let unread = known.as_ref().is_some_and(|known| known.blob.is_some() || !wants_bytes);
        let begin = Step::Begin { size: layer.size(), entries: layer.len(), fingerprint, known };
        if listed.send(Ok(begin)).is_err() {
            return;
        }
        if unread {
            continue;
        }
        for segment in layer.segments() {
            let segment = match segment {
                Ok(segment) => segment,
                Err(error) => {
                    let _ = listed.send(Err(error.into()));
                    return;
                }
            };
            let (done, filled) = bounded(1);
            if jobs.send((segment, done)).is_err() || listed.send(Ok(Step::Data(filled))).is_err() {
                return;
            }
        }
        if listed.send(Ok(Step::End)).is_err() {
            return;
        }
    }
}

/// Fills buffers. A buffer is taken before a segment is, so the oldest segment always has one.
fn read(queue: &Receiver<(Segment, Sender<Filled>)>, empty: &Receiver<Vec<u8>>) {
    while let Ok(mut buffer) = empty.recv() {
        let Ok((segment, done)) = queue.recv() else {
            return;
        };
        let filled = segment.read(&mut buffer).map(|()| buffer);
        if done.send(filled).is_err() {
            return;
        }
    }
}

fn hash(steps: &Receiver<Hash>, hashed: &Sender<DiffId>, free: &Sender<Vec<u8>>) {
    let mut hasher = Hasher::default();
    for step in steps {
        match step {
            Hash::Data(buffer) => {
                hasher.update(&buffer);
                give_back(buffer, free);
            }
            Hash::End => {
                if hashed.send(DiffId(hasher.finish())).is_err() {
                    return;
                }
            }
        }
    }
}

/// Whoever of hasher and writer is last with a buffer puts it back.
fn give_back(buffer: Arc<Vec<u8>>, free: &Sender<Vec<u8>>) {
    if let Some(buffer) = Arc::into_inner(buffer) {
        let _ = free.send(buffer);
    }
}

/// The last stage.
struct Writer<'m, E> {
    steps: Receiver<Result<Step<Receiver<Filled>>, E>>,
    memory: &'m dyn LayerCache,
    to_hash: Sender<Hash>,
    diff_ids: Receiver<DiffId>,
    free: Sender<Vec<u8>>,
}

impl<E: From<ArchiveError>> Writer<'_, E> {
    fn write(
        self,
        sink: &mut dyn LayerSink,
        seen: &mut dyn FnMut(u64),
    ) -> Result<Vec<LayerInfo>, E> {
        let mut made = Vec::new();
        let mut current = None;
        let failed = |error| E::from(write_failed(error));
        for step in &self.steps {
            match step? {
                Step::Begin {
                    size,
                    entries,
                    known: Some(CachedLayer { diff_id, blob: Some(blob) }),
                    ..
                } => {
                    sink.stored(&blob, diff_id).map_err(failed)?;
                    seen(size);
                    made.push(LayerInfo { diff_id, size, entries });
                }
                Step::Begin { size, entries, known: Some(CachedLayer { diff_id, .. }), .. }
                    if !sink.wants_bytes() =>
                {
                    made.push(LayerInfo { diff_id, size, entries });
                }
                Step::Begin { size, entries, fingerprint, known } => {
                    sink.begin(size).map_err(failed)?;
                    current = Some((size, entries, fingerprint, known.map(|known| known.diff_id)));
                }
                Step::Data(filled) => {
                    let buffer = Arc::new(filled.recv().map_err(|_| ArchiveError::Lost)??);
                    if let Some((.., None)) = current {
                        self.hash(Hash::Data(Arc::clone(&buffer)))?;
                    }
                    sink.data(&buffer).map_err(failed)?;
                    seen(buffer.len() as u64);
                    give_back(buffer, &self.free);
                }
                Step::End => {
                    let (size, entries, fingerprint, known) =
                        current.take().ok_or(ArchiveError::Lost)?;
                    let diff_id = match known {
                        Some(diff_id) => diff_id,
                        None => self.hashed(&fingerprint)?,
                    };
                    sink.end(diff_id).map_err(failed)?;
                    made.push(LayerInfo { diff_id, size, entries });
                }
            }
        }
        Ok(made)
    }

    /// The digest of the layer that has gone to the hasher.
    fn hashed(&self, fingerprint: &Fingerprint) -> Result<DiffId, ArchiveError> {
        self.hash(Hash::End)?;
        let diff_id = self.diff_ids.recv().map_err(|_| ArchiveError::Lost)?;
        self.memory.insert(fingerprint, diff_id);
        Ok(diff_id)
    }

    fn hash(&self, step: Hash) -> Result<(), ArchiveError> {
        self.to_hash.send(step).map_err(|_| ArchiveError::Lost)
    }
}
