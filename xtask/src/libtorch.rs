//! `cargo xtask libtorch`: finds or installs libtorch, so that nothing has to be set by hand afterwards.
//!
//! `.cargo/config.toml` tells cargo that libtorch is at `target/libtorch` unless `LIBTORCH` says otherwise.
//! This task makes that true. It tries, in this order: the `LIBTORCH` of the user, what is at `target/libtorch`
//! already, the torch of a Python, the wheel of torch (only what a CPU program links), the official archive.

mod archive;
#[cfg(test)]
mod fixture;
mod install;
mod marker;
mod validate;
mod wheel;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::failure::Failure;
use crate::python::{self, Unavailable};
use crate::report;
use crate::workspace;
use marker::Marker;
use validate::{Libtorch, VERSION};

/// Find or install libtorch, so that cargo and the built program need no variable set by hand
#[derive(Args, Debug, Default)]
pub(crate) struct Arguments {
    /// Where libtorch is put or linked [default: target/libtorch]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Where it may come from
    #[arg(long, value_enum, default_value_t = Source::Auto)]
    from: Source,
    /// Address or file of the official archive, for a mirror or a machine without network; no other source is tried
    #[arg(long, value_name = "URL_OR_FILE")]
    archive: Option<String>,
    /// Install again what this task installed earlier
    #[arg(long)]
    reinstall: bool,
    /// Read the installed libraries again and compare their SHA-256 with those of the installation
    #[arg(long)]
    verify: bool,
}

/// A source of libtorch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Source {
    /// All of the following, in this order, until one is there
    #[default]
    Auto,
    /// The folder that the variable LIBTORCH names
    Environment,
    /// The torch package of python3 or python, linked
    Python,
    /// The wheel of torch by pip, of which only what a CPU program links is unpacked
    Wheel,
    /// The official archive of libtorch
    Archive,
}

/// Runs the task and says what was found.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    let found = find_or_install(arguments)?;
    if arguments.verify {
        match Marker::read(&found.folder) {
            Some(marker) => {
                marker.verify(&found.folder)?;
                report::say(format!(
                    "the SHA-256 of {} libraries are those of the installation",
                    marker.files.len()
                ));
            }
            None => report::say("nothing to verify: this folder was not installed by this task"),
        }
    }
    report::say(format!(
        "libtorch {} at {} ({})",
        found.version,
        found.folder.display(),
        report::duration(start.elapsed())
    ));
    if cfg!(windows) {
        report::say(format!(
            "Windows looks for DLLs on the search path: add {} to PATH before running the program",
            found.folder.join("lib").display()
        ));
    }
    Ok(())
}

/// For the tasks that need libtorch: makes sure that it is there.
pub(crate) fn ensure() -> Result<()> {
    run(&Arguments::default())
}

fn find_or_install(arguments: &Arguments) -> Result<Libtorch> {
    let usual = workspace::libtorch();
    let destination = match &arguments.dir {
        Some(folder) => {
            std::path::absolute(workspace::root().join(folder)).context("cannot resolve --dir")?
        }
        None => usual.clone(),
    };
    if let Some(archive) = &arguments.archive {
        archive::check_option(archive)?;
    }
    let from = match (arguments.from, &arguments.archive) {
        (Source::Auto, Some(_)) => Source::Archive,
        (from, _) => from,
    };
    let may = |source| from == Source::Auto || from == source;

    if may(Source::Environment) {
        if let Some(own) = own_libtorch(std::env::var_os("LIBTORCH"), &usual) {
            return use_own(&own, &destination);
        }
        if from == Source::Environment {
            return Err(Failure::error(
                "LIBTORCH is not set",
                "set it to a folder with `lib` and `include` of libtorch",
            ));
        }
    }
    let is_kept = || !arguments.reinstall && is_from(&destination, from);
    if is_kept()
        && let Some(found) = ready(&destination)
    {
        return Ok(found);
    }
    let _lock = install::lock(&destination)?;
    // Another run may have installed it while this one waited.
    if is_kept()
        && let Some(found) = ready(&destination)
    {
        return Ok(found);
    }
    install::refuse_foreign(&destination)?;

    let mut reasons = Vec::new();
    let sources: [(Source, &dyn Fn() -> Result<Libtorch>); 3] = [
        (Source::Python, &|| link_python(&destination)),
        (Source::Wheel, &|| wheel::install(&destination)),
        (Source::Archive, &|| {
            archive::install(&destination, arguments.archive.as_deref())
        }),
    ];
    for (source, attempt) in sources.into_iter().filter(|(source, _)| may(*source)) {
        match attempt() {
            Ok(found) => return Ok(found),
            Err(error) if error.downcast_ref::<Unavailable>().is_some() => {
                let name = source
                    .to_possible_value()
                    .map(|value| value.get_name().to_owned())
                    .unwrap_or_default();
                report::say(format!("{name}: {error:#}"));
                reasons.push(format!("{name}: {error:#}"));
            }
            Err(error) => return Err(error.context("cannot install libtorch")),
        }
    }
    Err(Failure::error(
        format!(
            "no source of libtorch {VERSION} could be used ({})",
            reasons.join("; ")
        ),
        format!(
            "install Python 3 with pip, or `pip install torch=={VERSION}`, or set LIBTORCH to an unpacked libtorch {VERSION}, \
             or pass --archive with its zip file"
        ),
    ))
}

