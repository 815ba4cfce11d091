//! The statistics of pristine photographs, from a file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use super::BOTH_SCALES;
use super::plane::WINDOW;
use crate::cause::Cause;
use crate::error::{Error, Result};
use crate::protocol::perceptual::PerceptualProtocol;

/// The file has 12 kB.
const MOST_BYTES: u64 = 1 << 20;

/// NIQE with the model that it compares images with.
#[derive(Debug, Clone)]
pub struct Niqe {
    pub(super) mean: Vec<f64>,
    pub(super) covariance: Vec<f64>,
    pub(super) window: [[f64; WINDOW]; WINDOW],
}

impl Niqe {
    /// Reads `niqe.safetensors` as `cargo xtask datasets fetch metric-weights` writes it: float64 tensors `mu_pris_param`
    /// `[1, 36]`, `cov_pris_param` `[36, 36]` and `gaussian_window` `[7, 7]`.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Format`]: a file that cannot be read, is no safetensors file, or lacks a tensor, has
    /// another one, or one of another shape, type or with values that are not finite.
    pub fn load(path: &Path) -> Result<Self> {
        let unreadable = |source: std::io::Error| Error::Read {
            path: path.to_owned(),
            source: Cause::new(source),
        };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(MOST_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        let bad = |problem: String| Error::Format {
            path: path.to_owned(),
            problem,
        };
        if bytes.len() as u64 > MOST_BYTES {
            return Err(bad("too large for the model of NIQE".to_owned()));
        }
        Self::parse(&bytes).map_err(bad)
    }

    /// How it looks at an image, to be printed beside the number.
    #[must_use]
    pub fn protocol(&self) -> PerceptualProtocol {
        PerceptualProtocol::niqe()
    }

    fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        let file = SafeTensors::deserialize(bytes)
            .map_err(|error| format!("not a safetensors file: {error}"))?;
        let tensors: [(&str, &[usize]); 3] = [
            ("mu_pris_param", &[1, BOTH_SCALES]),
            ("cov_pris_param", &[BOTH_SCALES, BOTH_SCALES]),
            ("gaussian_window", &[WINDOW, WINDOW]),
        ];
        let mut problems = Vec::new();
        for name in file.names() {
            if !tensors.iter().any(|(known, _)| *known == name) {
                problems.push(format!("unexpected tensor {name}"));
            }
        }
        let mut values = tensors.map(|(name, shape)| {
            let Ok(tensor) = file.tensor(name) else {
                problems.push(format!("missing tensor {name}"));
                return Vec::new();
            };
            if tensor.dtype() != Dtype::F64 || tensor.shape() != shape {
                let (dtype, found) = (tensor.dtype(), tensor.shape());
                problems.push(format!("{name} is {dtype:?} {found:?}, not F64 {shape:?}"));
                return Vec::new();
            }
            let (values, _) = tensor.data().as_chunks();
            let values: Vec<f64> = values
                .iter()
                .map(|bytes| f64::from_le_bytes(*bytes))
                .collect();
            if values.iter().any(|value| !value.is_finite()) {
                problems.push(format!("{name} has values that are not finite"));
            }
            values
        });
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        let mut window = [[0.0; WINDOW]; WINDOW];
        for (row, values) in window.iter_mut().zip(values[2].chunks_exact(WINDOW)) {
            row.copy_from_slice(values);
        }
        Ok(Self {
            mean: std::mem::take(&mut values[0]),
            covariance: std::mem::take(&mut values[1]),
            window,
        })
    }
}
