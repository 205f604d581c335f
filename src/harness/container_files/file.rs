//! The answers of the programs in the guest: files of containers, and errors.

use std::io;
use std::path::Path;
use std::str::FromStr;

use rustix::fs::{FileType, major, minor};
use rustix::io::Errno;
use tar::{Builder, EntryType, Header};

/// The size of the two empty blocks at the end of a tar.
const END_SIZE: usize = 1024;

/// The answer of a program.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// It was done.
    Done,
    /// A system call failed with this error.
    Failed(Errno),
    /// The container has no process.
    Ended,
}

/// A file of a container.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct File {
    device: u64,
    inode: u64,
    mode: u32,
    uid: u64,
    gid: u64,
    /// The number of a device.
    special: u64,
    size: u64,
    mtime: i64,
    /// The target of a symlink.
    target: Vec<u8>,
    /// The content of a regular file that is not too large, as far as it has been read.
    pub(super) content: Vec<u8>,
}

impl Answer {
    /// Parses the output of a program; `None` if it is incomplete.
    pub(super) fn of(output: &[u8]) -> Option<Self> {
        match output.strip_prefix(b"error ") {
            Some(number) => number_of(number).map(Errno::from_raw_os_error).map(Self::Failed),
            None if output == b"ended" => Some(Self::Ended),
            None => (output == b"written" || output.starts_with(b"found ")).then_some(Self::Done),
        }
    }
}

fn number_of<T: FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

impl File {
    /// Parses the description of a file, with a part of its content; `None` if it is incomplete.
    pub(super) fn parse(output: &[u8]) -> Option<Self> {
        let end = output.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = (output[..end].strip_prefix(b"found ")?, &output[end + 1..]);
        let mut numbers = line.split(|byte| *byte == b' ');
        let file = Self {
            device: number_of(numbers.next()?)?,
            inode: number_of(numbers.next()?)?,
            mode: number_of(numbers.next()?)?,
            uid: number_of(numbers.next()?)?,
            gid: number_of(numbers.next()?)?,
            special: number_of(numbers.next()?)?,
            size: number_of(numbers.next()?)?,
            mtime: number_of(numbers.next()?)?,
            target: Vec::new(),
            content: Vec::new(),
        };
        let (target, content) = rest.split_at_checked(number_of(numbers.next()?)?)?;
        Some(Self { target: target.to_owned(), content: content.to_owned(), ..file })
    }

    /// Returns the file with the content of the next `part`; `None` if that is of another file.
    pub(super) fn followed_by(mut self, part: Self) -> Option<Self> {
        if (self.device, self.inode) != (part.device, part.inode) {
            return None;
        }
        self.content.extend_from_slice(&part.content);
        Some(Self { content: self.content, ..part })
    }

    /// Returns a tar of the file at `path`. If its content is larger than `content_max`, the tar
    /// ends after the header.
    pub(super) fn archive(&self, path: &str, content_max: usize) -> io::Result<Vec<u8>> {
        let mut header = self.header()?;
        // A file may grow or shrink while it is read, and the kernel's own are said to be empty.
        let read = self.content.len() as u64;
        let is_whole = read.max(self.size) <= content_max as u64;
        header.set_size(match header.entry_type().is_file() {
            true if is_whole => read,
            true => read.max(self.size),
            false => 0,
        });
        let content = if is_whole { self.content.as_slice() } else { &[] };
        let mut archive = Builder::new(Vec::new());
        append_target(&mut archive, &mut header, &self.target)?;
        let name = Path::new(path).file_name().unwrap_or("root".as_ref());
        archive.append_data(&mut header, name, content)?;
        let mut archive = archive.into_inner()?;
        if !is_whole {
            archive.truncate(archive.len() - END_SIZE);
        }
        Ok(archive)
    }

    fn header(&self) -> io::Result<Header> {
        let mut header = Header::new_gnu();
        header.set_entry_type(match FileType::from_raw_mode(self.mode) {
            FileType::RegularFile => EntryType::Regular,
            FileType::Directory => EntryType::Directory,
            FileType::Symlink => EntryType::Symlink,
            FileType::Fifo => EntryType::Fifo,
            FileType::CharacterDevice => EntryType::Char,
            FileType::BlockDevice => EntryType::Block,
            FileType::Socket => return Err(io::Error::other("it is a socket")),
            FileType::Unknown => return Err(io::Error::other("its type is unknown")),
        });
        header.set_mode(self.mode & 0o7777);
        header.set_uid(self.uid);
        header.set_gid(self.gid);
        // Negative before 1970.
        header.set_mtime(self.mtime.cast_unsigned());
        header.set_device_major(major(self.special))?;
        header.set_device_minor(minor(self.special))?;
        Ok(header)
    }
}

