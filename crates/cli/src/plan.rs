//! From what was typed to what will be done: which photo goes where, checked before any work starts.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ::deblur::{CheckpointSource, Options};
use image_io::Format;

use crate::args::DeblurArgs;
use crate::conflicts::{protect_inputs, reject_collisions, reject_existing};
use crate::hints::Problem;
use crate::inputs::{Input, Inputs, OTHER_IMAGES, expand};

/// Everything that `msdeblur deblur` will do.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) checkpoint: CheckpointSource,
    pub(crate) options: Options,
    pub(crate) entries: Vec<Entry>,
    /// The folder that must exist before results are written.
    pub(crate) folder: PathBuf,
    pub(crate) overwrite: bool,
    /// What the user may have overlooked.
    pub(crate) remarks: Vec<String>,
}

/// One input.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) input: PathBuf,
    pub(crate) outputs: Result<Outputs, Problem>,
}

/// The files that one input becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outputs {
    pub(crate) photo: PathBuf,
    pub(crate) compare: Option<PathBuf>,
    pub(crate) uncertainty: Option<PathBuf>,
    /// One per guidance scale, finest first.
    pub(crate) guidance: Vec<PathBuf>,
}

impl Outputs {
    pub(crate) fn all(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.photo]
            .into_iter()
            .chain(&self.compare)
            .chain(&self.uncertainty)
            .chain(&self.guidance)
    }
}

/// Where results go.
#[derive(Debug, PartialEq, Eq)]
enum Destination {
    File(PathBuf),
    Folder(PathBuf),
}

impl Plan {
    /// Checks the arguments against each other and the file system. Nothing is written and libtorch is not touched.
    ///
    /// # Errors
    /// What makes the whole call wrong. What is wrong with one input stands in its entry.
    pub(crate) fn new(args: &DeblurArgs) -> Result<Self, Problem> {
        let checkpoint = args.restoration.checkpoint_source();
        let options = args
            .restoration
            .options(args.uncertainty, args.show_guidance)?;
        let Inputs {
            list: inputs,
            notes: mut remarks,
        } = expand(&args.inputs);
        remarks.extend(args.restoration.without_effect(args.uncertainty));
        let single = args.inputs.len() == 1
            && inputs.len() == 1
            && !args.inputs.iter().any(|path| path.is_dir());
        let destination = destination(&args.output, single)?;
        let mut scales = 0;
        if args.show_guidance && inputs.iter().any(|input| input.problem.is_none()) {
            scales = checkpoint.describe()?.description.config.scales();
            if scales == 0 {
                remarks.push(
                    "--show-guidance has no effect: this model has no guidance networks".into(),
                );
            }
        }
        let mut entries = Vec::with_capacity(inputs.len());
        for Input { path, problem } in inputs {
            let outputs = match problem {
                Some(problem) => Err(problem),
                None => Ok(outputs(&path, &destination, args, scales)),
            };
            entries.push(Entry {
                input: path,
                outputs,
            });
        }
        reject_collisions(&entries)?;
        protect_inputs(&mut entries);
        if !args.force {
            reject_existing(&mut entries);
        }
        let folder = match destination {
            Destination::Folder(folder) => folder,
            Destination::File(file) => parent(&file),
        };
        Ok(Self {
            checkpoint,
            options,
            entries,
            folder,
            overwrite: args.force,
            remarks,
        })
    }
}

fn destination(out: &Path, single: bool) -> Result<Destination, Problem> {
    let text = out.to_string_lossy();
    if out.is_dir() || text.ends_with(std::path::is_separator) {
        return Ok(Destination::Folder(out.to_owned()));
    }
    let extension = out
        .extension()
        .map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    if Format::from_path(out).is_some() {
        return if single {
            Ok(Destination::File(out.to_owned()))
        } else {
            Err(Problem::new("several photos cannot go into one file")
                .at(out)
                .hint("give a folder with -o"))
        };
    }
    // As OUT they mean a file, not a folder.
    if extension
        .is_some_and(|extension| extension == "pdf" || OTHER_IMAGES.contains(&extension.as_str()))
    {
        return Err(Problem::new("this format cannot be written")
            .at(out)
            .hint("use .png, .jpg, .tif or .webp"));
    }
    if out.exists() {
        return Err(Problem::new("exists and is not a folder")
            .at(out)
            .hint("choose another name with -o"));
    }
    Ok(Destination::Folder(out.to_owned()))
}

