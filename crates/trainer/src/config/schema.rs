//! Which keys and types a configuration may have. The one authority is how [`TrainConfig`] is read: a value is right if a valid
//! configuration with that value in its place can still be read. So every value is judged alone, and all that are wrong are found.

use std::path::PathBuf;

use blur_synth::{Chroma, HighlightMix, JpegMix};
use toml::{Table, Value};

use super::path::{ConfigPath, Segment};
use super::problem::{ConfigProblem, suggestion};
use crate::pair_folder::{PairFolder, Pairing, Replace, Scene};
use crate::photo_folder::PhotoFolder;
use crate::{Error, Result, TrainConfig};

/// A valid configuration in which lists and optional tables have an element, so that there is a place for what is in them.
#[derive(Debug)]
pub(crate) struct Schema {
    template: Table,
}

/// Whether a table reads as a configuration; otherwise why not.
fn read(table: Table) -> Result<TrainConfig, String> {
    table
        .try_into()
        .map_err(|error: toml::de::Error| error.message().trim().replace('\n', " "))
}

impl Schema {
    /// # Errors
    /// If a configuration cannot be written as TOML, which would be a mistake of this crate.
    pub(crate) fn new() -> Result<Self> {
        let mut config = TrainConfig::default_preset(vec![PathBuf::from("photos")], "run".into());
        config.micro_batch = Some(1);
        config.init = Some("model.safetensors".into());
        config.freeze = vec!["guidance.".into()];
        config.photo_sets = vec![PhotoFolder {
            folder: "photos".into(),
            sharp: "*".into(),
        }];
        config.pairs = vec![PairFolder {
            name: "pairs".into(),
            folder: "pairs".into(),
            blurry: "blurry/*".into(),
            sharp: "sharp/*".into(),
            pairing: Pairing::Replace(Replace {
                sharp: "sharp/".into(),
                blurry: "blurry/".into(),
            }),
            weight: 1.0,
            validation_share: 0.1,
            scene: Scene::Folder,
        }];
        config.blur.polygon_share = 0.5;
        config.blur.highlights = Some(HighlightMix {
            share: 0.5,
            threshold: 0.9,
            gain: [1.0, 2.0],
        });
        config.blur.jpeg = Some(JpegMix {
            share: 0.5,
            quality: [50, 90],
            chroma: Chroma::default(),
        });
        config.noise_levels = crate::NoiseLevelConfig {
            extra: vec![crate::ExtraLevel {
                sigma: 1.0,
                fraction: 0.1,
            }],
            ..crate::NoiseLevelConfig::sr3()
        };
        Ok(Self {
            template: table_of(&config)?,
        })
    }

    /// Reads a whole configuration.
    pub(crate) fn read(&self, table: Table) -> Result<TrainConfig, String> {
        read(table).map_err(|message| reworded(&message))
    }

    /// Why `value` cannot stand at `path`, as the reader says it.
    pub(crate) fn refusal(&self, path: &ConfigPath, value: &Value) -> Option<String> {
        let mut table = self.template.clone();
        let there = self.standard(path).put(&mut table, value.clone());
        if there { read(table).err() } else { None }
    }

    /// The path in the template, whose lists have one element.
    fn standard(&self, path: &ConfigPath) -> ConfigPath {
        let segments = path.0.iter().map(|segment| match segment {
            Segment::Index(_) => Segment::Index(0),
            key => key.clone(),
        });
        ConfigPath(segments.collect())
    }

    fn known(&self, path: &ConfigPath) -> Option<&Value> {
        self.standard(path).find(&self.template)
    }

    /// The keys that a table may have, as the reader lists them when it refuses one; where it does not, those of the template.
    fn keys(&self, path: &ConfigPath) -> Vec<String> {
        let strange = Value::Table(Table::new());
        let refusal = self.refusal(&path.key("no such key"), &strange);
        if let Some(refusal) = refusal.filter(|text| text.starts_with("unknown field")) {
            return quoted(&refusal)[1..]
                .iter()
                .map(|&key| key.into())
                .collect();
        }
        let table = if path.0.is_empty() {
            Some(&self.template)
        } else {
            self.known(path).and_then(Value::as_table)
        };
        table.into_iter().flat_map(Table::keys).cloned().collect()
    }

