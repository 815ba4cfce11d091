//! Kernels from files: PNG, NumPy `.npy` and MATLAB 5 `.mat`, told apart by what they hold.
//!
//! Nothing that a file holds makes this panic, and nothing is allocated by a size that the file only claims: arrays are
//! checked against the bytes that are there and against the largest kernel first.

use ndarray::Array2;

use crate::custom::CustomKernel;
use crate::error::{Error, Problem, Result};
use crate::kernel::MAX_KERNEL_RADIUS;

mod mat;
mod npy;
mod png;

/// Most rows and columns of a kernel.
const MAX_SIDE: usize = 2 * MAX_KERNEL_RADIUS + 1;

/// Most numbers in all kernels of a file together: 127 of the largest kernels.
const MAX_VALUES: usize = 1 << 23;
/// Most kernels or variables in a file.
const MAX_COUNT: usize = 4096;
/// Names that an error lists.
const LISTED: usize = 20;

/// Why the bytes of a file are no kernel.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelFileFault {
    /// The first bytes belong to none of the formats.
    #[error("neither a PNG, nor a NumPy (.npy), nor a MATLAB 5 (.mat) file")]
    UnknownFormat,
    /// MATLAB 7.3 writes HDF5.
    #[error("a MATLAB 7.3 (HDF5) file cannot be read; save it in MATLAB with `-v7`")]
    Matlab73,
    /// The file ends too early, or contradicts itself.
    #[error("broken {format} file: {part}")]
    Broken {
        /// Name of the format.
        format: &'static str,
        /// What is wrong with it.
        part: &'static str,
    },
    /// A sound file that holds something else than real numbers.
    #[error("{what} cannot be a kernel; it must hold real numbers")]
    NotNumbers {
        /// What it holds.
        what: String,
    },
    /// The array has another number of axes, or too many rows or columns.
    #[error("array of shape {shape:?} cannot be a kernel; {requirement}")]
    Shape {
        /// Length of each axis.
        shape: Vec<u64>,
        /// What it must be.
        requirement: &'static str,
    },
    /// The colours of a PNG differ, so that the weight of a pixel is not known.
    #[error(
        "the pixel at row {row}, column {column} is coloured; save the kernel as a grey picture"
    )]
    Coloured {
        /// Row of the first such pixel.
        row: usize,
        /// Its column.
        column: usize,
    },
    /// A PNG whose pixels are not all opaque.
    #[error("the picture is transparent; save the kernel without an alpha channel")]
    Transparent,
    /// The numbers are no kernel.
    #[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Taps {
        /// Every problem found.
        problems: Vec<Problem>,
    },
    /// The file has no variable of this name.
    #[error("there is no variable `{variable}`; the file has {}", listed(.present))]
    NoVariable {
        /// The name asked for.
        variable: String,
        /// The names that are there.
        present: Vec<String>,
    },
    /// No array of the file can be a kernel.
    #[error("no 2-D array of 2 x 2 to 257 x 257 numbers, none negative; the file has {}", listed(.present))]
    NoKernel {
        /// Names of the variables that are there.
        present: Vec<String>,
    },
    /// A variable was asked for, but only MATLAB files have them.
    #[error("variable `{variable}` was asked for, but a {format} file has no variables")]
    HasNoVariables {
        /// The name asked for.
        variable: String,
        /// Name of the format.
        format: &'static str,
    },
}

fn listed(names: &[String]) -> String {
    match names.len() {
        0 => "no variables".to_owned(),
        count if count > LISTED => {
            format!("{} and {} more", names[..LISTED].join(", "), count - LISTED)
        }
        _ => names.join(", "),
    }
}

/// The result of one reader.
type Read<T> = std::result::Result<T, KernelFileFault>;

impl CustomKernel {
    /// The kernels of a file, in its order.
    ///
    /// - PNG: grey, or colour with equal channels; 8 or 16 bits; a sample over its largest value is the weight, without
    ///   gamma. One kernel with the name given.
    /// - NumPy `.npy`: integers, `float32` or `float64`, in C or Fortran order. `[H, W]` is one kernel with the name given,
    ///   `[N, H, W]` are `N` kernels `name[0]`, `name[1]`, and so on.
    /// - MATLAB 5 to 7 `.mat`: numeric 2-D arrays, each named `name:variable`. With `variable` that one alone, else every
    ///   array of 2 x 2 to 257 x 257 values of which none is negative. A picture in the same file is such an array too: name
    ///   the variable where there may be one (`f` in the data of Levin et al. 2009).
    ///
    /// # Errors
    /// [`Error::KernelFile`], which says what is wrong with the file.
    pub fn from_file_bytes(name: &str, bytes: &[u8], variable: Option<&str>) -> Result<Vec<Self>> {
        read(name, bytes, variable).map_err(|fault| Error::KernelFile {
            name: name.to_owned(),
            fault,
        })
    }
}

