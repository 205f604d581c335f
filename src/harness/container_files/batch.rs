//! Reads several files of a running container with few programs in the guest.

use std::mem;
use std::time::Duration;

use tokio::time::sleep;

use super::file::{Answer, ContainerFile, Part};
use super::program::{INCOMPLETE, run};
use super::request::{FileError, FileRequest};
use crate::harness::daemon::Daemon;
use crate::harness::error::HarnessError;
use crate::linux::container_user::UserIds;

const READ: &str =
    concat!(include_str!("../../../vm/files/enter"), include_str!("../../../vm/files/read"));
/// The most bytes that are read of a file at once: the guest agent captures 16 MiB.
const PART_MAX: usize = 8 << 20;
/// The most requests to a program, whose answers have at most 4 KiB besides contents.
const REQUESTS_MAX: usize = 512;
/// The pause between two programs, in which others can use the guest agent.
const PAUSE: Duration = Duration::from_millis(30);
/// The action of the program.
const ACTION: &str = "read files of the container";
/// The problem of a file that was not read.
const KILLED: &str = "the program that reads files of the container was killed twice, or could not \
                      be started: a process in the container has killed it, or memory is short";

/// A request that is not answered as a whole.
struct Pending<'r> {
    request: &'r FileRequest,
    index: usize,
    /// The parts so far.
    begin: Option<Part>,
}

/// Reads the files of the running container with this ID.
///
/// # Errors
/// If the guest does not answer, or the container has ended, which is
/// [unsupported](HarnessError::is_unsupported).
pub(super) async fn read(
    daemon: &Daemon,
    id: &str,
    requests: &[FileRequest],
    user: Option<&UserIds>,
) -> Result<Vec<Result<ContainerFile, FileError>>, HarnessError> {
    read_by(requests, async |pending| ask(daemon, id, pending, user).await).await
}

/// The answers to requests, or the reason why there are none.
type Answers = Result<Vec<Answer>, FileError>;