    /// `value` without what cannot stand at `path`, which goes to `problems` with its own path.
    pub(crate) fn clean(
        &self,
        path: &ConfigPath,
        value: &Value,
        problems: &mut Vec<(ConfigPath, String)>,
    ) -> Option<Value> {
        let refusal = if path.0.is_empty() {
            value.as_table().and_then(|table| read(table.clone()).err())
        } else {
            self.refusal(path, value)
        };
        let Some(refusal) = refusal else {
            return Some(value.clone());
        };
        match (value, path.0.is_empty(), self.known(path)) {
            (Value::Table(table), true, _) | (Value::Table(table), _, Some(Value::Table(_))) => {
                let kept = table.iter().filter_map(|(key, value)| {
                    let value = self.clean(&path.key(key), value, problems)?;
                    Some((key.clone(), value))
                });
                Some(Value::Table(kept.collect()))
            }
            (Value::Array(elements), _, Some(Value::Array(known)))
                if known.first().is_some_and(Value::is_table) =>
            {
                let kept = elements.iter().enumerate().filter_map(|(index, element)| {
                    self.clean(&path.index(index), element, problems)
                });
                Some(Value::Array(kept.collect()))
            }
            _ => {
                problems.push((path.clone(), self.words(path, &refusal)));
                None
            }
        }
    }

    /// What is wrong with the value at `path`, for people.
    fn words(&self, path: &ConfigPath, refusal: &str) -> String {
        let names = quoted(refusal);
        match (refusal, names.split_first()) {
            (_, Some((unknown, _))) if refusal.starts_with("unknown field") => {
                // Of a table inside of the value, whose keys the message lists, or of the value itself.
                let parent = path.parent().unwrap_or_default();
                let known = self.keys(&parent);
                let known: Vec<&str> = if path.name() == Some(*unknown) && !known.is_empty() {
                    known.iter().map(String::as_str).collect()
                } else {
                    names[1..].to_vec()
                };
                format!("unknown key `{path}`{}", suggestion(unknown, known))
            }
            (_, Some((unknown, known))) if refusal.starts_with("unknown variant") => {
                format!(
                    "`{path}` cannot be `{unknown}`{}",
                    suggestion(unknown, known.iter().copied())
                )
            }
            _ => format!("`{path}`: {}", reworded(refusal)),
        }
    }

    /// Paths that must be there and are not, in what was otherwise cleaned; they are filled in from the template.
    pub(crate) fn complete(&self, root: &mut Table) -> Vec<ConfigPath> {
        let mut missing = Vec::new();
        self.complete_at(&ConfigPath::default(), root, &mut missing);
        missing
    }

    fn complete_at(&self, path: &ConfigPath, table: &mut Table, missing: &mut Vec<ConfigPath>) {
        for key in self.keys(path) {
            let here = path.key(&key);
            match table.get_mut(&key) {
                // One of several forms needs no keys of another one.
                Some(Value::Table(inner))
                    if self.refusal(&here, &Value::Table(inner.clone())).is_some() =>
                {
                    self.complete_at(&here, inner, missing);
                }
                Some(Value::Array(elements)) => {
                    for (index, element) in elements.iter_mut().enumerate() {
                        let here = here.index(index);
                        if self.refusal(&here, element).is_some()
                            && let Value::Table(inner) = element
                        {
                            self.complete_at(&here, inner, missing);
                        }
                    }
                }
                Some(_) => {}
                None if self.is_required(&here) => {
                    if let Some(value) = self.known(&here) {
                        table.insert(key, value.clone());
                    }
                    missing.push(here);
                }
                None => {}
            }
        }
    }

    fn is_required(&self, path: &ConfigPath) -> bool {
        let (path, mut without) = (self.standard(path), self.template.clone());
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else {
            return false;
        };
        if parent.0.is_empty() {
            without.remove(name);
            return read(without).is_err();
        }
        let Some(mut table) = parent.find(&without).and_then(Value::as_table).cloned() else {
            return false;
        };
        table.remove(name);
        parent.put(&mut without, Value::Table(table)) && read(without).is_err()
    }