/// Sets the target of a symlink byte for byte; one that is too long has a member of its own.
fn append_target(
    archive: &mut Builder<Vec<u8>>,
    header: &mut Header,
    target: &[u8],
) -> io::Result<()> {
    if header.set_link_name_literal(target).is_ok() {
        return Ok(());
    }
    let mut long = Header::new_gnu();
    long.set_entry_type(EntryType::GNULongLink);
    long.set_size(target.len() as u64 + 1);
    archive.append_data(&mut long, "././@LongLink", &[target, &[0]].concat()[..])
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// The mode of a regular file.
    const REGULAR: u32 = 0o100_640;

    /// A file as the program prints it.
    fn file(mode: u32, size: u64, target: &[u8], content: &[u8]) -> File {
        let line = format!("found 44 7 {mode} 5 4000000 2065 {size} -9 {}\n", target.len());
        let output = [line.as_bytes(), target, content].concat();
        assert_eq!(Answer::of(&output), Some(Answer::Done));
        File::parse(&output).unwrap()
    }

    #[test]
    fn a_file_is_archived_with_its_metadata() {
        let archive = file(REGULAR, 5, b"", b"a\n\xffb\n").archive("/x/-- a\nb", 5).unwrap();
        let mut archive = tar::Archive::new(&archive[..]);
        let mut entries = archive.entries().unwrap();
        let mut entry = entries.next().unwrap().unwrap();
        let header = entry.header().clone();
        assert_eq!((header.mode().unwrap(), header.uid().unwrap()), (0o640, 5));
        assert_eq!(header.gid().unwrap(), 4_000_000);
        assert_eq!(header.mtime().unwrap().cast_signed(), -9);
        assert_eq!(&*entry.path_bytes(), b"-- a\nb");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        assert_eq!(content, b"a\n\xffb\n");
        assert!(entries.next().is_none());
    }

    #[test]
    fn a_target_stays_as_it_is() {
        let long = [&b"./a//\xff"[..], &[b'l'; 3000], b"/"].concat();
        for target in [&b"../x/./\xff\n"[..], &long] {
            for name in ["/", "/..", "/a/name", &"n".repeat(255)] {
                let archive = file(0o120_777, 9, target, b"").archive(name, 0).unwrap();
                let mut archive = tar::Archive::new(&archive[..]);
                let entry = archive.entries().unwrap().next().unwrap().unwrap();
                assert_eq!(entry.header().entry_type(), EntryType::Symlink);
                assert_eq!((&*entry.link_name_bytes().unwrap(), entry.size()), (target, 0));
            }
        }
    }

    #[test]
    fn devices_have_their_numbers_and_sockets_cannot_be_archived() {
        // 8:17, as stat(2) numbers it.
        let archive = file(0o060_660, 0, b"", b"").archive("/dev/sdb1", 0).unwrap();
        let mut archive = tar::Archive::new(&archive[..]);
        let header = archive.entries().unwrap().next().unwrap().unwrap().header().clone();
        assert_eq!(header.entry_type(), EntryType::Block);
        assert_eq!(header.device_major().unwrap(), Some(8));
        assert_eq!(header.device_minor().unwrap(), Some(17));
        let error = file(0o140_777, 0, b"", b"").archive("/run/s", 9).unwrap_err();
        assert_eq!(error.to_string(), "it is a socket");
    }

    #[test]
    fn of_a_file_that_is_too_large_the_header_is_left() {
        for (size, content) in [(6, &b""[..]), (2, b"123456")] {
            let archive = file(REGULAR, size, b"", content).archive("/x", 5).unwrap();
            let mut archive = tar::Archive::new(&archive[..]);
            let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
            assert_eq!(entry.size(), 6);
            assert_eq!(entry.read_to_end(&mut Vec::new()).unwrap(), 0);
        }
        // Files in /proc, and one that was cut while it was read.
        for size in [0, 5] {
            let archive = file(REGULAR, size, b"", b"1\n").archive("/x", 5).unwrap();
            let mut archive = tar::Archive::new(&archive[..]);
            assert_eq!(archive.entries().unwrap().next().unwrap().unwrap().size(), 2);
        }
    }

    #[test]
    fn parts_of_one_file_are_joined() {
        let begin = file(REGULAR, 6, b"", b"abc");
        let end = file(REGULAR, 7, b"", b"defg");
        let other = File { inode: 8, ..end.clone() };
        let whole = file(REGULAR, 7, b"", b"abcdefg");
        assert_eq!(begin.clone().followed_by(end), Some(whole));
        assert_eq!(begin.followed_by(other), None);
    }

    #[test]
    fn an_incomplete_answer_is_no_answer() {
        assert_eq!(Answer::of(b"ended"), Some(Answer::Ended));
        assert_eq!(Answer::of(b"written"), Some(Answer::Done));
        assert_eq!(Answer::of(b"error 40"), Some(Answer::Failed(Errno::LOOP)));
        for answer in [&b""[..], b"error ", b"end", b"writ"] {
            assert_eq!(Answer::of(answer), None);
        }
        for answer in [&b"found 1 2\n"[..], b"found 1 2 3 4 5 6 7 8 3\nab"] {
            assert_eq!(File::parse(answer), None);
        }
    }
}
