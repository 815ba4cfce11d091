//! TIFF directories: the structure that TIFF files and EXIF share (TIFF 6.0, section 2).
//!
//! Values stay as bytes in the byte order of the structure, so that fields which nobody here understands survive a copy.

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

    pub(crate) fn bytes_16(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    pub(crate) fn bytes_32(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    /// The eight bytes that start a classic TIFF, with the offset of the first directory.
    pub(crate) fn header(self, first_directory: u32) -> [u8; 8] {
        let mut header = *match self {
            Self::Little => b"II\x2a\0\0\0\0\0",
            Self::Big => b"MM\0\x2a\0\0\0\0",
        };
        header[4..].copy_from_slice(&self.bytes_32(first_directory));
        header
    }
}

/// The byte order and the offset of the first directory of a classic (not Big-) TIFF.
pub(crate) fn read_header(bytes: &[u8]) -> Option<(Endian, u32)> {
    let endian = match bytes.get(0..4)? {
        b"II\x2a\0" => Endian::Little,
        b"MM\0\x2a" => Endian::Big,
        _ => return None,
    };
    Some((endian, endian.read_32(bytes, 4)?))
}

const SHORT: u16 = 3;
const LONG: u16 = 4;
const UNDEFINED: u16 = 7;

/// Bytes that one value of a field type takes; `None` for types that TIFF 6.0 does not know.
fn type_size(kind: u16) -> Option<usize> {
    match kind {
        1 | 2 | 6 | UNDEFINED => Some(1),
        SHORT | 8 => Some(2),
        LONG | 9 | 11 | 13 => Some(4),
        5 | 10 | 12 => Some(8),
        _ => None,
    }
}

/// One field of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) tag: u16,
    kind: u16,
    count: u32,
    data: Vec<u8>,
}

impl Field {
    pub(crate) fn shorts(endian: Endian, tag: u16, values: &[u16]) -> Self {
        let data = values.iter().flat_map(|value| endian.bytes_16(*value));
        Self {
            tag,
            kind: SHORT,
            count: values.len() as u32,
            data: data.collect(),
        }
    }

    pub(crate) fn longs(endian: Endian, tag: u16, values: &[u32]) -> Self {
        let data = values.iter().flat_map(|value| endian.bytes_32(*value));
        Self {
            tag,
            kind: LONG,
            count: values.len() as u32,
            data: data.collect(),
        }
    }

    /// Opaque bytes.
    pub(crate) fn undefined(tag: u16, data: &[u8]) -> Self {
        Self {
            tag,
            kind: UNDEFINED,
            count: data.len() as u32,
            data: data.to_vec(),
        }
    }

    /// All values, in the byte order of the structure.
    pub(crate) fn data(&self) -> &[u8] {
        &self.data
    }

    /// The first value of a SHORT or LONG field.
    pub(crate) fn number(&self, endian: Endian) -> Option<u32> {
        match self.kind {
            SHORT => endian.read_16(&self.data, 0).map(u32::from),
            LONG | 13 => endian.read_32(&self.data, 0),
            _ => None,
        }
    }
}

/// A directory as read.
pub(crate) struct Directory {
    pub(crate) fields: Vec<Field>,
    /// Offset of the next directory, 0 for none.
    pub(crate) next: u32,
}

impl Directory {
    /// Reads the directory at `offset`. Fields of unknown type, or whose values lie outside the bytes, are left out.
    ///
    /// `None` when the directory itself lies outside, or when its fields overlap so much that together they are larger
    /// than the whole structure: a few bytes could otherwise claim gigabytes.
    pub(crate) fn read(bytes: &[u8], endian: Endian, offset: u32) -> Option<Self> {
        let offset = offset as usize;
        let entries = usize::from(endian.read_16(bytes, offset)?);
        let mut fields = Vec::new();
        let mut total = 0;
        for index in 0..entries {
            let at = offset + 2 + 12 * index;
            let Some(field) = Self::read_field(bytes, endian, at) else {
                continue;
            };
            total += field.data.len();
            if total > bytes.len() {
                return None;
            }
            fields.push(field);
        }
        let next = endian
            .read_32(bytes, offset + 2 + 12 * entries)
            .unwrap_or(0);
        Some(Self { fields, next })
    }

