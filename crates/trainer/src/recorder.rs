//! Everything that a run writes for people to look at. None of it is needed to go on, so no failure here stops a run: it is said
//! once, and tried again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ndarray::Array3;
use serde_json::{Map, Value};

use crate::append::{AppendFile, write_whole};
use crate::curves;
use crate::error::chain;
use crate::events::{EventFile, Picture};
use crate::folder::{RunFolder, files};
use crate::history::History;
use crate::preview_files::{PreviewFiles, png};
use crate::{Result, TrainConfig};

/// Version of the lines in `metrics.jsonl`.
const METRICS_VERSION: u32 = 1;
/// Keys of a line that say what it is about.
const NO_MEASURE: [&str; 5] = [
    "schema_version",
    "type",
    "step",
    "unix_time",
    "total_images",
];

/// Log, curves, preview sheets and TensorBoard's files of one run.
pub(crate) struct Recorder {
    log: AppendFile,
    history: History,
    curves: PathBuf,
    title: String,
    previews: PreviewFiles,
    tensorboard: Option<Tensorboard>,
    failing: BTreeSet<&'static str>,
    notes: Vec<String>,
    batch: u64,
}

/// TensorBoard's files, which begin with the first number.
struct Tensorboard {
    folder: PathBuf,
    resumed_at: u64,
    file: Option<EventFile>,
}

/// Seconds since 1970, for curves over time.
fn unix_time() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0.0, |since| since.as_secs_f64())
}

impl Recorder {
    /// Starts with the run folder cut at `step`: what was recorded after the state that is resumed happens again.
    ///
    /// # Errors
    /// If the configuration or the log cannot be written at all.
    pub(crate) fn start(folder: &mut RunFolder, config: &TrainConfig, step: u64) -> Result<Self> {
        let log = folder.start(config, step)?;
        let mut history = History::default();
        for line in log.lines() {
            if let Ok(line) = serde_json::from_str(line) {
                history.add(&line);
            }
        }
        let path = folder.path(files::LOG);
        let mut recorder = Self {
            log: AppendFile::new(path, log.len() as u64),
            history,
            curves: folder.path(files::CURVES),
            title: config.name.clone(),
            previews: PreviewFiles::new(&config.out, config.keep_previews, config.validate_every),
            tensorboard: config.tensorboard.then(|| Tensorboard {
                folder: folder.path(files::TENSORBOARD),
                resumed_at: step,
                file: None,
            }),
            failing: BTreeSet::new(),
            notes: Vec::new(),
            batch: config.batch as u64,
        };
        let cut = recorder.previews.cut(step);
        recorder.settle(files::PREVIEWS, cut);
        if step > 0 {
            recorder.draw_curves(step);
        }
        Ok(recorder)
    }

    /// A line of the log with what every line has.
    fn line(&self, kind: &str, step: u64, measures: Value) -> Value {
        let mut line = Map::new();
        line.insert("schema_version".into(), METRICS_VERSION.into());
        line.insert("type".into(), kind.into());
        line.insert("step".into(), step.into());
        line.insert("unix_time".into(), unix_time().into());
        line.insert("total_images".into(), (step * self.batch).into());
        if let Value::Object(measures) = measures {
            line.extend(measures);
        }
        Value::Object(line)
    }

    /// Records what steps measured.
    pub(crate) fn step(&mut self, step: u64, measures: Value) {
        let line = self.line("step", step, measures);
        self.log(&line);
        self.write_events(step, &line, None);
    }

    /// Logs a validation. What is drawn of it waits for [`Recorder::show`].
    pub(crate) fn validation(&mut self, step: u64, measures: Value) -> Value {
        let line = self.line("validation", step, measures);
        self.log(&line);
        line
    }

    /// Draws what [`Recorder::validation`] logged, with its preview sheet `[3, H, W]` in [0, 1] if there is one. These are the large
    /// files that nobody needs to go on: where a disk is nearly full, the state comes first.
    pub(crate) fn show(&mut self, step: u64, line: &Value, sheet: Option<Array3<f32>>) {
        let picture = sheet.and_then(|sheet| {
            let (_, height, width) = sheet.dim();
            match png(sheet) {
                Ok(file) => Some(Picture {
                    height,
                    width,
                    file,
                }),
                Err(error) => {
                    self.settle(files::PREVIEWS, Err(chain(&error)));
                    None
                }
            }
        });
        if let Some(picture) = &picture {
            let written = self.previews.write(step, &picture.file);
            self.settle(files::PREVIEWS, written);
        }
        self.write_events(step, line, picture);
        self.draw_curves(step);
    }

