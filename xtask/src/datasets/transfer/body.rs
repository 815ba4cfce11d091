//! The body of an answer, piece by piece, with an end to waiting.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use crate::report;

const CHUNK: usize = 1 << 18;
/// Pieces that may wait for the disk.
const WAITING: usize = 8;

/// Pieces of a body. A server that keeps the connection and sends nothing would hold a plain read for ever: the client
/// library bounds the whole body only, and how long a whole data set takes nobody knows.
pub(super) struct Chunks {
    pieces: Receiver<io::Result<Vec<u8>>>,
    idle: Duration,
}

impl Chunks {
    /// The pieces of `body`; no single one may take longer than `idle`.
    pub(super) fn of(mut body: impl Read + Send + 'static, idle: Duration) -> Self {
        let (sender, pieces) = sync_channel(WAITING);
        // It ends with the body, or at the first piece that nobody takes any more.
        thread::spawn(move || {
            loop {
                let mut buffer = vec![0_u8; CHUNK];
                let piece = body.read(&mut buffer).map(|read| {
                    buffer.truncate(read);
                    buffer
                });
                let is_last = piece.as_ref().map_or(true, Vec::is_empty);
                if sender.send(piece).is_err() || is_last {
                    return;
                }
            }
        });
        Self { pieces, idle }
    }

    /// The next piece; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.pieces.recv_timeout(self.idle) {
            Ok(Ok(piece)) => Ok((!piece.is_empty()).then_some(piece)),
            Ok(Err(error)) => Err(error),
            Err(RecvTimeoutError::Timeout) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("nothing came for {}", report::duration(self.idle)),
            )),
            Err(RecvTimeoutError::Disconnected) => {
                Err(io::Error::other("the connection ended without a word"))
            }
        }
    }
}
