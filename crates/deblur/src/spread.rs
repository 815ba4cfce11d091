//! Mean and standard deviation over samples, one sample at a time.

use tch::{Kind, Tensor};

use crate::Result;

/// Running mean and variance per pixel (Welford 1962): numerically stable, and no sample is kept.
#[derive(Default)]
pub(crate) struct RunningSpread {
    count: i64,
    mean: Option<Tensor>,
    /// Sum of squared deviations from the mean.
    squares: Option<Tensor>,
}

impl RunningSpread {
    /// Adds a sample `[1, 3, H, W]`.
    pub(crate) fn add(&mut self, sample: &Tensor) -> Result<()> {
        self.count += 1;
        let (Some(mean), Some(squares)) = (&mut self.mean, &mut self.squares) else {
            let mut mean = sample.f_empty_like()?;
            mean.f_copy_(sample)?;
            self.mean = Some(mean);
            self.squares = Some(sample.f_zeros_like()?);
            return Ok(());
        };
        let delta = sample.f_sub(mean)?;
        let _ = mean.f_add_(&delta.f_div_scalar(self.count)?)?;
        let _ = squares.f_addcmul_(&delta, &sample.f_sub(mean)?)?;
        Ok(())
    }

    /// The mean of the samples, if there was one.
    pub(crate) fn mean(&self) -> Option<&Tensor> {
        self.mean.as_ref()
    }

    /// Standard deviation over the samples (n − 1 in the denominator), root mean square over the colour channels: `[1, 1, H, W]`.
    /// `None` below two samples.
    pub(crate) fn std(&self) -> Result<Option<Tensor>> {
        let Some(squares) = self.squares.as_ref().filter(|_| self.count >= 2) else {
            return Ok(None);
        };
        let variance = squares
            .f_mean_dim(&[1_i64][..], true, Kind::Float)?
            .f_div_scalar(self.count - 1)?;
        Ok(Some(variance.f_sqrt()?))
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn agrees_with_the_definition() {
        let samples: Vec<Tensor> = (0..7)
            .map(|index| {
                let ramp = Tensor::arange(2 * 3 * 3, (Kind::Float, Device::Cpu)).view([1, 3, 2, 3]);
                (ramp * f64::from(index) * 0.7).sin() + 10.0
            })
            .collect();
        let mut spread = RunningSpread::default();
        for (index, sample) in samples.iter().enumerate() {
            assert_eq!(spread.std().expect("std").is_some(), index >= 2);
            spread.add(sample).expect("same shapes");
        }
        let all = Tensor::cat(&samples, 0);
        let mean = all.mean_dim(&[0_i64][..], true, Kind::Float);
        let std = all
            .var_dim(&[0_i64][..], true, true)
            .mean_dim(&[1_i64][..], true, Kind::Float)
            .sqrt();
        let difference = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
        assert!(difference(spread.mean().expect("mean"), &mean) < 1e-5);
        assert!(difference(&spread.std().expect("std").expect("enough"), &std) < 1e-5);
    }
}
