//! DISTS: Ding, Ma, Wang & Simoncelli, "Image Quality Assessment: Unifying Structure and Texture Similarity", IEEE
//! Transactions on Pattern Analysis and Machine Intelligence, 2020, arXiv 2004.07728.

use std::path::Path;

use ndarray::ArrayView3;
use tch::{Device, Kind, Tensor};

use super::input;
use super::lpips;
use super::trunk::{Backbone, Trunk, Widths};
use super::weights::{Shapes, WeightFile};
use crate::error::{Error, Result};
use crate::protocol::perceptual::PerceptualProtocol;
use crate::samples::check_pair;

/// `c1` and `c2` of the paper.
const STABILISER: f64 = 1e-6;

/// Deep image structure and texture similarity as a distance: 0 for equal images, seldom above 1; lower is better.
///
/// `sum over c of alpha_c (1 - (2 m_a m_b + c1) / (m_a^2 + m_b^2 + c1)) + beta_c (1 - (2 s_ab + c2) / (s_a^2 + s_b^2 + c2))` with
/// means, variances and covariance over all places of a channel, `c1 = c2 = 1e-6`, over the three channels of the
/// image itself and those of five stages of VGG16 whose pooling is the root of a weighted mean square. `alpha` and
/// `beta` sum to 1 together. Texture that is alike but elsewhere counts little; so a shift does too.
#[derive(Debug)]
pub struct Dists {
    trunk: Trunk,
    /// Weights of means (texture) and of covariances (structure), float64, for the image and each stage.
    alpha: Vec<Tensor>,
    beta: Vec<Tensor>,
    mean: Tensor,
    deviation: Tensor,
    device: Device,
    protocol: PerceptualProtocol,
}

impl Dists {
    /// Loads VGG16 from the file of [`Lpips`](crate::Lpips) on VGG16, whose heads are not used, and the weights
    /// `alpha` and `beta`, each `[1, 1475, 1, 1]`, from a second safetensors file.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Format`], or [`Error::Mismatch`] with everything that is missing, unexpected, of
    /// another shape or type, or not finite; libtorch.
    pub fn load(vgg16: &Path, alpha_beta: &Path, device: Device) -> Result<Self> {
        let files = [WeightFile::read(vgg16)?, WeightFile::read(alpha_beta)?];
        Self::from_files(&files, &Backbone::Vgg16.widths(), device)
    }

    pub(super) fn from_files(
        [vgg16, alpha_beta]: &[WeightFile; 2],
        widths: &Widths,
        device: Device,
    ) -> Result<Self> {
        let mut tensors = vgg16.tensors(&lpips::shapes(Backbone::Vgg16, widths), device)?;
        let trunk = Trunk::new(Backbone::Vgg16, &mut tensors, true)?;
        let channels: Vec<i64> = [3].iter().chain(widths).copied().collect();
        let sum = channels.iter().sum();
        let shapes: Shapes = ["alpha", "beta"]
            .into_iter()
            .map(|name| (name.to_owned(), vec![1, sum, 1, 1]))
            .collect();
        let mut heads = alpha_beta.tensors(&shapes, device)?;
        let mut take = |name: &str| -> Result<Tensor> {
            let tensor = heads.remove(name).ok_or_else(|| Error::MissingTensor {
                name: name.to_owned(),
            })?;
            Ok(tensor.f_flatten(0, -1)?.f_to_kind(Kind::Double)?)
        };
        let (alpha, beta) = (take("alpha")?, take("beta")?);
        let total = alpha
            .f_sum(Kind::Double)?
            .f_add(&beta.f_sum(Kind::Double)?)?;
        let split = |weights: Tensor| -> Result<Vec<Tensor>> {
            Ok(weights.f_div(&total)?.f_split_with_sizes(&channels, 0)?)
        };
        let per_channel = |values: [f32; 3]| -> Result<Tensor> {
            Ok(Tensor::f_from_slice(&values)?
                .f_view([1, 3, 1, 1])?
                .f_to_device(device)?)
        };
        Ok(Self {
            trunk,
            alpha: split(alpha)?,
            beta: split(beta)?,
            mean: per_channel([0.485, 0.456, 0.406])?,
            deviation: per_channel([0.229, 0.224, 0.225])?,
            device,
            protocol: PerceptualProtocol::dists(),
        })
    }

