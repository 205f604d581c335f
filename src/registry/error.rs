//! Errors of registries.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use crate::archive::ArchiveError;
use crate::archive::blob::FetchError;
use crate::files::cache_dir::CacheDirError;
use crate::image::Digest;
use crate::text;

/// A failure to use a registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No connection, or one that broke.
    #[error("failed to reach the registry {}{hint}", text::shorten(.registry))]
    Unreachable {
        /// The registry's host.
        registry: String,
        /// How to mend it, if that is known.
        hint: String,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The registry did not answer within the time limit.
    #[error(
        "the registry {} did not answer for {seconds} s; --registry-timeout sets another limit",
        text::shorten(.registry)
    )]
    Timeout {
        /// The registry's host.
        registry: String,
        /// The time limit in seconds.
        seconds: u64,
    },
    /// The registry sent hardly anything within the time limit.
    #[error(
        "the registry {} sent only {bytes} bytes in {seconds} s; --registry-timeout sets another \
         limit",
        text::shorten(.registry)
    )]
    Slow {
        /// The registry's host.
        registry: String,
        /// The number of bytes.
        bytes: u64,
        /// The time limit in seconds.
        seconds: u64,
    },
    /// The registry, or its token server, does not accept the credentials, or there are none.
    #[error(
        "{} denies access to {}{hint}{}",
        text::shorten(.registry), text::shorten(.what), detail(.message)
    )]
    Denied {
        /// The host that denies access.
        registry: String,
        /// The repository or image.
        what: String,
        /// How to mend it.
        hint: String,
        /// The registry's message.
        message: String,
    },
    /// The registry, or its token server, does not accept the credentials of a login.
    #[error(
        "{} does not accept this password for the user {}; nothing was stored{}",
        text::shorten(.registry), text::shorten(.username), detail(.message)
    )]
    Login {
        /// The host that does not accept them.
        registry: String,
        /// The user's name.
        username: String,
        /// The registry's message.
        message: String,
    },
    /// There is no such repository, image or blob.
    #[error(
        "the registry {} has no {}{}",
        text::shorten(.registry), text::shorten(.what), detail(.message)
    )]
    NotFound {
        /// The registry's host.
        registry: String,
        /// The image or blob.
        what: String,
        /// The registry's message.
        message: String,
    },
    /// The registry answers with an error.
    #[error(
        "the registry {} answers {status} to {}{}",
        text::shorten(.registry), text::shorten(.request), detail(.message)
    )]
    Status {
        /// The registry's host.
        registry: String,
        /// The request: method and path.
        request: String,
        /// The HTTP status code.
        status: u16,
        /// The registry's message.
        message: String,
    },
    /// The registry does not follow the distribution specification.
    #[error(
        "the registry {} gives an unexpected answer: {}",
        text::shorten(.registry), text::excerpt(.problem)
    )]
    Protocol {
        /// The registry's host.
        registry: String,
        /// The problem.
        problem: String,
    },
    /// Bytes from the registry do not match their digest.
    #[error("{} is corrupted: expected {expected}, found {found}", text::shorten(.what))]
    Corrupted {
        /// The blob or manifest.
        what: String,
        /// The digest that names it.
        expected: Digest,
        /// The digest of what was sent.
        found: Digest,
    },
    /// A blob from the registry has another length than its descriptor says.
    #[error(
        "{} is corrupted: it has {} bytes of its descriptor",
        text::shorten(.what), compared(*.expected, *.found)
    )]
    WrongSize {
        /// The blob.
        what: String,
        /// The number of bytes according to its descriptor.
        expected: u64,
        /// The number of bytes that were sent; if there are too many, not all of them.
        found: u64,
    },
    /// Credentials cannot be read.
    #[error("{}: {}", text::path(.path), text::excerpt(.problem))]
    Credentials {
        /// The file, or the credential helper.
        path: PathBuf,
        /// The problem; contains no secret.
        problem: String,
    },
    /// A certificate or key cannot be used.
    #[error("{}: {}", text::path(.path), text::excerpt(.problem))]
    Certificate {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
    /// Settings of Podman or Docker cannot be read.
    #[error("{}: {}", text::path(.path), text::excerpt(.problem))]
    Mirrors {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
    /// The user's settings block the registry.
    #[error(
        "{} is blocked in {}; remove `blocked` there to use it",
        text::shorten(.registry), text::path(.path)
    )]
    Blocked {
        /// The repository.
        registry: String,
        /// The file that blocks it.
        path: PathBuf,
    },
    /// An image is invalid, or its layers cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The cache for blobs cannot be used.
    #[error("failed to write {} to the cache{}", text::shorten(.what), full_hint(.source))]
    Cache {
        /// The blob.
        what: String,
        /// The cause.
        source: io::Error,
    },
    /// The cache folder cannot be used.
    #[error("blobs of registries need the cache")]
    CacheFolder {
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A cached layer is damaged; it was removed.
    #[error("a layer in the cache was damaged; try again")]
    DamagedCache,
    /// Neither a mirror nor the registry itself gave what was asked for.
    #[error("the mirrors failed ({mirrors}), and so did the registry")]
    Mirrored {
        /// The failures of the mirrors.
        mirrors: String,
        /// The failure of the registry.
        source: Box<RegistryError>,
    },
    /// The request is impossible.
    #[error("{0}")]
    Usage(String),
    /// The program cannot start what it needs to wait for a registry.
    #[error("failed to start the network client")]
    Runtime(#[source] io::Error),
}

/// The failure to read a file that is fetched from a registry.
pub(super) fn into_io(error: RegistryError) -> io::Error {
    let is_environment = error.is_environment();
    io::Error::other(FetchError { is_environment, source: Box::new(error) })
}

/// The failure of reading a file that is fetched from a registry.
pub(super) fn from_io(error: io::Error) -> RegistryError {
    let unread = |source| ArchiveError::Read { path: "a blob".into(), source }.into();
    match error.downcast::<FetchError>() {
        Ok(error) => match error.source.downcast::<RegistryError>() {
            Ok(error) => *error,
            Err(other) => unread(io::Error::other(other)),
        },
        Err(source) => unread(source),
    }
}

/// How to go on if the disk of the cache is full, after the rest of a sentence.
fn full_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; make room there, set XDG_CACHE_HOME to a folder on another disk, or pass --no-cache"
        }
        _ => "",
    }
}

