//! The work: while one photo is restored, others are read, measured and saved.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};

use image_io::{Limits, Photo};
use ndarray::{Array2, Array3};

use super::networks::Networks;
use super::pairs::Pair;
use super::reuse::{self, Store};
use super::saved::{Picture, Saved};
use super::scores::{PlainMetrics, Scores};
use crate::cancel;
use crate::hints::Problem;
use crate::output::Printer;
use crate::restoration::{Session, Stop, interruptible};

/// Pixels of pictures that may be in memory beside those that are being restored, about 12 bytes each.
const PIXELS_IN_FLIGHT: u64 = 48 << 20;
/// Pairs that are read before their turn.
const READ_AHEAD: usize = 4;

/// What the threads share.
pub(crate) struct Shared<'a> {
    pub(crate) pairs: &'a [Pair],
    pub(crate) plain: PlainMetrics,
    pub(crate) saved: Option<&'a Saved>,
    pub(crate) reuse: Option<Reuse>,
}

/// Results of earlier runs, and what new ones depend on besides the pictures.
pub(crate) struct Reuse {
    pub(crate) store: Store,
    /// Metrics, protocol, weights.
    pub(crate) measurement: serde_json::Value,
    /// Model and options.
    pub(crate) restoration: serde_json::Value,
}

/// What libtorch is needed for; it stays on one thread.
pub(crate) struct Machine<'a> {
    pub(crate) session: Option<Session<'a>>,
    pub(crate) networks: Networks,
}

/// A pair that is done with.
pub(crate) struct Finished {
    pub(crate) index: usize,
    pub(crate) result: Result<Scores, Problem>,
    /// Whether the scores are those of an earlier run.
    pub(crate) reused: bool,
    /// What is worth knowing about files.
    pub(crate) notes: Vec<(PathBuf, String)>,
}

impl Finished {
    fn failed(index: usize, problem: Problem) -> Self {
        Self {
            index,
            result: Err(problem),
            reused: false,
            notes: Vec::new(),
        }
    }
}

/// A pair that was read.
enum Loaded {
    Pictures(Box<Pictures>),
    /// An earlier run has done it.
    Known(Scores),
}

/// The pictures of a pair.
struct Pictures {
    sharp: Array3<f32>,
    blurry: Option<Photo>,
    restored: Option<Array3<f32>>,
    /// Under which the result is stored.
    key: Option<String>,
    notes: Vec<(PathBuf, String)>,
}

/// A pair that libtorch is done with.
struct Restored {
    restored: Array3<f32>,
    /// To save.
    picture: Option<(Picture, Option<Array2<f32>>)>,
    /// With the metrics of networks alone.
    scores: Scores,
}

impl Shared<'_> {
    fn load(&self, pair: &Pair) -> Result<Loaded, Problem> {
        if let Some(problem) = &pair.problem {
            return Err(problem.clone());
        }
        let mut key = None;
        if let Some(reuse) = &self.reuse {
            let found = reuse::key(&reuse.measurement, &reuse.restoration, pair)?;
            if let Some(scores) = reuse.store.get(&found)
                && self.is_saved(pair, scores)
            {
                return Ok(Loaded::Known(scores.clone()));
            }
            key = Some(found);
        }
        let mut notes = Vec::new();
        let mut read = |path: &PathBuf| -> Result<Photo, Problem> {
            let photo = image_io::read(path, &Limits::default())?;
            if photo.alpha.is_some() {
                notes.push((path.clone(), "alpha is ignored".to_owned()));
            }
            Ok(photo)
        };
        Ok(Loaded::Pictures(Box::new(Pictures {
            sharp: read(&pair.sharp)?.pixels,
            blurry: pair.blurry.as_ref().map(&mut read).transpose()?,
            restored: pair
                .restored
                .as_ref()
                .map(|path| Ok::<_, Problem>(read(path)?.pixels))
                .transpose()?,
            key,
            notes,
        })))
    }

    /// Whether what shall be saved was saved by the run that made these scores.
    fn is_saved(&self, pair: &Pair, scores: &Scores) -> bool {
        match (self.saved, &scores.saved) {
            (Some(saved), _) if pair.restored.is_none() => scores
                .saved
                .as_ref()
                .is_some_and(|hashes| saved.holds(&pair.name, hashes)),
            _ => true,
        }
    }

    /// What needs no libtorch: the other metrics, saving, and the line for later runs.
    fn finish(&self, pair: &Pair, pictures: &Pictures, done: Restored) -> Result<Scores, Problem> {
        let Restored {
            restored,
            picture,
            mut scores,
        } = done;
        let sharp = pictures.sharp.view();
        scores
            .metrics
            .extend(self.plain.measure(restored.view(), sharp)?);
        if let Some(blurry) = &pictures.blurry {
            let values = self.plain.measure(blurry.pixels.view(), sharp)?;
            scores.input_metrics.get_or_insert_default().extend(values);
        }
        if let (Some(saved), Some((picture, spread))) = (self.saved, &picture) {
            scores.saved = Some(saved.write(&pair.name, picture, spread.as_ref())?);
        }
        if let (Some(reuse), Some(key)) = (&self.reuse, &pictures.key) {
            reuse.store.add(key.clone(), &pair.name, &scores)?;
        }
        Ok(scores)
    }
}

