//! A loaded model at work on photos: what `deblur` and `evaluate` share.

use std::ops::ControlFlow;

use ::deblur::{CheckpointSource, Mode, Options, Restoration, Restorer, TileChoice};
use ndarray::ArrayView3;

use crate::args::RestorationArgs;
use crate::hints::Problem;
use crate::output::Printer;
use crate::{cancel, small_tiles};

/// Why a photo was not restored.
pub(crate) enum Stop {
    Failed(Problem),
    Interrupted,
}

impl<E: Into<Problem>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Stops if Ctrl-C was pressed.
pub(crate) fn interruptible() -> Result<(), Stop> {
    if cancel::requested() {
        Err(Stop::Interrupted)
    } else {
        Ok(())
    }
}

impl RestorationArgs {
    /// The model to use.
    pub(crate) fn checkpoint_source(&self) -> CheckpointSource {
        self.checkpoint
            .clone()
            .map_or(CheckpointSource::Embedded, CheckpointSource::File)
    }

    /// What a restorer needs to know, checked as far as that is possible without a model.
    ///
    /// # Errors
    /// Values outside their ranges.
    pub(crate) fn options(&self, uncertainty: bool, guidance: bool) -> Result<Options, Problem> {
        let defaults = Options::mean();
        let options = Options {
            mode: self.mode,
            steps: self.steps.map_or(defaults.steps, |steps| steps as usize),
            sampler: self.sampler.unwrap_or(defaults.sampler),
            samples: self.samples.unwrap_or(defaults.samples),
            seed: self.seed,
            uncertainty,
            guidance,
            device: self.device,
            precision: self.precision,
            tile: self.tile,
            memory: None,
        };
        options.validate()?;
        Ok(options)
    }

    /// Options that were given and change nothing.
    pub(crate) fn without_effect(&self, uncertainty: bool) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.mode == Mode::Mean && !uncertainty {
            for (given, name) in [
                (self.steps.is_some(), "--steps"),
                (self.sampler.is_some(), "--sampler"),
                (self.samples.is_some(), "--samples"),
            ] {
                if given {
                    remarks.push(format!(
                        "{name} has no effect with --mode mean; add --mode sample or --mode average"
                    ));
                }
            }
        } else if self.mode == Mode::Sample && !uncertainty && self.samples.is_some() {
            remarks.push(
                "--samples has no effect with --mode sample; add --mode average or --uncertainty"
                    .into(),
            );
        }
        remarks
    }
}

/// A loaded model.
pub(crate) struct Session<'a> {
    pub(crate) restorer: Restorer,
    printer: &'a Printer,
}

impl<'a> Session<'a> {
    /// Loads the model; with small tiles, says what they cost for photos of these sizes (height, width).
    ///
    /// # Errors
    /// A device or checkpoint that cannot be used.
    pub(crate) fn start(
        checkpoint: &CheckpointSource,
        options: &Options,
        sizes: &[(usize, usize)],
        printer: &'a Printer,
    ) -> Result<Self, Problem> {
        let restorer = Restorer::new(checkpoint, options.clone())?;
        tracing::info!(
            "{checkpoint} on {} in {}",
            restorer.device(),
            restorer.precision()
        );
        if let TileChoice::Size(tile) = options.tile
            && let Some(warning) = small_tiles::warning(tile, sizes, &|height, width, tile| {
                restorer.overhead(height, width, tile)
            })
        {
            printer.warning(&warning);
        }
        Ok(Self { restorer, printer })
    }

    /// Units of progress that photos of these sizes take.
    ///
    /// # Errors
    /// None for a model that could be loaded.
    pub(crate) fn units(&self, sizes: &[(usize, usize)]) -> Result<u64, Problem> {
        let mut units = 0;
        for &(height, width) in sizes {
            units += self.restorer.units(height, width)?;
        }
        Ok(units)
    }

    /// Restores a photo `[3, H, W]` in `[0, 1]`, shows how far it is, and adds its units to those `finished` before.
    ///
    /// # Errors
    /// What the restorer says, or Ctrl-C.
    pub(crate) fn restore(
        &self,
        photo: ArrayView3<'_, f32>,
        finished: &mut u64,
    ) -> Result<Restoration, Stop> {
        let mut last = 0;
        let result = self.restorer.restore(photo, &mut |progress| {
            last = progress.total;
            self.printer.progress.set(*finished + progress.done);
            if cancel::requested() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        *finished += last;
        match result {
            Err(::deblur::Error::Cancelled) => Err(Stop::Interrupted),
            other => Ok(other?),
        }
    }
}
