//! What can be typed. Nothing is checked here beyond single values.

mod evaluate;
mod restoration;

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand, value_parser};

pub(crate) use evaluate::EvaluateArgs;
pub(crate) use restoration::RestorationArgs;
use restoration::seed;

const EXIT_CODES: &str = "Exit codes: 0 everything done, 1 some inputs failed (the others were written), 2 wrong usage or \
                          set-up, 130 interrupted.";

/// Deblur photographs with a multiscale structure guided diffusion model
///
/// An implementation of "Multiscale Structure Guided Diffusion for Image Deblurring" (Ren et al., ICCV 2023,
/// arXiv 2212.01789) with a trained model inside.
#[derive(Debug, Parser)]
#[command(name = "msdeblur", bin_name = "msdeblur", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Restore blurry photos
    Deblur(Box<DeblurArgs>),
    /// Measure how near restored photos are to sharp ones: PSNR, SSIM, LPIPS and others
    Evaluate(Box<EvaluateArgs>),
    /// Train a model on sharp photos, or on pairs of blurry and sharp ones
    Train(Box<TrainArgs>),
    /// Describe a model: size, training, measured quality
    Info(InfoArgs),
    /// Look at this machine: libtorch, processor, CUDA, model; and say what is missing
    Doctor(DoctorArgs),
    /// Print this reference as Markdown
    #[command(hide = true)]
    MarkdownHelp,
}

impl Args {
    /// Reads the command line and the environment. A variable that is empty counts as not set, as in shells.
    ///
    /// # Errors
    /// What is wrong with the arguments, or the help that was asked for.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let with_values = |argument: Arg| {
            let value = argument.get_env().and_then(std::env::var_os);
            if value.is_some_and(|value| value.is_empty()) {
                argument.env(None::<&'static str>)
            } else {
                argument
            }
        };
        let mut command =
            Self::command().mut_subcommands(|subcommand| subcommand.mut_args(with_values));
        let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
        Self::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
    }
}

/// Restore blurry photos
///
/// Every INPUT becomes one file in OUT with the same name. Bit depth, alpha, ICC profile and EXIF are kept; what a format
/// cannot hold is said in a note. Nothing is overwritten without --force, an input never, and no file is ever half written.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  msdeblur deblur photo.jpg -o sharp.png
  msdeblur deblur holiday/ scans/*.tif -o restored
  msdeblur deblur photo.jpg -o out --mode sample --steps 30 --seed 7
  msdeblur deblur photo.jpg -o out --mode average --samples 8 --uncertainty --compare

With --json, every line on stdout is one object with `version` (1), `type` and `data`: one `restored` or `failed` per input in the
order of the inputs, then one `summary`.

Exit codes: 0 everything done, 1 some inputs failed (the others were written), 2 wrong usage or set-up, 130 interrupted.")]
pub(crate) struct DeblurArgs {
    /// Photos to restore: files, folders or patterns
    ///
    /// PNG, JPEG, TIFF or WebP. Of a folder, the images directly in it are taken, in the order of their names. Patterns such as
    /// 'scans/*.jpg' or 'scans/**/*.jpg' may be quoted; they take image files alone. The pictures of --compare, --uncertainty and
    /// --show-guidance are taken only if they are named.
    #[arg(value_name = "INPUT", required = true)]
    pub(crate) inputs: Vec<PathBuf>,

    /// Folder for the results, or a file name for a single photo
    ///
    /// A folder is created if it does not exist. With one input file, a name that ends in .png, .jpg, .tif or .webp is the
    /// output file itself.
    #[arg(short, long, value_name = "OUT", help_heading = "Output")]
    pub(crate) output: PathBuf,

    /// Replace output files that exist, except inputs: an original is never replaced
    #[arg(short, long, help_heading = "Output")]
    pub(crate) force: bool,

    /// Also write NAME.compare.png: the photo before and after, side by side
    #[arg(long, help_heading = "Output")]
    pub(crate) compare: bool,

    /// Also write NAME.uncertainty.png: how much samples differ, as a heat map
    ///
    /// Standard deviation per pixel over --samples samples. Black is none; the brightest colour is the value said in a note. Costs as
    /// much as drawing these samples.
    #[arg(long, help_heading = "Output")]
    pub(crate) uncertainty: bool,

    /// Also write NAME.guidance-1.png, -2, …: the sharp structure that the guidance networks predict
    ///
    /// Grey, at 1/2, 1/4, … of the photo's size.
    #[arg(long, help_heading = "Output")]
    pub(crate) show_guidance: bool,

    #[command(flatten)]
    pub(crate) restoration: RestorationArgs,

    #[command(flatten)]
    pub(crate) messages: MessageArgs,
}

