//! `msdeblur deblur`: the loop over photos.

use std::path::{Path, PathBuf};
use std::time::Instant;

use ::deblur::Restoration;
use image_io::{Limits, Photo, WriteOptions};
use serde::Serialize;

use crate::args::DeblurArgs;
use crate::hints::Problem;
use crate::output::{Printer, path_text};
use crate::plan::{Entry, Outputs, Plan};
use crate::restoration::{Session, Stop, interruptible};
use crate::words::count;
use crate::{INTERRUPTED, SOME_FAILED, cancel, folders, pictures, threads};

/// JSON `restored`: one per photo that was written.
#[derive(Serialize)]
struct Restored {
    input: String,
    output: String,
    compare: Option<String>,
    uncertainty: Option<String>,
    guidance: Vec<String>,
    /// Pixels.
    width: usize,
    /// Pixels.
    height: usize,
    mode: &'static str,
    seed: u64,
    /// Steps and sampler of the samples; null where none were drawn.
    steps: Option<usize>,
    sampler: Option<&'static str>,
    samples: u32,
    device: String,
    precision: &'static str,
    tiles: usize,
    denoiser_calls: usize,
    /// Mean standard deviation over samples, in units of the [0, 1] range.
    mean_spread: Option<f64>,
    /// Reading, restoring and writing.
    seconds: f64,
    /// Restoring alone.
    restoration_seconds: f64,
    notes: Vec<String>,
}

/// JSON `failed`: one per input that was not.
#[derive(Serialize)]
struct Failed<'a> {
    input: String,
    message: &'a str,
    hint: Option<&'a str>,
}

/// JSON `summary`: the last line.
#[derive(Serialize)]
struct Summary {
    inputs: usize,
    restored: usize,
    failed: usize,
    interrupted: bool,
    seconds: f64,
}

/// Runs the subcommand.
///
/// # Errors
/// Wrong usage or set-up, before any photo is touched.
pub(crate) fn run(args: Box<DeblurArgs>) -> Result<u8, Problem> {
    let start = Instant::now();
    let printer = Printer::new("deblur", args.messages);
    let plan = Plan::new(&args)?;
    for remark in &plan.remarks {
        printer.status(&format!("note: {remark}"));
    }
    cancel::install("tile");
    threads::limit(args.restoration.threads, &printer)?;
    let mut work = None;
    if plan.entries.iter().any(|entry| entry.outputs.is_ok()) {
        work = Some(Work::start(&plan, &printer)?);
        folders::prepare(&plan.folder, "-o")?;
    }
    let mut restored = 0;
    let mut failures: Vec<(PathBuf, Problem)> = Vec::new();
    let mut interrupted = false;
    let total = plan.entries.len();
    for (index, Entry { input, outputs }) in plan.entries.iter().enumerate() {
        let result = match (outputs, &mut work) {
            (Ok(outputs), Some(work)) => work.restore(input, outputs, index, total),
            (Err(problem), _) => Err(Stop::Failed(problem.clone())),
            (Ok(_), None) => Err(Stop::Failed(Problem::new("no model was loaded"))),
        };
        match result {
            Ok(done) => {
                for note in &done.notes {
                    printer.note(input, note);
                }
                let place = if total > 1 {
                    format!("{} of {total}, ", index + 1)
                } else {
                    String::new()
                };
                printer.status(&format!(
                    "{} -> {} ({place}{:.1} s)",
                    input.display(),
                    done.output,
                    done.seconds
                ));
                printer.data("restored", &done);
                restored += 1;
            }
            Err(Stop::Failed(problem)) => {
                let problem = problem.at_unless_named(input, outputs.as_ref().ok());
                printer.problem(&problem);
                printer.data(
                    "failed",
                    &Failed {
                        input: path_text(input),
                        message: &problem.message,
                        hint: problem.hint.as_deref(),
                    },
                );
                failures.push((input.clone(), problem));
            }
            Err(Stop::Interrupted) => {
                interrupted = true;
                break;
            }
        }
    }
    printer.progress.finish();
    let seconds = start.elapsed().as_secs_f64();
    let failed = failures.len();
    let of_all = format!(
        "{restored} of {} {} restored",
        count(total as u64, "photo"),
        if total == 1 { "was" } else { "were" }
    );
    if interrupted {
        printer.problem(&Problem::new(format!("interrupted; {of_all}")));
    } else if failed > 0 && total > 1 {
        let mut text = format!("{of_all}, {failed} failed:");
        for (input, _) in &failures {
            text.push_str(&format!("\n  {}", input.display()));
        }
        printer.problem(&Problem::new(text));
    } else if total > 1 {
        printer.status(&format!(
            "{restored} photos were restored in {seconds:.1} s"
        ));
    }
    printer.data(
        "summary",
        &Summary {
            inputs: total,
            restored,
            failed,
            interrupted,
            seconds,
        },
    );
    Ok(match (interrupted, failed) {
        (true, _) => INTERRUPTED,
        (false, 0) => 0,
        _ => SOME_FAILED,
    })
}

