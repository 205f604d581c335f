//! Account files: `/etc/passwd`, `/etc/group` and `/etc/shadow` of an image, a container or this
//! host, as passwd(5), group(5) and shadow(5) describe them.

/// The index of the name in a line of each of these files.
pub(crate) const NAME: usize = 0;
/// The index of the number in a line about a user or a group.
pub(crate) const ID: usize = 2;

/// The lines of an account file, split into fields.
pub(crate) type Lines = Vec<Vec<String>>;

/// Splits the content of an account file.
pub(crate) fn lines(text: &str) -> Lines {
    text.lines().map(|line| line.split(':').map(str::to_owned).collect()).collect()
}

/// The first line in which the field with the index `key` is `value`: the one that counts, as in C
/// libraries.
pub(crate) fn find<'l>(lines: &'l [Vec<String>], key: usize, value: &str) -> Option<&'l [String]> {
    let line = lines.iter().find(|line| line.get(key).is_some_and(|field| field == value))?;
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_with_a_name_or_number_counts() {
        let lines = lines("# comment\nroot:x:0:0::/:/bin/sh\ntoor:x:0:0\nshort\nroot:x:1\n");
        let named = find(&lines, NAME, "root").unwrap();
        assert_eq!(named[ID], "0");
        assert_eq!(find(&lines, ID, "0").unwrap()[NAME], "root");
        assert_eq!(find(&lines, ID, "7"), None);
    }
}
