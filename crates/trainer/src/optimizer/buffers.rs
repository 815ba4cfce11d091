//! Memory that all parameters share, so that an update is a few long operations instead of a dozen short ones for each parameter: there
//! are a hundred of them, most of a few values, and starting an operation takes longer than they do, on CUDA above all.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use super::Parameter;
use crate::Result;

/// Parameters begin at multiples of this many values, 64 bytes: a cache line, and what vector instructions like. The gaps stay 0.
const ALIGNMENT: i64 = 16;

/// Values that are updated at a time on the CPU. An update passes over its vectors ten times; a block of all of them stays in the cache
/// meanwhile, the whole of them does not.
const BLOCK: i64 = 65_536;

/// One vector for each quantity, all of the same layout.
#[derive(Debug)]
pub(super) struct Buffers {
    pub(super) value: Tensor,
    pub(super) exp_avg: Tensor,
    pub(super) exp_avg_sq: Tensor,
    pub(super) average: Tensor,
    pub(super) gradient: Tensor,
    /// Length of the part that decays: weights come first, biases after.
    pub(super) decayed: i64,
}

/// Where a parameter lies in the vectors.
struct Place {
    size: Vec<i64>,
    strides: Vec<i64>,
    start: i64,
}

impl Place {
    fn of(&self, buffer: &Tensor) -> Result<Tensor> {
        Ok(buffer.f_as_strided(&self.size[..], &self.strides[..], self.start)?)
    }
}

/// Strides of `value` if it fills its memory without gaps, in whatever order of axes; otherwise row-major ones.
fn dense_strides(value: &Tensor) -> Vec<i64> {
    let (size, strides) = (value.size(), value.stride());
    let mut axes: Vec<(i64, i64)> = strides
        .iter()
        .copied()
        .zip(size.iter().copied())
        .filter(|&(_, length)| length != 1)
        .collect();
    axes.sort_unstable();
    let mut expected = 1;
    let dense = axes.iter().all(|&(stride, length)| {
        let fits = stride == expected;
        expected *= length;
        fits
    });
    if dense {
        return strides;
    }
    let mut row_major = vec![1; size.len()];
    for axis in (1..size.len()).rev() {
        row_major[axis - 1] = row_major[axis] * size[axis];
    }
    row_major
}

impl Buffers {
    /// Beginnings and lengths of the parts in which an update is made: one on CUDA, where each operation has its price.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (i64, i64)> + use<> {
        let length = self.value.numel() as i64;
        let block = match self.value.device() {
            Device::Cpu => BLOCK,
            _ => length.max(1),
        };
        (0..length)
            .step_by(block as usize)
            .map(move |start| (start, block.min(length - start)))
    }

    /// Moves `variables` into new vectors.
    pub(super) fn gather(variables: BTreeMap<String, Tensor>) -> Result<(Self, Vec<Parameter>)> {
        let mut places: BTreeMap<&str, Place> = BTreeMap::new();
        let (mut length, mut decayed) = (0, 0);
        // Decay shrinks weights, not biases.
        for weights in [true, false] {
            for (name, value) in &variables {
                if (value.dim() > 1) == weights {
                    let place = Place {
                        size: value.size(),
                        strides: dense_strides(value),
                        start: length,
                    };
                    places.insert(name, place);
                    length += (value.numel() as i64 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
                }
            }
            if weights {
                decayed = length;
            }
        }
        let device = variables
            .values()
            .next()
            .map_or(Device::Cpu, Tensor::device);
        let zeros = || Tensor::f_zeros([length], (Kind::Float, device));
        let buffers = Self {
            value: zeros()?,
            exp_avg: zeros()?,
            exp_avg_sq: zeros()?,
            average: zeros()?,
            gradient: zeros()?,
            decayed,
        };
        let _no_grad = tch::no_grad_guard();
        let mut parameters = Vec::with_capacity(variables.len());
        for (name, variable) in &variables {
            let Some(place) = places.get(name.as_str()) else {
                continue;
            };
            let mut value = variable.shallow_clone();
            let mut home = place.of(&buffers.value)?;
            home.f_copy_(&value)?;
            // The network's own handles follow: they share what is replaced here.
            value.f_set_data(&home)?;
            parameters.push(Parameter {
                name: name.clone(),
                exp_avg: place.of(&buffers.exp_avg)?,
                exp_avg_sq: place.of(&buffers.exp_avg_sq)?,
                average: place.of(&buffers.average)?,
                gradient: place.of(&buffers.gradient)?,
                value,
            });
        }
        let mut average = buffers.average.shallow_clone();
        average.f_copy_(&buffers.value)?;
        Ok((buffers, parameters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_keep_values_strides_and_identity() {
        let weight = Tensor::arange(2 * 3 * 5 * 5, (Kind::Float, Device::Cpu))
            .view([2, 5, 5, 3])
            .permute([0, 3, 1, 2])
            .set_requires_grad(true);
        let bias = Tensor::from_slice(&[0.5f32, -1.0]).set_requires_grad(true);
        let (values, strides) = (weight.copy(), weight.stride());
        let variables = [("weight", &weight), ("bias", &bias)]
            .map(|(name, value)| (name.to_owned(), value.shallow_clone()));
        let (buffers, parameters) = Buffers::gather(variables.into()).unwrap();
        assert_eq!((buffers.decayed, buffers.value.size()), (160, vec![176]));
        assert!(parameters[0].name == "bias" && parameters[0].value.requires_grad());
        assert_eq!((weight.copy(), weight.stride()), (values, strides));
        // What happens to the vector happens to the variable.
        let _ = tch::no_grad(|| buffers.value.shallow_clone().g_mul_scalar_(2.0));
        assert_eq!(Vec::<f32>::try_from(&bias).unwrap(), [1.0, -2.0]);
        assert_eq!(weight.double_value(&[1, 2, 4, 4]), 2.0 * 149.0);
        assert_eq!(parameters[1].average.double_value(&[1, 2, 4, 4]), 149.0);
    }

    #[test]
    fn blocks_cover_everything_once() {
        let value = Tensor::zeros([BLOCK + 1], (Kind::Float, Device::Cpu));
        let (buffers, _) = Buffers::gather([("a".to_owned(), value)].into()).unwrap();
        let blocks: Vec<_> = buffers.blocks().collect();
        assert_eq!(blocks, [(0, BLOCK), (BLOCK, ALIGNMENT)]);
    }

    #[test]
    fn only_memory_without_gaps_keeps_its_order() {
        let dense = Tensor::zeros([4, 1, 3], (Kind::Float, Device::Cpu));
        assert_eq!(dense_strides(&dense), [3, 3, 1]);
        assert_eq!(dense_strides(&dense.transpose(0, 2)), [1, 3, 3]);
        for gaps in [dense.narrow(2, 0, 2), dense.expand([4, 5, 3], false)] {
            let size = gaps.size();
            assert_eq!(dense_strides(&gaps), [size[1] * size[2], size[2], 1]);
        }
    }
}