impl Problem {
    /// Names the input, unless the message is about a file already.
    fn at_unless_named(self, input: &Path, outputs: Option<&Outputs>) -> Self {
        let named = outputs
            .into_iter()
            .flat_map(Outputs::all)
            .any(|path| self.is_about(path));
        if named || outputs.is_none() {
            self
        } else {
            self.at(input)
        }
    }
}

/// A loaded model and what it shall make.
struct Work<'a> {
    plan: &'a Plan,
    printer: &'a Printer,
    session: Session<'a>,
    limits: Limits,
    /// Tile passes of the photos before this one.
    finished_units: u64,
}

impl<'a> Work<'a> {
    fn start(plan: &'a Plan, printer: &'a Printer) -> Result<Self, Problem> {
        let limits = Limits::default();
        let sizes: Vec<(usize, usize)> = plan
            .entries
            .iter()
            .filter(|entry| entry.outputs.is_ok())
            // What cannot be read fails later, with its reason.
            .filter_map(|entry| image_io::image_size(&entry.input, &limits).ok())
            .map(|(width, height)| (height as usize, width as usize))
            .collect();
        let session = Session::start(&plan.checkpoint, &plan.options, &sizes, printer)?;
        printer.progress.start(session.units(&sizes)?, "tiles");
        Ok(Self {
            plan,
            printer,
            session,
            limits,
            finished_units: 0,
        })
    }

    fn restore(
        &mut self,
        input: &Path,
        outputs: &Outputs,
        index: usize,
        total: usize,
    ) -> Result<Restored, Stop> {
        let start = Instant::now();
        interruptible()?;
        let name = input.file_name().unwrap_or_default().to_string_lossy();
        self.printer
            .progress
            .message(format!("{name} ({} of {total})", index + 1));
        let photo = image_io::read(input, &self.limits)?;
        let (width, height) = (photo.width(), photo.height());
        let restoration = self
            .session
            .restore(photo.pixels.view(), &mut self.finished_units)?;
        interruptible()?;
        let options = &self.plan.options;
        let drawn = options.drawn_samples();
        let mean_spread = restoration
            .spread
            .as_ref()
            .and_then(|spread| spread.mean())
            .map(f64::from);
        let mut done = Restored {
            input: path_text(input),
            output: path_text(&outputs.photo),
            compare: outputs.compare.as_deref().map(path_text),
            uncertainty: outputs.uncertainty.as_deref().map(path_text),
            guidance: outputs
                .guidance
                .iter()
                .map(|path| path_text(path))
                .collect(),
            width,
            height,
            mode: options.mode.name(),
            seed: options.seed,
            steps: (drawn > 0).then_some(options.steps),
            sampler: (drawn > 0).then(|| options.sampler.name()),
            samples: drawn,
            device: self.session.restorer.device(),
            precision: restoration.precision,
            tiles: restoration.tiles,
            denoiser_calls: restoration.denoiser_calls,
            mean_spread,
            seconds: 0.0,
            restoration_seconds: restoration.seconds,
            notes: photo
                .info
                .notes
                .iter()
                .chain(&restoration.notes)
                .cloned()
                .collect(),
        };
        let notes = cancel::while_writing(|| self.write(photo, restoration, outputs))?;
        done.notes.extend(notes);
        done.seconds = start.elapsed().as_secs_f64();
        Ok(done)
    }

    /// Writes the photo and what belongs to it; returns what had to be dropped.
    fn write(
        &self,
        photo: Photo,
        restoration: Restoration,
        outputs: &Outputs,
    ) -> Result<Vec<String>, Problem> {
        let options = WriteOptions {
            overwrite: self.plan.overwrite,
            ..WriteOptions::default()
        };
        let restored = photo.with_pixels(restoration.image);
        let mut notes = image_io::write(&outputs.photo, &restored, &options)?;
        if let Some(path) = &outputs.compare {
            let sheet = pictures::compare(&photo, restored.pixels.view());
            image_io::write(path, &sheet, &options)?;
        }
        if let (Some(path), Some(spread)) = (&outputs.uncertainty, &restoration.spread) {
            let map = pictures::heat_map(spread);
            image_io::write(path, &map.photo, &options)?;
            notes.push(format!(
                "the brightest colour of the uncertainty map is a spread of {:.4} (of 1)",
                map.brightest
            ));
        }
        for (path, prediction) in outputs.guidance.iter().zip(&restoration.guidance) {
            image_io::write(path, &pictures::gray(prediction), &options)?;
        }
        Ok(notes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_its_file_once() {
        let outputs = Outputs {
            photo: "out/a.png".into(),
            compare: None,
            uncertainty: None,
            guidance: Vec::new(),
        };
        let input = Path::new("in.png");
        for (message, shown) in [
            ("out/a.png: cannot write", "out/a.png: cannot write"),
            ("in.png: cannot read", "in.png: cannot read"),
            ("not finite", "in.png: not finite"),
            // Begins like the output, but is about another file.
            ("out/a.png.tmp: odd", "in.png: out/a.png.tmp: odd"),
        ] {
            let problem = Problem::new(message).at_unless_named(input, Some(&outputs));
            assert_eq!(problem.message, shown);
        }
    }
}
