//! The convention for values that are not finite, in JSON, TOML and CSV.

use std::collections::BTreeMap;

use image_quality::{Kid, MetricValue, Scores, kid, serde_metric};
use ndarray::Array2;
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
        error.contains(r#"expected a number or one of "inf", "-inf", "nan""#),
        "{error}"
    );
}

#[test]
fn scores_come_back_from_every_format() {
    for psnr in [31.25, 40.0, f64::INFINITY, f64::NEG_INFINITY] {
        let scores = Scores { psnr, ssim: 1.0 };
        let json = serde_json::to_string(&scores).unwrap();
        assert_eq!(serde_json::from_str::<Scores>(&json).unwrap(), scores);
        let toml = toml::to_string(&scores).unwrap();
        assert_eq!(toml::from_str::<Scores>(&toml).unwrap(), scores);
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.serialize(scores).unwrap();
        let bytes = writer.into_inner().unwrap();
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let read: Vec<Scores> = reader.deserialize().map(Result::unwrap).collect();
        assert_eq!(read, [scores]);
    }
    let equal = Scores {
        psnr: f64::INFINITY,
        ssim: 1.0,
    };
    let json = r#"{"psnr":"inf","ssim":1.0}"#;
    assert_eq!(serde_json::to_string(&equal).unwrap(), json);
    // As TOML writes numbers itself.
    let toml: Scores = toml::from_str("psnr = inf\nssim = nan").unwrap();
    assert!(toml.psnr == f64::INFINITY && toml.ssim.is_nan());
    // An absent value of CSV is an empty one.
    let mut reader = csv::Reader::from_reader("value,other\n-inf,nan\n2,\n".as_bytes());
    let rows: Vec<Row> = reader.deserialize().map(Result::unwrap).collect();
    assert_eq!(rows[0].value, f64::NEG_INFINITY);
    assert!(rows[0].other.is_some_and(f64::is_nan));
    assert_eq!((rows[1].value, rows[1].other), (2.0, None));
}

#[test]
fn a_kernel_distance_comes_back_with_its_protocol() {
    let features = Array2::from_shape_fn((5, 3), |(image, feature)| (image * feature) as f32);
    let value = kid(features.view(), features.view(), 4, 3, 7).unwrap();
    let json = serde_json::to_string(&value).unwrap();
    assert_eq!(serde_json::from_str::<Kid>(&json).unwrap(), value);
    let toml = toml::to_string(&value).unwrap();
    assert_eq!(toml::from_str::<Kid>(&toml).unwrap(), value);
}

#[test]
fn text_for_people() {
    assert_eq!(MetricValue(f64::INFINITY).to_string(), "inf");
    assert_eq!(
        format!("{:6.2}|{:6.2}", MetricValue(f64::NAN), MetricValue(1.0)),
        "   nan|  1.00"
    );
}
