//! What a network costs: multiply-adds and memory, counted from its description.

use ms_guidance::GuidedUNetConfig;
use serde::Serialize;
use unet_core::GuidanceEntry;

/// Copies of every parameter during training, float32: value, gradient as it comes and as it is summed up, two moments, average, and the
/// network that validates.
const COPIES: i64 = 7;
const FLOAT: i64 = 4;
/// Planes of the size of a crop around the network: the pair, its target, noise, noisy state, wanted and predicted value, differences
/// and the concatenated input, three to six channels each.
const AROUND: i64 = 48;

/// Activations count half as much again: for gradients on their way back, which need room beside what is kept, and for what
/// allocators hold on to. Measured on the CPU with the network of the preset `default`: 1.4 to 1.55 from 16 to 128 crops of 64×64 pixels.
const BESIDE: [i64; 2] = [3, 2];

/// Costs of training a network on crops of one size. A multiply-add counts as one operation; only convolutions and linear layers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// Parameters of the model, guidance networks included.
    pub parameters: i64,
    /// Multiply-adds of one forward pass over one crop, guidance networks included.
    pub multiply_adds_per_crop: i64,
    /// Of these, those of the guidance networks. When photos are restored they are spent once, not in every step.
    pub multiply_adds_guidance: i64,
    /// The forward pass in multiply-adds per pixel, rounded; hardly dependent on the size of the crop.
    pub multiply_adds_per_pixel: i64,
    /// Bytes for weights, gradients, moments and averages.
    pub weight_bytes: i64,
    /// Bytes that each crop of a forward pass takes: what is kept for the backward pass, and half as much again beside it.
    pub activation_bytes_per_crop: i64,
}

/// Sums over layers, for one crop.
#[derive(Debug, Default)]
struct Sums {
    multiply_adds: i64,
    /// Numbers kept for the backward pass.
    kept: i64,
}

impl Sums {
    /// A convolution at `cells` places.
    fn convolution(&mut self, input: i64, output: i64, kernel: i64, cells: i64) {
        let weights = [input, output, kernel, kernel].into_iter();
        let each = weights.fold(1_i64, i64::saturating_mul);
        self.multiply_adds = self
            .multiply_adds
            .saturating_add(each.saturating_mul(cells));
    }

    /// Activations of so many channels.
    fn keep(&mut self, channels: i64, cells: i64) {
        self.kept = self.kept.saturating_add(channels.saturating_mul(cells));
    }

    /// A residual block: see `unet_core::resnet`.
    fn resnet(
        &mut self,
        input: i64,
        output: i64,
        embedding: i64,
        guidance: Option<i64>,
        cells: i64,
    ) {
        self.convolution(input, output, 3, cells);
        self.convolution(embedding, output.saturating_mul(2), 1, 1);
        if let Some(channels) = guidance {
            self.convolution(channels, output, 1, cells);
        }
        self.convolution(output, output, 3, cells);
        if input != output {
            self.convolution(input, output, 1, cells);
        }
        // The activated input; the hidden state before and after the scale and activated; the output.
        self.keep(input, cells);
        self.keep(output.saturating_mul(4), cells);
    }
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Estimate {
    /// Costs for crops of `side` pixels, which is a multiple of the model's size multiple.
    pub fn new(model: &GuidedUNetConfig, side: usize) -> Self {
        let unet = &model.unet;
        let side = whole(side);
        let pixels = side.saturating_mul(side);
        let (widths, embedding) = (&unet.block_out_channels, unet.embedding_channels);
        let cells = |level: usize| {
            let along = side / unet.stride(level).max(1);
            along.saturating_mul(along)
        };
        let mut sums = Sums::default();
        let (first, last) = match (widths.first(), widths.last()) {
            (Some(&first), Some(&last)) => (first, last),
            _ => (0, 0),
        };
        let in_cell = unet.stem.factor() * unet.stem.factor();
        sums.convolution(embedding, embedding, 1, 2);
        let input = unet.in_channels.saturating_mul(in_cell);
        sums.convolution(input, first, 3, cells(0));
        sums.keep(input.saturating_add(first), cells(0));
        let mut previous = first;
        for (level, (&width, &layers)) in widths.iter().zip(&unet.layers_per_block).enumerate() {
            let here = cells(level);
            for layer in 0..layers {
                let input = if layer == 0 { previous } else { width };
                sums.resnet(input, width, embedding, unet.guidance_at(level), here);
                // The decoder's first block takes the skip as well.
                let input = if layer == 0 {
                    width.saturating_mul(2)
                } else {
                    width
                };
                sums.resnet(input, width, embedding, None, here);
            }
            // What the decoder concatenates.
            sums.keep(width.saturating_mul(2), here);
            if let Some(&next) = widths.get(level + 1) {
                let below = cells(level + 1);
                sums.convolution(width, width, 3, below);
                sums.keep(width, below);
                sums.convolution(next, width.saturating_mul(4), 1, below);
            }
            previous = width;
        }
        for _ in 0..unet.mid_layers {
            let coarsest = cells(widths.len().saturating_sub(1));
            sums.resnet(last, last, embedding, None, coarsest);
        }
        sums.convolution(
            first,
            unet.out_channels.saturating_mul(in_cell),
            3,
            cells(0),
        );
        sums.keep(first, cells(0));
        sums.keep(AROUND, pixels);

        let mut guidance = Sums::default();
        if unet.guidance_entry == GuidanceEntry::Input {
            for (index, &channels) in unet.guidance_channels.iter().enumerate() {
                let along = side >> (index + 1).min(62);
                sums.convolution(channels, first, 1, along.saturating_mul(along));
            }
        }
        for (index, &channels) in unet.guidance_channels.iter().enumerate() {
            let along = side >> (index + 1).min(62);
            let cells = along.saturating_mul(along);
            let image = model.guidance_input.channels();
            guidance.convolution(image, channels, 3, cells);
            guidance.convolution(channels, image, 3, cells);
            for _ in 0..model.guidance_blocks {
                guidance.convolution(channels, channels, 3, cells);
                guidance.convolution(channels, channels, 3, cells);
                guidance.keep(channels.saturating_mul(4), cells);
            }
            guidance.keep(channels.saturating_mul(2), cells);
        }
        let multiply_adds = sums.multiply_adds.saturating_add(guidance.multiply_adds);
        let kept = sums.kept.saturating_add(guidance.kept);
        let parameters = model.parameter_count();
        Self {
            parameters,
            multiply_adds_per_crop: multiply_adds,
            multiply_adds_guidance: guidance.multiply_adds,
            multiply_adds_per_pixel: multiply_adds / pixels.max(1),
            weight_bytes: parameters.saturating_mul(COPIES * FLOAT),
            activation_bytes_per_crop: kept.saturating_mul(FLOAT * BESIDE[0]) / BESIDE[1],
        }
    }

    /// Bytes that training takes beside decoded pictures and the libraries themselves, with `crops` in a forward pass.
    pub fn training_bytes(&self, crops: usize) -> i64 {
        let activations = self.activation_bytes_per_crop.saturating_mul(whole(crops));
        self.weight_bytes.saturating_add(activations)
    }
}
