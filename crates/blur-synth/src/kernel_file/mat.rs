//! MATLAB's `.mat` of the versions 5 to 7 ("MAT-File Format", MathWorks), as far as kernels need it.
//!
//! Read here and not by the crate `matfile`, which inflates compressed variables without a limit, multiplies axes without
//! a check, takes `int32` for `uint32`, and prints to the terminal.

use std::io::Read as _;

use flate2::read::ZlibDecoder;
use ndarray::{Array2, ShapeBuilder};

use super::{KernelFileFault, MAX_COUNT, MAX_VALUES, Number, Read, checked_sides};

const FORMAT: &str = "MATLAB";
const HEADER_BYTES: usize = 128;
/// Of a compressed variable no more is read: the largest kernel takes half of it, and the beginning tells what it is.
const MAX_INFLATED_BYTES: u64 = 1 << 20;

const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;
const COMPLEX_FLAG: u32 = 0x0800;

/// A variable of the file.
pub(super) struct Variable {
    pub(super) name: String,
    /// Its values, or why they are no kernel.
    pub(super) taps: Read<Array2<f64>>,
}

fn broken(part: &'static str) -> KernelFileFault {
    KernelFileFault::Broken {
        format: FORMAT,
        part,
    }
}

/// All variables, in the order of the file.
pub(super) fn read(bytes: &[u8]) -> Read<Vec<Variable>> {
    let hdf5 = b"\x89HDF\r\n\x1a\n";
    if bytes.starts_with(b"MATLAB 7.3") || bytes.starts_with(hdf5) {
        return Err(KernelFileFault::Matlab73);
    }
    let Some((header, mut rest)) = bytes.split_at_checked(HEADER_BYTES) else {
        return Err(if bytes.starts_with(b"MATLAB 5.0") {
            broken("it ends within the header")
        } else {
            KernelFileFault::UnknownFormat
        });
    };
    let big_endian = match &header[124..] {
        [0x00, 0x01, b'I', b'M'] => false,
        [0x01, 0x00, b'M', b'I'] => true,
        [0x00, 0x02, b'I', b'M'] | [0x02, 0x00, b'M', b'I'] => {
            return Err(KernelFileFault::Matlab73);
        }
        _ => return Err(KernelFileFault::UnknownFormat),
    };
    let mut variables = Vec::new();
    // What was read so far, so that many small bombs are no large one.
    let mut total = 0;
    while !rest.is_empty() {
        let last: Option<&Variable> = variables.last();
        total += last.map_or(0, |last| last.taps.as_ref().map_or(0, Array2::len));
        if variables.len() >= MAX_COUNT || total > MAX_VALUES {
            return Err(broken(
                "it holds more than 4096 variables or 8 million numbers; save the kernels alone",
            ));
        }
        let element = Element::take(&mut rest, big_endian)?;
        match element.kind {
            MATRIX => variables.push(variable(element.data, big_endian)?),
            COMPRESSED => {
                let mut inflated = Vec::new();
                ZlibDecoder::new(element.data)
                    .take(MAX_INFLATED_BYTES)
                    .read_to_end(&mut inflated)
                    .map_err(|_| broken("a variable cannot be decompressed"))?;
                let (kind, _, start) = tag(&inflated, big_endian)?;
                if kind == MATRIX {
                    variables.push(variable(&inflated[start..], big_endian)?);
                }
            }
            _ => {}
        }
    }
    Ok(variables)
}

/// A piece of data with its type.
struct Element<'a> {
    kind: u32,
    data: &'a [u8],
}

fn u32_at(bytes: &[u8], start: usize, big_endian: bool) -> Read<u32> {
    let bytes: [u8; 4] = bytes
        .get(start..start + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| broken("it ends within a variable"))?;
    Ok(if big_endian {
        u32::from_be_bytes(bytes)
    } else {
        u32::from_le_bytes(bytes)
    })
}

