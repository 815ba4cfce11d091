//! Suites of this repository, and wrong ones.

use super::*;

const SUITE: &str = r#"
schema_version = 1
name = "probe"
description = "for tests"
seed = 1
crop = [64, 64]
in_domain = [{ domain = "photos", condition = "plain" }]

[[conditions]]
name = "plain"
preset = "standard"

[[conditions]]
name = "disc-2"
scenario = "defocus"
severity = 2

[[domains]]
name = "photos"
dataset = "free-photos-test"
split = "test"
conditions = ["disc-*"]
"#;

fn problems(text: &str) -> Vec<String> {
    toml::from_str::<Suite>(text).unwrap().problems()
}

#[test]
fn the_suites_of_this_repository_are_right() {
    let folder = workspace::root().join("datasets/suites");
    let names = names(&folder);
    assert!(names.iter().any(|name| name == "quick"), "{names:?}");
    assert!(names.iter().any(|name| name == "full"), "{names:?}");
    for name in names {
        let suite = load(&name).unwrap();
        assert_eq!(suite.name, name);
        assert!(!suite.in_domain.is_empty());
    }
}

#[test]
fn the_full_suite_has_every_scenario_at_every_severity() {
    let suite = load("full").unwrap();
    for scenario in blur_synth::Scenario::ALL {
        for severity in 1..=5 {
            let is_there = suite.conditions.iter().any(|condition| {
                condition.scenario == Some(scenario) && condition.severity == Some(severity)
            });
            assert!(is_there, "{scenario} {severity}");
        }
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    assert_eq!(problems(SUITE), Vec::<String>::new());
    let wrong = SUITE
        .replace("schema_version = 1", "schema_version = 2")
        .replace("severity = 2", "severity = 7")
        .replace(
            "condition = \"plain\" }",
            "condition = \"plane\" }, { domain = \"fotos\", condition = \"disc-2\" }",
        )
        .replace("crop = [64, 64]", "crop = [64, 0]")
        .replace("name = \"photos\"", "name = \"../photos\"\nlimit = 0")
        .replace("disc-*", "dics-*");
    let found = problems(&wrong).join("\n");
    for part in [
        "schema_version = 2",
        "severity = 7",
        "no condition plane",
        "no domain fotos",
        "crop = [64, 0]",
        "`../photos`",
        "limit = 0",
        "called dics-*",
    ] {
        assert!(found.contains(part), "{part}: {found}");
    }
    assert!(toml::from_str::<Suite>(&SUITE.replace("seed", "sead")).is_err());
}

#[test]
fn photos_for_learning_are_refused() {
    for (dataset, split) in [
        ("free-photos-train", "train"),
        ("free-photos-train", "tune"),
    ] {
        let wrong = SUITE
            .replace("free-photos-test", dataset)
            .replace("split = \"test\"", &format!("split = \"{split}\""));
        let found = problems(&wrong);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(&format!("is for `{split}`")), "{found:?}");
    }
    let found = problems(&SUITE.replace("free-photos-test", "no-such-set"));
    assert!(found[0].contains("no-such-set"), "{found:?}");
}

#[test]
fn an_unknown_name_lists_those_that_there_are() {
    let error = load("quik").unwrap_err();
    assert!(error.to_string().contains("quik"));
    assert!(load("no/such/file.toml").is_err());
}
