//! `msdeblur doctor`: what this machine has, and what to do about what it lacks.

use std::fmt::Write as _;

use ::deblur::{CheckpointSource, Machine};
use serde::Serialize;

use crate::SOME_FAILED;
use crate::args::DoctorArgs;
use crate::hints::Problem;
use crate::info::ModelFacts;
use crate::output::{write_json, write_stdout};

/// The libtorch that the program is built for.
const LIBTORCH_VERSION: &str = "2.11";

/// How good or bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    /// Works, but something could be better.
    Note,
    /// Photos cannot be restored.
    Problem,
}

/// One line of the report.
#[derive(Debug, Serialize)]
struct Finding {
    topic: &'static str,
    verdict: Verdict,
    text: String,
    hint: Option<String>,
}

/// JSON `machine`.
#[derive(Serialize)]
struct Report {
    msdeblur_version: &'static str,
    machine: Machine,
    model: Option<ModelFacts>,
    findings: Vec<Finding>,
}

/// Runs the subcommand.
///
/// # Errors
/// None: what is wrong is part of the report.
pub(crate) fn run(args: &DoctorArgs) -> Result<u8, Problem> {
    let source = args
        .checkpoint
        .clone()
        .map_or(CheckpointSource::Embedded, CheckpointSource::File);
    let machine = Machine::inspect();
    let mut findings = vec![
        libtorch(&machine),
        processor(&machine),
        threads(&machine),
        memory(&machine),
        cuda(&machine),
    ];
    // Not only the description: the weights are checked too.
    let model = match source
        .verify()
        .map_err(Problem::from)
        .and_then(|()| ModelFacts::of(&source))
    {
        Ok(facts) => {
            findings.push(finding(
                "checkpoint",
                Verdict::Ok,
                format!(
                    "{}, {} parameters, all tensors valid",
                    facts.checkpoint, facts.parameters
                ),
            ));
            Some(facts)
        }
        Err(problem) => {
            findings.push(Finding {
                topic: "checkpoint",
                verdict: Verdict::Problem,
                text: problem.message,
                hint: problem.hint,
            });
            None
        }
    };
    let healthy = findings
        .iter()
        .all(|finding| finding.verdict != Verdict::Problem);
    let report = Report {
        msdeblur_version: env!("CARGO_PKG_VERSION"),
        machine,
        model,
        findings,
    };
    if args.json {
        write_json("machine", &report);
    } else {
        write_stdout(&text(&report, healthy));
    }
    Ok(if healthy { 0 } else { SOME_FAILED })
}

fn finding(topic: &'static str, verdict: Verdict, text: String) -> Finding {
    Finding {
        topic,
        verdict,
        text,
        hint: None,
    }
}

impl Finding {
    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

fn libtorch(machine: &Machine) -> Finding {
    let path = machine
        .libtorch_path
        .as_deref()
        .unwrap_or("(place unknown on this system)");
    match &machine.libtorch_version {
        Some(version) if version.starts_with(LIBTORCH_VERSION) => {
            finding("libtorch", Verdict::Ok, format!("{version} at {path}"))
        }
        Some(version) => finding(
            "libtorch",
            Verdict::Problem,
            format!("{version} at {path}; this program is built for {LIBTORCH_VERSION}"),
        )
        .hint("run it with the libtorch that it was built with, or build it again"),
        None => finding(
            "libtorch",
            Verdict::Ok,
            format!("at {path} (no version file beside it)"),
        ),
    }
}

fn processor(machine: &Machine) -> Finding {
    let features = if machine.cpu_features.is_empty() {
        "none known".into()
    } else {
        machine.cpu_features.join(", ")
    };
    let format = if machine.cpu_bfloat16 {
        "bfloat16"
    } else {
        "float32"
    };
    let text = format!("{features}; --precision auto means {format} on the CPU");
    if !machine.onednn {
        finding("processor", Verdict::Note, text)
            .hint("this libtorch has no oneDNN, its convolutions are slow: use an official build")
    } else if cfg!(target_arch = "x86_64") && !machine.cpu_features.contains(&"avx2") {
        finding("processor", Verdict::Note, text)
            .hint("without AVX2 expect long waits; a GPU would help")
    } else {
        finding("processor", Verdict::Ok, text)
    }
}

fn threads(machine: &Machine) -> Finding {
    let text = format!("{} of {} processors", machine.threads, machine.processors);
    if machine.threads < machine.processors {
        finding("threads", Verdict::Ok, text)
            .hint("OMP_NUM_THREADS or the number of physical cores decides; --threads N changes it")
    } else {
        finding("threads", Verdict::Ok, text)
    }
}

fn memory(machine: &Machine) -> Finding {
    let (Some(all), Some(free)) = (machine.memory, machine.memory_available) else {
        return finding("memory", Verdict::Ok, "unknown on this system".into());
    };
    let text = format!("{} free of {}", gigabytes(free), gigabytes(all));
    if free < 2_000_000_000 {
        finding("memory", Verdict::Note, text)
            .hint("close other programs, or use small tiles: --tile 256")
    } else {
        finding("memory", Verdict::Ok, text)
    }
}

fn cuda(machine: &Machine) -> Finding {
    if let Some(problem) = &machine.cuda_problem {
        return finding(
            "CUDA",
            Verdict::Note,
            format!("not available: {problem}; the CPU is used"),
        )
        .hint(problem.hint());
    }
    let devices: Vec<String> = machine
        .cuda
        .iter()
        .map(|device| {
            let name = device.name.as_deref().unwrap_or("unknown device");
            let memory = device
                .memory
                .map(|bytes| format!(", {}", gigabytes(bytes)))
                .unwrap_or_default();
            let capability = device
                .compute_capability
                .as_deref()
                .map(|version| format!(", capability {version}"));
            format!(
                "cuda:{} {name}{memory}{}",
                device.index,
                capability.unwrap_or_default()
            )
        })
        .collect();
    finding("CUDA", Verdict::Ok, devices.join("; "))
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

fn text(report: &Report, healthy: bool) -> String {
    let mut text = format!("msdeblur {}\n", report.msdeblur_version);
    for finding in &report.findings {
        let mark = match finding.verdict {
            Verdict::Ok => "ok",
            Verdict::Note => "note",
            Verdict::Problem => "PROBLEM",
        };
        let _ = writeln!(text, "{mark:<8}{:<12}{}", finding.topic, finding.text);
        if let Some(hint) = &finding.hint {
            let _ = writeln!(text, "{:<20}hint: {hint}", "");
        }
    }
    text.push_str(if healthy {
        "Photos can be restored here.\n"
    } else {
        "Photos cannot be restored here yet.\n"
    });
    text
}
