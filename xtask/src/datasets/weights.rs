//! Weights of metrics on their way from a package into a set: from pickles and NumPy archives to safetensors.
//!
//! A pickle is a program that builds objects. Ours is read by a machine that knows the few instructions and names that
//! arrays need, and refuses everything else (`pickle.rs`, `objects.rs`): nothing of a package is ever run.

mod flax;
mod npz;
mod objects;
mod pickle;
mod state_dict;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use sha2::{Digest, Sha256};

use super::file_list::{Convert, Row};
use crate::failure::Failure;
use crate::hash::hexadecimal;

/// The largest that is used has 59 MB.
const MOST_BYTES: u64 = 256 << 20;

/// One array, row by row, in little-endian bytes.
#[derive(Clone, Debug, PartialEq)]
struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Bytes that may still be copied out of a file. Tensors may share values there, and a small file that names the same ones
/// again and again would fill the memory.
struct Budget(usize);

impl Budget {
    /// As many as the file has, after it was decompressed.
    fn of(file: &[u8]) -> Self {
        Self(file.len())
    }

    /// Counts one copy.
    ///
    /// # Errors
    /// When the copies would be larger than the file.
    fn take(&mut self, bytes: usize) -> Result<()> {
        self.0 = self
            .0
            .checked_sub(bytes)
            .context("its arrays share values, and are together larger than the file")?;
        Ok(())
    }
}

/// Makes the file of `row` in `folder` from `raw`, which the package holds.
///
/// # Errors
/// A file that is not the one of the list, that holds anything but arrays, or other arrays than the conversion knows.
pub(super) fn convert(row: &Row, conversion: Convert, raw: &Path, folder: &Path) -> Result<()> {
    let source = row.source.as_deref().unwrap_or_default();
    let bytes = read(raw).with_context(|| format!("cannot read {source}"))?;
    if let Some(expected) = &row.source_sha256 {
        let found = hexadecimal(&Sha256::digest(&bytes));
        if found != *expected {
            return Err(Failure::error(
                format!("{source} has SHA-256 {found}, expected {expected}"),
                "the list of the set is not made for this version of the package; correct one of them",
            ));
        }
    }
    let bytes = to_safetensors(&bytes, conversion)
        .with_context(|| format!("cannot convert {source} to {}", row.path))?;
    let place = folder.join(&row.path);
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
    }
    fs::write(&place, bytes).with_context(|| format!("cannot write {}", place.display()))
}

/// The safetensors file that holds the arrays of `bytes`. The same input gives the same output, byte for byte.
fn to_safetensors(bytes: &[u8], conversion: Convert) -> Result<Vec<u8>> {
    let tensors = match conversion {
        Convert::Lpips => flax::lpips(bytes),
        Convert::StateDict => state_dict::read(bytes),
        Convert::Npz => npz::read(bytes),
        Convert::Recode | Convert::Resize => anyhow::bail!("it is no photo"),
    }?;
    let views = tensors
        .iter()
        .map(|(name, tensor)| {
            let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes)
                .with_context(|| format!("{name} does not fit its shape"))?;
            Ok((name, view))
        })
        .collect::<Result<BTreeMap<_, _>>>()?;
    // No metadata: the library writes them in random order.
    safetensors::serialize(views, None).context("cannot be written as safetensors")
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)?;
    ensure!(
        bytes.len() as u64 <= MOST_BYTES,
        "it has more than {MOST_BYTES} bytes"
    );
    Ok(bytes)
}
