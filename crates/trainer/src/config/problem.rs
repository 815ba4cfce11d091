//! What is wrong with a configuration, and where it was written.

use std::fmt;

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The line of the file, from 1.
    Line(usize),
    /// The option of the command line or the setting, as it was typed.
    Setting(String),
    /// Nowhere: it comes from a preset, or is missing.
    Nowhere,
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Where.
    pub place: Place,
    /// What, in words.
    pub text: String,
}

impl ConfigProblem {
    /// A problem with what is missing, or with what belongs together.
    pub(crate) fn nowhere(text: impl Into<String>) -> Self {
        Self {
            place: Place::Nowhere,
            text: text.into(),
        }
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Line(line) => write!(formatter, "line {line}: {}", self.text),
            Place::Setting(setting) => write!(formatter, "{setting}: {}", self.text),
            Place::Nowhere => formatter.write_str(&self.text),
        }
    }
}

/// The name among `known` that was probably meant.
pub(crate) fn similar<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|other| (strsim::damerau_levenshtein(name, other), other))
        // Two letters of a long name, one of a short one; or one is the beginning of the other.
        .filter(|&(distance, other)| {
            distance <= 1 + name.len() / 6 || name.len() > 3 && other.starts_with(name)
        })
        .min()
        .map(|(_, other)| other)
}

/// `; did you mean …?`, or what there is if that is not much, or nothing.
pub(crate) fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    const FEW: usize = 12;
    let known: Vec<&str> = known.into_iter().collect();
    match similar(name, known.iter().copied()) {
        Some(other) => format!("; did you mean `{other}`?"),
        None if (1..=FEW).contains(&known.len()) => format!("; there are {}", known.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_what_looks_alike() {
        let known = [
            "steps",
            "batch",
            "crop",
            "validate_every",
            "validation_crop",
        ];
        for (typed, meant) in [
            ("stepps", Some("steps")),
            ("btach", Some("batch")),
            ("validate", Some("validate_every")),
            ("validation_corp", Some("validation_crop")),
            ("colour", None),
        ] {
            assert_eq!(similar(typed, known), meant, "{typed}");
        }
        assert_eq!(
            suggestion("colour", ["a", "b"]),
            "; there are a, b",
            "few names are listed"
        );
    }
}
