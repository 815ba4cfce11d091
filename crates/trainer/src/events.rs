//! Event files of TensorBoard: TFRecord frames around protocol buffers.
//!
//! Only the few messages that scalars and pictures need, with the field numbers of `tensorflow/core/util/event.proto` and
//! `tensorflow/core/framework/summary.proto`. A frame is the length (8 bytes, little endian), its masked CRC-32C, the bytes, and theirs
//! (`tensorflow/core/lib/io/record_writer.h`).

use std::path::{Path, PathBuf};

use prost::Message;

use crate::append::AppendFile;

/// Length, its checksum, and the checksum of the bytes.
const FRAME: usize = 16;
const FILE_VERSION: &str = "brain.Event:2";
const PREFIX: &str = "events.out.tfevents.";
const SUFFIX: &str = ".msdeblur";

/// `SessionLog.status`: what was logged from this step on is void.
const START: i32 = 1;
/// `Image.colorspace`.
const RGB: i32 = 3;

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(oneof = "Content", tags = "2, 4")]
    content: Option<Content>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Content {
    #[prost(float, tag = "2")]
    SimpleValue(f32),
    #[prost(message, tag = "4")]
    Image(Image),
}

#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(int32, tag = "1")]
    height: i32,
    #[prost(int32, tag = "2")]
    width: i32,
    #[prost(int32, tag = "3")]
    colorspace: i32,
    #[prost(bytes = "vec", tag = "4")]
    encoded_image_string: Vec<u8>,
}

/// A picture for TensorBoard.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// A PNG or JPEG file.
    pub(crate) file: Vec<u8>,
}

fn masked_crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

/// One record.
fn frame(event: &Event) -> Vec<u8> {
    let message = event.encode_to_vec();
    let length = (message.len() as u64).to_le_bytes();
    let mut bytes = Vec::with_capacity(FRAME + message.len());
    bytes.extend_from_slice(&length);
    bytes.extend_from_slice(&masked_crc32c(&length).to_le_bytes());
    bytes.extend_from_slice(&message);
    bytes.extend_from_slice(&masked_crc32c(&message).to_le_bytes());
    bytes
}

/// The first record of `bytes` and its length, if there is a whole and sound one.
fn first_record(bytes: &[u8]) -> Option<(Event, usize)> {
    let length = bytes.get(..8)?;
    let checksum = |place: std::ops::Range<usize>| -> Option<u32> {
        Some(u32::from_le_bytes(bytes.get(place)?.try_into().ok()?))
    };
    if checksum(8..12)? != masked_crc32c(length) {
        return None;
    }
    let length = usize::try_from(u64::from_le_bytes(length.try_into().ok()?)).ok()?;
    let end = length.checked_add(12)?;
    let message = bytes.get(12..end)?;
    if checksum(end..end.checked_add(4)?)? != masked_crc32c(message) {
        return None;
    }
    Some((Event::decode(message).ok()?, end + 4))
}

/// Length of the part of an event file that belongs to the first `step` steps, and whether anything was measured in it.
fn kept_length(bytes: &[u8], step: u64) -> (usize, bool) {
    let (mut kept, mut measured) = (0, false);
    while let Some((event, length)) = first_record(&bytes[kept..]) {
        let summary = matches!(event.what, Some(What::Summary(_)));
        if summary && event.step > step as i64 {
            break;
        }
        measured |= summary;
        kept += length;
    }
    (kept, measured)
}

/// The event file of this process, in a folder with those of the processes before it.
#[derive(Debug)]
pub(crate) struct EventFile {
    file: AppendFile,
    begun: bool,
    resumed_at: u64,
}

fn started_at(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX)?
        .strip_suffix(SUFFIX)?
        .parse()
        .ok()
}

impl EventFile {
    /// A new file in `folder`, which exists. What older files hold beyond `step` is cut off; a reader that has seen it already is told
    /// by the first record. `now` in seconds since 1970.
    ///
    /// # Errors
    /// If the folder cannot be read or an older file cannot be cut.
    pub(crate) fn new(folder: &Path, step: u64, now: u64) -> std::io::Result<Self> {
        let mut number = now;
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let Some(started) = entry.file_name().to_str().and_then(started_at) else {
                continue;
            };
            cut(&entry.path(), step)?;
            // Readers take files in the order of their names, whatever the clock did.
            number = number.max(started.saturating_add(1));
        }
        let path = folder.join(format!("{PREFIX}{number:010}{SUFFIX}"));
        Ok(Self {
            file: AppendFile::new(path, 0),
            begun: false,
            resumed_at: step,
        })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.file.path().to_owned()
    }

    /// Writes what was measured at a step: numbers by name, and pictures.
    ///
    /// # Errors
    /// If it has to wait for the next.
    pub(crate) fn write(
        &mut self,
        wall_time: f64,
        step: u64,
        scalars: &[(String, f64)],
        pictures: &[(&str, Picture)],
    ) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        if !self.begun {
            bytes = beginning(wall_time, self.resumed_at);
            self.begun = true;
        }
        let scalars = scalars.iter().map(|(tag, value)| Value {
            tag: tag.clone(),
            content: Some(Content::SimpleValue(*value as f32)),
        });
        let pictures = pictures.iter().map(|(tag, picture)| Value {
            tag: (*tag).to_owned(),
            content: Some(Content::Image(Image {
                height: picture.height as i32,
                width: picture.width as i32,
                colorspace: RGB,
                encoded_image_string: picture.file.clone(),
            })),
        });
        bytes.extend(frame(&Event {
            wall_time,
            step: step as i64,
            what: Some(What::Summary(Summary {
                value: scalars.chain(pictures).collect(),
            })),
        }));
        self.file.append(&bytes)
    }
}

