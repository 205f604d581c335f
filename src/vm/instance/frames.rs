//! A connection to a service that tells a reset from a close.
//!
//! QEMU's network does not pass on that a connection was reset: the host sees a close in both
//! cases. So the program in the guest sends what it gets from the service in frames: the length in
//! two bytes, the higher one first, and the content. An empty frame says that the service has
//! closed its end.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, Join, ReadBuf, join};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// A connection to a service. A read fails if the service resets the connection, or the connection
/// is lost.
pub(crate) type FramedStream = Join<Frames<OwnedReadHalf>, OwnedWriteHalf>;

/// A connection over `stream`, on which the first frame begins.
pub(super) fn framed(stream: TcpStream) -> FramedStream {
    let (reader, writer) = stream.into_split();
    join(Frames::new(reader), writer)
}

/// The content of frames.
#[derive(Debug)]
pub(crate) struct Frames<S> {
    stream: S,
    /// The length of the next frame, as far as it has arrived.
    length: Vec<u8>,
    /// The bytes of the current frame that have not arrived.
    left: usize,
    closed: bool,
}

impl<S> Frames<S> {
    /// The content of the frames that arrive on `stream`, on which the first one begins.
    fn new(stream: S) -> Self {
        Self { stream, length: Vec::new(), left: 0, closed: false }
    }
}

impl<S: AsyncRead + Unpin> Frames<S> {
    /// Reads at most `buffer.len()` bytes, and at least one.
    fn poll_some(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        Poll::Ready(match buffer.filled().len() {
            0 => Err(io::Error::new(
                io::ErrorKind::ConnectionReset,
                "the connection was reset before its end",
            )),
            count => Ok(count),
        })
    }

    /// Reads the length of the next frame, if the current one has ended.
    fn poll_length(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.left == 0 && !self.closed {
            let mut byte = [0];
            ready!(self.poll_some(context, &mut byte))?;
            self.length.extend(byte);
            if let &[high, low] = self.length.as_slice() {
                self.length.clear();
                self.left = u16::from_be_bytes([high, low]).into();
                self.closed = self.left == 0;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Frames<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_length(context))?;
        let count = self.left.min(buffer.remaining());
        if count > 0 {
            let count = ready!(self.poll_some(context, buffer.initialize_unfilled_to(count)))?;
            buffer.advance(count);
            self.left -= count;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    /// The bytes and the result of reading a connection that ends after `sent`.
    async fn read(sent: &[u8]) -> (Vec<u8>, io::Result<usize>) {
        let mut received = Vec::new();
        let result = Frames::new(sent).read_to_end(&mut received).await;
        (received, result)
    }

    #[tokio::test]
    async fn an_empty_frame_is_the_end_and_any_other_end_is_a_reset() {
        let mut long = vec![255; 2 + 0xffff];
        long.extend(b"\0\x01x\0\0");
        let (received, result) = read(&long).await;
        assert_eq!((received.len(), result.unwrap()), (0x10000, 0x10000));
        assert_eq!(read(b"\0\0").await.1.unwrap(), 0);
        for cut in [&b""[..], b"\0", b"\0\x02o", b"\0\x02ok", b"\0\x02ok\0"] {
            let (received, result) = read(cut).await;
            assert!(b"ok".starts_with(&received[..]), "{received:?}");
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ConnectionReset, "{cut:?}");
        }
    }
}
