//! A server that answers each request as a script says, however wrong that is.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// One answer.
#[derive(Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Bytes of the body after which the connection ends.
    sent: usize,
    /// The connection stays open and silent.
    stalls: bool,
}

impl Reply {
    /// 200 with a true length and the ETag `"v1"`.
    pub(crate) fn ok(body: &[u8]) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            sent: body.len(),
            body: body.to_owned(),
            stalls: false,
        }
        .with("Content-Length", &body.len().to_string())
        .with("ETag", "\"v1\"")
    }

    /// 206 with the part from `start`.
    pub(crate) fn part(whole: &[u8], start: usize) -> Self {
        let range = format!("bytes {start}-{}/{}", whole.len() - 1, whole.len());
        Self {
            status: 206,
            ..Self::ok(&whole[start..])
        }
        .with("Content-Range", &range)
    }

    pub(crate) fn status(status: u16) -> Self {
        let mut reply = Self::ok(b"sorry");
        reply.status = status;
        reply
    }

    /// Sets or replaces a header.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self = self.without(name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    /// Only the first `sent` bytes of the body, then the end of the connection.
    pub(crate) fn cut(mut self, sent: usize) -> Self {
        self.sent = sent;
        self
    }

    /// Only the first `sent` bytes of the body, then silence.
    pub(crate) fn stall(mut self, sent: usize) -> Self {
        self.stalls = true;
        self.cut(sent)
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    headers: Vec<(String, String)>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// A server on a free port of this machine.
pub(crate) struct Server {
    address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Gives the answers in this order, one to each request; then 599.
    pub(crate) fn start(script: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        thread::spawn(move || {
            let mut script = script.into_iter();
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let reply = script.next().unwrap_or_else(|| Reply::status(599));
                answer(stream, &reply, &notes);
            }
        });
        Self { address, seen }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn answer(stream: TcpStream, reply: &Reply, seen: &Mutex<Vec<Seen>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else {
        return;
    };
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let headers = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_owned(), value.trim().to_owned()))
        })
        .collect();
    seen.lock().unwrap().push(Seen { path, headers });
    let mut head = format!(
        "HTTP/1.1 {} Scripted\r\nConnection: close\r\n",
        reply.status
    );
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut stream = stream;
    // The client may have gone; what it saw is what the test looks at.
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&reply.body[..reply.sent.min(reply.body.len())]);
    let _ = stream.flush();
    if reply.stalls {
        // Held in a thread of its own, so that the next request is answered.
        thread::spawn(move || {
            thread::sleep(Duration::from_secs(30));
            drop(stream);
        });
    } else {
        let _ = stream.shutdown(Shutdown::Write);
    }
}