    /// `given` over `base`: tables are joined, everything else is replaced; so is a table that is one of several forms, when the new
    /// form is another one.
    pub(crate) fn merge(&self, path: &ConfigPath, base: Option<Value>, given: Value) -> Value {
        let (Some(Value::Table(base)), Value::Table(table)) = (base, &given) else {
            return given;
        };
        let mut joined = base;
        for (key, value) in table {
            let before = joined.get(key).cloned();
            let value = self.merge(&path.key(key), before, value.clone());
            joined.insert(key.clone(), value);
        }
        let joined = Value::Table(joined);
        let replaced = !path.0.is_empty()
            && self.refusal(path, &joined).is_some()
            && self.refusal(path, &given).is_none();
        if replaced { given } else { joined }
    }
}

/// A configuration as a TOML table.
pub(crate) fn table_of(config: &TrainConfig) -> Result<Table> {
    Table::try_from(config).map_err(|error| Error::Configuration {
        file: None,
        problems: vec![ConfigProblem::nowhere(error.to_string())],
    })
}

/// The names in backquotes.
fn quoted(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

/// Types as people call them.
fn reworded(message: &str) -> String {
    let mut text = message.to_owned();
    for (type_name, words) in [
        ("usize", "a whole number from 0"),
        ("u64", "a whole number from 0"),
        ("u32", "a whole number from 0"),
        ("u8", "a whole number from 0 to 255"),
        ("i64", "a whole number"),
        ("f64", "a number"),
        ("f32", "a number"),
        ("a sequence", "a list"),
        ("path string", "a path in quotes"),
        ("a string", "text in quotes"),
    ] {
        if let Some(start) = text.strip_suffix(&format!("expected {type_name}")) {
            text = format!("{start}expected {words}");
        }
    }
    for (from, to) in [
        ("invalid type: floating point ", "is "),
        ("invalid type: integer ", "is "),
        ("invalid value: integer ", "is "),
        ("invalid type: string ", "is "),
        ("invalid type: boolean ", "is "),
        ("invalid type: sequence", "is a list"),
        ("invalid type: map", "is a table"),
    ] {
        if let Some(rest) = text.strip_prefix(from) {
            text = format!("{to}{rest}");
        }
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    #[test]
    fn the_reader_lists_the_keys() {
        let schema = Schema::new().unwrap();
        for (path, keys) in [
            ("", &["steps", "micro_batch", "pairs", "init"][..]),
            ("model.unet", &["mid_layers", "stem"]),
            ("model.target.residual", &["scale"]),
            ("blur", &["jpeg", "families"]),
            ("pairs[0]", &["weight", "scene"]),
            ("pairs[0].pairing", &["sharp", "blurry"]),
        ] {
            let place = if path.is_empty() {
                ConfigPath::default()
            } else {
                ConfigPath::parse(path, &schema.template).unwrap()
            };
            let known = schema.keys(&place);
            for key in keys {
                assert!(known.iter().any(|known| known == key), "{path}: {known:?}");
            }
        }
    }

    #[test]
    fn another_form_replaces_the_old_one_and_the_same_form_is_joined() {
        let schema = Schema::new().unwrap();
        let path = ConfigPath::default()
            .key("noise_levels")
            .key("distribution");
        let value = |text: &str| text.parse::<Table>().map(Value::Table).unwrap();
        let old = value("kind = 'wavegrad'\ntimesteps = 1000\nbetas = { kind = 'sr3' }");
        let merged = schema.merge(&path, Some(old.clone()), value("kind = 'cosine'"));
        assert_eq!(merged, value("kind = 'cosine'"));
        let merged = schema.merge(&path, Some(old), value("timesteps = 2000"));
        assert_eq!(
            merged,
            value("kind = 'wavegrad'\ntimesteps = 2000\nbetas = { kind = 'sr3' }")
        );
    }
}
