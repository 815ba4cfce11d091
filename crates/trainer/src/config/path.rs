//! Paths into a configuration: `model.unet.mid_layers`, `pairs[0].weight`.

use std::fmt;

use toml::{Table, Value};

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Segment {
    /// A key of a table.
    Key(String),
    /// The place in a list, from 0.
    Index(usize),
}

/// A path from the root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct ConfigPath(pub(crate) Vec<Segment>);

impl ConfigPath {
    pub(crate) fn key(&self, key: &str) -> Self {
        self.with(Segment::Key(key.to_owned()))
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    fn with(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }

    /// The path without its last step; `None` at the root.
    pub(crate) fn parent(&self) -> Option<Self> {
        let (_, before) = self.0.split_last()?;
        Some(Self(before.to_vec()))
    }

    /// The last key in it, which is the name of a field.
    pub(crate) fn name(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|segment| match segment {
            Segment::Key(key) => Some(key.as_str()),
            Segment::Index(_) => None,
        })
    }

    /// What is written like a path, in a configuration that is there: elements of lists are named by their place, `pairs[0]` or
    /// `pairs.0`, or by what they are called, `pairs.gopro`.
    ///
    /// # Errors
    /// What cannot be followed, in words.
    pub(crate) fn parse(text: &str, root: &Table) -> Result<Self, String> {
        let mut path = Self::default();
        let mut here = Some(&Value::Table(root.clone())).cloned();
        let spaced = text.replace('[', ".").replace(']', "");
        for word in spaced.split('.') {
            if word.is_empty() {
                return Err(format!(
                    "`{text}` is no path, such as model.unet.mid_layers or pairs[0].weight"
                ));
            }
            let next = match &here {
                Some(Value::Array(elements)) => {
                    let index = element(word, elements).ok_or_else(|| {
                        format!("`{path}` has no element {word}; {}", named(elements))
                    })?;
                    path = path.index(index);
                    elements.get(index).cloned()
                }
                Some(Value::Table(table)) => {
                    path = path.key(word);
                    table.get(word).cloned()
                }
                _ => {
                    path = path.key(word);
                    None
                }
            };
            here = next;
        }
        Ok(path)
    }

    /// The value there.
    pub(crate) fn find<'a>(&self, root: &'a Table) -> Option<&'a Value> {
        let mut segments = self.0.iter();
        let Segment::Key(first) = segments.next()? else {
            return None;
        };
        segments.try_fold(root.get(first)?, |value, segment| match segment {
            Segment::Key(key) => value.as_table()?.get(key),
            Segment::Index(index) => value.as_array()?.get(*index),
        })
    }

    /// Puts a value there; tables on the way are made, and replace what is no table. Returns whether there is such a place.
    pub(crate) fn put(&self, root: &mut Table, value: Value) -> bool {
        let Some((Segment::Key(first), rest)) = self.0.split_first() else {
            return false;
        };
        let mut place = root
            .entry(first.clone())
            .or_insert_with(|| Value::Table(Table::new()));
        for segment in rest {
            match segment {
                Segment::Key(key) => {
                    if !place.is_table() {
                        *place = Value::Table(Table::new());
                    }
                    let Some(table) = place.as_table_mut() else {
                        return false;
                    };
                    place = table
                        .entry(key.clone())
                        .or_insert_with(|| Value::Table(Table::new()));
                }
                Segment::Index(index) => {
                    let Some(element) = place.as_array_mut().and_then(|a| a.get_mut(*index)) else {
                        return false;
                    };
                    place = element;
                }
            }
        }
        *place = value;
        true
    }
}

impl fmt::Display for ConfigPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if number == 0 => write!(formatter, "{key}")?,
                Segment::Key(key) => write!(formatter, ".{key}")?,
                Segment::Index(index) => write!(formatter, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// What elements of lists are called by.
fn called(element: &Value) -> Option<&str> {
    let table = element.as_table()?;
    ["name", "family"]
        .iter()
        .find_map(|key| table.get(*key)?.as_str())
}

fn element(word: &str, elements: &[Value]) -> Option<usize> {
    match word.parse() {
        Ok(index) => (index < elements.len()).then_some(index),
        Err(_) => elements
            .iter()
            .position(|element| called(element) == Some(word)),
    }
}

fn named(elements: &[Value]) -> String {
    let names: Vec<&str> = elements.iter().filter_map(called).collect();
    match (elements.len(), names.is_empty()) {
        (0, _) => "it is empty".into(),
        (count, true) => format!("it has {count}, from 0"),
        (count, false) => format!("it has {count}, from 0: {}", names.join(", ")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    #[test]
    fn elements_are_named_by_place_or_name() {
        let root: Table = "a = 1\n[[pairs]]\nname = 'x'\n[[pairs]]\nname = 'gopro'\nweight = 2.0"
            .parse()
            .unwrap();
        for text in ["pairs[1].weight", "pairs.1.weight", "pairs.gopro.weight"] {
            let path = ConfigPath::parse(text, &root).unwrap();
            assert_eq!(path.to_string(), "pairs[1].weight");
            assert_eq!(path.find(&root), Some(&Value::Float(2.0)));
        }
        for (text, words) in [
            ("pairs[2].weight", "it has 2, from 0: x, gopro"),
            ("pairs.hide.weight", "no element hide"),
            ("pairs..weight", "is no path"),
            ("", "is no path"),
        ] {
            let problem = ConfigPath::parse(text, &root).unwrap_err();
            assert!(problem.contains(words), "{text}: {problem}");
        }
    }

    #[test]
    fn putting_makes_tables_and_keeps_what_lies_beside() {
        let mut root: Table = "[model]\ntarget = 'image'\nscale = 1".parse().unwrap();
        let path = ConfigPath::parse("model.target.residual.scale", &root).unwrap();
        assert!(path.put(&mut root, Value::Float(0.5)));
        let expected: Table = "[model]\nscale = 1\n[model.target.residual]\nscale = 0.5"
            .parse()
            .unwrap();
        assert_eq!(root, expected);
    }
}
