//! An error that also says what to do about it.

use std::fmt;

/// What went wrong, and what the reader can do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    hint: String,
}

impl Failure {
    /// An error of which `what` is one line without a full stop and `hint` a command or an action.
    pub(crate) fn error(what: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
        Self {
            what: what.into(),
            hint: hint.into(),
        }
        .into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

/// What can be done about `error`: one hint for each [`Failure`] in its chain.
fn hints(error: &anyhow::Error) -> impl Iterator<Item = &str> {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<Failure>())
        .map(|failure| failure.hint.as_str())
}

/// `what: cause`, and below it a line for each hint but `known`, for an error that stands in the text of another.
pub(crate) fn with_hints(error: &anyhow::Error, known: &str) -> String {
    let lines = hints(error)
        .filter(|hint| *hint != known)
        .map(|hint| format!("\n    hint: {hint}"));
    std::iter::once(format!("{error:#}")).chain(lines).collect()
}

/// Prints `error: what: cause` and one `hint:` line for each hint in the chain, to standard error.
pub(crate) fn print(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
    for hint in hints(error) {
        eprintln!("hint: {hint}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_hint_survives_context() {
        let error = Err::<(), _>(Failure::error("no disk", "buy one"))
            .context("installing")
            .unwrap_err();
        assert_eq!(format!("{error:#}"), "installing: no disk");
        let hints: Vec<_> = error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<Failure>())
            .collect();
        assert_eq!(hints.len(), 1);
        assert_eq!(hints[0].hint, "buy one");
    }
}
