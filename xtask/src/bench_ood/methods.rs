//! What is compared: methods that always are, and those that a user gives.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::arguments::{Arguments, GivenMethod};
use super::classical::Classical;
use super::models::{self, Model};
use super::numbers::counted;
use super::results::{GUIDED, INPUT, Method, MethodKind, Options};
use crate::failure::Failure;
use crate::workspace;

/// The unguided control of the model in the program, if it has been trained.
const CONTROL: &str = "crates/deblur/model/unguided.safetensors";
/// Named, so that a new default of the program changes no results unnoticed.
const SAMPLER: &str = "dpmpp-2m";

/// A method and how it is carried out.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) method: Method,
    pub(crate) work: Work,
}

/// How a method comes to its pictures.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// The blurry pictures are taken as they are.
    Input,
    /// Deconvolved here.
    Classical(Classical),
    /// Restored by the program, with a checkpoint or with the model inside.
    Model(Option<PathBuf>),
    /// Another program has restored them: `DOMAIN/CONDITION/NAME.png` below this folder.
    Folder(PathBuf),
}

/// Methods in the order in which they are shown, and what a reader must know about them.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) methods: Vec<Planned>,
    pub(crate) notes: Vec<String>,
}

/// Looks at all models and folders and makes the list.
///
/// # Errors
/// A model that cannot be read, a path that is not there, or a name that is used twice.
pub(crate) fn plan(arguments: &Arguments, program: &Path) -> Result<Plan> {
    if let Some(experiment) = &arguments.experiment {
        return experiment.plan(program);
    }
    let mut notes = Vec::new();
    let mut methods = vec![input()];
    methods.extend(Classical::ALL.map(classical));

    let guided_file = arguments.guided.as_deref();
    let guided = Model::of(program, guided_file)?;
    models::expect_guidance(&guided, true, "--guided")?;
    let control = workspace::root().join(CONTROL);
    let control = arguments
        .unguided
        .clone()
        .or_else(|| control.is_file().then_some(control));
    let mut matched = false;
    if let Some(file) = &control {
        let unguided = Model::of(program, Some(file))?;
        models::expect_guidance(&unguided, false, "--unguided")?;
        let differences = guided.differences(&unguided);
        matched = differences.is_empty();
        if !matched {
            notes.push(format!(
                "The guided and the unguided model differ in more than guidance: {}. Nothing follows about guidance from their \
                 difference.",
                differences.join(", ")
            ));
        }
        let text = "the control: no guidance, mean of all pictures that fit (mode mean)";
        methods.push(model("unguided", &unguided, Some(file), mean(), text));
    } else {
        notes.push(format!(
            "There is no unguided control, so nothing follows about guidance. Train one with the preset that ends in -unguided and \
             otherwise the configuration of the guided model (crates/deblur/model/unguided.toml is that of the model in the program), and \
             give it with --unguided FILE or put it at {CONTROL}."
        ));
    }
    let text = "guided, default options: mean of all pictures that fit (mode mean)";
    let mut default = model(GUIDED, &guided, guided_file, mean(), text);
    default.method.matched_with = matched.then(|| "unguided".to_owned());
    methods.push(default);
    methods.extend(samples(GUIDED, &guided, guided_file, &arguments.steps));
    let average = Options {
        mode: "average".to_owned(),
        sampler: Some(SAMPLER.to_owned()),
        steps: Some(arguments.average_steps),
        samples: Some(arguments.samples),
    };
    let text = format!(
        "guided, mean of {} samples of {}",
        arguments.samples,
        counted(arguments.average_steps as usize, "step")
    );
    methods.push(model(
        "guided-average",
        &guided,
        guided_file,
        average,
        &text,
    ));
    for given in &arguments.methods {
        methods.extend(given_method(given, program, &arguments.steps)?);
    }
    let mut names = HashSet::new();
    for planned in &methods {
        let name = &planned.method.name;
        if !names.insert(name) {
            return Err(Failure::error(
                format!("--method: there is already a method called {name}"),
                "give it another name",
            ));
        }
    }
    Ok(Plan { methods, notes })
}

pub(super) fn input() -> Planned {
    let text = "the blurry picture as it is".to_owned();
    Planned {
        method: Method {
            name: INPUT.to_owned(),
            kind: MethodKind::Input,
            oracle: false,
            description: text,
            checkpoint: None,
            options: None,
            matched_with: None,
            curve: None,
        },
        work: Work::Input,
    }
}

pub(super) fn classical(classical: Classical) -> Planned {
    Planned {
        method: Method {
            name: classical.name().to_owned(),
            kind: MethodKind::Classical,
            oracle: true,
            description: classical.description(),
            ..input().method
        },
        work: Work::Classical(classical),
    }
}

pub(super) fn mean() -> Options {
    Options {
        mode: "mean".to_owned(),
        sampler: None,
        steps: None,
        samples: None,
    }
}

pub(super) fn model(
    name: &str,
    model: &Model,
    file: Option<&Path>,
    options: Options,
    text: &str,
) -> Planned {
    Planned {
        method: Method {
            name: name.to_owned(),
            kind: MethodKind::Model,
            description: text.to_owned(),
            checkpoint: Some(model.checkpoint(file)),
            options: Some(options),
            ..input().method
        },
        work: Work::Model(file.map(Path::to_owned)),
    }
}

/// One sample each with several numbers of steps: the way from distortion to perception.
fn samples<'a>(
    name: &'a str,
    of: &'a Model,
    file: Option<&'a Path>,
    steps: &'a [u32],
) -> impl Iterator<Item = Planned> + 'a {
    let mut steps = steps.to_vec();
    steps.sort_unstable();
    steps.dedup();
    steps.into_iter().map(move |steps| {
        let options = Options {
            mode: "sample".to_owned(),
            sampler: Some(SAMPLER.to_owned()),
            steps: Some(steps),
            samples: None,
        };
        let count = if steps == 1 { "step" } else { "steps" };
        let text = format!("{name}, one sample in {steps} {count}");
        let mut planned = model(&format!("{name}-sample-{steps}"), of, file, options, &text);
        planned.method.curve = Some(format!("{name}-sample"));
        planned
    })
}

fn given_method(given: &GivenMethod, program: &Path, steps: &[u32]) -> Result<Vec<Planned>> {
    let GivenMethod { name, path } = given;
    if path.is_dir() {
        return Ok(vec![Planned {
            method: Method {
                name: name.clone(),
                kind: MethodKind::Folder,
                description: format!("restored elsewhere: {}", path.display()),
                ..input().method
            },
            work: Work::Folder(path.clone()),
        }]);
    }
    if !path.is_file() {
        return Err(Failure::error(
            format!("--method {name}: there is no {}", path.display()),
            "give a checkpoint (.safetensors), or a folder with DOMAIN/CONDITION/NAME.png; --prepare makes the blurry pictures and says \
             where they are",
        ));
    }
    let of = Model::of(program, Some(path))?;
    let text = format!("the model `{}`, default options (mode mean)", of.name);
    let mut methods = vec![model(name, &of, Some(path), mean(), &text)];
    methods.extend(samples(name, &of, Some(path), steps));
    Ok(methods)
}