/// Options for what is printed.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct MessageArgs {
    /// Print results as JSON Lines on stdout
    #[arg(long, help_heading = "Messages")]
    pub(crate) json: bool,

    /// Print errors alone
    #[arg(short, long, conflicts_with = "verbose", help_heading = "Messages")]
    pub(crate) quiet: bool,

    /// Print more; twice for everything
    #[arg(short, long, action = ArgAction::Count, help_heading = "Messages")]
    pub(crate) verbose: u8,

    /// Show no progress bar but a line every half minute, as where stderr is not a terminal
    #[arg(long, help_heading = "Messages")]
    pub(crate) no_progress: bool,
}

/// Train a model on sharp photos, or on pairs of blurry and sharp ones
///
/// Blur of photos is made on the fly. CONFIG, a preset or both say what is trained; docs/training.md is the guide. OUT receives the
/// configuration, a log (JSON Lines), the state to resume from, and the model (model.safetensors, for `msdeblur deblur --checkpoint`).
/// Ctrl-C saves and stops; --resume continues with the same result as without the stop.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  msdeblur train --photos ~/Pictures --out runs/mine --preset tiny
  msdeblur train --photos photos/a photos/b --out runs/full --time-limit 480
  msdeblur train --out runs/full --resume
  msdeblur train --preset default --print-config > mine.toml
  msdeblur train mine.toml --set steps=20000 --set model.unet.mid_layers=2 --dry-run
  msdeblur train mine.toml --init runs/full/model.safetensors --set freeze=guidance. --out runs/tuned

With --json, every line on stdout is one object with `version` (1), `type` and `data`; the types are `started`, `step`, `validation`,
`checkpoint`, `note`, `trace` (with --trace) and `finished`, or `dry_run` alone.

Exit codes: 0 trained to the end or to the time limit, 2 wrong usage or set-up, 130 interrupted (resume with --resume).")]
pub(crate) struct TrainArgs {
    /// Configuration as TOML: a whole one, such as the config.toml of another run, or `preset = \"NAME\"` and what differs
    ///
    /// Options given besides win over it, and --set over these.
    #[arg(value_name = "CONFIG", conflicts_with = "preset")]
    pub(crate) config: Option<PathBuf>,

    /// Folders of sharp photos, searched with their subfolders
    #[arg(long, value_name = "DIR", num_args = 1..,
        required_unless_present_any = ["config", "resume", "set", "print_config"], help_heading = "Input and output")]
    pub(crate) photos: Vec<PathBuf>,

    /// Run folder; created if it does not exist
    #[arg(long, value_name = "DIR", required_unless_present_any = ["config", "set", "dry_run", "print_config"],
        help_heading = "Input and output")]
    pub(crate) out: Option<PathBuf>,

    /// Start from the weights of this model: a .safetensors file with the same network
    ///
    /// It is read at the start of a run alone; a resumed one has its weights in the saved state.
    #[arg(long, value_name = "FILE", help_heading = "Input and output")]
    pub(crate) init: Option<PathBuf>,

    /// Folder with the data sets that CONFIG names by their manifests [default: cache beside the manifest]
    ///
    /// It is where `cargo xtask datasets fetch` puts them.
    #[arg(
        long,
        value_name = "DIR",
        env = "MSDEBLUR_DATASETS",
        help_heading = "Input and output"
    )]
    pub(crate) datasets: Option<PathBuf>,

    /// Continue the run in OUT with its config.toml; options given besides win
    ///
    /// What decides what a step is (batch, crop, seed, photos, network) cannot be changed any more, the number of steps can. A folder
    /// without a run gets a new one.
    #[arg(long, help_heading = "Input and output")]
    pub(crate) resume: bool,

    /// Say what would be trained, on which data, with how much memory and in what time; write nothing
    ///
    /// Some steps are computed and forgotten again, to measure their time. What is printed on stdout is a configuration, with the findings
    /// as comments.
    #[arg(long, conflicts_with = "resume", help_heading = "Input and output")]
    pub(crate) dry_run: bool,

    /// Print the configuration on stdout, to be edited and given as CONFIG, and do nothing else
    ///
    /// Folders that are not given stand in it as `photos` and `run`.
    #[arg(long, conflicts_with_all = ["resume", "dry_run"], help_heading = "Input and output")]
    pub(crate) print_config: bool,

    /// Recipe to start from: default (the model that ships), tiny (seconds, to try things out), paper (as published, for GPUs and
    /// days), each also without guidance [default: default]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(trainer::PRESETS), help_heading = "Recipe")]
    pub(crate) preset: Option<String>,

    /// Any value of the configuration, such as steps=1000, model.unet.mid_layers=2 or pairs.gopro.weight=3; may be repeated
    ///
    /// The key is a path into the TOML, elements of lists by their place, as in `pairs[0]`, or by name. The value is as in TOML; quotes around text
    /// may be left out.
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Recipe")]
    pub(crate) set: Vec<String>,

    /// Optimisation steps [default: that of the recipe]
    #[arg(long, value_name = "N", help_heading = "Recipe", allow_negative_numbers = true,
        value_parser = value_parser!(u64).range(1..))]
    pub(crate) steps: Option<u64>,

    /// Crops per step, 1 to 4096 [default: that of the recipe]
    #[arg(long, value_name = "N", help_heading = "Recipe", allow_negative_numbers = true,
        value_parser = value_parser!(u32).range(1..=4096))]
    pub(crate) batch: Option<u32>,

    /// Side of a crop in pixels, 16 to 2048, a multiple of the model's size multiple [default: that of the recipe]
    #[arg(long, value_name = "PIXELS", help_heading = "Recipe", allow_negative_numbers = true,
        value_parser = value_parser!(u32).range(16..=2048))]
    pub(crate) crop: Option<u32>,

    /// Seed of initial weights, crops, blur and noise [default: that of the recipe]
    #[arg(long, value_name = "N", help_heading = "Recipe", allow_negative_numbers = true, value_parser = seed)]
    pub(crate) seed: Option<u64>,

    /// Photos set aside for validation, 1 or more [default: that of the recipe]
    #[arg(long, value_name = "N", help_heading = "Recipe", allow_negative_numbers = true,
        value_parser = value_parser!(u32).range(1..))]
    pub(crate) validate_photos: Option<u32>,

    /// Stop after this many minutes, with everything saved
    #[arg(long, value_name = "MINUTES", help_heading = "Speed", value_parser = minutes, allow_negative_numbers = true)]
    pub(crate) time_limit: Option<f64>,

    /// Write where the time goes to this new file, for a trace viewer (Perfetto, chrome://tracing), and print a table at the end
    #[arg(long, value_name = "FILE", help_heading = "Speed", conflicts_with_all = ["dry_run", "print_config"])]
    pub(crate) trace: Option<PathBuf>,

    /// Processor threads to use, 1 to 1024 [default: all cores]
    #[arg(long, value_name = "N", env = "MSDEBLUR_THREADS", help_heading = "Speed", allow_negative_numbers = true,
        value_parser = value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,

    #[command(flatten)]
    pub(crate) messages: MessageArgs,
}

