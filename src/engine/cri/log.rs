//! Log files in CRI's format (Kubernetes' design document "CRI: log management").

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
    use super::split;

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
