//! Sizes as people write them: `500`, `20M`, `20 MiB`.

/// The units, powers of 1024.
const UNITS: [(char, u32); 4] = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];

/// Parses a number of bytes, or a number with the unit K, M, G or T, or KiB and so on. A space may
/// come before the unit.
///
/// # Errors
/// If `text` is something else, or the number is too large.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let unit = unit.trim_start().to_ascii_uppercase();
    let shift = match unit.as_str() {
        "" => 0,
        unit => {
            let is_it = |(letter, _): &&(char, u32)| {
                unit.strip_prefix(*letter).is_some_and(|rest| matches!(rest, "" | "IB"))
            };
            let (_, shift) = UNITS.iter().find(is_it).ok_or(EXPECTED)?;
            *shift
        }
    };
    let number: u64 = digits.parse().map_err(|_| EXPECTED)?;
    number.checked_mul(1 << shift).ok_or_else(|| "the number is too large".to_owned())
}

const EXPECTED: &str = "expected a number of bytes, such as 500M or 20 GiB";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_with_a_unit_of_1024_bytes() {
        for (text, bytes) in [
            ("0", 0),
            ("500", 500),
            ("1k", 1024),
            ("20M", 20 << 20),
            ("20 MiB", 20 << 20),
            ("3GiB", 3 << 30),
            ("2 t", 2 << 40),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "-5M", "20MB", "1.5G", "20 M B", "20 bytes", "0x10", "+5"] {
            assert_eq!(parse(text), Err(EXPECTED.to_owned()), "{text}");
        }
        assert!(parse("99999999T").unwrap_err().contains("too large"));
    }
}
