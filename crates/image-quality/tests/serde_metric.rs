//! The convention for values that are not finite, in JSON.

use std::collections::BTreeMap;

use image_quality::{MetricValue, serde_metric};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    #[serde(with = "serde_metric")]
    value: f64,
    #[serde(with = "serde_metric::optional", default)]
    other: Option<f64>,
}

fn row(text: &str) -> serde_json::Result<Row> {
    serde_json::from_str(text)
}

#[test]
fn what_is_not_finite_is_a_string() {
    for (value, text) in [
        (31.25, "31.25"),
        (f64::INFINITY, "\"inf\""),
        (f64::NEG_INFINITY, "\"-inf\""),
        (f64::NAN, "\"nan\""),
        (-0.0, "-0.0"),
        (1e300, "1e+300"),
    ] {
        assert_eq!(serde_json::to_string(&MetricValue(value)).unwrap(), text);
        let MetricValue(read) = serde_json::from_str(text).unwrap();
        assert!(read == value || read.is_nan() && value.is_nan(), "{text}");
    }
    let written = Row {
        value: f64::INFINITY,
        other: None,
    };
    let text = serde_json::to_string(&written).unwrap();
    assert_eq!(text, r#"{"value":"inf","other":null}"#);
    assert_eq!(row(&text).unwrap(), written);
    assert_eq!(
        row(r#"{"value":3,"other":"-inf"}"#).unwrap(),
        Row {
            value: 3.0,
            other: Some(f64::NEG_INFINITY)
        }
    );
    let map: BTreeMap<String, MetricValue> =
        serde_json::from_str(r#"{"psnr":"inf","ssim":1,"delta":-2}"#).unwrap();
    assert_eq!(map["psnr"], MetricValue(f64::INFINITY));
    assert_eq!(map["delta"], MetricValue(-2.0));
}

#[test]
fn anything_else_is_refused() {
    for value in [
        "null",
        "\"Infinity\"",
        "\"INF\"",
        "\"1.5\"",
        "\"\"",
        "true",
        "[1]",
        "1e999",
        "NaN",
    ] {
        let error = row(&format!("{{\"value\":{value}}}")).unwrap_err();
        assert!(error.line() == 1, "{value}: {error}");
    }
    let error = row(r#"{"value":"Infinity"}"#).unwrap_err().to_string();
    assert!(
        error.contains(r#"expected a finite number or one of "inf", "-inf", "nan""#),
        "{error}"
    );
}

#[test]
fn text_for_people() {
    assert_eq!(MetricValue(f64::INFINITY).to_string(), "inf");
    assert_eq!(
        format!("{:6.2}|{:6.2}", MetricValue(f64::NAN), MetricValue(1.0)),
        "   nan|  1.00"
    );
}
