//! LPIPS version 0.1: Zhang, Isola, Efros, Shechtman & Wang, "The Unreasonable Effectiveness of Deep Features as a
//! Perceptual Metric", CVPR 2018, arXiv 1801.03924.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::ArrayView3;
use tch::{Device, Kind, Tensor};

use super::input;
use super::trunk::{Backbone, Trunk, Widths};
use super::weights::{Shapes, WeightFile};
use crate::error::{Error, Mismatch, Result};
use crate::protocol::perceptual::PerceptualProtocol;
use crate::samples::check_pair;

const FIRST: &str = "features.0.weight";

/// Learned perceptual image patch similarity: a distance, 0 for equal images, seldom above 1; lower is better.
///
/// `sum over stages l of mean over y, x of sum over c of w_lc (f_lc(a) / |f_l(a)| - f_lc(b) / |f_l(b)|)^2`, where the norm
/// over the channels of each place has 1e-10 added to it. The network sees `(2 x - 1 - shift) / scale` with the shift
/// (-0.030, -0.088, -0.188) and scale (0.458, 0.448, 0.450) of LPIPS.
#[derive(Debug)]
pub struct Lpips {
    backbone: Backbone,
    trunk: Trunk,
    /// Weights `[C]` of the channels of each stage.
    heads: Vec<Tensor>,
    shift: Tensor,
    scale: Tensor,
    device: Device,
    protocol: PerceptualProtocol,
}

impl Lpips {
    /// Loads trunk and heads from one safetensors file: `features.N.weight` and `features.N.bias` as torchvision names
    /// and shapes them, `linK.model.1.weight` as LPIPS does, float32. The first layer tells which [`Backbone`] it is.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Format`], or [`Error::Mismatch`] with everything that is missing, unexpected, of
    /// another shape or type, or not finite; libtorch.
    pub fn load(path: &Path, device: Device) -> Result<Self> {
        let file = WeightFile::read(path)?;
        let backbone = recognise(&file)?;
        Self::from_file(&file, backbone, &backbone.widths(), device)
    }

    pub(super) fn from_file(
        file: &WeightFile,
        backbone: Backbone,
        widths: &Widths,
        device: Device,
    ) -> Result<Self> {
        let mut tensors = file.tensors(&shapes(backbone, widths), device)?;
        Self::new(backbone, &mut tensors, device)
    }

    fn new(
        backbone: Backbone,
        tensors: &mut BTreeMap<String, Tensor>,
        device: Device,
    ) -> Result<Self> {
        let trunk = Trunk::new(backbone, tensors, false)?;
        let mut heads = Vec::new();
        for stage in 0..trunk.len() {
            let name = head(stage);
            let tensor = tensors.remove(&name).ok_or(Error::MissingTensor { name })?;
            heads.push(tensor.f_flatten(0, -1)?);
        }
        let channels = |values: [f32; 3]| -> Result<Tensor> {
            Ok(Tensor::f_from_slice(&values)?
                .f_view([1, 3, 1, 1])?
                .f_to_device(device)?)
        };
        Ok(Self {
            backbone,
            trunk,
            heads,
            shift: channels([-0.030, -0.088, -0.188])?,
            scale: channels([0.458, 0.448, 0.450])?,
            device,
            protocol: match backbone {
                Backbone::AlexNet => PerceptualProtocol::lpips_alex(),
                Backbone::Vgg16 => PerceptualProtocol::lpips_vgg(),
            },
        })
    }

    /// The network that was found in the file.
    #[must_use]
    pub fn backbone(&self) -> Backbone {
        self.backbone
    }

    /// How images are compared, to report beside the numbers.
    #[must_use]
    pub fn protocol(&self) -> &PerceptualProtocol {
        &self.protocol
    }