    fn read_field(bytes: &[u8], endian: Endian, at: usize) -> Option<Field> {
        let tag = endian.read_16(bytes, at)?;
        let kind = endian.read_16(bytes, at + 2)?;
        let count = endian.read_32(bytes, at + 4)?;
        let size = (count as usize).checked_mul(type_size(kind)?)?;
        let start = if size <= 4 {
            at + 8
        } else {
            endian.read_32(bytes, at + 8)? as usize
        };
        let data = bytes.get(start..start.checked_add(size)?)?.to_vec();
        Some(Field {
            tag,
            kind,
            count,
            data,
        })
    }

    pub(crate) fn field(&self, tag: u16) -> Option<&Field> {
        self.fields.iter().find(|field| field.tag == tag)
    }

    /// The first value of a field of integers.
    pub(crate) fn number(&self, endian: Endian, tag: u16) -> Option<u32> {
        self.field(tag)?.number(endian)
    }
}

/// Bytes that [`append_directory`] takes for these fields.
pub(crate) fn directory_size(fields: &[Field]) -> usize {
    let outside = fields.iter().map(|field| match field.data.len() {
        0..=4 => 0,
        length => length.next_multiple_of(2),
    });
    2 + 12 * fields.len() + 4 + outside.sum::<usize>()
}

/// Appends a directory without a successor, its values right behind it. `fields` must be sorted by tag and `out` have
/// an even length. `None` beyond the 4 GiB that offsets can express.
pub(crate) fn append_directory(out: &mut Vec<u8>, endian: Endian, fields: &[Field]) -> Option<()> {
    let mut values_at = out.len() + 2 + 12 * fields.len() + 4;
    let mut values = Vec::new();
    out.extend(endian.bytes_16(u16::try_from(fields.len()).ok()?));
    for field in fields {
        out.extend(endian.bytes_16(field.tag));
        out.extend(endian.bytes_16(field.kind));
        out.extend(endian.bytes_32(field.count));
        if field.data.len() <= 4 {
            let mut inline = [0; 4];
            inline[..field.data.len()].copy_from_slice(&field.data);
            out.extend(inline);
        } else {
            out.extend(endian.bytes_32(u32::try_from(values_at).ok()?));
            values.extend_from_slice(&field.data);
            values.resize(values.len().next_multiple_of(2), 0);
            values_at += field.data.len().next_multiple_of(2);
        }
    }
    out.extend([0; 4]);
    out.extend(values);
    u32::try_from(out.len()).ok().map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_survives_writing_and_reading_in_both_byte_orders() {
        for endian in [Endian::Little, Endian::Big] {
            let fields = vec![
                Field::shorts(endian, 258, &[8, 8, 8]),
                Field::longs(endian, 273, &[7, 70_000]),
                Field::shorts(endian, 274, &[6]),
                Field::undefined(34_675, b"odd"),
                Field::undefined(40_000, b"longer"),
            ];
            let mut bytes = endian.header(8).to_vec();
            append_directory(&mut bytes, endian, &fields).unwrap();
            assert_eq!(bytes.len(), 8 + directory_size(&fields));
            let (found, offset) = read_header(&bytes).unwrap();
            assert_eq!((found, offset), (endian, 8));
            let directory = Directory::read(&bytes, endian, offset).unwrap();
            assert_eq!(directory.fields, fields);
            assert_eq!(directory.next, 0);
            assert_eq!(directory.number(endian, 274), Some(6));
            assert_eq!(directory.number(endian, 273), Some(7));
        }
    }

    #[test]
    fn overlapping_fields_cannot_multiply_the_input() {
        let endian = Endian::Little;
        let mut bytes = endian.header(8).to_vec();
        bytes.extend(endian.bytes_16(300));
        for tag in 0..300 {
            bytes.extend(endian.bytes_16(tag));
            bytes.extend(endian.bytes_16(UNDEFINED));
            bytes.extend(endian.bytes_32(3000));
            bytes.extend(endian.bytes_32(0));
        }
        bytes.extend([0; 4]);
        assert!(Directory::read(&bytes, endian, 8).is_none());
    }
}
