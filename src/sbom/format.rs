//! The formats of bills of materials.

use super::{Bill, cyclonedx, spdx};

/// A format of bills of materials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SbomFormat {
    /// SPDX 2.3, as JSON.
    Spdx,
    /// CycloneDX 1.5, as JSON.
    CycloneDx,
}

impl SbomFormat {
    /// Writes `bill`.
    pub fn document(self, bill: &Bill) -> String {
        match self {
            Self::Spdx => spdx(bill),
            Self::CycloneDx => cyclonedx(bill),
        }
    }

    /// The media type (IANA).
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Spdx => "application/spdx+json",
            Self::CycloneDx => "application/vnd.cyclonedx+json",
        }
    }

    /// The usual end of file names.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Spdx => "spdx.json",
            Self::CycloneDx => "cdx.json",
        }
    }
}