fn read(name: &str, bytes: &[u8], variable: Option<&str>) -> Read<Vec<CustomKernel>> {
    let without_variables = |format| match variable {
        Some(variable) => Err(KernelFileFault::HasNoVariables {
            variable: variable.to_owned(),
            format,
        }),
        None => Ok(()),
    };
    if bytes.starts_with(png::MAGIC) {
        without_variables(png::FORMAT)?;
        return Ok(vec![kernel(name.to_owned(), &png::read(bytes)?)?]);
    }
    if bytes.starts_with(npy::MAGIC) {
        without_variables(npy::FORMAT)?;
        return match npy::read(bytes)? {
            npy::Arrays::One(taps) => Ok(vec![kernel(name.to_owned(), &taps)?]),
            npy::Arrays::Several(arrays) => arrays
                .iter()
                .enumerate()
                .map(|(index, taps)| kernel(format!("{name}[{index}]"), taps))
                .collect(),
        };
    }
    let variables = mat::read(bytes)?;
    let present = || {
        let names = variables.iter().map(|variable| &variable.name);
        names.cloned().collect()
    };
    if let Some(wanted) = variable {
        let found = variables.iter().find(|variable| variable.name == wanted);
        let found = found.ok_or_else(|| KernelFileFault::NoVariable {
            variable: wanted.to_owned(),
            present: present(),
        })?;
        let taps = found.taps.as_ref().map_err(Clone::clone)?;
        return Ok(vec![kernel(format!("{name}:{wanted}"), taps)?]);
    }
    let kernels: Vec<CustomKernel> = variables
        .iter()
        .filter_map(|variable| {
            let taps = variable.taps.as_ref().ok()?;
            let large_enough = taps.nrows() >= 2 && taps.ncols() >= 2;
            let kernel = kernel(format!("{name}:{}", variable.name), taps).ok()?;
            large_enough.then_some(kernel)
        })
        .collect();
    if kernels.is_empty() {
        return Err(KernelFileFault::NoKernel { present: present() });
    }
    Ok(kernels)
}

/// Taps with a name, checked.
fn kernel(name: String, taps: &Array2<f64>) -> Read<CustomKernel> {
    let kernel = CustomKernel::new(name, &taps.mapv(|tap| tap as f32));
    let problems = kernel.problems();
    if problems.is_empty() {
        Ok(kernel)
    } else {
        Err(KernelFileFault::Taps { problems })
    }
}

/// Rows and columns of a kernel, if they can be.
fn checked_sides(shape: &[u64], rows: u64, columns: u64) -> Read<(usize, usize)> {
    let side = |count: u64| {
        usize::try_from(count)
            .ok()
            .filter(|count| (1..=MAX_SIDE).contains(count))
    };
    match (side(rows), side(columns)) {
        (Some(rows), Some(columns)) => Ok((rows, columns)),
        _ => Err(KernelFileFault::Shape {
            shape: shape.to_vec(),
            requirement: "rows and columns must be from 1 to 257",
        }),
    }
}

/// How a number is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
}

impl Number {
    /// Bytes of one number.
    fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    /// The numbers in `bytes`; a rest that is no whole number is left out.
    fn values(self, bytes: &[u8], big_endian: bool) -> Vec<f64> {
        let value = |stored: &[u8]| {
            let mut bytes = [0; 8];
            for (index, &byte) in stored.iter().enumerate() {
                let place = if big_endian {
                    stored.len() - 1 - index
                } else {
                    index
                };
                bytes[place] = byte;
            }
            let bits = u64::from_le_bytes(bytes);
            match self {
                Self::I8 => f64::from(bits as i8),
                Self::I16 => f64::from(bits as i16),
                Self::I32 => f64::from(bits as i32),
                Self::I64 => bits as i64 as f64,
                Self::U8 | Self::U16 | Self::U32 | Self::U64 => bits as f64,
                Self::F32 => f64::from(f32::from_bits(bits as u32)),
                Self::F64 => f64::from_bits(bits),
            }
        };
        bytes.chunks_exact(self.size()).map(value).collect()
    }
}
