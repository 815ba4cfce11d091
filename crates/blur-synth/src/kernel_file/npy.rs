//! NumPy's `.npy` (format versions 1 to 3), as far as kernels need it.
//!
//! Read here and not by the crate `npyz`, which allocates the header by its declared length, parses it as nested Python
//! without a limit on depth, and multiplies axes without a check.

use ndarray::{Array2, Array3, Axis, ShapeBuilder};

use super::{KernelFileFault, MAX_COUNT, MAX_VALUES, Number, Read, checked_sides};

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
pub(super) const FORMAT: &str = "NumPy";

/// What a file holds.
pub(super) enum Arrays {
    One(Array2<f64>),
    Several(Vec<Array2<f64>>),
}

fn broken(part: &'static str) -> KernelFileFault {
    KernelFileFault::Broken {
        format: FORMAT,
        part,
    }
}

pub(super) fn read(bytes: &[u8]) -> Read<Arrays> {
    let cut = || broken("it ends within the header");
    let start = MAGIC.len() + 2;
    let major = *bytes.get(MAGIC.len()).ok_or_else(cut)?;
    let digits = match major {
        1 => 2,
        2 | 3 => 4,
        _ => return Err(broken("unknown version of the format")),
    };
    let length = bytes.get(start..start + digits).ok_or_else(cut)?;
    let length = length
        .iter()
        .rev()
        .fold(0_u64, |length, &byte| length << 8 | u64::from(byte));
    let (text, data) = usize::try_from(length)
        .ok()
        .and_then(|length| bytes[start + digits..].split_at_checked(length))
        .ok_or_else(cut)?;
    let text = std::str::from_utf8(text).map_err(|_| broken("the header is no text"))?;
    let header = Header::parse(text)?;
    header.arrays(data)
}

/// What a header says.
struct Header {
    number: Number,
    big_endian: bool,
    fortran_order: bool,
    shape: Vec<u64>,
}

impl Header {
    /// Reads `{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }`.
    fn parse(text: &str) -> Read<Self> {
        let descr = field(text, "'descr'")?;
        let name = descr
            .strip_prefix('\'')
            .and_then(|rest| rest.split_once('\''))
            .map(|(name, _)| name)
            .ok_or_else(|| KernelFileFault::NotNumbers {
                what: "a structured array".to_owned(),
            })?;
        let (order, kind) = name
            .split_at_checked(1)
            .ok_or_else(|| broken("the type of the values is empty"))?;
        let number = match kind {
            "i1" => Number::I8,
            "u1" | "b1" => Number::U8,
            "i2" => Number::I16,
            "u2" => Number::U16,
            "i4" => Number::I32,
            "u4" => Number::U32,
            "i8" => Number::I64,
            "u8" => Number::U64,
            "f4" => Number::F32,
            "f8" => Number::F64,
            _ => {
                return Err(KernelFileFault::NotNumbers {
                    what: format!("an array of the NumPy type `{name}`"),
                });
            }
        };
        let big_endian = match order {
            "<" | "|" => false,
            ">" => true,
            _ => return Err(broken("unknown byte order")),
        };
        let order = field(text, "'fortran_order'")?;
        let fortran_order = match (order.starts_with("True"), order.starts_with("False")) {
            (true, _) => true,
            (_, true) => false,
            _ => return Err(broken("fortran_order is neither True nor False")),
        };
        let shape = field(text, "'shape'")?
            .strip_prefix('(')
            .and_then(|rest| rest.split_once(')'))
            .and_then(|(axes, _)| {
                axes.split(',')
                    .map(str::trim)
                    .filter(|axis| !axis.is_empty())
                    .map(|axis| axis.parse().ok())
                    .collect::<Option<Vec<u64>>>()
            })
            .ok_or_else(|| broken("the shape is not a list of whole numbers"))?;
        Ok(Self {
            number,
            big_endian,
            fortran_order,
            shape,
        })
    }

    fn arrays(&self, data: &[u8]) -> Read<Arrays> {
        let (count, rows, columns) = match self.shape[..] {
            [rows, columns] => (1, rows, columns),
            [count, rows, columns] => (count, rows, columns),
            _ => {
                return Err(KernelFileFault::Shape {
                    shape: self.shape.clone(),
                    requirement: "it must have the axes [rows, columns] or [kernels, rows, columns]",
                });
            }
        };
        let (rows, columns) = checked_sides(&self.shape, rows, columns)?;
        if count == 0 {
            return Err(KernelFileFault::Shape {
                shape: self.shape.clone(),
                requirement: "there must be at least one kernel",
            });
        }
        let values = count.saturating_mul((rows * columns) as u64);
        if count > MAX_COUNT as u64 || values > MAX_VALUES as u64 {
            return Err(KernelFileFault::Shape {
                shape: self.shape.clone(),
                requirement: "at most 4096 kernels with 8 million numbers together are read",
            });
        }
        let (count, data) = usize::try_from(count)
            .ok()
            .and_then(|count| {
                let size = count.checked_mul(rows * columns * self.number.size())?;
                Some((count, data.get(..size)?))
            })
            .ok_or_else(|| broken("it has fewer values than its shape says"))?;
        let values = self.number.values(data, self.big_endian);
        let shape = (count, rows, columns).set_f(self.fortran_order);
        let kernels = Array3::from_shape_vec(shape, values)
            .map_err(|_| broken("the values do not fill the shape"))?;
        let mut kernels: Vec<Array2<f64>> = kernels
            .axis_iter(Axis(0))
            .map(|kernel| kernel.to_owned())
            .collect();
        match kernels.pop() {
            Some(kernel) if self.shape.len() == 2 => Ok(Arrays::One(kernel)),
            last => {
                kernels.extend(last);
                Ok(Arrays::Several(kernels))
            }
        }
    }
}

/// What follows a key of the header.
fn field<'a>(text: &'a str, key: &str) -> Read<&'a str> {
    text.split_once(key)
        .and_then(|(_, rest)| rest.trim_start().strip_prefix(':'))
        .map(str::trim_start)
        .ok_or_else(|| broken("the header lacks descr, fortran_order or shape"))
}
