//! Fields of certificates of all versions of X.509; webpki reads those of version 3 alone.

#[cfg(feature = "registry")]
use rustls::pki_types::CertificateDer;

/// The distinguished name of the issuer of a certificate, in DER; `None` if it is damaged.
#[cfg(feature = "registry")]
pub(crate) fn issuer<'c>(certificate: &'c CertificateDer<'_>) -> Option<&'c [u8]> {
    Fields::of(certificate).map(|fields| fields.issuer)
}

/// Fields of a certificate (RFC 5280, section 4.1) in DER.
pub(super) struct Fields<'c> {
    #[cfg_attr(not(feature = "registry"), expect(dead_code))]
    issuer: &'c [u8],
    pub(super) public_key: &'c [u8],
}

/// The tag of a sequence.
const SEQUENCE: u8 = 0x30;
/// The tag of the version, which certificates of version 1 do not have.
const VERSION: u8 = 0xa0;

impl<'c> Fields<'c> {
    pub(super) fn of(certificate: &'c [u8]) -> Option<Self> {
        let (certificate, _) = Element::read(certificate)?;
        let (fields, _) = Element::read(certificate.sequence()?)?;
        let mut rest = fields.sequence()?;
        let mut field = || {
            let (field, after) = Element::read(rest)?;
            rest = after;
            Some(field)
        };
        if field()?.tag == VERSION {
            field()?; // the serial number
        }
        let (_signature, issuer) = (field()?, field()?);
        let (_validity, _subject, public_key) = (field()?, field()?, field()?);
        Some(Self { issuer: issuer.whole, public_key: public_key.whole })
    }
}

/// An element of DER (ITU-T X.690, section 8.1).
#[derive(Clone, Copy)]
struct Element<'d> {
    tag: u8,
    content: &'d [u8],
    /// With the tag and the length.
    whole: &'d [u8],
}

impl<'d> Element<'d> {
    /// The first element of `bytes`, and what follows.
    fn read(bytes: &'d [u8]) -> Option<(Self, &'d [u8])> {
        let (tag, length) = (*bytes.first()?, *bytes.get(1)?);
        let (header, length) = match length {
            0..=0x7f => (2, usize::from(length)),
            // That many bytes have the length. No certificate needs more.
            0x81..=0x84 => {
                let header = 2 + usize::from(length & 0x7f);
                let digits = bytes.get(2..header)?.iter();
                (header, digits.fold(0, |length, byte| length << 8 | usize::from(*byte)))
            }
            _ => return None,
        };
        let end = header.checked_add(length)?;
        let (whole, rest) = bytes.split_at_checked(end)?;
        Some((Self { tag, content: &whole[header..], whole }, rest))
    }

    fn sequence(&self) -> Option<&'d [u8]> {
        (self.tag == SEQUENCE).then_some(self.content)
    }
}
