//! The answers of the program in the guest that reads files of containers.

use std::str::FromStr;

use rustix::fs::{FileType, major, minor};
use rustix::io::Errno;

use crate::archive::files::FileInfo;
use crate::archive::tar::{MemberKind, SpecialKind};

/// A file of a container.
#[derive(Clone, Debug)]
pub(crate) struct ContainerFile {
    /// The file. Sockets have the kind of named pipes.
    pub info: FileInfo,
    /// The names in a folder, if they were asked for as its content.
    pub names: Vec<String>,
    pub is_socket: bool,
    /// The size that stat(2) returns; `None` if the engine has returned the file.
    pub stat_size: Option<u64>,
    /// Whether the owner is known: Podman returns another one when a container has ended.
    pub has_owner: bool,
    /// The error with which the content could not be read.
    pub content_error: Option<Errno>,
}

/// The description of a file, with a part of its content.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    device: u64,
    inode: u64,
    mode: u32,
    uid: u64,
    gid: u64,
    /// The number of a device.
    special: u64,
    size: u64,
    mtime: i64,
    /// The error with which the content could not be read; 0 without one.
    error: i32,
    /// Whether the file ends after this part.
    pub(super) is_last: bool,
    /// The target of a symlink.
    target: Vec<u8>,
    /// The content of a regular file that is not too large, as far as it has been read; the names
    /// in a folder, each ended by a zero byte.
    pub(super) content: Vec<u8>,
}

/// The answer to a request.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// The file was found.
    Found(Part),
    /// A system call failed with this error.
    Failed(Errno),
    /// The answers before have taken all space.
    Later,
}

impl Answer {
    /// Parses the first answer of `output`, and returns what follows it; `None` if it is
    /// incomplete.
    fn parse(output: &[u8]) -> Option<(Self, &[u8])> {
        let end = output.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = (&output[..end], &output[end + 1..]);
        if line == b"later" {
            return Some((Self::Later, rest));
        }
        if let Some(number) = line.strip_prefix(b"error ") {
            return Some((Self::Failed(Errno::from_raw_os_error(number_of(number)?)), rest));
        }
        let (part, rest) = Part::parse(line.strip_prefix(b"found ")?, rest)?;
        Some((Self::Found(part), rest))
    }

    /// Parses all answers of `output`; `None` if one is incomplete.
    pub(super) fn parse_all(mut output: &[u8]) -> Option<Vec<Self>> {
        let mut answers = Vec::new();
        while !output.is_empty() {
            let (answer, rest) = Self::parse(output)?;
            answers.push(answer);
            output = rest;
        }
        Some(answers)
    }
}

fn number_of<T: FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

impl Part {
    /// Parses the numbers of a file, whose target and content are at the beginning of `rest`.
    fn parse<'r>(line: &[u8], rest: &'r [u8]) -> Option<(Self, &'r [u8])> {
        let mut numbers = line.split(|byte| *byte == b' ');
        let mut part = Self {
            device: number_of(numbers.next()?)?,
            inode: number_of(numbers.next()?)?,
            mode: number_of(numbers.next()?)?,
            uid: number_of(numbers.next()?)?,
            gid: number_of(numbers.next()?)?,
            special: number_of(numbers.next()?)?,
            size: number_of(numbers.next()?)?,
            mtime: number_of(numbers.next()?)?,
            error: number_of(numbers.next()?)?,
            is_last: number_of::<u8>(numbers.next()?)? == 1,
            target: Vec::new(),
            content: Vec::new(),
        };
        let length = number_of(numbers.next()?)?;
        let (target, rest) = rest.split_at_checked(number_of(numbers.next()?)?)?;
        let (content, rest) = rest.split_at_checked(length)?;
        (part.target, part.content) = (target.to_owned(), content.to_owned());
        Some((part, rest))
    }

    /// Returns the file with the content of the `next` part as well; `None` if that is of another
    /// file.
    pub(super) fn joined(mut self, next: Self) -> Option<Self> {
        if (self.device, self.inode) != (next.device, next.inode) {
            return None;
        }
        self.content.extend_from_slice(&next.content);
        Some(Self { content: self.content, ..next })
    }

    /// The file, with its content if that was read and has at most `content_max` bytes.
    pub(super) fn into_file(self, content_max: Option<usize>) -> ContainerFile {
        let is_regular = FileType::from_raw_mode(self.mode) == FileType::RegularFile;
        let content_error = (self.error != 0).then(|| Errno::from_raw_os_error(self.error));
        // A file may grow or shrink while it is read, and the kernel's own are said to be empty.
        let read = self.content.len() as u64;
        let is_whole = content_max
            .is_some_and(|max| read.max(self.size) <= max as u64 && content_error.is_none());
        let size = match is_regular {
            true if is_whole => read,
            true => read.max(self.size),
            false => 0,
        };
        let names = match is_regular {
            true => Vec::new(),
            false => names(&self.content),
        };
        let info = FileInfo {
            kind: self.kind(),
            mode: self.mode & 0o7777,
            uid: self.uid,
            gid: self.gid,
            size,
            mtime: self.mtime,
            xattrs: Default::default(),
            content: (is_whole && is_regular).then_some(self.content),
            link: self.target,
        };
        let is_socket = FileType::from_raw_mode(self.mode) == FileType::Socket;
        let stat_size = Some(self.size);
        ContainerFile { info, names, is_socket, stat_size, has_owner: true, content_error }
    }

    fn kind(&self) -> MemberKind {
        let (major, minor) = (major(self.special), minor(self.special));
        MemberKind::Special(match FileType::from_raw_mode(self.mode) {
            FileType::Directory => return MemberKind::Directory,
            FileType::Symlink => return MemberKind::Symlink,
            FileType::CharacterDevice => SpecialKind::CharDevice(major, minor),
            FileType::BlockDevice => SpecialKind::BlockDevice(major, minor),
            FileType::Fifo | FileType::Socket => SpecialKind::Fifo,
            FileType::RegularFile | FileType::Unknown => return MemberKind::File,
        })
    }
}

