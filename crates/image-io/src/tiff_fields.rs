//! The few TIFF fields that are needed before or besides decoding.

/// Byte order of a TIFF structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endian {
    Little,
    Big,
}

impl Endian {
    pub(crate) fn read_16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let pair = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(match self {
            Self::Little => u16::from_le_bytes(pair),
            Self::Big => u16::from_be_bytes(pair),
        })
    }

    pub(crate) fn read_32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let four = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(four),
            Self::Big => u32::from_be_bytes(four),
        })
    }
}

/// The byte order and the offset of the first directory of a classic (not Big-) TIFF.
pub(crate) fn header(bytes: &[u8]) -> Option<(Endian, usize)> {
    let endian = match bytes.get(0..4)? {
        b"II\x2a\0" => Endian::Little,
        b"MM\0\x2a" => Endian::Big,
        _ => return None,
    };
    Some((endian, endian.read_32(bytes, 4)? as usize))
}

/// Width and height of the first image (tags 256 and 257).
pub(crate) fn image_size(bytes: &[u8]) -> Option<(u32, u32)> {
    Some((first_number(bytes, 256)?, first_number(bytes, 257)?))
}

/// The first value of a SHORT or LONG field of the first directory.
pub(crate) fn first_number(bytes: &[u8], wanted: u16) -> Option<u32> {
    let (endian, directory) = header(bytes)?;
    let entries = usize::from(endian.read_16(bytes, directory)?);
    (0..entries).find_map(|index| {
        let at = directory.checked_add(2 + 12 * index)?;
        if endian.read_16(bytes, at)? != wanted {
            return None;
        }
        let count = endian.read_32(bytes, at + 4)?;
        match (endian.read_16(bytes, at + 2)?, count) {
            (3, 1 | 2) => Some(u32::from(endian.read_16(bytes, at + 8)?)),
            (3, _) => {
                let offset = endian.read_32(bytes, at + 8)? as usize;
                Some(u32::from(endian.read_16(bytes, offset)?))
            }
            (4, 1) => endian.read_32(bytes, at + 8),
            (4, _) => endian.read_32(bytes, endian.read_32(bytes, at + 8)? as usize),
            _ => None,
        }
    })
}
