//! A configuration as it comes together: a preset or a file, then options and settings over it. Everything that is wrong with any of
//! them is said at once, at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::manifest::{self, Kind};
use super::path::ConfigPath;
use super::presets::PRESETS;
use super::problem::{ConfigProblem, Place, suggestion};
use super::schema::{Schema, table_of};
use super::{SCHEMA_VERSION, TrainConfig};
use crate::{Error, Result};

/// The key of a file that names the preset whose values it changes.
const PRESET_KEY: &str = "preset";
const VERSION_KEY: &str = "schema_version";

/// A configuration that is not complete yet.
#[derive(Debug)]
pub struct Draft {
    schema: Schema,
    value: Table,
    file: Option<PathBuf>,
    /// Where values were given, by path.
    places: BTreeMap<String, Place>,
    problems: Vec<ConfigProblem>,
    /// Names of fields of which something is said already.
    refused: BTreeSet<String>,
    /// What is not given comes from a preset.
    has_preset: bool,
    /// The file is of a version that is not understood, so that nothing else in it can be judged.
    foreign: bool,
}

impl Draft {
    fn new(value: Table) -> Result<Self> {
        Ok(Self {
            schema: Schema::new()?,
            value,
            file: None,
            places: BTreeMap::new(),
            problems: Vec::new(),
            refused: BTreeSet::new(),
            has_preset: false,
            foreign: false,
        })
    }

    /// A preset; see [`TrainConfig::preset`].
    ///
    /// # Errors
    /// [`Error::Configuration`] for a name that is none.
    pub fn from_preset(name: &str) -> Result<Self> {
        match preset(name) {
            Ok(table) => Ok(Self {
                has_preset: true,
                ..Self::new(table?)?
            }),
            Err(text) => Err(Error::Configuration {
                file: None,
                problems: vec![ConfigProblem::nowhere(text)],
            }),
        }
    }