/// Splits names that end with zero bytes.
fn names(content: &[u8]) -> Vec<String> {
    let names = content.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mode of a regular file.
    const REGULAR: u32 = 0o100_640;

    /// A file as the program prints it.
    fn part(mode: u32, size: u64, target: &[u8], content: &[u8]) -> Part {
        let (length, target_length) = (content.len(), target.len());
        let line =
            format!("found 44 7 {mode} 5 4000000 2065 {size} -9 0 1 {length} {target_length}\n");
        let output = [line.as_bytes(), target, content].concat();
        match Answer::parse(&output) {
            Some((Answer::Found(part), b"")) => part,
            answer => panic!("{answer:?}"),
        }
    }

    fn file(mode: u32, size: u64, target: &[u8], content: &[u8]) -> ContainerFile {
        part(mode, size, target, content).into_file(Some(5))
    }

    #[test]
    fn a_file_has_its_metadata_and_content() {
        let file = file(REGULAR, 5, b"", b"a\n\xffb\n");
        let FileInfo { kind, mode, uid, gid, size, mtime, content, .. } = file.info;
        assert_eq!((kind, mode, uid, gid), (MemberKind::File, 0o640, 5, 4_000_000));
        assert_eq!((size, mtime, content.unwrap()), (5, -9, b"a\n\xffb\n".to_vec()));
        assert_eq!((file.stat_size, file.is_socket, file.has_owner), (Some(5), false, true));
    }

    #[test]
    fn a_target_stays_as_it_is() {
        let long = [&b"./a//\xff"[..], &[b'l'; 3000], b"/"].concat();
        for target in [&b"../x/./\xff\n"[..], &long] {
            let found = file(0o120_777, target.len() as u64, target, b"");
            assert_eq!((found.info.kind, &*found.info.link), (MemberKind::Symlink, target));
            // As stat(2) has it.
            assert_eq!(found.stat_size, Some(target.len() as u64));
            assert_eq!(found.info.content, None);
        }
    }

    #[test]
    fn devices_have_their_numbers_and_sockets_are_known() {
        // 8:17, as stat(2) numbers it.
        let device = file(0o060_660, 0, b"", b"");
        assert_eq!(device.info.kind, MemberKind::Special(SpecialKind::BlockDevice(8, 17)));
        assert!(!file(0o010_600, 0, b"", b"").is_socket);
        let socket = file(0o140_755, 0, b"", b"");
        assert!(socket.is_socket && matches!(socket.info.kind, MemberKind::Special(_)));
        assert_eq!(socket.info.mode, 0o755);
    }

    #[test]
    fn a_file_that_is_too_large_has_no_content() {
        for (size, content) in [(6, &b""[..]), (2, b"123456")] {
            let file = file(REGULAR, size, b"", content);
            assert_eq!((file.info.size, file.info.content), (6, None));
        }
        // Files in /proc, and one that was cut while it was read.
        for size in [0, 5] {
            let file = file(REGULAR, size, b"", b"1\n");
            assert_eq!((file.info.size, file.info.content.unwrap().len()), (2, 2));
            assert_eq!(file.stat_size, Some(size));
        }
        let unread = part(REGULAR, 3, b"", b"").into_file(None);
        assert_eq!((unread.info.size, unread.info.content), (3, None));
    }

    #[test]
    fn parts_of_one_file_are_joined() {
        let begin = part(REGULAR, 6, b"", b"abc");
        let end = part(REGULAR, 7, b"", b"defg");
        let other = Part { inode: 8, ..end.clone() };
        let whole = part(REGULAR, 7, b"", b"abcdefg");
        assert_eq!(begin.clone().joined(end), Some(whole));
        assert_eq!(begin.joined(other), None);
    }

    #[test]
    fn each_request_has_an_answer_and_incomplete_ones_are_none() {
        // A file that its reader must not open: EACCES of its content alone.
        let answers = [
            &b"error 40\n"[..],
            b"found 1 2 33152 0 0 0 7 9 13 1 0 0\n",
            b"found 1 3 16877 0 0 0 40 9 0 1 4 0\na\0b\0",
            b"later\n",
        ];
        let output = answers.concat();
        let ends: Vec<usize> = (0..4).map(|count| answers[..count].concat().len()).collect();
        let answers = Answer::parse_all(&output).unwrap();
        assert_eq!(answers.len(), 4);
        assert_eq!(answers[0], Answer::Failed(Errno::LOOP));
        let files: Vec<ContainerFile> = answers
            .into_iter()
            .filter_map(|answer| match answer {
                Answer::Found(part) => Some(part.into_file(Some(9))),
                _ => None,
            })
            .collect();
        assert_eq!((files[0].content_error, &files[0].info.content), (Some(Errno::ACCESS), &None));
        assert_eq!(
            (&*files[1].names, &files[1].info.content),
            (&["a", "b"].map(str::to_owned)[..], &None)
        );
        for end in 0..output.len() {
            // The only complete beginnings end with an answer.
            let is_whole = ends.contains(&end);
            assert_eq!(Answer::parse_all(&output[..end]).is_some(), is_whole, "{end}");
        }
    }
}
