//! What a server says before the body.

use std::time::{Duration, SystemTime};

use anyhow::anyhow;
use ureq::Body;
use ureq::http::Response;

use super::partial::Record;
use super::{Setback, mirror};

/// The head of an answer.
pub(super) struct Answer {
    pub(super) status: u16,
    /// As in [`Record::validator`].
    pub(super) validator: Option<String>,
    /// A content encoding other than none.
    pub(super) encoding: Option<String>,
    length: Option<u64>,
    range: Option<ContentRange>,
    retry_after: Option<Duration>,
}

/// `bytes START-END/TOTAL`.
#[derive(Debug, PartialEq, Eq)]
struct ContentRange {
    start: u64,
    total: Option<u64>,
}

impl Answer {
    pub(super) fn read(response: &Response<Body>) -> Self {
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            Some(value.to_str().ok()?.trim().to_owned())
        };
        // A weak ETag says "as good as", which is not enough to join two halves.
        let strong = header("ETag").filter(|tag| tag.starts_with('"'));
        Self {
            status: response.status().as_u16(),
            validator: strong.or_else(|| header("Last-Modified")),
            encoding: header("Content-Encoding").filter(|text| text != "identity"),
            length: header("Content-Length").and_then(|text| text.parse().ok()),
            range: header("Content-Range").and_then(|text| content_range(&text)),
            retry_after: header("Retry-After").and_then(|text| retry_after(&text)),
        }
    }

    /// Bytes of the whole file, when `have` of them are there already and the rest follows.
    pub(super) fn total(&self, have: u64) -> Option<u64> {
        let announced = self.range.as_ref().and_then(|range| range.total);
        announced.or_else(|| self.length.map(|length| have.saturating_add(length)))
    }

    /// Whether this part goes on exactly where the file of `record` ends, or why not.
    pub(super) fn continues(&self, record: &Record, have: u64) -> Result<(), &'static str> {
        let Some(range) = &self.range else {
            return Err("the server sends a part without saying which; beginning anew");
        };
        if range.start != have {
            return Err("the server sends another part than was asked for; beginning anew");
        }
        let is_other =
            |old: Option<u64>, new: Option<u64>| old.zip(new).is_some_and(|(old, new)| old != new);
        let is_other_version = self
            .validator
            .as_ref()
            .is_some_and(|validator| Some(validator) != record.validator.as_ref());
        if is_other_version || is_other(record.total, range.total) {
            return Err("the file has changed on the server; beginning anew");
        }
        Ok(())
    }

    /// What an answer that is no file means.
    pub(super) fn setback(&self) -> Setback {
        let error = anyhow!("the server answers with HTTP status {}", self.status);
        match self.status {
            408 | 425 | 429 | 500..=599 => Setback::Passing(error, self.retry_after),
            401 | 403 => {
                mirror(error.context("access is refused; are there terms to accept first?"))
            }
            404 | 410 => mirror(error.context("the file is not there")),
            _ => mirror(error),
        }
    }
}

/// What a call without an answer means.
pub(super) fn failed_call(error: ureq::Error) -> Setback {
    match error {
        ureq::Error::Io(_)
        | ureq::Error::Timeout(_)
        | ureq::Error::ConnectionFailed
        | ureq::Error::ConnectProxyFailed(_)
        | ureq::Error::Protocol(_) => Setback::Passing(anyhow!(error), None),
        error => mirror(anyhow!(error)),
    }
}

fn content_range(text: &str) -> Option<ContentRange> {
    let (range, total) = text.strip_prefix("bytes")?.trim_start().split_once('/')?;
    Some(ContentRange {
        start: range.split_once('-')?.0.trim().parse().ok()?,
        total: total.trim().parse().ok(),
    })
}

/// Seconds, or a date.
fn retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    // A date that has passed means now.
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        let range = |start, total| Some(ContentRange { start, total });
        assert_eq!(content_range("bytes 5-9/10"), range(5, Some(10)));
        assert_eq!(content_range("bytes 5-9/*"), range(5, None));
        assert_eq!(content_range("bytes */10"), None);
        assert_eq!(content_range("items 5-9/10"), None);
    }

    #[test]
    fn pauses_are_seconds_or_dates() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::ZERO)
        );
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        let pause = retry_after(&date).unwrap().as_secs();
        assert!((90..=100).contains(&pause), "{pause}");
        assert_eq!(retry_after("soon"), None);
    }
}
