//! Results for tests.

use std::collections::BTreeMap;

use super::results::{
    Condition, Image, Machine, Method, MethodKind, Metric, Provenance, Results, SCHEMA_VERSION,
    SuiteInfo,
};

/// Results of `methods` without conditions and images, in PSNR and LPIPS.
pub(super) fn empty(methods: &[&str]) -> Results {
    let metric = |protocol: &str, higher_is_better, unit: &str| Metric {
        protocol: protocol.into(),
        higher_is_better,
        unit: unit.into(),
    };
    Results {
        schema_version: SCHEMA_VERSION,
        suite: SuiteInfo {
            name: "test".into(),
            description: "a suite for tests".into(),
            seed: 1,
            crop: Some([256, 256]),
            sha256: "5".repeat(64),
        },
        provenance: Provenance {
            commit: "c".repeat(40),
            dirty: false,
            command: "cargo xtask bench-ood --suite test".into(),
            started: "2026-01-02T03:04:05Z".into(),
            seconds: 754.0,
            machine: Machine {
                os: "Linux 6.1".into(),
                cpu: "a processor".into(),
                cores: 2,
                memory: 8 << 30,
            },
            versions: BTreeMap::from([("msdeblur".into(), "0.1.0".into())]),
        },
        metrics: BTreeMap::from([
            (
                "psnr".into(),
                metric("mean over images of PSNR on 8-bit RGB", true, "dB"),
            ),
            ("lpips".into(), metric("LPIPS 0.1, AlexNet", false, "")),
        ]),
        methods: methods.iter().map(|name| method(name)).collect(),
        conditions: Vec::new(),
        images: Vec::new(),
        sets: Vec::new(),
        not_applicable: Vec::new(),
        pictures: Vec::new(),
        notes: Vec::new(),
    }
}

fn method(name: &str) -> Method {
    Method {
        name: name.into(),
        kind: if name == "input" {
            MethodKind::Input
        } else {
            MethodKind::Model
        },
        oracle: false,
        description: format!("the method {name}"),
        checkpoint: None,
        options: None,
        matched_with: None,
        curve: None,
    }
}

/// A condition `DOMAIN/FAMILY` or `DOMAIN/FAMILY-SEVERITY`.
pub(super) fn condition(id: &str, in_domain: bool, pairs: usize) -> Condition {
    let (domain, name) = id.split_once('/').unwrap();
    let severity = name.rsplit_once('-').and_then(|(_, end)| end.parse().ok());
    let family = match severity {
        Some(_) => &name[..name.len() - 2],
        None => name,
    };
    Condition {
        id: id.into(),
        domain: domain.into(),
        name: name.into(),
        family: family.into(),
        severity,
        in_domain,
        pairs,
        data_sha256: "d".repeat(64),
        real: false,
        protocols: BTreeMap::new(),
    }
}

/// A picture of photo `number` of a data set.
pub(super) fn image(
    condition: &str,
    (set, number): (&str, usize),
    method: &str,
    metrics: &[(&str, f64)],
) -> Image {
    Image {
        condition: condition.into(),
        name: format!("{set}-{number}"),
        photo: format!("{set}/{number}.jpg"),
        method: method.into(),
        metrics: metrics
            .iter()
            .map(|&(name, value)| (name.to_owned(), value))
            .collect(),
        seconds: 0.25,
        error: None,
    }
}
