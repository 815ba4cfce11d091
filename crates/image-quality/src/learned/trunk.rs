//! The convolutions of AlexNet and VGG16, cut into five stages where LPIPS and DISTS take features.
//!
//! Layer numbers, kernels and paddings are those of torchvision's `alexnet().features` and `vgg16().features`.

use std::collections::BTreeMap;
use std::fmt;

use tch::Tensor;

use super::weights::Shapes;
use crate::error::{Error, Result};

/// A network for classification whose features are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backbone {
    /// Krizhevsky 2014, "One weird trick", arXiv 1404.5997, as torchvision has it.
    AlexNet,
    /// Simonyan & Zisserman 2014, arXiv 1409.1556, without batch normalisation.
    Vgg16,
}

/// Channels after each stage.
pub(super) type Widths = [i64; 5];

struct Layer {
    index: usize,
    kernel: i64,
    stride: i64,
    padding: i64,
}

struct Plan {
    is_pooled: bool,
    layers: &'static [Layer],
}

const fn layer(index: usize, kernel: i64, stride: i64, padding: i64) -> Layer {
    Layer {
        index,
        kernel,
        stride,
        padding,
    }
}

const fn plan(is_pooled: bool, layers: &'static [Layer]) -> Plan {
    Plan { is_pooled, layers }
}

const ALEXNET: [Plan; 5] = [
    plan(false, &[layer(0, 11, 4, 2)]),
    plan(true, &[layer(3, 5, 1, 2)]),
    plan(true, &[layer(6, 3, 1, 1)]),
    plan(false, &[layer(8, 3, 1, 1)]),
    plan(false, &[layer(10, 3, 1, 1)]),
];

const VGG16: [Plan; 5] = [
    plan(false, &[layer(0, 3, 1, 1), layer(2, 3, 1, 1)]),
    plan(true, &[layer(5, 3, 1, 1), layer(7, 3, 1, 1)]),
    plan(
        true,
        &[layer(10, 3, 1, 1), layer(12, 3, 1, 1), layer(14, 3, 1, 1)],
    ),
    plan(
        true,
        &[layer(17, 3, 1, 1), layer(19, 3, 1, 1), layer(21, 3, 1, 1)],
    ),
    plan(
        true,
        &[layer(24, 3, 1, 1), layer(26, 3, 1, 1), layer(28, 3, 1, 1)],
    ),
];

impl Backbone {
    fn plan(self) -> &'static [Plan; 5] {
        match self {
            Self::AlexNet => &ALEXNET,
            Self::Vgg16 => &VGG16,
        }
    }

    /// Channels of the published weights.
    pub(super) fn widths(self) -> Widths {
        match self {
            Self::AlexNet => [64, 192, 384, 256, 256],
            Self::Vgg16 => [64, 128, 256, 512, 512],
        }
    }

    /// Side of the smallest image that has a feature left in every stage, in pixels.
    #[must_use]
    pub fn smallest_side(self) -> usize {
        match self {
            // (31 + 4 - 11) / 4 + 1 = 7, pooled to 3, pooled to 1.
            Self::AlexNet => 31,
            // Halved four times.
            Self::Vgg16 => 16,
        }
    }

    /// Kernel size of the first layer, by which a file is recognised.
    pub(super) fn first_kernel(self) -> i64 {
        self.plan()[0].layers[0].kernel
    }

    /// Names and shapes of weights and biases.
    pub(super) fn shapes(self, widths: &Widths) -> Shapes {
        let mut shapes = Shapes::new();
        let mut input = 3;
        for (plan, &width) in self.plan().iter().zip(widths) {
            for layer in plan.layers {
                let (weight, bias) = names(layer);
                shapes.insert(weight, vec![width, input, layer.kernel, layer.kernel]);
                shapes.insert(bias, vec![width]);
                input = width;
            }
        }
        shapes
    }
}

impl fmt::Display for Backbone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::AlexNet => "AlexNet",
            Self::Vgg16 => "VGG16",
        })
    }
}

fn names(layer: &Layer) -> (String, String) {
    let name = |what| format!("features.{}.{what}", layer.index);
    (name("weight"), name("bias"))
}

#[derive(Debug)]
struct Convolution {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    padding: i64,
}

impl Convolution {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut y = x.f_conv2d(
            &self.weight,
            Some(&self.bias),
            self.stride,
            self.padding,
            1,
            1,
        )?;
        Ok(y.f_relu_()?)
    }
}

/// How stages are joined.
#[derive(Debug)]
pub(super) enum Pooling {
    /// The largest value of a square with this side, every second pixel.
    Max(i64),
    /// Square root of the weighted mean square, every second pixel (DISTS).
    L2,
}

/// Weights of the five stages.
#[derive(Debug)]
pub(super) struct Trunk {
    stages: Vec<(Option<Pooling>, Vec<Convolution>)>,
}

impl Trunk {
    /// Takes the tensors of [`Backbone::shapes`] out of `tensors`. With `is_l2_pooled` all pooling is [`Pooling::L2`].
    pub(super) fn new(
        backbone: Backbone,
        tensors: &mut BTreeMap<String, Tensor>,
        is_l2_pooled: bool,
    ) -> Result<Self> {
        let mut take = |name: String| tensors.remove(&name).ok_or(Error::MissingTensor { name });
        let mut stages = Vec::new();
        for plan in backbone.plan() {
            let pooling = plan.is_pooled.then_some(match backbone {
                _ if is_l2_pooled => Pooling::L2,
                Backbone::AlexNet => Pooling::Max(3),
                Backbone::Vgg16 => Pooling::Max(2),
            });
            let mut convolutions = Vec::new();
            for layer in plan.layers {
                let (weight, bias) = names(layer);
                convolutions.push(Convolution {
                    weight: take(weight)?,
                    bias: take(bias)?,
                    stride: layer.stride,
                    padding: layer.padding,
                });
            }
            stages.push((pooling, convolutions));
        }
        Ok(Self { stages })
    }

    /// Number of stages.
    pub(super) fn len(&self) -> usize {
        self.stages.len()
    }

    /// The features `[N, C, h, w]` after a stage from those before it, or from the image.
    pub(super) fn stage(&self, index: usize, x: &Tensor) -> Result<Tensor> {
        let (pooling, convolutions) = &self.stages[index];
        let mut x = match pooling {
            None => x.shallow_clone(),
            Some(Pooling::Max(side)) => x.f_max_pool2d(*side, 2, 0, 1, false)?,
            Some(Pooling::L2) => l2_pool(x)?,
        };
        for convolution in convolutions {
            x = convolution.forward(&x)?;
        }
        Ok(x)
    }
}

/// `sqrt(g * x^2 + 1e-12)` at every second pixel, with the 3 x 3 Hann window `g` = (1 2 1)'(1 2 1) / 16 and zeros
/// beyond the border.
fn l2_pool(x: &Tensor) -> Result<Tensor> {
    let channels = x.size()[1];
    let window = Tensor::f_from_slice(&[1_f32, 2.0, 1.0, 2.0, 4.0, 2.0, 1.0, 2.0, 1.0])?
        .f_div_scalar(16.0)?
        .f_to_device(x.device())?
        .f_view([1, 1, 3, 3])?
        .f_expand([channels, 1, 3, 3], false)?;
    let squares = x.f_square()?;
    Ok(squares
        .f_conv2d(&window, None::<Tensor>, 2, 1, 1, channels)?
        .f_add_scalar(1e-12)?
        .f_sqrt()?)
}