/// Reads files with the answers that `ask` returns.
async fn read_by(
    requests: &[FileRequest],
    mut ask: impl AsyncFnMut(&[Pending<'_>]) -> Result<Answers, HarnessError>,
) -> Result<Vec<Result<ContainerFile, FileError>>, HarnessError> {
    let unread = || Err(FileError::Other(INCOMPLETE.to_owned()));
    let mut found: Vec<_> = requests.iter().map(|_| unread()).collect();
    let all = requests.iter().enumerate();
    let mut pending: Vec<_> =
        all.map(|(index, request)| Pending { request, index, begin: None }).collect();
    let mut count = REQUESTS_MAX;
    while !pending.is_empty() {
        let now: Vec<_> = pending.drain(..count.min(pending.len())).collect();
        let answers = match ask(&now).await? {
            Ok(answers) => answers,
            // Another file may be the cause.
            Err(_) if now.len() > 1 => {
                (count, pending) = (1, now.into_iter().chain(mem::take(&mut pending)).collect());
                continue;
            }
            Err(problem) => {
                // Each of the others could take as long.
                let others =
                    if problem == FileError::Late { mem::take(&mut pending) } else { vec![] };
                now.iter().chain(&others).for_each(|it| found[it.index] = Err(problem.clone()));
                continue;
            }
        };
        let mut later = Vec::new();
        for (pending, answer) in now.into_iter().zip(answers) {
            let index = pending.index;
            match pending.after(answer) {
                Ok(file) => found[index] = file,
                Err(pending) => later.push(*pending),
            }
        }
        later.append(&mut pending);
        pending = later;
        if !pending.is_empty() {
            sleep(PAUSE).await;
        }
    }
    Ok(found)
}

/// Makes requests to the program in the guest.
async fn ask(
    daemon: &Daemon,
    id: &str,
    requests: &[Pending<'_>],
    user: Option<&UserIds>,
) -> Result<Answers, HarnessError> {
    let ids = user.map(|UserIds { uid, gid, groups }| [&[*uid, *gid], &groups[..]].concat());
    let ids: Vec<String> = ids.iter().flatten().map(ToString::to_string).collect();
    let arguments = ["-e", READ, id].into_iter().chain(ids.iter().map(String::as_str));
    let input: Vec<u8> = requests.iter().flat_map(Pending::input).collect();
    let output = run(daemon, ACTION, &arguments.collect::<Vec<_>>(), &input).await?;
    Ok(output.and_then(|output| answers_in(&output, requests.len())))
}

/// Parses the output of the program, which should have this many answers.
fn answers_in(output: &[u8], count: usize) -> Answers {
    match output {
        b"late" => Err(FileError::Late),
        b"killed" => Err(FileError::Other(KILLED.to_owned())),
        answers => match Answer::parse_all(answers) {
            Some(answers) if answers.len() == count => Ok(answers),
            _ => Err(FileError::Other(INCOMPLETE.to_owned())),
        },
    }
}

impl<'r> Pending<'r> {
    /// The request, as the program reads it.
    fn input(&self) -> Vec<u8> {
        let FileRequest { path, follow, content_max, .. } = self.request;
        let offset = self.begin.as_ref().map_or(0, |begin| begin.content.len());
        let count = if content_max.is_some() { PART_MAX } else { 0 };
        let most = content_max.unwrap_or_default();
        // No path has a zero byte; what is before it would be another path.
        let path = if path.contains('\0') { "" } else { path };
        // From the root of the container, also without a slash.
        let slash = if path.is_empty() { "" } else { "/" };
        format!("{} {offset} {count} {most} {slash}{path}\0", u8::from(*follow)).into_bytes()
    }

    /// Returns the file if this is the last answer, or else what is pending after it.
    fn after(self, answer: Answer) -> Result<Result<ContainerFile, FileError>, Box<Self>> {
        let FileRequest { content_max, .. } = self.request;
        let part = match answer {
            Answer::Later => return Err(Box::new(self)),
            Answer::Failed(error) => return Ok(Err(FileError::System(error))),
            Answer::Found(part) => part,
        };
        let is_last = part.is_last;
        let part = match self.begin {
            None => part,
            Some(begin) => match begin.joined(part) {
                Some(part) => part,
                None => {
                    let replaced = "it was replaced while it was read";
                    return Ok(Err(FileError::Other(replaced.to_owned())));
                }
            },
        };
        match is_last || part.content.len() > content_max.unwrap_or_default() {
            true => Ok(Ok(part.into_file(*content_max))),
            false => Err(Box::new(Self { begin: Some(part), ..self })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, content_max: Option<usize>) -> FileRequest {
        FileRequest { path: path.to_owned(), follow: true, content_max, ends_with_container: false }
    }

    fn pending(request: &FileRequest) -> Pending<'_> {
        Pending { request, index: 0, begin: None }
    }

    fn answer(text: &str) -> Answer {
        Answer::parse_all(text.as_bytes()).unwrap().pop().unwrap()
    }

    const FOUND: &str = "found 1 2 33188 0 0 0 1 9 0 1 1 0\nx";

    /// Reads `a`, `b` and `c` with a program that has these outputs, one after the other. Returns
    /// the paths of each run, and the contents or problems of the files.
    async fn read_with(outputs: &[&str]) -> (Vec<String>, Vec<String>) {
        let requests = ["a", "b", "c"].map(|path| request(path, Some(9)));
        let (mut runs, mut outputs) = (Vec::new(), outputs.iter());
        let found = read_by(&requests, async |pending| {
            runs.push(pending.iter().map(|it| &*it.request.path).collect());
            Ok(answers_in(outputs.next().unwrap().as_bytes(), pending.len()))
        });
        let found = found.await.unwrap().into_iter().map(|file| match file {
            Ok(file) => String::from_utf8(file.info.content.unwrap()).unwrap(),
            Err(error) => error.to_string(),
        });
        (runs, found.collect())
    }

    #[tokio::test]
    async fn files_are_read_together_and_the_rest_later() {
        let outputs = [&format!("{FOUND}later\nerror 13\n"), FOUND];
        let (runs, found) = read_with(&outputs).await;
        assert_eq!(runs, ["abc", "b"]);
        assert_eq!(found, ["x", "x", "Permission denied (os error 13)"]);
    }

    #[tokio::test]
    async fn after_a_run_without_answers_each_file_is_read_by_itself() {
        let incomplete = format!("{FOUND}{FOUND}");
        for (first, problem) in [("late", None), ("killed", Some(KILLED)), (&incomplete, None)] {
            let second = if problem.is_some() { first } else { "found" };
            let (runs, found) = read_with(&[first, FOUND, second, FOUND]).await;
            assert_eq!(runs, ["abc", "a", "b", "c"], "{first}");
            assert_eq!(found, ["x", problem.unwrap_or(INCOMPLETE), "x"], "{first}");
        }
    }

    #[tokio::test]
    async fn after_a_single_file_that_is_late_no_other_is_read() {
        let (runs, found) = read_with(&["late", FOUND, "late"]).await;
        assert_eq!(runs, ["abc", "a", "b"]);
        let late = FileError::Late.to_string();
        assert_eq!(found, ["x", &late, &late]);
    }

    /// ptrace(2): a process may trace another one with the same user and no more capabilities, if
    /// that is dumpable. prctl(2): the kernel may reset that when the user changes.
    #[test]
    fn the_program_is_never_open_to_processes_of_the_container() {
        let (_, drop) = READ.split_once("sub drop {").unwrap();
        let (drop, _) = drop.split_once("\n}\n").unwrap();
        let calls = drop.split(['(', ' ']).filter(|word| {
            ["SETGROUPS,", "SETRESGID,", "SETRESUID,", "CAPSET,", "keep_closed"].contains(word)
        });
        let expected =
            ["keep_closed", "SETGROUPS,", "SETRESGID,", "SETRESUID,", "keep_closed", "CAPSET,"];
        assert_eq!(calls.collect::<Vec<_>>(), expected);
        assert!(READ.split_once("sub keep_closed {").unwrap().1.contains("SET_DUMPABLE, 0,"));
    }

    #[test]
    fn a_large_file_is_read_in_parts() {
        let request = request("x y", Some(9));
        let begin = pending(&request);
        assert_eq!(begin.input(), b"1 0 8388608 9 /x y\0");
        let Err(begin) = begin.after(Answer::Later) else { panic!() };
        let Err(next) = begin.after(answer("found 1 2 33188 0 0 0 5 9 0 0 3 0\nabc")) else {
            panic!()
        };
        assert_eq!(next.input(), b"1 3 8388608 9 /x y\0");
        let Ok(Ok(file)) = next.after(answer("found 1 2 33188 0 0 0 5 9 0 1 2 0\nde")) else {
            panic!()
        };
        assert_eq!(file.info.content.as_deref(), Some(&b"abcde"[..]));
    }

    #[test]
    fn a_file_that_grows_without_end_is_too_large() {
        let request = request("/log", Some(2));
        let found = pending(&request).after(answer("found 1 2 33188 0 0 0 2 9 0 0 3 0\nabc"));
        let Ok(Ok(file)) = found else { panic!() };
        assert_eq!((file.info.size, file.info.content), (3, None));
    }

    #[test]
    fn a_path_with_a_zero_byte_does_not_exist() {
        // open(2): ENOENT for an empty path.
        assert_eq!(pending(&request("/etc\0/passwd", None)).input(), b"1 0 0 0 \0");
        let request = request("x", None);
        let found = pending(&request).after(answer("error 2\n"));
        assert!(matches!(found, Ok(Err(error)) if error.is_absent()));
    }
}