    /// The distance of two images, rounded to 8 bits first as a saved file is; 0 when nothing differs.
    ///
    /// # Shapes
    /// Both images `[3, H, W]`, values in `[0, 1]`, at least [`Backbone::smallest_side`] pixels wide and high.
    ///
    /// # Errors
    /// Different shapes, other than three channels, too few pixels, values that are not finite; libtorch.
    pub fn distance(&self, a: ArrayView3<'_, f32>, b: ArrayView3<'_, f32>) -> Result<f64> {
        check_pair(&a, &b, self.backbone.smallest_side())?;
        let a = input::rounded(&a, self.device)?;
        let b = input::rounded(&b, self.device)?;
        Ok(self.distances(&a, &b)?.f_double_value(&[0])?)
    }

    /// The distance of each pair of two batches, without rounding and without gradients. A pair with a value that is NaN has the
    /// distance NaN; the others of the batch have theirs.
    ///
    /// # Shapes
    /// Both `[N, 3, H, W]` on the device of the weights, float32, values in `[0, 1]`, at least
    /// [`Backbone::smallest_side`] pixels wide and high; result `[N]`, float64.
    ///
    /// # Errors
    /// Other or different shapes, too few pixels; libtorch, also for another device or type.
    pub fn distances(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        input::check_batches(a, b, self.backbone.smallest_side())?;
        tch::no_grad(|| {
            let (mut a, mut b) = (self.scaled(a)?, self.scaled(b)?);
            let mut sum: Option<Tensor> = None;
            // Stage by stage for both, so that only the features of one stage are held.
            for (stage, head) in self.heads.iter().enumerate() {
                a = self.trunk.stage(stage, &a)?;
                b = self.trunk.stage(stage, &b)?;
                let squares = normalized(&a)?.f_sub_(&normalized(&b)?)?.f_square_()?;
                // The heads are linear, so the mean over the places can be taken first.
                let means = squares.f_mean_dim([2_i64, 3].as_slice(), false, Kind::Double)?;
                let distance = means.f_mv(&head.f_to_kind(Kind::Double)?)?;
                sum = Some(match sum {
                    None => distance,
                    Some(sum) => sum.f_add(&distance)?,
                });
            }
            match sum {
                Some(sum) => Ok(sum),
                None => Ok(Tensor::f_zeros([a.size()[0]], (Kind::Double, self.device))?),
            }
        })
    }

    fn scaled(&self, image: &Tensor) -> Result<Tensor> {
        Ok(image
            .f_mul_scalar(2.0)?
            .f_sub_scalar(1.0)?
            .f_sub_(&self.shift)?
            .f_div_(&self.scale)?)
    }
}

/// Each place divided by the length of its channels.
fn normalized(features: &Tensor) -> Result<Tensor> {
    let length = features
        .f_square()?
        .f_sum_dim_intlist([1_i64].as_slice(), true, Kind::Float)?
        .f_sqrt_()?
        .f_add_scalar_(1e-10)?;
    Ok(features.f_div(&length)?)
}

fn head(stage: usize) -> String {
    format!("lin{stage}.model.1.weight")
}

/// Everything that a file of LPIPS holds.
pub(super) fn shapes(backbone: Backbone, widths: &Widths) -> Shapes {
    let mut shapes = backbone.shapes(widths);
    for (stage, &width) in widths.iter().enumerate() {
        shapes.insert(head(stage), vec![1, width, 1, 1]);
    }
    shapes
}

/// Which network a file holds, by the size of its first kernels.
fn recognise(file: &WeightFile) -> Result<Backbone> {
    let known = [Backbone::AlexNet, Backbone::Vgg16];
    let Some(shape) = file.shape(FIRST)? else {
        return Err(file.mismatch(Mismatch {
            missing: vec![FIRST.to_owned()],
            ..Mismatch::default()
        }));
    };
    known
        .into_iter()
        .find(|backbone| shape.last() == Some(&backbone.first_kernel()))
        .ok_or_else(|| {
            let [alexnet, vgg16] = known.map(|network| {
                let kernel = network.first_kernel();
                format!("[64, 3, {kernel}, {kernel}] ({network})")
            });
            file.mismatch(Mismatch {
                misshaped: vec![format!(
                    "{FIRST}: expected {alexnet} or {vgg16}, got {shape:?}"
                )],
                ..Mismatch::default()
            })
        })
}