    /// A TOML file: all of a configuration, or with `preset = "NAME"` what differs from that. Entries of `pairs` and `photo_sets` may
    /// name a manifest; `datasets` is the folder with all data sets, where it is not `cache` beside the manifest.
    ///
    /// # Errors
    /// If the file cannot be read. What is wrong in it is said by [`Draft::finish`].
    pub fn from_file(path: &Path, datasets: Option<&Path>) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io {
            path: path.to_owned(),
            action: "read the configuration",
            source,
        })?;
        let mut draft = Self::new(Table::new())?;
        draft.file = Some(path.to_owned());
        draft.take_text(&text, datasets)?;
        Ok(draft)
    }

    fn take_text(&mut self, text: &str, datasets: Option<&Path>) -> Result<()> {
        let (spans, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            for error in errors {
                let start = error.span().map_or(0, |span| span.start);
                let place = Place::Line(line_at(text, start));
                // One mistake often confuses the reader twice.
                if self.problems.last().is_none_or(|last| last.place != place) {
                    let text = error.message().replace('\n', " ");
                    self.problems.push(ConfigProblem { place, text });
                }
            }
            self.foreign = true;
            return Ok(());
        }
        note_lines(
            text,
            &ConfigPath::default(),
            spans.get_ref(),
            &mut self.places,
        );
        let mut given = match Table::deserialize(toml::de::Deserializer::from(spans)) {
            Ok(table) => table,
            Err(error) => {
                let text = error.message().replace('\n', " ");
                self.problems.push(ConfigProblem::nowhere(text));
                self.foreign = true;
                return Ok(());
            }
        };
        let version = given.get(VERSION_KEY).and_then(Value::as_integer);
        if let Some(version) = version.filter(|&version| version != i64::from(SCHEMA_VERSION)) {
            let path = ConfigPath::default().key(VERSION_KEY);
            self.refuse(&path, strange_version(version));
            self.foreign = true;
            return Ok(());
        }
        let path = ConfigPath::default().key(PRESET_KEY);
        let base = match given.remove(PRESET_KEY) {
            None => None,
            Some(Value::String(name)) => match preset(&name) {
                Ok(table) => Some(table?),
                Err(text) => {
                    self.refuse(&path, text);
                    // Of which nothing is missing; what is named is judged all the same.
                    Some(preset("default").unwrap_or_else(|_| Ok(Table::new()))?)
                }
            },
            Some(_) => {
                self.refuse(&path, "`preset` must be text in quotes".into());
                Some(Table::new())
            }
        };
        self.has_preset = base.is_some();
        self.expand_manifests(&mut given, datasets);
        self.take(Value::Table(given), base)
    }

    /// Cleans what was given, and lays it over `base`.
    fn take(&mut self, given: Value, base: Option<Table>) -> Result<()> {
        let mut problems = Vec::new();
        let root = ConfigPath::default();
        let given = self.schema.clean(&root, &given, &mut problems);
        for (path, text) in problems {
            self.refuse(&path, text);
        }
        let given = given.unwrap_or_else(|| Value::Table(Table::new()));
        let merged = self.schema.merge(&root, base.map(Value::Table), given);
        if let Value::Table(table) = merged {
            self.value = table;
        }
        Ok(())
    }

    fn expand_manifests(&mut self, given: &mut Table, datasets: Option<&Path>) {
        for (key, kind) in [("pairs", Kind::Pairs), ("photo_sets", Kind::Photos)] {
            let Some(Value::Array(entries)) = given.get_mut(key) else {
                continue;
            };
            let mut kept = Vec::new();
            for (index, entry) in std::mem::take(entries).into_iter().enumerate() {
                let expanded = match &entry {
                    Value::Table(table) if table.contains_key("manifest") => {
                        manifest::expand(table, kind, datasets).map(Value::Table)
                    }
                    _ => Ok(entry),
                };
                match expanded {
                    Ok(entry) => kept.push(entry),
                    Err(text) => {
                        let path = ConfigPath::default().key(key).index(index);
                        self.refuse(&path.key("manifest"), format!("`{path}`: {text}"));
                        // That there is nothing to train on is then no news.
                        self.refused.insert("photos".into());
                    }
                }
            }
            *entries = kept;
        }
    }

    fn refuse(&mut self, path: &ConfigPath, text: String) {
        let place = self.place(path);
        self.problems.push(ConfigProblem { place, text });
        self.refused.extend(path.name().map(str::to_owned));
    }

    /// Where the value at `path` was given, or what it is part of.
    fn place(&self, path: &ConfigPath) -> Place {
        let mut path = path.clone();
        loop {
            if let Some(place) = self.places.get(&path.to_string()) {
                return place.clone();
            }
            match path.parent() {
                Some(parent) => path = parent,
                None => return Place::Nowhere,
            }
        }
    }

    /// A value that stands there now, for example `out`.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.value.get(key)?.as_str()
    }

    /// Whether a value stands there now that is more than an empty text or list.
    pub fn has(&self, key: &str) -> bool {
        self.value.get(key).is_some_and(|value| match value {
            Value::String(text) => !text.is_empty(),
            Value::Array(elements) => !elements.is_empty(),
            _ => true,
        })
    }

    /// Where the fields were given, by name: those that do not come from a preset. Where a part of a field was given by an option, that
    /// counts, not the line of the file.
    pub fn origins(&self) -> BTreeMap<String, Place> {
        let mut origins = BTreeMap::new();
        for (path, place) in &self.places {
            let name = path.split(['.', '[']).next().unwrap_or_default();
            match (origins.get(name), place) {
                (None, _) | (Some(Place::Line(_)), Place::Setting(_)) => {
                    origins.insert(name.to_owned(), place.clone());
                }
                _ => {}
            }
        }
        origins
    }

    /// A value from the option of a command line, such as `--steps`; `key` is a field of the configuration.
    pub fn option(&mut self, option: &str, key: &str, value: Value) {
        let path = ConfigPath::default().key(key);
        self.give(option.to_owned(), &path, vec![value]);
    }

    /// A setting `PATH=VALUE`: a path such as `model.unet.mid_layers`, `pairs[0].weight` or `pairs.gopro.weight`, and a value as in
    /// TOML. Quotes around text may be left out, also inside of lists.
    pub fn set(&mut self, setting: &str) {
        let label = format!("--set {setting}");
        let Some((path, text)) = setting.split_once('=') else {
            self.problems.push(ConfigProblem {
                place: Place::Setting(label),
                text: "must be KEY=VALUE".into(),
            });
            return;
        };
        match ConfigPath::parse(path.trim(), &self.value) {
            Ok(path) => self.give(label, &path, readings(text.trim())),
            Err(text) => self.problems.push(ConfigProblem {
                place: Place::Setting(label),
                text,
            }),
        }
    }

    /// Puts the first of `readings` there that fits.
    fn give(&mut self, label: String, path: &ConfigPath, readings: Vec<Value>) {
        self.places
            .insert(path.to_string(), Place::Setting(label.clone()));
        let fitting = readings
            .iter()
            .find(|value| self.schema.refusal(path, value).is_none());
        if let Some(value) = fitting {
            let before = path.find(&self.value).cloned();
            let value = self.schema.merge(path, before, value.clone());
            self.put(path, value);
            return;
        }
        let mut problems = Vec::new();
        if let Some(value) = readings.first() {
            let kept = self.schema.clean(path, value, &mut problems);
            if problems.is_empty()
                && let Some(kept) = kept
            {
                // A table of which every key is right, and that is not the whole.
                let before = path.find(&self.value).cloned();
                let value = self.schema.merge(path, before, kept);
                self.put(path, value);
            }
        }
        for (path, text) in problems {
            self.refuse(&path, text);
        }
    }

    /// Puts a checked value there; a table on the way that is of another form is replaced.
    fn put(&mut self, path: &ConfigPath, value: Value) {
        let mut value = value;
        let mut path = path.clone();
        // The value as part of what surrounds it, up to the next list or the root.
        while let (Some(super::path::Segment::Key(key)), Some(parent)) =
            (path.0.last().cloned(), path.parent())
        {
            let mut table = Table::new();
            table.insert(key, value);
            let before = if parent.0.is_empty() {
                Some(Value::Table(self.value.clone()))
            } else {
                parent.find(&self.value).cloned()
            };
            value = self.schema.merge(&parent, before, Value::Table(table));
            path = parent;
        }
        match value {
            Value::Table(table) if path.0.is_empty() => self.value = table,
            value => {
                path.put(&mut self.value, value);
            }
        }
    }

    /// The configuration.
    ///
    /// # Errors
    /// [`Error::Configuration`] with everything that is wrong.
    pub fn finish(mut self) -> Result<TrainConfig> {
        let mut config = None;
        let has_preset = self.has_preset;
        if !self.foreign {
            let mut value = std::mem::take(&mut self.value);
            let missing = self.schema.complete(&mut value);
            let names: Vec<String> = missing
                .iter()
                .filter(|path| !path.name().is_some_and(|name| self.refused.contains(name)))
                .map(|path| format!("`{path}`"))
                .collect();
            for path in &missing {
                self.refused.extend(path.name().map(str::to_owned));
            }
            if !names.is_empty() {
                let verb = if names.len() == 1 { "is" } else { "are" };
                let hint = if has_preset {
                    ""
                } else {
                    "; with preset = \"default\" a file needs only what differs"
                };
                let text = format!("{} {verb} missing{hint}", names.join(", "));
                self.problems.push(ConfigProblem::nowhere(text));
            }
            match self.schema.read(value) {
                Ok(read) => {
                    self.check(&read);
                    config = Some(read);
                }
                Err(text) if self.problems.is_empty() => {
                    self.problems.push(ConfigProblem::nowhere(text));
                }
                Err(_) => {}
            }
        }
        match config {
            Some(config) if self.problems.is_empty() => Ok(config),
            _ => {
                self.problems.sort_by_key(|problem| match problem.place {
                    Place::Line(line) => (0, line),
                    Place::Setting(_) => (1, 0),
                    Place::Nowhere => (2, 0),
                });
                Err(Error::Configuration {
                    file: self.file,
                    problems: self.problems,
                })
            }
        }
    }

    /// What does not go together, at the place where it was given.
    fn check(&mut self, config: &TrainConfig) {
        let Err(Error::InvalidConfig { problems }) = config.validate() else {
            return;
        };
        for text in problems {
            let words: Vec<&str> = text
                .split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
                .filter(|word| !word.is_empty())
                .collect();
            // A consequence of what is said already.
            if words.iter().any(|word| self.refused.contains(*word)) {
                continue;
            }
            let place = self.place_of(&words);
            self.problems.push(ConfigProblem { place, text });
        }
    }

    /// The place of the field that a sentence begins with, such as `model: sigma_min …` or `crop …`.
    fn place_of(&self, words: &[&str]) -> Place {
        let mut found = Place::Nowhere;
        let mut root = "";
        for (number, word) in words.iter().take(4).enumerate() {
            let fits = |path: &str| {
                let last = path.rsplit(['.', ']']).next().unwrap_or_default();
                last == *word && (path == *word || !root.is_empty() && path.starts_with(root))
            };
            let nested = self.places.iter().rev().find(|(path, _)| fits(path));
            if let Some((_, place)) = nested {
                found = place.clone();
            }
            if number == 0 {
                root = word;
            }
        }
        found
    }
}