/// Describe a model: size, training, measured quality
#[derive(Debug, clap::Args)]
pub(crate) struct InfoArgs {
    /// Model to describe instead of the built-in one: a .safetensors file
    #[arg(long, value_name = "FILE", env = "MSDEBLUR_CHECKPOINT")]
    pub(crate) checkpoint: Option<PathBuf>,

    /// Print JSON: one object with `version` (1), `type` (`model`) and `data`
    #[arg(long)]
    pub(crate) json: bool,
}

/// Look at this machine: libtorch, processor, CUDA, model; and say what is missing
///
/// Exit code 0 if photos can be restored here, 1 if not.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Model to check instead of the built-in one: a .safetensors file
    #[arg(long, value_name = "FILE", env = "MSDEBLUR_CHECKPOINT")]
    pub(crate) checkpoint: Option<PathBuf>,

    /// Print JSON: one object with `version` (1), `type` (`machine`) and `data`
    #[arg(long)]
    pub(crate) json: bool,
}

/// Ten years.
const MOST_MINUTES: f64 = 5_259_600.0;

fn minutes(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|minutes: &f64| *minutes > 0.0 && *minutes <= MOST_MINUTES)
        .ok_or_else(|| {
            format!("a time limit is a number of minutes above 0 and up to {MOST_MINUTES}")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parser_is_consistent() {
        Args::command().debug_assert();
    }

    fn deblur(options: &[&str]) -> Result<Box<DeblurArgs>, clap::Error> {
        let arguments = ["msdeblur", "deblur", "in.png", "-o", "out"]
            .iter()
            .chain(options);
        match Args::try_parse_from(arguments)?.command {
            Command::Deblur(args) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_outside_their_range_are_usage_errors() {
        for wrong in [
            "--steps=0",
            "--steps=1001",
            "--steps=-1",
            "--seed=-1",
            "--seed=1.5",
            "--samples=0",
            "--tile=-1",
            "--mode=median",
            "--sampler=eular",
            "--device=gpu",
            "--precision=fp8",
            "--threads=0",
        ] {
            let error = deblur(&[wrong]).expect_err(wrong);
            assert_eq!(error.exit_code(), 2, "{wrong}");
        }
        let (name, value) = ("--seed", "-1");
        let text = deblur(&[name, value]).expect_err("negative").to_string();
        assert!(text.contains("from 0 to"), "{text}");
    }

    #[test]
    fn unknown_names_get_a_suggestion() {
        assert!(
            deblur(&["--sampler=eular"])
                .expect_err("typo")
                .to_string()
                .contains("euler")
        );
        assert!(
            deblur(&["--uncertain"])
                .expect_err("typo")
                .to_string()
                .contains("--uncertainty")
        );
    }
}
