//! What a new run starts from: the weights of another model, and parameters that stay as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;

use ms_guidance::GuidedUNetConfig;
use ms_guidance::checkpoint::{self, Parent};
use tch::{Tensor, nn};

use crate::optimizer::AdamW;
use crate::run::Event;
use crate::{Error, Result, TrainConfig};

/// The parameters of a network by name.
pub(crate) struct Trained {
    /// Those that training changes.
    pub(crate) changing: BTreeMap<String, Tensor>,
    /// Those that it does not; they ask for no gradient.
    pub(crate) frozen: BTreeMap<String, Tensor>,
}

impl Trained {
    /// Numbers in the tensors that do not change.
    pub(crate) fn frozen_parameters(&self) -> i64 {
        let sizes = self.frozen.values().map(Tensor::numel);
        i64::try_from(sizes.sum::<usize>()).unwrap_or(i64::MAX)
    }
}

/// Divides the parameters of `store` by the prefixes in `freeze`.
///
/// # Errors
/// [`Error::Freeze`] with every prefix that no name begins with, or if nothing is left to train.
pub(crate) fn trained(store: &nn::VarStore, freeze: &[String]) -> Result<Trained> {
    let all: BTreeMap<String, Tensor> = store.variables().into_iter().collect();
    let refuse = |unknown| Error::Freeze {
        unknown,
        groups: groups(all.keys()),
    };
    let unknown: Vec<String> = freeze
        .iter()
        .filter(|prefix| prefix.is_empty() || !all.keys().any(|name| name.starts_with(*prefix)))
        .cloned()
        .collect();
    if !unknown.is_empty() {
        return Err(refuse(unknown));
    }
    let (mut frozen, mut changing) = (BTreeMap::new(), BTreeMap::new());
    for (name, tensor) in &all {
        let tensor = tensor.shallow_clone();
        if freeze.iter().any(|prefix| name.starts_with(prefix)) {
            frozen.insert(name.clone(), tensor.f_set_requires_grad(false)?);
        } else {
            changing.insert(name.clone(), tensor);
        }
    }
    if changing.is_empty() {
        return Err(refuse(Vec::new()));
    }
    Ok(Trained { changing, frozen })
}

/// The first two parts of the names, which is what people freeze: `guidance.0.`, `unet.down_blocks.`.
fn groups<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let groups: BTreeSet<String> = names
        .map(|name| {
            name.split_inclusive('.')
                .take(2)
                .collect::<Vec<_>>()
                .concat()
        })
        .collect();
    groups.into_iter().collect()
}

/// Fills a new run with the weights of the checkpoint `config.init`, if there is one, and says which model that was.
///
/// # Errors
/// [`Error::Init`] if it cannot be read, is damaged, or its tensors are not exactly those of the network.
pub(crate) fn initialise(
    config: &TrainConfig,
    optimizer: &mut AdamW,
    observe: &mut dyn FnMut(Event) -> ControlFlow<()>,
) -> Result<Option<Parent>> {
    let Some(path) = &config.init else {
        return Ok(None);
    };
    let parent = load(path, config, optimizer, observe).map_err(|source| Error::Init {
        path: path.clone(),
        source: Box::new(source),
    })?;
    Ok(Some(parent))
}

fn load(
    path: &Path,
    config: &TrainConfig,
    optimizer: &mut AdamW,
    observe: &mut dyn FnMut(Event) -> ControlFlow<()>,
) -> ms_guidance::Result<Parent> {
    let bytes = checkpoint::read(path)?;
    let description = checkpoint::describe(&bytes)?;
    let parameters = optimizer.parameters.iter();
    let variables: BTreeMap<String, Tensor> = parameters
        .map(|parameter| (&parameter.name, &parameter.value))
        .chain(&optimizer.frozen)
        .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
        .collect();
    checkpoint::load_into(&bytes, &variables)?;
    let _no_grad = tch::no_grad_guard();
    for parameter in &mut optimizer.parameters {
        parameter.average.f_copy_(&parameter.value)?;
    }
    let different = other_meaning(&description.config, &config.model);
    if !different.is_empty() {
        let _ = observe(Event::Note(format!(
            "{}: was trained with another {}; the weights fit, and what they mean is learnt anew",
            path.display(),
            different.join(", ")
        )));
    }
    Ok(Parent {
        name: description.provenance.name,
        sha256: checkpoint::sha256(&bytes),
    })
}

/// What differs although every tensor has its place.
fn other_meaning(parent: &GuidedUNetConfig, model: &GuidedUNetConfig) -> Vec<&'static str> {
    let pairs = [
        (
            "prediction_type",
            parent.prediction_type == model.prediction_type,
        ),
        ("target", parent.target == model.target),
        (
            "range of noise levels",
            (parent.sigma_min, parent.sigma_max) == (model.sigma_min, model.sigma_max),
        ),
    ];
    let different = pairs.into_iter().filter(|(_, same)| !same);
    different.map(|(name, _)| name).collect()
}
