//! NumPy's `.npz`: a zip archive of arrays, here of float64.
//!
//! The crate `npyz` reads them too; it takes the room that a header asks for before it looks at the file.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use anyhow::{Context, Result, bail, ensure};
use safetensors::Dtype;
use zip::ZipArchive;

use super::Tensor;

/// The model of NIQE has three arrays, of 10 kB at most.
const MOST_ARRAYS: usize = 64;
const MOST_ARRAY_BYTES: u64 = 16 << 20;
/// Version 1.0 of the format of an array; after it two bytes with the length of the header.
const START: &[u8] = b"\x93NUMPY\x01\x00";

/// The arrays by name.
///
/// # Errors
/// Anything but float64 arrays, or too many of them.
pub(super) fn read(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).context("it is no zip archive")?;
    ensure!(
        archive.len() <= MOST_ARRAYS,
        "more than {MOST_ARRAYS} arrays"
    );
    let mut tensors = BTreeMap::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).context("a damaged archive")?;
        let name = entry
            .name()
            .strip_suffix(".npy")
            .with_context(|| format!("`{}` is no array", entry.name().escape_debug()))?
            .to_owned();
        let mut data = Vec::new();
        entry
            .take(MOST_ARRAY_BYTES + 1)
            .read_to_end(&mut data)
            .with_context(|| format!("cannot read {name}"))?;
        ensure!(
            data.len() as u64 <= MOST_ARRAY_BYTES,
            "{name} has more than {MOST_ARRAY_BYTES} bytes"
        );
        let tensor = array(&data).with_context(|| name.clone())?;
        ensure!(
            tensors.insert(name.clone(), tensor).is_none(),
            "{name} is there twice"
        );
    }
    Ok(tensors)
}

/// One array, `.npy`.
fn array(data: &[u8]) -> Result<Tensor> {
    let rest = data
        .strip_prefix(START)
        .context("it is no array of NumPy, version 1.0")?;
    let (length, rest) = rest
        .split_first_chunk::<2>()
        .context("it ends in its header")?;
    let (header, values) = rest
        .split_at_checked(u16::from_le_bytes(*length).into())
        .context("it ends in its header")?;
    let header = std::str::from_utf8(header).context("a header that is no text")?;
    let (is_fortran, axes) = if let Some(rest) = header.strip_prefix(&intro("False")) {
        (false, rest)
    } else if let Some(rest) = header.strip_prefix(&intro("True")) {
        (true, rest)
    } else {
        bail!("it is no float64 array: {}", header.trim_end());
    };
    let shape = axes
        .trim_end()
        .strip_suffix("), }")
        .context("a header without a shape")?
        .split(',')
        .map(str::trim)
        .filter(|axis| !axis.is_empty())
        .map(|axis| axis.parse().context("an axis that is no whole number"))
        .collect::<Result<Vec<usize>>>()?;
    let bytes = shape
        .iter()
        .try_fold(8_usize, |product, size| product.checked_mul(*size));
    ensure!(
        bytes == Some(values.len()),
        "shape {shape:?}, {} bytes of values",
        values.len()
    );
    // With an axis of length 0 the others could have any.
    ensure!(!values.is_empty(), "it has no values");
    let bytes = match (is_fortran, shape.as_slice()) {
        (false, _) | (true, [] | [_]) => values.to_vec(),
        (true, [rows, columns]) => {
            let (values, _) = values.as_chunks::<8>();
            (0..*rows)
                .flat_map(|row| (0..*columns).map(move |column| column * rows + row))
                .flat_map(|place| values[place])
                .collect()
        }
        (true, _) => bail!("more than two axes in column order"),
    };
    Ok(Tensor {
        dtype: Dtype::F64,
        shape,
        bytes,
    })
}

/// The beginning of a header, as NumPy writes it.
fn intro(fortran_order: &str) -> String {
    format!("{{'descr': '<f8', 'fortran_order': {fortran_order}, 'shape': (")
}
