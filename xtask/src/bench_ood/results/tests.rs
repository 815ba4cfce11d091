use super::*;

/// Two methods on one picture.
fn small() -> Results {
    let text = r#"{
        "schema_version": 1,
        "suite": {"name": "quick", "description": "d", "seed": 7, "crop": [256, 256], "sha256": "00"},
        "provenance": {"commit": "abc", "dirty": false, "command": "cargo xtask bench-ood",
            "started": "2026-01-02T03:04:05Z", "seconds": 12.5,
            "machine": {"os": "Linux", "cpu": "x", "cores": 2, "memory": 8000000000},
            "versions": {"msdeblur": "0.1.0"}},
        "metrics": {"psnr": {"protocol": "p", "higher_is_better": true, "unit": "dB"}},
        "methods": [
            {"name": "input", "kind": "input", "oracle": false, "description": "d",
             "checkpoint": null, "options": null, "matched_with": null},
            {"name": "guided", "kind": "model", "oracle": false, "description": "d",
             "checkpoint": {"name": "m", "sha256": "11", "parameters": 5},
             "options": {"mode": "mean", "sampler": null, "steps": null, "samples": null},
             "matched_with": null}],
        "conditions": [{"id": "photos/sharp", "domain": "photos", "name": "sharp", "family": "sharp",
            "severity": null, "in_domain": true, "pairs": 1, "data_sha256": "22", "real": false}],
        "images": [
            {"condition": "photos/sharp", "name": "a", "photo": "set/a", "method": "input",
             "metrics": {"psnr": "inf"}, "seconds": 0, "error": null},
            {"condition": "photos/sharp", "name": "a", "photo": "set/a", "method": "guided",
             "metrics": {"psnr": 40.25}, "seconds": 0.5, "error": null}]
    }"#;
    Results::parse(text.as_bytes()).unwrap()
}

fn why(text: &str) -> String {
    format!("{:#}", Results::parse(text.as_bytes()).unwrap_err())
}

#[test]
fn infinity_survives_the_file() {
    let mut results = small();
    results.images[1]
        .metrics
        .insert("psnr".into(), f64::NEG_INFINITY);
    let text = results.to_json().unwrap();
    assert!(text.contains(r#""psnr": "inf""#) && text.contains(r#""psnr": "-inf""#));
    assert_eq!(Results::parse(text.as_bytes()).unwrap(), results);

    results.images[1].metrics.insert("psnr".into(), f64::NAN);
    let text = results.to_json().unwrap();
    assert!(text.contains(r#""psnr": "nan""#));
    let read = Results::parse(text.as_bytes()).unwrap();
    assert!(read.images[1].metrics["psnr"].is_nan());
}

#[test]
fn every_digit_survives_the_file() {
    let mut results = small();
    for value in [0.1 + 0.2, 1.0 / 3.0, 5e-324, -1e12] {
        results.images[1].metrics.insert("psnr".into(), value);
        let read = Results::parse(results.to_json().unwrap().as_bytes()).unwrap();
        assert_eq!(read.images[1].metrics["psnr"].to_bits(), value.to_bits());
    }
}

#[test]
fn another_version_is_named() {
    let text = small().to_json().unwrap();
    let newer = text.replace("\"schema_version\": 1", "\"schema_version\": 2");
    assert!(why(&newer).contains("schema_version 2; this program reads 1"));
    assert!(why("{}").contains("schema_version none"));
    // Fields of a later version are not what is complained about.
    let more = newer.replace("\"suite\": {", "\"suite\": {\"new\": 1, ");
    assert!(why(&more).contains("schema_version 2"));
}

#[test]
fn what_is_no_result_is_refused() {
    let text = small().to_json().unwrap();
    assert!(why("[1, 2").contains("not the JSON"));
    let unknown = text.replace("\"suite\": {", "\"suite\": {\"new\": 1, ");
    assert!(why(&unknown).contains("unknown field `new`"));
    assert!(why(&text.replace("\"inf\"", "\"huge\"")).contains("psnr = \"huge\""));
}

#[test]
fn names_that_do_not_fit_are_all_listed() {
    let mut results = small();
    results.images[0].method = "nobody".into();
    results.images[1].condition = "nowhere".into();
    results.images[1].metrics.insert("mse".into(), 1.0);
    results.methods[1].matched_with = Some("guided".into());
    results.conditions[0].severity = Some(6);
    results.pictures = ["../../secret.png", "/etc/passwd", ""]
        .map(|file| Picture {
            condition: "photos/sharp".into(),
            name: "a".into(),
            method: None,
            kind: PictureKind::Sharp,
            file: file.into(),
        })
        .to_vec();
    let error = format!("{:#}", results.check().unwrap_err());
    for part in [
        "no method nobody",
        "no condition nowhere",
        "mse is no metric",
        "matched_with = guided",
        "severity 6",
        "picture ../../secret.png is not a path below",
        "picture /etc/passwd is not a path below",
        "picture  is not a path below",
        "(8 problems)",
    ] {
        assert!(error.contains(part), "{part} is not in {error}");
    }
}

#[test]
fn an_image_is_measured_or_failed_and_there_once() {
    let mut results = small();
    results.images[1].error = Some("out of memory".into());
    assert!(results.check().is_err());
    results.images[1].metrics.clear();
    results.check().unwrap();
    results.images.push(results.images[0].clone());
    assert!(format!("{:#}", results.check().unwrap_err()).contains("is there twice"));
}

#[test]
fn names_and_values_of_metrics_that_no_metric_has_are_refused() {
    for name in ["", "PSNR", "a b", "<img src=x>", "a|b"] {
        let mut results = small();
        results
            .metrics
            .insert(name.into(), results.metrics["psnr"].clone());
        let error = format!("{:#}", results.check().unwrap_err());
        assert!(error.contains(&format!("metric {name:?}")), "{error}");
    }
    for value in [1.75e308, f64::MAX, -1.1e12] {
        let mut results = small();
        results.images[1].metrics.insert("psnr".into(), value);
        let error = format!("{:#}", results.check().unwrap_err());
        assert!(error.contains("at most 1e12"), "{error}");
    }
}
