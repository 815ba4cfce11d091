//! The JSON Lines of `msdeblur evaluate`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use image_quality::serde_metric;
use serde_json::Value;

use super::Outcome;
use crate::bench_ood::results::Metric;
use crate::bench_ood::resume::Computed;

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    /// The first line.
    Started(Started),
    /// A picture was scored, or failed.
    Picture { name: String, outcome: Outcome },
    /// The last line.
    Summary {
        /// Nobody stopped the program.
        is_whole: bool,
    },
    /// Of a kind that is not needed here.
    Other,
}

/// What the numbers depend on besides the pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Started {
    /// What the numbers mean.
    pub(crate) metrics: BTreeMap<String, Metric>,
    /// SHA-256 of the weights of metrics, by file.
    pub(crate) weights: BTreeMap<String, String>,
    /// Where a model restores; none where nothing is restored.
    pub(crate) computed: Option<Computed>,
}

/// Reads a line.
///
/// # Errors
/// Something else than an event of version 1.
pub(super) fn parse(line: &str) -> Result<Event> {
    let not_understood = || format!("a line that is not understood: {line}");
    let value: Value = serde_json::from_str(line).with_context(not_understood)?;
    anyhow::ensure!(
        value["version"] == 1,
        "a line of an unknown version: {line}"
    );
    let data = &value["data"];
    let event = match value["type"].as_str() {
        Some("started") => started(data).map(Event::Started),
        Some("image") => picture(data),
        Some("failure") => failure(data),
        Some("summary") => Some(Event::Summary {
            is_whole: data["interrupted"] != true,
        }),
        Some(_) => Some(Event::Other),
        None => None,
    };
    event.with_context(not_understood)
}

fn started(data: &Value) -> Option<Started> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let weights = data["weights"].as_object().into_iter().flatten();
    let options = &data["options"];
    Some(Started {
        metrics: metrics(data)?,
        weights: weights
            .map(|(file, hash)| Some((file.clone(), text(hash)?)))
            .collect::<Option<_>>()?,
        computed: text(&options["device"])
            .zip(text(&options["precision"]))
            .map(|(device, precision)| Computed { device, precision }),
    })
}

fn metrics(data: &Value) -> Option<BTreeMap<String, Metric>> {
    let protocols = data["protocols"].as_object()?;
    protocols
        .iter()
        .map(|(name, protocol)| {
            let metric = Metric {
                protocol: protocol["text"].as_str()?.to_owned(),
                higher_is_better: protocol["higher_is_better"].as_bool()?,
                unit: protocol["unit"].as_str().unwrap_or_default().to_owned(),
            };
            Some((name.clone(), metric))
        })
        .collect()
}

fn picture(data: &Value) -> Option<Event> {
    let metrics: Option<BTreeMap<String, f64>> = data["metrics"]
        .as_object()?
        .iter()
        .map(|(name, value)| Some((name.clone(), number(value)?)))
        .collect();
    Some(Event::Picture {
        name: data["name"].as_str()?.to_owned(),
        outcome: Outcome::Scored {
            metrics: metrics?,
            seconds: data["seconds"].as_f64().unwrap_or_default(),
        },
    })
}

fn failure(data: &Value) -> Option<Event> {
    Some(Event::Picture {
        name: data["name"].as_str()?.to_owned(),
        outcome: Outcome::Failed(data["error"].as_str()?.to_owned()),
    })
}

fn number(value: &Value) -> Option<f64> {
    serde_metric::deserialize(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kind: &str, data: &str) -> String {
        format!(r#"{{"version":1,"type":"{kind}","data":{data}}}"#)
    }

    #[test]
    fn the_first_line_says_what_numbers_mean() {
        let data = r#"{"pairs":2,"protocols":{"psnr":{"text":"PSNR on RGB","higher_is_better":true,"unit":"dB"},
            "lpips":{"text":"LPIPS","higher_is_better":false,"unit":""}},
            "weights":{"lpips_alexnet.safetensors":"ab"},"options":{"mode":"mean","device":"cpu","precision":"float32"}}"#;
        let Event::Started(started) = parse(&line("started", data)).unwrap() else {
            panic!("another event");
        };
        assert_eq!(started.metrics["psnr"].unit, "dB");
        assert!(!started.metrics["lpips"].higher_is_better);
        assert_eq!(started.weights["lpips_alexnet.safetensors"], "ab");
        let computed = started.computed.unwrap();
        assert_eq!(
            (&*computed.device, &*computed.precision),
            ("cpu", "float32")
        );
        let data = r#"{"pairs":2,"protocols":{},"weights":{},"options":null}"#;
        let nothing = Event::Started(Started::default());
        assert_eq!(parse(&line("started", data)).unwrap(), nothing);
    }

    #[test]
    fn infinite_values_have_words() {
        let data =
            r#"{"name":"a/b/c","seconds":0.5,"reused":false,"metrics":{"psnr":"inf","ssim":1.0}}"#;
        let Event::Picture { name, outcome } = parse(&line("image", data)).unwrap() else {
            panic!("another event");
        };
        let Outcome::Scored { metrics, seconds } = outcome else {
            panic!("failed");
        };
        assert_eq!((name.as_str(), seconds), ("a/b/c", 0.5));
        assert_eq!(metrics["psnr"], f64::INFINITY);
        assert_eq!(metrics["ssim"], 1.0);
    }

    #[test]
    fn a_failure_has_its_reason() {
        let event = parse(&line("failure", r#"{"name":"a","error":"cut off"}"#)).unwrap();
        let outcome = Outcome::Failed("cut off".to_owned());
        assert_eq!(
            event,
            Event::Picture {
                name: "a".to_owned(),
                outcome
            }
        );
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        assert_eq!(parse(&line("note", "{}")).unwrap(), Event::Other);
        let summary = |data| parse(&line("summary", data)).unwrap();
        let whole = |is_whole| Event::Summary { is_whole };
        assert_eq!(summary(r#"{"interrupted":false}"#), whole(true));
        assert_eq!(summary(r#"{"interrupted":true}"#), whole(false));
        for wrong in [
            "restored a.png".to_owned(),
            line("image", "{}"),
            line("image", r#"{"name":"a","metrics":{"psnr":"good"}}"#),
            line("started", "{}"),
            line("summary", "{}").replace(":1,", ":2,"),
            r#"{"version":1}"#.to_owned(),
        ] {
            assert!(parse(&wrong).is_err(), "{wrong}");
        }
    }
}