/// Type and length of the data of an element, and where they start. Up to four bytes are packed into the tag.
fn tag(bytes: &[u8], big_endian: bool) -> Read<(u32, usize, usize)> {
    let first = u32_at(bytes, 0, big_endian)?;
    if first >> 16 != 0 {
        return Ok((first & 0xFFFF, (first >> 16) as usize, 4));
    }
    Ok((first, u32_at(bytes, 4, big_endian)? as usize, 8))
}

impl<'a> Element<'a> {
    /// Takes the next element off `rest`, with the padding to eight bytes that follows all but compressed ones.
    fn take(rest: &mut &'a [u8], big_endian: bool) -> Read<Self> {
        let (kind, length, start) = tag(rest, big_endian)?;
        if start == 4 && length > 4 {
            return Err(broken("a small element claims more than four bytes"));
        }
        let cut = || broken("it ends within a variable");
        let data = rest[start..].get(..length).ok_or_else(cut)?;
        let used = start + length;
        let padded = if kind == COMPRESSED {
            used
        } else {
            used.next_multiple_of(8)
        };
        *rest = rest.get(padded..).unwrap_or_default();
        Ok(Self { kind, data })
    }

    fn number(&self) -> Option<Number> {
        Some(match self.kind {
            1 => Number::I8,
            2 => Number::U8,
            3 => Number::I16,
            4 => Number::U16,
            5 => Number::I32,
            6 => Number::U32,
            7 => Number::F32,
            9 => Number::F64,
            12 => Number::I64,
            13 => Number::U64,
            _ => return None,
        })
    }
}

/// What the class of an array that holds no plain numbers is called.
fn class_name(class: u32) -> Option<&'static str> {
    Some(match class {
        1 => "a cell array",
        2 => "a structure",
        3 => "an object",
        4 => "text",
        5 => "a sparse array",
        6..=15 => return None,
        _ => "a function or an object",
    })
}

/// Reads the content of a matrix element: flags, axes, name, values.
fn variable(mut rest: &[u8], big_endian: bool) -> Read<Variable> {
    let rest = &mut rest;
    let flags = Element::take(rest, big_endian)?;
    let flags = u32_at(flags.data, 0, big_endian)?;
    let class = flags & 0xFF;
    if class > 16 {
        // Has no axes; its name cannot be told from the rest.
        return Ok(Variable {
            name: String::new(),
            taps: not_numbers("an object"),
        });
    }
    let axes = Element::take(rest, big_endian)?;
    if axes.kind != 5 {
        return Err(broken("the axes of a variable are no whole numbers"));
    }
    let shape: Vec<u64> = Number::I32
        .values(axes.data, big_endian)
        .into_iter()
        .map(|axis| axis.max(0.0) as u64)
        .collect();
    let name = Element::take(rest, big_endian)?;
    let name = String::from_utf8_lossy(name.data).into_owned();
    let taps = match class_name(class) {
        Some(what) => not_numbers(what),
        None if flags & COMPLEX_FLAG != 0 => not_numbers("an array of complex numbers"),
        None => match sides(&shape) {
            // A large variable need not be here in full: only its beginning was decompressed.
            Err(fault) => Err(fault),
            Ok(sides) => Ok(values(rest, sides, big_endian)?),
        },
    };
    Ok(Variable { name, taps })
}

fn not_numbers(what: &str) -> Read<Array2<f64>> {
    Err(KernelFileFault::NotNumbers {
        what: what.to_owned(),
    })
}

fn sides(shape: &[u64]) -> Read<(usize, usize)> {
    match *shape {
        [rows, columns] => checked_sides(shape, rows, columns),
        _ => Err(KernelFileFault::Shape {
            shape: shape.to_vec(),
            requirement: "it must have two axes",
        }),
    }
}

/// Values by columns, each stored in the smallest type that holds all of them.
fn values(rest: &mut &[u8], sides: (usize, usize), big_endian: bool) -> Read<Array2<f64>> {
    let element = Element::take(rest, big_endian)?;
    let number = element
        .number()
        .ok_or_else(|| broken("the values of a variable are no numbers"))?;
    let values = number.values(element.data, big_endian);
    Array2::from_shape_vec(sides.f(), values)
        .map_err(|_| broken("a variable has another number of values than its axes say"))
}
