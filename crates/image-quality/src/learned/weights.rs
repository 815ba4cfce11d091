//! Reading weights: all tensors that a network needs, as it needs them, and no others.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use tch::{Device, Tensor};

use crate::cause::Cause;
use crate::error::{Error, Mismatch, Result};

/// Names of tensors and the shapes that they must have.
pub(super) type Shapes = BTreeMap<String, Vec<i64>>;

/// Larger files are not those of our networks (VGG16 takes 59 MB) and are not read.
const LARGEST: u64 = 256 << 20;

/// A safetensors file in memory.
pub(super) struct WeightFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// Reads a whole file of at most `largest` bytes.
pub(super) fn read_bounded(path: &Path, largest: u64) -> Result<Vec<u8>> {
    let fail = |error: std::io::Error| Error::Read {
        path: path.to_owned(),
        source: Cause::new(error),
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(fail)?;
    // One more than allowed, so that a file that grows or has no length is found as well.
    file.take(largest + 1)
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    if bytes.len() as u64 > largest {
        return Err(Error::Format {
            path: path.to_owned(),
            problem: format!("more than {largest} bytes, which these weights do not have"),
        });
    }
    Ok(bytes)
}

impl WeightFile {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = read_bounded(path, LARGEST)?;
        let path = path.to_owned();
        Ok(Self { path, bytes })
    }

    fn parse(&self) -> Result<SafeTensors<'_>> {
        SafeTensors::deserialize(&self.bytes).map_err(|error| Error::Format {
            path: self.path.clone(),
            problem: format!("not a usable safetensors file ({error})"),
        })
    }

    /// The shape of a tensor, if there is one of that name.
    pub(super) fn shape(&self, name: &str) -> Result<Option<Vec<i64>>> {
        let file = self.parse()?;
        Ok(file.tensor(name).ok().map(|view| signed(view.shape())))
    }

    pub(super) fn mismatch(&self, mismatch: Mismatch) -> Error {
        Error::Mismatch {
            path: self.path.clone(),
            mismatch: Box::new(mismatch),
        }
    }

    /// All tensors as float32 on `device`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] with everything that is missing, unexpected, of another shape or type, or not finite.
    pub(super) fn tensors(
        &self,
        shapes: &Shapes,
        device: Device,
    ) -> Result<BTreeMap<String, Tensor>> {
        let file = self.parse()?;
        let mut mismatch = Mismatch::default();
        let mut names: Vec<_> = file.names().into_iter().map(str::to_owned).collect();
        names.sort();
        mismatch.missing = shapes
            .keys()
            .filter(|name| !names.contains(name))
            .cloned()
            .collect();
        let mut tensors = BTreeMap::new();
        for name in names {
            let Some(expected) = shapes.get(&name) else {
                mismatch.unexpected.push(name);
                continue;
            };
            let Ok(view) = file.tensor(&name) else {
                mismatch.missing.push(name);
                continue;
            };
            let got = signed(view.shape());
            if got != *expected {
                mismatch
                    .misshaped
                    .push(format!("{name}: expected {expected:?}, got {got:?}"));
            } else if view.dtype() != Dtype::F32 {
                mismatch
                    .mistyped
                    .push(format!("{name}: {:?}", view.dtype()));
            } else {
                let (chunks, _) = view.data().as_chunks();
                let values: Vec<f32> = chunks.iter().map(|b| f32::from_le_bytes(*b)).collect();
                if values.iter().any(|value| !value.is_finite()) {
                    mismatch.non_finite.push(name);
                    continue;
                }
                let tensor = Tensor::f_from_slice(&values)?
                    .f_view(expected.as_slice())?
                    .f_to_device(device)?;
                tensors.insert(name, tensor);
            }
        }
        if mismatch == Mismatch::default() {
            Ok(tensors)
        } else {
            Err(self.mismatch(mismatch))
        }
    }
}

fn signed(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&n| n as i64).collect()
}