/// What is at `destination`, when it can be used as it is.
fn ready(destination: &Path) -> Option<Libtorch> {
    let found = validate::inspect(destination).ok()?;
    validate::check_loads(destination).ok()?;
    Some(found)
}

/// Whether what is at `destination` may be from `source`. A folder that was not made by this task is from anywhere.
fn is_from(destination: &Path, source: Source) -> bool {
    let is_link = destination.is_symlink();
    match source {
        Source::Auto | Source::Environment => true,
        Source::Python => is_link,
        Source::Wheel | Source::Archive => {
            let is_wheel = |marker: Marker| marker.source.contains(".whl");
            !is_link
                && Marker::read(destination)
                    .is_none_or(|marker| is_wheel(marker) == (source == Source::Wheel))
        }
    }
}

/// The `LIBTORCH` that a user set. cargo itself sets it to `usual` for everything that it runs, this task
/// included, and that one is no wish of the user.
fn own_libtorch(value: Option<std::ffi::OsString>, usual: &Path) -> Option<PathBuf> {
    let own = PathBuf::from(value.filter(|value| !value.is_empty())?);
    (own != usual).then_some(own)
}

/// Checks the user's own libtorch, and links it so that it is found when `LIBTORCH` is no longer set.
fn use_own(own: &Path, destination: &Path) -> Result<Libtorch> {
    let advice = format!("unset LIBTORCH and run this again, or point it to libtorch {VERSION}");
    if !own.is_absolute() {
        return Err(Failure::error(
            format!("LIBTORCH={} is a relative path", own.display()),
            "build scripts run in folders of their own; give the whole path",
        ));
    }
    let found = validate::inspect(own)
        .and_then(|found| validate::check_loads(own).map(|()| found))
        .map_err(|problem| {
            Failure::error(format!("LIBTORCH={}: {problem}", own.display()), advice)
        })?;
    if validate::inspect(destination).is_err() {
        let _lock = install::lock(destination)?;
        install::refuse_foreign(destination)?;
        install::link(own, destination)?;
    }
    Ok(found)
}

/// Links the torch package of the first Python that has a fitting one.
fn link_python(destination: &Path) -> Result<Libtorch> {
    let mut reasons = Vec::new();
    for python in python::candidates() {
        let Some(folder) = python::torch_folder(&python) else {
            reasons.push(format!("{} has no torch", python.display()));
            continue;
        };
        if let Err(problem) =
            validate::inspect(&folder).and_then(|_| validate::check_loads(&folder))
        {
            reasons.push(format!("{}: {problem}", python.display()));
            continue;
        }
        install::link(&folder, destination)?;
        report::say(format!(
            "linked the torch of {}: {}",
            python.display(),
            folder.display()
        ));
        // Its libraries look for their neighbours relative to themselves, which must hold through the link.
        let found = validate::inspect(destination).context("the linked torch cannot be used")?;
        validate::check_loads(destination).context("the linked torch cannot be used")?;
        return Ok(found);
    }
    Err(Unavailable(reasons.join(", ")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_cargo_is_not_the_users() {
        let usual = Path::new("/house/target/libtorch");
        assert_eq!(own_libtorch(None, usual), None);
        assert_eq!(own_libtorch(Some("".into()), usual), None);
        assert_eq!(
            own_libtorch(Some("/house/target/libtorch".into()), usual),
            None
        );
        assert_eq!(
            own_libtorch(Some("/opt/libtorch".into()), usual),
            Some("/opt/libtorch".into())
        );
    }

    #[test]
    fn a_source_that_was_asked_for_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let installed = folder.path().join("installed");
        std::fs::create_dir_all(installed.join("lib")).unwrap();
        assert!(is_from(&installed, Source::Wheel) && is_from(&installed, Source::Archive));
        Marker::describe(&installed, VERSION, "torch-2.11.0.whl sha256:0")
            .unwrap()
            .write(&installed)
            .unwrap();
        assert!(is_from(&installed, Source::Auto) && is_from(&installed, Source::Wheel));
        assert!(!is_from(&installed, Source::Archive) && !is_from(&installed, Source::Python));
        let linked = folder.path().join("linked");
        install::link(&installed, &linked).unwrap();
        assert!(is_from(&linked, Source::Auto) && is_from(&linked, Source::Python));
        assert!(!is_from(&linked, Source::Wheel) && !is_from(&linked, Source::Archive));
    }

    #[test]
    fn a_given_archive_is_the_source() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("libtorch.zip");
        std::fs::write(&archive, "not a zip file").unwrap();
        let destination = folder.path().join("libtorch");
        let arguments = Arguments {
            dir: Some(destination.clone()),
            archive: Some(archive.display().to_string()),
            ..Arguments::default()
        };
        let error = find_or_install(&arguments).unwrap_err();
        assert!(
            format!("{error:#}").contains("libtorch.zip is not a complete zip file"),
            "{error:#}"
        );
        assert!(!destination.exists());
    }

    #[test]
    fn a_relative_or_wrong_libtorch_is_refused_with_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        let destination = folder.path().join("libtorch");
        assert!(
            use_own(Path::new("libtorch"), &destination)
                .unwrap_err()
                .to_string()
                .contains("relative")
        );
        let error = use_own(folder.path(), &destination).unwrap_err();
        assert!(error.to_string().contains("is missing or empty"), "{error}");
        assert!(
            !destination.exists(),
            "nothing is linked to a folder that cannot be used"
        );
    }
}
