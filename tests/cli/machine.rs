//! `info`, `doctor` and the reference for people and for programs.

use integration_tests::{Folder, Outcome, model, msdeblur};

#[track_caller]
fn run(arguments: &[&str]) -> Outcome {
    Outcome::of(&mut msdeblur(arguments))
}

#[test]
fn info_describes_a_model_in_text_and_json() {
    let folder = Folder::new();
    let file = folder.model();
    let outcome = run(&["info", "--checkpoint", &file, "--json"]).exits(0);
    assert_eq!(outcome.stderr, "");
    let data = outcome.only("model");
    let config = model::config();
    assert_eq!(data["parameters"], config.parameter_count());
    assert_eq!(data["guidance_scales"], 2);
    assert_eq!(data["size_multiple"], 4);
    assert_eq!(data["receptive_field"], config.receptive_field());
    assert_eq!(data["name"], "integration test");
    assert_eq!(data["bytes"], folder.bytes("model.safetensors").len());
    assert_eq!(data["checkpoint"], file);
    let text = run(&["info", "--checkpoint", &file]).exits(0);
    for word in [
        "integration test",
        "MIT OR Apache-2.0",
        data["sha256"].as_str().expect("text"),
    ] {
        assert!(text.stdout.contains(word), "{word}\n{text}");
    }
}

#[test]
fn the_built_in_model_says_where_it_comes_from() {
    let data = run(&["info", "--json"]).exits(0).only("model");
    let provenance = &data["provenance"];
    for field in ["name", "producer", "licence", "data", "data_sha256"] {
        let text = provenance[field].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "{field} is empty: {provenance}");
    }
    assert!(provenance["steps"].as_u64().is_some_and(|steps| steps > 0));
    assert!(
        provenance["metrics"]
            .as_object()
            .is_some_and(|metrics| !metrics.is_empty())
    );
    let bytes = data["bytes"].as_u64().expect("a size");
    assert!(bytes <= 12 << 20, "{bytes} bytes");
}

#[test]
fn doctor_finds_what_the_program_needs() {
    let outcome = run(&["doctor", "--json"]).exits(0);
    assert_eq!(outcome.stderr, "");
    let report = outcome.only("machine");
    let findings = report["findings"].as_array().expect("findings");
    let topics: Vec<&str> = findings
        .iter()
        .filter_map(|finding| finding["topic"].as_str())
        .collect();
    assert_eq!(
        topics,
        [
            "libtorch",
            "processor",
            "threads",
            "memory",
            "CUDA",
            "checkpoint"
        ]
    );
    for finding in findings {
        assert!(
            ["ok", "note"].contains(&finding["verdict"].as_str().unwrap_or_default()),
            "{finding}"
        );
    }
    assert!(report["machine"].is_object() && report["model"].is_object());
    let path = report["machine"]["libtorch_path"].as_str().expect("a path");
    assert!(std::path::Path::new(path).exists(), "{path}");
    let text = run(&["doctor"]).exits(0);
    assert!(
        text.stdout.contains("Photos can be restored here."),
        "{text}"
    );
}

#[test]
fn the_reference_names_every_command() {
    let text = run(&["markdown-help"]).exits(0).stdout;
    for word in [
        "msdeblur deblur",
        "msdeblur train",
        "msdeblur info",
        "msdeblur doctor",
        "--show-guidance",
    ] {
        assert!(text.contains(word), "{word} is missing");
    }
}