/// The folder that a file lies in.
pub(crate) fn parent(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn outputs(input: &Path, destination: &Destination, args: &DeblurArgs, scales: usize) -> Outputs {
    let photo = match destination {
        Destination::File(file) => file.clone(),
        Destination::Folder(folder) => folder.join(output_name(input)),
    };
    let beside = |suffix: &str| {
        let mut name = photo.file_stem().unwrap_or_default().to_owned();
        name.push(format!(".{suffix}.png"));
        photo.with_file_name(name)
    };
    Outputs {
        compare: args.compare.then(|| beside("compare")),
        uncertainty: args.uncertainty.then(|| beside("uncertainty")),
        guidance: (1..=scales)
            .map(|scale| beside(&format!("guidance-{scale}")))
            .collect(),
        photo,
    }
}

/// The input's name; with an extension for its content where its own is not that of a format that can be written.
fn output_name(input: &Path) -> PathBuf {
    let name = PathBuf::from(input.file_name().unwrap_or_default());
    if Format::from_path(&name).is_some() {
        return name;
    }
    let mut head = Vec::new();
    // A file that cannot be read fails later, with its reason; opening a pipe would wait for a writer.
    if input.is_file() {
        let _ = File::open(input).and_then(|file| file.take(16).read_to_end(&mut head));
    }
    name.with_extension(
        Format::from_content(&head)
            .unwrap_or(Format::Png)
            .extension(),
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn plan(arguments: &[&str]) -> Result<Plan, Problem> {
        let arguments = ["msdeblur", "deblur"].iter().chain(arguments);
        match Args::try_parse_from(arguments)
            .expect("valid arguments")
            .command
        {
            Command::Deblur(args) => Plan::new(&args),
            other => panic!("{other:?}"),
        }
    }

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new(files: &[&str]) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            for file in files {
                std::fs::write(folder.path().join(file), b"\x89PNG\r\n\x1a\n").expect("a file");
            }
            Self(folder)
        }

        fn at(&self, name: &str) -> String {
            self.0.path().join(name).display().to_string()
        }
    }

    fn photo(plan: &Plan, index: usize) -> String {
        plan.entries[index]
            .outputs
            .as_ref()
            .expect("outputs")
            .photo
            .display()
            .to_string()
    }

    #[test]
    fn out_is_a_file_or_a_folder() {
        let folder = Folder::new(&["a.jpg", "b.png", "scan"]);
        let (a, b, scan) = (folder.at("a.jpg"), folder.at("b.png"), folder.at("scan"));
        let to_file = plan(&[&a, "-o", &folder.at("new/out.png")]).expect("a plan");
        assert_eq!(photo(&to_file, 0), folder.at("new/out.png"));
        assert_eq!(to_file.folder, PathBuf::from(folder.at("new")));
        let to_folder = plan(&[&a, &b, &scan, "-o", &folder.at("out")]).expect("a plan");
        assert_eq!(
            [0, 1, 2].map(|index| photo(&to_folder, index)),
            ["a.jpg", "b.png", "scan.png"].map(|name| folder.at("out/") + name)
        );
        assert!(plan(&[&a, &b, "-o", &folder.at("out.png")]).is_err());
        assert!(plan(&[&folder.at(""), "-o", &folder.at("out.png")]).is_err());
        assert!(plan(&[&a, "-o", &folder.at("out.gif")]).is_err());
        assert!(plan(&[&a, "-o", &scan]).is_err());
    }

    #[test]
    fn nothing_is_written_twice_or_over_something() {
        let folder = Folder::new(&["a.jpg", "a.png", "b.png", "sub.png"]);
        std::fs::create_dir(folder.at("sub")).expect("a folder");
        std::fs::write(folder.at("sub/a.png"), "").expect("a file");
        let (jpg, png, other) = (
            folder.at("a.jpg"),
            folder.at("a.png"),
            folder.at("sub/a.png"),
        );
        let out = folder.at("out");
        assert!(plan(&[&jpg, &png, "-o", &out]).is_ok());
        assert!(
            plan(&[&jpg, &png, "--compare", "-o", &out])
                .expect_err("same sheet")
                .message
                .contains("a.compare.png")
        );
        assert!(plan(&[&png, &other, "-o", &out]).is_err());
        let over_itself = plan(&[&jpg, "-o", &folder.at("")]).expect("a plan");
        let problem = over_itself.entries[0].outputs.as_ref().expect_err("itself");
        assert!(problem.message.contains("replace the input"), "{problem:?}");
        let existing = plan(&[&jpg, &png, "-o", &folder.at("sub")]).expect("a plan");
        assert!(existing.entries[0].outputs.is_ok());
        assert!(
            existing.entries[1]
                .outputs
                .as_ref()
                .expect_err("exists")
                .message
                .contains("exists already")
        );
        let forced = plan(&[&jpg, &png, "--force", "-o", &folder.at("sub")]).expect("a plan");
        assert!(forced.entries.iter().all(|entry| entry.outputs.is_ok()));
    }

    #[test]
    fn no_input_is_replaced_whatever_way_leads_to_it() {
        let folder = Folder::new(&["a.jpg", "b.png"]);
        std::fs::create_dir_all(folder.at("sub/deep")).expect("folders");
        let (a, b) = (folder.at("a.jpg"), folder.at("b.png"));
        let refused = |arguments: &[&str], words: &[&str]| {
            let plan = plan(&[arguments, &["--force"]].concat()).expect("a plan");
            let problems: Vec<&Problem> = plan
                .entries
                .iter()
                .filter_map(|entry| entry.outputs.as_ref().err())
                .collect();
            let [problem] = problems[..] else {
                panic!("{arguments:?}: {problems:?}")
            };
            for word in words {
                assert!(problem.message.contains(word), "{word}: {problem:?}");
            }
            let hint = problem.hint.as_deref().unwrap_or_default();
            assert!(hint.contains("-o") && !hint.contains("--force"), "{hint}");
        };
        let itself = ["a.jpg", "would replace the input"];
        refused(&[&a, "-o", &folder.at("")], &itself);
        refused(&[&a, "-o", &folder.at("sub/deep/../..")], &itself);
        refused(&[&folder.at("sub/../a.jpg"), "-o", &a], &itself);
        refused(
            &[&b, "-o", &folder.at("sub/.././b.png")],
            &["b.png", itself[1]],
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_lead_to_what_they_mean() {
        let folder = Folder::new(&["a.png", "b.png"]);
        let link = |target: &str, name: &str| {
            std::os::unix::fs::symlink(folder.at(target), folder.at(name)).expect("a link");
        };
        std::fs::create_dir(folder.at("out")).expect("a folder");
        link("a.png", "out/a.png");
        link("out/b.png", "out/c.png");
        std::fs::write(folder.at("c.png"), "").expect("a file");
        let (a, b, c, out) = (
            folder.at("a.png"),
            folder.at("b.png"),
            folder.at("c.png"),
            folder.at("out"),
        );
        let one = plan(&[&a, "-o", &out, "--force"]).expect("a plan");
        let problem = one.entries[0].outputs.as_ref().expect_err("itself");
        assert!(problem.message.contains("replace the input"), "{problem:?}");
        // The result of in/b.png would take the place of b.png, which is an input by another name.
        std::fs::create_dir(folder.at("in")).expect("a folder");
        link("b.png", "in/other.png");
        std::fs::write(folder.at("in/b.png"), "").expect("a file");
        let (first, second) = (folder.at("in/b.png"), folder.at("in/other.png"));
        let here = plan(&[&first, &second, "-o", &folder.at(""), "--force"]).expect("a plan");
        let problem = here.entries[0].outputs.as_ref().expect_err("another");
        let words = format!("the output of {first} would replace the input {second}");
        assert!(problem.message.ends_with(&words), "{problem:?}");
        assert!(here.entries[1].outputs.is_ok());
        // b.png and c.png are two inputs, but out/c.png is a link to out/b.png.
        std::fs::write(folder.at("out/b.png"), "").expect("a file");
        let both = plan(&[&b, &c, "-o", &out, "--force"]).expect_err("one place");
        assert!(both.message.contains("both be written"), "{both:?}");
    }

    #[test]
    fn extras_lie_beside_the_photo() {
        let folder = Folder::new(&["a.jpg"]);
        let options = ["--compare", "--uncertainty", "--show-guidance"];
        let plan = plan(
            &[
                &[folder.at("a.jpg").as_str(), "-o", &folder.at("x.y.tif")],
                &options[..],
            ]
            .concat(),
        )
        .expect("a plan");
        let outputs = plan.entries[0].outputs.as_ref().expect("outputs");
        assert_eq!(outputs.compare, Some(folder.at("x.y.compare.png").into()));
        assert_eq!(
            outputs.uncertainty,
            Some(folder.at("x.y.uncertainty.png").into())
        );
        assert_eq!(
            outputs.guidance.first(),
            Some(&folder.at("x.y.guidance-1.png").into())
        );
    }

    #[test]
    fn options_without_effect_are_pointed_out() {
        let folder = Folder::new(&["a.jpg"]);
        let (a, out) = (folder.at("a.jpg"), folder.at("out"));
        let count = |options: &[&str]| {
            plan(&[&[a.as_str(), "-o", &out], options].concat())
                .expect("a plan")
                .remarks
                .len()
        };
        assert_eq!(count(&["--steps=5", "--sampler=heun"]), 2);
        assert_eq!(count(&["--steps=5", "--uncertainty"]), 0);
        assert_eq!(count(&["--mode=sample", "--steps=5", "--samples=3"]), 1);
    }
}
