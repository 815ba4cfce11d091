//! What can go wrong while reading or writing a photo.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};

use crate::format::Format;

/// The path that errors carry when a photo came from bytes in memory ([`crate::decode`]) or went there ([`crate::encode`]).
pub const IN_MEMORY: &str = "<memory>";

/// The cause of a decoding or encoding error, as the codec reported it.
pub type Cause = Box<dyn StdError + Send + Sync + 'static>;

/// A [`std::result::Result`] with this crate's [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, and at which file.
///
/// Each `Display` is one line that names the file and the problem; the cause, where there is one, is its
/// [`source`](StdError::source). [`Error::hint`] says what could be done about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file to read does not exist.
    #[error("{}: not found", path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// The folder to write into does not exist.
    #[error("{}: the folder {} does not exist", path.display(), folder.display())]
    NoFolder {
        /// The output file.
        path: PathBuf,
        /// The folder that is missing.
        folder: PathBuf,
    },
    /// The path names a folder, a device or a pipe, not a file.
    #[error("{}: not a file", path.display())]
    NotAFile {
        /// The path as given.
        path: PathBuf,
    },
    /// The operating system refused to read.
    #[error("{}: cannot read", path.display())]
    Read {
        /// The file that was read.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The operating system refused to write: no permission, disk full, name too long. Nothing is left behind.
    #[error("{}: cannot write", path.display())]
    Write {
        /// The file that was to be written.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file has no bytes at all.
    #[error("{}: the file is empty (0 bytes)", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file ends before the image does.
    #[error("{}: the {format} file is truncated", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: Format,
    },
    /// The file is damaged, or not what its first bytes say.
    #[error("{}: cannot decode as {format}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: Format,
        /// What the decoder found.
        #[source]
        source: Cause,
    },
    /// The image has more pixels than [`Limits::max_pixels`](crate::Limits::max_pixels). Found in the header, before any memory is taken.
    #[error("{}: {width}x{height} pixels, more than the limit of {limit} pixels", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Width in pixels, as the header claims.
        width: u32,
        /// Height in pixels, as the header claims.
        height: u32,
        /// The limit in pixels.
        limit: u64,
    },
    /// Decoding needs more memory than [`Limits::max_alloc`](crate::Limits::max_alloc), or than there is.
    #[error("{}: decoding needs more memory than the limit of {limit} bytes", path.display())]
    TooMuchMemory {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// The image has no pixels: its width or height is 0.
    #[error("{}: the image has no pixels ({width}x{height})", path.display())]
    ZeroSize {
        /// The file.
        path: PathBuf,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// A format, or a variant of one, that is not read or written here.
    #[error("{}: not supported: {what}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it is, in words.
        what: String,
    },
    /// The output exists and [`WriteOptions::overwrite`](crate::WriteOptions::overwrite) is off. It was not touched.
    #[error("{}: exists already", path.display())]
    Exists {
        /// The output file.
        path: PathBuf,
    },
    /// The image is larger than the output format can hold.
    #[error("{}: {width}x{height} pixels do not fit into {format}, whose sides hold at most {limit}", path.display())]
    TooLargeForFormat {
        /// The output file.
        path: PathBuf,
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// The output format.
        format: Format,
        /// The largest side in pixels.
        limit: usize,
    },
    /// A pixel (or alpha) value to write, or one stored in a floating-point file, is NaN or infinite.
    #[error("{}: the {plane} value at x={x}, y={y} is not a finite number", path.display())]
    NonFinite {
        /// The file.
        path: PathBuf,
        /// `red`, `green`, `blue` or `alpha`.
        plane: &'static str,
        /// Column.
        x: usize,
        /// Row.
        y: usize,
    },
    /// The arrays of the photo do not fit together: not three planes, or alpha of another size.
    #[error("{}: pixels of shape {pixels:?} and alpha of shape {alpha:?} are no photo; expected [3, H, W] and [H, W]", path.display())]
    Shape {
        /// The output file.
        path: PathBuf,
        /// Shape of the pixels.
        pixels: Vec<usize>,
        /// Shape of alpha; empty when there is none.
        alpha: Vec<usize>,
    },
    /// The encoder refused the image.
    #[error("{}: cannot encode as {format}", path.display())]
    Encode {
        /// The output file.
        path: PathBuf,
        /// The output format.
        format: Format,
        /// What the encoder said.
        #[source]
        source: Cause,
    },
}

impl Error {
    /// The file that the error is about ([`IN_MEMORY`] for bytes).
    pub fn path(&self) -> &Path {
        match self {
            Self::NotFound { path }
            | Self::NoFolder { path, .. }
            | Self::NotAFile { path }
            | Self::Read { path, .. }
            | Self::Write { path, .. }
            | Self::Empty { path }
            | Self::Truncated { path, .. }
            | Self::Decode { path, .. }
            | Self::TooLarge { path, .. }
            | Self::TooMuchMemory { path, .. }
            | Self::ZeroSize { path, .. }
            | Self::Unsupported { path, .. }
            | Self::Exists { path }
            | Self::TooLargeForFormat { path, .. }
            | Self::NonFinite { path, .. }
            | Self::Shape { path, .. }
            | Self::Encode { path, .. } => path,
        }
    }

    /// What a person could do about it, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        use std::io::ErrorKind;
        let text = match self {
            Self::NotFound { .. } => "check the spelling and the folder",
            Self::NoFolder { .. } => "create the folder first, or check its spelling",
            Self::NotAFile { .. } => "give the path of an image file",
            Self::Empty { .. } | Self::Truncated { .. } => {
                "copy or download the file again; it was probably cut off"
            }
            Self::ZeroSize { .. } => "the file holds no picture; get it from its source again",
            Self::Decode { .. } => {
                "open it in an image viewer; if that works, save it again as PNG"
            }
            Self::TooLarge { .. } | Self::TooMuchMemory { .. } => {
                "scale the image down or cut it into parts; a small file with such a size may be an attack"
            }
            Self::Unsupported { .. } => "convert it to PNG, JPEG, TIFF or WebP",
            Self::Exists { .. } => "choose another name, or allow overwriting",
            Self::TooLargeForFormat { .. } => "write PNG or TIFF instead",
            Self::Write { source, .. } => match source.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space on that disk",
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                    "choose a folder that you may write into"
                }
                _ => return None,
            },
            Self::Read { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
                "you have no permission to read it"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}