    /// What the user should know since the last call.
    pub(crate) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    fn log(&mut self, line: &Value) {
        self.history.add(line);
        let logged = self.log.append(format!("{line}\n").as_bytes());
        let path = self.log.path().to_owned();
        self.settle(files::LOG, logged.map_err(|error| sentence(&path, &error)));
    }

    fn write_events(&mut self, step: u64, line: &Value, picture: Option<Picture>) {
        if let Some(tensorboard) = &mut self.tensorboard {
            let written = tensorboard.write(step, line, picture);
            self.settle(files::TENSORBOARD, written);
        }
    }

    fn draw_curves(&mut self, step: u64) {
        let title = format!("{}, step {step}", self.title);
        let drawn = curves::draw(&title, &self.history).and_then(|svg| match svg {
            Some(svg) => write_whole(&self.curves, svg.as_bytes())
                .map_err(|error| sentence(&self.curves, &error)),
            None => Ok(()),
        });
        self.settle(files::CURVES, drawn);
    }

    /// Notes a failure when it begins, and its end.
    fn settle(&mut self, what: &'static str, outcome: std::result::Result<(), String>) {
        match outcome {
            Ok(()) => {
                if self.failing.remove(what) {
                    self.notes.push(format!("{what} can be written again"));
                }
            }
            Err(problem) => {
                if self.failing.insert(what) {
                    self.notes.push(format!(
                        "{what} could not be written: {problem}; training goes on and tries again"
                    ));
                }
            }
        }
    }
}

fn sentence(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

impl Tensorboard {
    fn write(
        &mut self,
        step: u64,
        line: &Value,
        picture: Option<Picture>,
    ) -> std::result::Result<(), String> {
        let time = line.get("unix_time").and_then(Value::as_f64);
        let time = time.unwrap_or_default();
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let fail = |error| sentence(&self.folder, &error);
                std::fs::create_dir_all(&self.folder).map_err(fail)?;
                let file = EventFile::new(&self.folder, self.resumed_at, time as u64);
                self.file.insert(file.map_err(fail)?)
            }
        };
        let mut scalars = Vec::new();
        let kind = match line.get("type").and_then(Value::as_str) {
            Some("step") => "training",
            other => other.unwrap_or_default(),
        };
        flatten(kind, line, &mut scalars);
        let pictures: Vec<_> = picture
            .into_iter()
            .map(|picture| ("preview", picture))
            .collect();
        file.write(time, step, &scalars, &pictures)
            .map_err(|error| sentence(&file.path(), &error))
    }
}

/// Every number in a line with its path: `validation/all/output_psnr`.
fn flatten(path: &str, value: &Value, scalars: &mut Vec<(String, f64)>) {
    match value {
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .filter(|(key, _)| !NO_MEASURE.contains(&key.as_str()));
            for (key, value) in fields {
                let path = match key.as_str() {
                    "report" => path.to_owned(),
                    key => format!("{path}/{key}"),
                };
                flatten(&path, value, scalars);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                flatten(&format!("{path}/{}", index + 1), value, scalars);
            }
        }
        Value::Number(number) => {
            if let Some(number) = number.as_f64().filter(|number| number.is_finite()) {
                scalars.push((path.to_owned(), number));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_get_their_path_as_name() {
        let mut scalars = Vec::new();
        let set =
            json!({"output_psnr": 25.0, "input_ssim": null, "guidance": [{"output_psnr": 30.0}]});
        let line = json!({"step": 3, "unix_time": 1e9, "type": "validation", "report": {"all": set}, "seconds": 2});
        flatten("validation", &line, &mut scalars);
        let expected = [
            ("validation/all/guidance/1/output_psnr", 30.0),
            ("validation/all/output_psnr", 25.0),
            ("validation/seconds", 2.0),
        ];
        assert_eq!(
            scalars,
            expected.map(|(name, value)| (name.to_owned(), value))
        );
    }
}