impl TrainConfig {
    /// Reads a TOML file, see [`Draft::from_file`].
    ///
    /// # Errors
    /// If the file cannot be read, has unknown or missing keys, or is invalid.
    pub fn from_file(path: &Path) -> Result<Self> {
        Draft::from_file(path, None)?.finish()
    }
}

/// The table of a preset; the outer error is for a name that is none.
fn preset(name: &str) -> Result<Result<Table>, String> {
    match TrainConfig::preset(name, Vec::new(), PathBuf::new()) {
        Some(config) => Ok(table_of(&config)),
        None => Err(format!(
            "there is no preset `{name}`{}",
            suggestion(name, PRESETS)
        )),
    }
}

fn strange_version(version: i64) -> String {
    if version > i64::from(SCHEMA_VERSION) {
        format!(
            "schema_version is {version}: this file is for a newer msdeblur, this one reads {SCHEMA_VERSION}"
        )
    } else {
        format!(
            "schema_version is {version}: such a version never was, this program reads {SCHEMA_VERSION}"
        )
    }
}

/// Values that a text may stand for: as in TOML, as text without quotes, as a list of texts without quotes.
fn readings(text: &str) -> Vec<Value> {
    let mut readings: Vec<Value> = format!("value = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("value"))
        .into_iter()
        .collect();
    readings.push(Value::String(text.to_owned()));
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let elements = inner.split(',').map(|element| Value::from(element.trim()));
    readings.push(Value::Array(elements.collect()));
    readings
}

fn line_at(text: &str, position: usize) -> usize {
    let before = text.get(..position).unwrap_or(text);
    1 + before.matches('\n').count()
}

/// The lines of all keys.
fn note_lines(
    text: &str,
    path: &ConfigPath,
    table: &DeTable<'_>,
    places: &mut BTreeMap<String, Place>,
) {
    for (key, value) in table {
        let path = path.key(key.get_ref());
        let line = Place::Line(line_at(text, key.span().start));
        places.insert(path.to_string(), line);
        note_value(text, &path, value.get_ref(), places);
    }
}

fn note_value(
    text: &str,
    path: &ConfigPath,
    value: &DeValue<'_>,
    places: &mut BTreeMap<String, Place>,
) {
    match value {
        DeValue::Table(table) => note_lines(text, path, table, places),
        DeValue::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                let path = path.index(index);
                let line = Place::Line(line_at(text, element.span().start));
                places.insert(path.to_string(), line);
                note_value(text, &path, element.get_ref(), places);
            }
        }
        _ => {}
    }
}