/// The length of a blob beside the expected one.
fn compared(expected: u64, found: u64) -> String {
    match found < expected {
        true => format!("only {found} of the {expected}"),
        false => format!("more than the {expected}"),
    }
}

/// A registry's message, after the rest of a sentence.
fn detail(message: &str) -> String {
    match message.trim() {
        "" => String::new(),
        message => format!(" ({})", text::shorten(message)),
    }
}

impl RegistryError {
    /// A problem of the image at `location`.
    pub(crate) fn invalid(location: impl ToString, problem: impl Into<String>) -> Self {
        ArchiveError::invalid(location.to_string(), problem).into()
    }

    /// A thread ended by a panic.
    pub(super) fn thread_lost() -> Self {
        Self::Runtime(io::Error::other("a network thread stopped unexpectedly"))
    }

    /// Replaces the registry's message if it has no such image or blob.
    pub(crate) fn explain_not_found(self, explain: impl FnOnce() -> String) -> Self {
        match self {
            Self::NotFound { registry, what, .. } => {
                Self::NotFound { registry, what, message: explain() }
            }
            Self::Mirrored { mirrors, source } => {
                Self::Mirrored { mirrors, source: Box::new(source.explain_not_found(explain)) }
            }
            other => other,
        }
    }
}

impl From<CacheDirError> for RegistryError {
    fn from(error: CacheDirError) -> Self {
        Self::CacheFolder { source: Box::new(error) }
    }
}
