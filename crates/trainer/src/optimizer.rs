//! AdamW (Loshchilov & Hutter, arXiv 1711.05101) and averaged weights, both with state that can be saved.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use crate::Result;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.99;
const EPSILON: f64 = 1e-8;

/// One trained parameter with its moments and its average.
#[derive(Debug)]
pub struct Parameter {
    /// Name in the variable store.
    pub name: String,
    /// The variable itself (shared with the network).
    pub value: Tensor,
    /// First moment.
    pub exp_avg: Tensor,
    /// Second moment.
    pub exp_avg_sq: Tensor,
    /// Exponential moving average of the values.
    pub average: Tensor,
}

/// AdamW over named parameters.
#[derive(Debug)]
pub struct AdamW {
    /// Parameters in the order of their names.
    pub parameters: Vec<Parameter>,
    /// Parameters that do not change, by name; they are not decayed and are their own average.
    pub frozen: BTreeMap<String, Tensor>,
    /// Updates made so far.
    pub updates: u64,
    weight_decay: f64,
}

impl AdamW {
    /// Starts with zero moments and the average at the current values.
    ///
    /// # Errors
    /// If libtorch is out of memory.
    pub fn new(variables: BTreeMap<String, Tensor>, weight_decay: f64) -> Result<Self> {
        let parameters = variables
            .into_iter()
            .map(|(name, value)| {
                let detached = value.f_detach()?;
                let mut average = detached.f_empty_like()?;
                average.f_copy_(&detached)?;
                Ok(Parameter {
                    name,
                    exp_avg: detached.f_zeros_like()?,
                    exp_avg_sq: detached.f_zeros_like()?,
                    average,
                    value,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            parameters,
            frozen: BTreeMap::new(),
            updates: 0,
            weight_decay,
        })
    }

    /// Euclidean norm over all gradients, as a scalar tensor.
    ///
    /// # Errors
    /// If libtorch rejects the shapes.
    pub fn gradient_norm(gradients: &[Tensor]) -> Result<Tensor> {
        let norms = gradients
            .iter()
            .map(|gradient| gradient.f_norm())
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Tensor::f_stack(&norms, 0)?.f_norm()?)
    }

    /// One update with `gradients` in the order of `parameters`, each multiplied by `gradient_scale`, then the average
    /// moves towards the new values by `1 − ema_decay`.
    ///
    /// # Errors
    /// If libtorch rejects the shapes.
    pub fn step(
        &mut self,
        gradients: &[Tensor],
        gradient_scale: f64,
        learning_rate: f64,
        ema_decay: f64,
    ) -> Result<()> {
        let _no_grad = tch::no_grad_guard();
        self.updates += 1;
        let correction1 = 1.0 - BETA1.powi(self.updates.min(i32::MAX as u64) as i32);
        let correction2 = 1.0 - BETA2.powi(self.updates.min(i32::MAX as u64) as i32);
        for (parameter, gradient) in self.parameters.iter_mut().zip(gradients) {
            let gradient = gradient
                .f_to_kind(Kind::Float)?
                .f_mul_scalar(gradient_scale)?;
            let _ = parameter
                .exp_avg
                .f_mul_scalar_(BETA1)?
                .f_add_(&gradient.f_mul_scalar(1.0 - BETA1)?)?;
            let _ = parameter
                .exp_avg_sq
                .f_mul_scalar_(BETA2)?
                .f_add_(&gradient.f_square()?.f_mul_scalar_(1.0 - BETA2)?)?;
            let mut denominator = parameter.exp_avg_sq.f_sqrt()?;
            let _ = denominator
                .f_mul_scalar_(1.0 / correction2.sqrt())?
                .f_add_scalar_(EPSILON)?;
            let update = parameter
                .exp_avg
                .f_div(&denominator)?
                .f_mul_scalar_(-learning_rate / correction1)?;
            // Decay shrinks weights, not biases.
            if self.weight_decay > 0.0 && parameter.value.dim() > 1 {
                let _ = parameter
                    .value
                    .f_mul_scalar_(1.0 - learning_rate * self.weight_decay)?;
            }
            let _ = parameter.value.f_add_(&update)?;
            let _ = parameter
                .average
                .f_lerp_(&parameter.value, 1.0 - ema_decay)?;
        }
        Ok(())
    }

    /// Whether every weight is finite.
    ///
    /// # Errors
    /// If libtorch is out of memory.
    pub fn is_finite(&self) -> Result<bool> {
        for parameter in &self.parameters {
            for tensor in [&parameter.value, &parameter.average] {
                if tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// The averaged weights by name (sharing memory), with those that do not change.
    pub fn averages(&self) -> BTreeMap<String, Tensor> {
        let frozen = self.frozen.iter();
        let averages = self.parameters.iter().map(|p| (&p.name, &p.average));
        averages
            .chain(frozen)
            .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
            .collect()
    }
}
