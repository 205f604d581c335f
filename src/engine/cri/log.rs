//! Log files in CRI's format (Kubernetes' design document "CRI: log management").

use crate::engine::EngineError;
use crate::engine::printed::Printed;

/// Reads a log in parts, and returns standard output and standard error. `part` returns the log
/// from an offset on, up to `part_max` bytes.
///
/// # Errors
/// If `part` fails, or the output is too large: what is in front of each line does not count.
pub(super) async fn read(
    part_max: usize,
    part: impl AsyncFn(u64) -> Result<Vec<u8>, EngineError>,
) -> Result<(String, String), EngineError> {
    let (mut printed, mut offset) = (Printed::default(), 0);
    // The beginning of a line whose end has not been read.
    let mut line = Vec::new();
    loop {
        let part = part(offset).await?;
        offset += part.len() as u64;
        line.extend_from_slice(&part);
        let is_last = part.len() < part_max;
        let end = if is_last { line.len() } else { end_of_lines(&line) };
        let (stdout, stderr) = split(&line[..end]);
        line.drain(..end);
        printed.add(&stdout, &stderr)?;
        if is_last {
            return Ok(printed.into_text());
        }
    }
}

/// Returns the length of the complete lines at the beginning of `log`.
pub(super) fn end_of_lines(log: &[u8]) -> usize {
    log.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
}

/// Splits a log into standard output and standard error. Each line is `TIME STREAM TAG TEXT`; the
/// tag `P` (partial) marks a piece of a line that does not end in a newline.
///
/// containerd removes a carriage return before a newline when it writes the log
/// (`pkg/cri/io/logger.go`, `readLine`); all others are in the log.
pub(super) fn split(log: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let mut parts = line.splitn(4, |byte| *byte == b' ').skip(1);
        let (Some(stream), Some(tag), text) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let to = if stream == b"stderr" { &mut stderr } else { &mut stdout };
        to.extend_from_slice(text.unwrap_or_default());
        if !tag.split(|byte| *byte == b':').any(|tag| tag == b"P") {
            to.push(b'\n');
        }
    }
    (stdout, stderr)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::run::OUTPUT_MAX;

    const PART_MAX: usize = 1000;

    /// Reads `log` in parts.
    async fn read_parts(log: &[u8], part_max: usize) -> Result<(String, String), EngineError> {
        let part = async |offset: u64| {
            let rest = &log[usize::try_from(offset).unwrap()..];
            Ok(rest[..rest.len().min(part_max)].to_vec())
        };
        read(part_max, part).await
    }

    #[tokio::test]
    async fn a_log_is_the_same_if_it_is_read_in_parts() {
        let line = "2016-10-06T00:17:09.669794202Z stdout F out\n\
                    2016-10-06T00:17:09.669794202Z stderr P err\n";
        for count in [0, 1, 11, 12, 100] {
            let (log, expected) =
                (line.repeat(count), ("out\n".repeat(count), "err".repeat(count)));
            for part_max in [1, PART_MAX, line.len() * 11] {
                let found = read_parts(log.as_bytes(), part_max).await.unwrap();
                assert_eq!(found, expected, "{count} {part_max}");
            }
        }
    }

    #[tokio::test]
    async fn only_the_output_of_a_log_counts_for_its_limit() {
        let line = b"2016-10-06T00:17:09.669794202Z stdout F x\n";
        let log = line.repeat(2 * OUTPUT_MAX / line.len() + 1);
        let (stdout, stderr) = read_parts(&log, 4 << 20).await.unwrap();
        assert_eq!((stdout.len(), stderr.len()), (2 * log.len() / line.len(), 0));
        let line = [&line[..40], &[b'x'; 16 << 10], b"\n"].concat();
        let log = line.repeat(OUTPUT_MAX / (16 << 10));
        let error = read_parts(&log, 4 << 20).await.unwrap_err();
        assert!(matches!(error, EngineError::OutputTooLarge), "{error}");
    }

    #[test]
    fn a_log_is_split_into_its_streams_and_partial_lines_are_joined() {
        let log = "2016-10-06T00:17:09.669794202Z stdout P log content 1\n\
                   2016-10-06T00:17:09.669794203Z stderr F log content 2\n\
                   2016-10-06T00:17:09.669794204Z stdout F , and more\n\
                   2016-10-06T00:17:09.669794205Z stdout F \n";
        let expected = (b"log content 1, and more\n\n".to_vec(), b"log content 2\n".to_vec());
        assert_eq!(split(log.as_bytes()), expected);
    }

    #[test]
    fn carriage_returns_in_a_log_are_kept() {
        let log = "2016-10-06T00:17:09.669794202Z stdout F 10%\r20%\r\n\
                   2016-10-06T00:17:09.669794203Z stdout P \r\n";
        assert_eq!(split(log.as_bytes()).0, b"10%\r20%\r\n\r");
    }

    #[test]
    fn bytes_that_are_no_text_are_kept_and_a_character_may_be_in_two_pieces() {
        let log = b"2016-10-06T00:17:09.669794202Z stdout P a\xe2\x82\n\
                    2016-10-06T00:17:09.669794203Z stdout F \xac\xff\0\n";
        assert_eq!(split(log).0, b"a\xe2\x82\xac\xff\0\n");
    }
}
