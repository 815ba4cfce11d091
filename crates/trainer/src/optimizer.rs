//! AdamW (Loshchilov & Hutter, arXiv 1711.05101) and averaged weights, both with state that can be saved.

mod buffers;

use std::collections::BTreeMap;

use tch::Tensor;

use self::buffers::Buffers;
use crate::Result;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.99;
const EPSILON: f64 = 1e-8;

/// One trained parameter with its moments and its average. Each tensor is a view of memory that all parameters share: change it in
/// place, never put another in its stead.
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
    /// Where its gradient is gathered.
    gradient: Tensor,
}

/// AdamW over named parameters.
///
/// A step is: [`set_gradients`](Self::set_gradients) (and [`add_gradients`](Self::add_gradients) for further parts of a batch), then
/// [`gradient_norm`](Self::gradient_norm) if it is wanted, then [`step`](Self::step).
#[derive(Debug)]
pub struct AdamW {
    /// Parameters in the order of their names.
    pub parameters: Vec<Parameter>,
    /// Parameters that do not change, by name; they are not decayed and are their own average.
    pub frozen: BTreeMap<String, Tensor>,
    /// Updates made so far.
    pub updates: u64,
    weight_decay: f64,
    buffers: Buffers,
}

impl AdamW {
    /// Starts with zero moments and the average at the current values. The variables, float32 on one device, keep their identity and
    /// their values, but move into memory of this optimiser.
    ///
    /// # Errors
    /// If libtorch is out of memory, or a variable is of another type or device than the first.
    pub fn new(variables: BTreeMap<String, Tensor>, weight_decay: f64) -> Result<Self> {
        let (buffers, parameters) = Buffers::gather(variables)?;
        Ok(Self {
            parameters,
            frozen: BTreeMap::new(),
            updates: 0,
            weight_decay,
            buffers,
        })
    }

    /// Takes `gradients`, in the order of `parameters`.
    ///
    /// # Errors
    /// If libtorch rejects the shapes.
    pub fn set_gradients(&mut self, gradients: &[Tensor]) -> Result<()> {
        let _no_grad = tch::no_grad_guard();
        for (parameter, gradient) in self.parameters.iter_mut().zip(gradients) {
            parameter.gradient.f_copy_(gradient)?;
        }
        Ok(())
    }

    /// Adds `gradients`, in the order of `parameters`, to those that are there.
    ///
    /// # Errors
    /// If libtorch rejects the shapes.
    pub fn add_gradients(&mut self, gradients: &[Tensor]) -> Result<()> {
        let _no_grad = tch::no_grad_guard();
        for (parameter, gradient) in self.parameters.iter_mut().zip(gradients) {
            let _ = parameter.gradient.f_add_(gradient)?;
        }
        Ok(())
    }

    /// All gradients in one vector, in the order of an internal layout, with zeros between them.
    #[cfg(test)]
    pub(crate) fn gradients(&self) -> &Tensor {
        &self.buffers.gradient
    }

    /// Euclidean norm over all gradients, as a scalar tensor.
    ///
    /// # Errors
    /// If libtorch is out of memory.
    pub fn gradient_norm(&self) -> Result<Tensor> {
        // By blocks: one float32 sum over millions of squares loses four digits.
        let norms = self
            .buffers
            .blocks()
            .map(|(start, length)| self.buffers.gradient.f_narrow(0, start, length)?.f_norm())
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Tensor::f_stack(&norms, 0)?.f_norm()?)
    }

    /// One update with the gradients that were set, each multiplied by `gradient_scale`, then the average moves towards the new values
    /// by `1 − ema_decay`.
    ///
    /// # Errors
    /// If libtorch is out of memory.
    pub fn step(&mut self, gradient_scale: f64, learning_rate: f64, ema_decay: f64) -> Result<()> {
        self.update(gradient_scale, learning_rate)?;
        self.average(ema_decay)
    }

    /// The first half of [`step`](Self::step).
    pub(crate) fn update(&mut self, gradient_scale: f64, learning_rate: f64) -> Result<()> {
        let _no_grad = tch::no_grad_guard();
        self.updates += 1;
        let updates = self.updates.min(i32::MAX as u64) as i32;
        let correction1 = 1.0 - BETA1.powi(updates);
        let correction2 = 1.0 - BETA2.powi(updates);
        // value −= learning_rate · (m / c1) / (√(v / c2) + ε), the factors drawn into the denominator.
        let factor = -correction1 / learning_rate;
        let buffers = &self.buffers;
        for (start, length) in buffers.blocks() {
            let part = |buffer: &Tensor| buffer.f_narrow(0, start, length);
            let mut gradient = part(&buffers.gradient)?;
            if gradient_scale != 1.0 {
                let _ = gradient.f_mul_scalar_(gradient_scale)?;
            }
            let mut exp_avg = part(&buffers.exp_avg)?;
            let _ = exp_avg.f_lerp_(&gradient, 1.0 - BETA1)?;
            let mut exp_avg_sq = part(&buffers.exp_avg_sq)?;
            let _ = exp_avg_sq.f_lerp_(&gradient.f_square()?, 1.0 - BETA2)?;
            if learning_rate == 0.0 {
                continue;
            }
            let mut denominator = exp_avg_sq.f_sqrt()?;
            let _ = denominator
                .f_mul_scalar_(factor / correction2.sqrt())?
                .f_add_scalar_(factor * EPSILON)?;
            let mut value = part(&buffers.value)?;
            let decayed = (buffers.decayed - start).clamp(0, length);
            if self.weight_decay > 0.0 && decayed > 0 {
                let _ = value
                    .f_narrow(0, 0, decayed)?
                    .f_mul_scalar_(1.0 - learning_rate * self.weight_decay)?;
            }
            let _ = value.f_addcdiv_(&exp_avg, &denominator)?;
        }
        Ok(())
    }

    /// The second half of [`step`](Self::step).
    pub(crate) fn average(&mut self, ema_decay: f64) -> Result<()> {
        let _no_grad = tch::no_grad_guard();
        let Buffers { value, average, .. } = &mut self.buffers;
        let _ = average.f_lerp_(value, 1.0 - ema_decay)?;
        Ok(())
    }

    /// Whether every weight is finite.
    ///
    /// # Errors
    /// If libtorch is out of memory.
    pub fn is_finite(&self) -> Result<bool> {
        for tensor in [&self.buffers.value, &self.buffers.average] {
            if tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
                return Ok(false);
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
