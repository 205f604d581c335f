//! Classes of errors: whether the environment failed, and whether another attempt may succeed.

use super::RegistryError;
use super::connect_error::refuses_certificate;

impl RegistryError {
    /// Whether the environment failed rather than the input.
    pub fn is_environment(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Slow { .. }
            | Self::Protocol { .. }
            | Self::Cache { .. }
            | Self::CacheFolder { .. }
            | Self::DamagedCache
            | Self::Runtime(_) => true,
            Self::Status { status, .. } => *status >= 500 || *status == 429,
            Self::Archive(error) => error.is_environment(),
            Self::Mirrored { source, .. } => source.is_environment(),
            Self::Denied { .. }
            | Self::Login { .. }
            | Self::NotFound { .. }
            | Self::Corrupted { .. }
            | Self::WrongSize { .. }
            | Self::Credentials { .. }
            | Self::Certificate { .. }
            | Self::Mirrors { .. }
            | Self::Blocked { .. }
            | Self::Usage(_) => false,
        }
    }

    /// Whether the registry has no such image or blob, whatever its mirrors answered.
    pub(super) fn is_not_found(&self) -> bool {
        match self {
            Self::NotFound { .. } => true,
            Self::Mirrored { source, .. } => source.is_not_found(),
            _ => false,
        }
    }

    /// Whether the registry lacks a blob that a manifest lists (OCI distribution-spec v1.1, "Error
    /// Codes").
    pub(super) fn is_blob_unknown(&self) -> bool {
        match self {
            Self::Status { status: 400, message, .. } | Self::NotFound { message, .. } => {
                message.starts_with("MANIFEST_BLOB_UNKNOWN") || message.starts_with("BLOB_UNKNOWN")
            }
            _ => false,
        }
    }

    /// Whether there was no connection, or it broke, for a reason that may pass.
    pub(super) fn is_broken_connection(&self) -> bool {
        matches!(self, Self::Unreachable { source, .. } if !refuses_certificate(&**source))
    }

    /// Whether a transfer broke, so that it can be continued.
    pub(super) fn is_interruption(&self) -> bool {
        self.is_broken_connection() || matches!(self, Self::Timeout { .. } | Self::Slow { .. })
    }

    /// Whether the reader of the output closed it.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Archive(error) if error.is_broken_pipe())
    }
}