    /// How images are compared, to report beside the numbers.
    #[must_use]
    pub fn protocol(&self) -> &PerceptualProtocol {
        &self.protocol
    }

    /// The distance of two images, rounded to 8 bits first as a saved file is; 0 when nothing differs.
    ///
    /// Images are compared at their own size. The authors' program offers to make the shorter side 256 pixels
    /// first; whoever wants that resizes before.
    ///
    /// # Shapes
    /// Both images `[3, H, W]`, values in `[0, 1]`, at least 16 pixels wide and high, as VGG16 for LPIPS needs.
    ///
    /// # Errors
    /// Different shapes, other than three channels, too few pixels, values that are not finite; libtorch.
    pub fn distance(&self, a: ArrayView3<'_, f32>, b: ArrayView3<'_, f32>) -> Result<f64> {
        check_pair(&a, &b, Backbone::Vgg16.smallest_side())?;
        let a = input::rounded(&a, self.device)?;
        let b = input::rounded(&b, self.device)?;
        Ok(self.distances(&a, &b)?.f_double_value(&[0])?)
    }

    /// The distance of each pair of two batches, without rounding and without gradients. A pair with a value that is NaN has the
    /// distance NaN; the others of the batch have theirs.
    ///
    /// # Shapes
    /// Both `[N, 3, H, W]` on the device of the weights, float32, values in `[0, 1]`, at least 16 pixels wide and high;
    /// result `[N]`, float64.
    ///
    /// # Errors
    /// Other or different shapes, too few pixels; libtorch, also for another device or type.
    pub fn distances(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        input::check_batches(a, b, Backbone::Vgg16.smallest_side())?;
        tch::no_grad(|| {
            let mut sum = self.compare(0, a, b)?;
            let (mut a, mut b) = (self.scaled(a)?, self.scaled(b)?);
            // Stage by stage for both, so that only the features of one stage are held.
            for stage in 0..self.trunk.len() {
                a = self.trunk.stage(stage, &a)?;
                b = self.trunk.stage(stage, &b)?;
                sum = sum.f_add(&self.compare(stage + 1, &a, &b)?)?;
            }
            Ok(sum)
        })
    }

    fn scaled(&self, image: &Tensor) -> Result<Tensor> {
        Ok(image.f_sub(&self.mean)?.f_div_(&self.deviation)?)
    }

    /// Weighted dissimilarity `[N]` of the features of one stage. Covariances are taken about the means: as the mean
    /// of products less the product of means, equal images would not be exactly alike in float32.
    fn compare(&self, stage: usize, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let average = |x: &Tensor| x.f_mean_dim([2_i64, 3].as_slice(), true, Kind::Double);
        let centred = |x: &Tensor, mean: &Tensor| x.f_sub(&mean.f_to_kind(Kind::Float)?);
        let (mean_a, mean_b) = (average(a)?, average(b)?);
        let (a, b) = (centred(a, &mean_a)?, centred(b, &mean_b)?);
        let covariance = average(&a.f_mul(&b)?)?;
        let variances = average(&a.f_square()?)?.f_add(&average(&b.f_square()?)?)?;
        let means = mean_a.f_mul(&mean_b)?;
        let squares = mean_a.f_square()?.f_add(&mean_b.f_square()?)?;
        let texture = dissimilarity(&means, &squares)?.f_mv(&self.alpha[stage])?;
        let structure = dissimilarity(&covariance, &variances)?.f_mv(&self.beta[stage])?;
        Ok(texture.f_add(&structure)?)
    }
}

/// `1 - (2 p + c) / (q + c) = (q - 2 p) / (q + c)`, `[N, C, 1, 1]` to `[N, C]`.
fn dissimilarity(product: &Tensor, squares: &Tensor) -> Result<Tensor> {
    let difference = squares.f_sub(&product.f_mul_scalar(2.0)?)?;
    Ok(difference
        .f_div(&squares.f_add_scalar(STABILISER)?)?
        .f_flatten(1, -1)?)
}