impl Machine<'_> {
    /// Restores what is to be restored, and looks at it through networks.
    fn restore(
        &self,
        pair: &Pair,
        pictures: &mut Pictures,
        finished: &mut u64,
    ) -> Result<Restored, Stop> {
        interruptible()?;
        let mut picture = None;
        let mut seconds = None;
        let restored = match (pictures.restored.take(), &pictures.blurry, &self.session) {
            (Some(restored), _, _) => restored,
            (None, Some(blurry), Some(session)) => {
                let restoration = session.restore(blurry.pixels.view(), finished)?;
                seconds = Some(restoration.seconds);
                let path = pair.blurry.clone().unwrap_or_default();
                let notes = restoration.notes.into_iter();
                pictures
                    .notes
                    .extend(notes.map(|note| (path.clone(), note)));
                let rounded = Picture::new(blurry, restoration.image)?;
                let pixels = rounded.pixels.clone();
                picture = Some((rounded, restoration.spread));
                pixels
            }
            _ => return Err(Problem::new("there is nothing to restore").into()),
        };
        let sharp = pictures.sharp.view();
        let blurry = pictures.blurry.as_ref().map(|blurry| blurry.pixels.view());
        let measure = |image| self.networks.measure(image, sharp);
        let scores = Scores {
            metrics: measure(restored.view())?,
            input_metrics: blurry.map(measure).transpose()?,
            seconds,
            features: self.networks.features(sharp, restored.view(), blurry)?,
            saved: None,
        };
        Ok(Restored {
            restored,
            picture,
            scores,
        })
    }
}

/// Pairs between reading and the end, and the order of their ends.
struct Flow<'e> {
    ends: Receiver<Finished>,
    /// Finished before one that comes earlier.
    early: BTreeMap<usize, Finished>,
    next: usize,
    /// Pixels of each pair on its way.
    pixels: BTreeMap<usize, u64>,
    emit: &'e mut dyn FnMut(Finished),
}

impl Flow<'_> {
    fn take(&mut self, finished: Finished) {
        self.pixels.remove(&finished.index);
        self.early.insert(finished.index, finished);
        while let Some(finished) = self.early.remove(&self.next) {
            self.next += 1;
            (self.emit)(finished);
        }
    }

    /// Takes what has ended by now.
    fn take_ended(&mut self) {
        while let Ok(finished) = self.ends.try_recv() {
            self.take(finished);
        }
    }

    /// Waits for the end of one.
    fn wait(&mut self) {
        if let Ok(finished) = self.ends.recv() {
            self.take(finished);
        }
    }

    fn has_room(&self, pixels: u64) -> bool {
        let now: u64 = self.pixels.values().sum();
        now == 0 || now.saturating_add(pixels) <= PIXELS_IN_FLIGHT
    }
}

/// Does all pairs; `emit` gets them in their order. Returns whether Ctrl-C ended it early; what was begun is finished then.
///
/// `units` are the units of progress of each pair, the last of which is for measuring.
pub(crate) fn run(
    shared: &Shared<'_>,
    machine: &Machine<'_>,
    units: &[u64],
    printer: &Printer,
    emit: &mut dyn FnMut(Finished),
) -> bool {
    let total = shared.pairs.len();
    let (sender, ends) = mpsc::channel();
    let mut flow = Flow {
        ends,
        early: BTreeMap::new(),
        next: 0,
        pixels: BTreeMap::new(),
        emit,
    };
    let mut done = 0;
    let mut begun = 0;
    rayon::in_place_scope(|scope| {
        let mut reading: VecDeque<Receiver<Result<Loaded, Problem>>> = VecDeque::new();
        let mut next = 0;
        for (index, pair) in shared.pairs.iter().enumerate() {
            while next < total && next <= index + READ_AHEAD {
                let pair = &shared.pairs[next];
                let (height, width) = pair.size.unwrap_or_default();
                let pixels = (height as u64 * width as u64) * pair.files().count() as u64;
                if !flow.has_room(pixels) {
                    if next > index {
                        break;
                    }
                    flow.wait();
                    continue;
                }
                flow.pixels.insert(next, pixels);
                let (sender, receiver) = mpsc::sync_channel(1);
                reading.push_back(receiver);
                scope.spawn(move |_| {
                    if !cancel::requested() {
                        // Nobody waits for it after Ctrl-C.
                        let _ = sender.send(shared.load(pair));
                    }
                });
                next += 1;
            }
            printer
                .progress
                .message(format!("{} ({} of {total})", pair.name, index + 1));
            let loaded = reading
                .pop_front()
                .and_then(|receiver| receiver.recv().ok());
            flow.take_ended();
            if cancel::requested() {
                break;
            }
            let before = done;
            match loaded.unwrap_or_else(|| Err(Problem::new("reading ended early"))) {
                Ok(Loaded::Known(scores)) => {
                    let _ = sender.send(Finished {
                        index,
                        result: Ok(scores),
                        reused: true,
                        notes: Vec::new(),
                    });
                    printer.progress.resume_at(before + units[index]);
                }
                Ok(Loaded::Pictures(mut pictures)) => {
                    match machine.restore(pair, &mut pictures, &mut done) {
                        Ok(restored) => {
                            let sender: Sender<Finished> = sender.clone();
                            scope.spawn(move |_| {
                                let result = shared.finish(pair, &pictures, restored);
                                let _ = sender.send(Finished {
                                    index,
                                    result,
                                    reused: false,
                                    notes: pictures.notes,
                                });
                            });
                        }
                        Err(Stop::Failed(problem)) => {
                            let _ = sender.send(Finished::failed(index, problem));
                        }
                        Err(Stop::Interrupted) => break,
                    }
                }
                Err(problem) => {
                    let _ = sender.send(Finished::failed(index, problem));
                }
            }
            begun = index + 1;
            done = before + units[index];
            printer.progress.set(done);
            flow.take_ended();
        }
        while flow.next < begun {
            flow.wait();
        }
    });
    begun < total
}