/// The first records of a file.
fn beginning(wall_time: f64, resumed_at: u64) -> Vec<u8> {
    let mut bytes = frame(&Event {
        wall_time,
        step: 0,
        what: Some(What::FileVersion(FILE_VERSION.into())),
    });
    if resumed_at > 0 {
        bytes.extend(frame(&Event {
            wall_time,
            step: resumed_at as i64 + 1,
            what: Some(What::SessionLog(SessionLog { status: START })),
        }));
    }
    bytes
}

/// Takes away what a file holds beyond `step`, a torn last record among it; the file itself where nothing is left.
fn cut(path: &Path, step: u64) -> std::io::Result<()> {
    let bytes = std::fs::read(path)?;
    let (kept, measured) = kept_length(&bytes, step);
    if !measured {
        return std::fs::remove_file(path);
    }
    if kept < bytes.len() {
        let file = std::fs::OpenOptions::new().write(true).open(path)?;
        file.set_len(kept as u64)?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    /// Made by TensorBoard's own code, see `tests/golden/trainer/gen.py`.
    fn golden() -> Vec<u8> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/golden/trainer/events.safetensors");
        let bytes = std::fs::read(path).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        tensors.tensor("file").unwrap().data().to_vec()
    }

    fn picture() -> Picture {
        Picture {
            height: 2,
            width: 3,
            file: b"not really a PNG".to_vec(),
        }
    }

    #[test]
    fn the_bytes_are_those_of_tensorboard() {
        let folder = tempfile::tempdir().unwrap();
        let mut events = EventFile::new(folder.path(), 2, 7).unwrap();
        let scalars = [
            ("training/loss".into(), 0.25),
            ("training/rate".into(), 1e-4),
        ];
        events.write(1.5, 3, &scalars, &[]).unwrap();
        let pictures = [("preview", picture())];
        events.write(2.5, 300, &scalars[..1], &pictures).unwrap();
        assert!(
            events
                .path()
                .ends_with("events.out.tfevents.0000000007.msdeblur")
        );
        assert_eq!(std::fs::read(events.path()).unwrap(), golden());
    }

    #[test]
    fn a_resumed_run_has_every_step_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = EventFile::new(folder.path(), 0, 7).unwrap();
        for step in 1..=5 {
            first.write(1.0, step, &[("a".into(), 1.0)], &[]).unwrap();
        }
        // Killed while it wrote.
        let mut bytes = std::fs::read(first.path()).unwrap();
        bytes.truncate(bytes.len() - 3);
        std::fs::write(first.path(), bytes).unwrap();
        let mut second = EventFile::new(folder.path(), 3, 7).unwrap();
        for step in 4..=6 {
            second.write(2.0, step, &[("a".into(), 1.0)], &[]).unwrap();
        }
        // Began and measured nothing that is left.
        let mut third = EventFile::new(folder.path(), 6, 5).unwrap();
        third.write(3.0, 7, &[("a".into(), 1.0)], &[]).unwrap();
        let fourth = EventFile::new(folder.path(), 6, 5).unwrap();
        assert!(!third.path().exists());
        assert!(fourth.path() > second.path() && second.path() > first.path());
        let steps = |path: PathBuf| {
            let bytes = std::fs::read(path).unwrap();
            let (mut at, mut steps) = (0, Vec::new());
            while let Some((event, length)) = first_record(&bytes[at..]) {
                if matches!(event.what, Some(What::Summary(_))) {
                    steps.push(event.step);
                }
                at += length;
            }
            assert_eq!(at, bytes.len());
            steps
        };
        assert_eq!(steps(first.path()), [1, 2, 3]);
        assert_eq!(steps(second.path()), [4, 5, 6]);
    }

    #[test]
    fn foreign_bytes_are_no_records() {
        assert!(first_record(b"").is_none());
        assert!(first_record(&[0xff; 64]).is_none());
        let mut bytes = golden();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        let (kept, _) = kept_length(&bytes, u64::MAX >> 1);
        assert!(kept < middle);
    }
}
