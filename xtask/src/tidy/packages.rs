//! Rules for the packages: what each must say about itself, and which may depend on which.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Violation;
use crate::workspace;

/// What may point where. A crate may use those that stand in its line and no other crate of the workspace.
/// Tests and examples of a crate may use the crates of the floors below it as well, `floor` counted from the ground.
const ARCHITECTURE: [Layer; 12] = [
    Layer {
        package: "image-io",
        floor: 0,
        uses: &[],
    },
    Layer {
        package: "blur-synth",
        floor: 0,
        uses: &[],
    },
    Layer {
        package: "unet-core",
        floor: 1,
        uses: &[],
    },
    Layer {
        package: "diffusion-sched",
        floor: 1,
        uses: &[],
    },
    Layer {
        package: "image-quality",
        floor: 1,
        uses: &[],
    },
    Layer {
        package: "ms-guidance",
        floor: 2,
        uses: &["unet-core", "diffusion-sched"],
    },
    Layer {
        package: "deblur",
        floor: 3,
        uses: &["unet-core", "diffusion-sched", "ms-guidance"],
    },
    Layer {
        package: "trainer",
        floor: 3,
        uses: &[
            "image-io",
            "blur-synth",
            "unet-core",
            "diffusion-sched",
            "image-quality",
            "ms-guidance",
        ],
    },
    Layer {
        package: "cli",
        floor: 4,
        uses: &[
            "image-io",
            "blur-synth",
            "unet-core",
            "diffusion-sched",
            "image-quality",
            "ms-guidance",
            "deblur",
            "trainer",
        ],
    },
    // Without libtorch, which it installs.
    Layer {
        package: "xtask",
        floor: 4,
        uses: &["image-io", "blur-synth", "image-quality"],
    },
    Layer {
        package: "integration-tests",
        floor: 5,
        uses: EVERYTHING,
    },
    Layer {
        package: "integration-benches",
        floor: 5,
        uses: EVERYTHING,
    },
];

const EVERYTHING: &[&str] = &[
    "image-io",
    "blur-synth",
    "unet-core",
    "diffusion-sched",
    "image-quality",
    "ms-guidance",
    "deblur",
    "trainer",
    "cli",
];

struct Layer {
    package: &'static str,
    floor: usize,
    uses: &'static [&'static str],
}

/// Packages from outside that only some crates may use, because knowing them is what these crates are for.
const OWNERS: [(&str, &[&str]); 6] = [
    ("clap", &["cli", "xtask"]),
    ("indicatif", &["cli", "xtask"]),
    // blur-synth for kernels stored as PNG: weights, no photos, without colour or orientation; behind a feature.
    ("image", &["image-io", "blur-synth"]),
    ("ureq", &["xtask"]),
    (
        "tch",
        &[
            "diffusion-sched",
            "unet-core",
            // Behind a feature that is off by default.
            "image-quality",
            "ms-guidance",
            "deblur",
            "trainer",
            "integration-tests",
            "integration-benches",
        ],
    ),
    (
        "torch-sys",
        &[
            "diffusion-sched",
            "unet-core",
            // Behind a feature that is off by default.
            "image-quality",
            "ms-guidance",
            "deblur",
            "trainer",
            "integration-tests",
            "integration-benches",
        ],
    ),
];

/// What cargo says about one package of the workspace.
#[derive(Debug, Deserialize)]
pub(super) struct Package {
    name: String,
    version: String,
    description: Option<String>,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `None` for what the crate itself needs, else `dev` or `build`.
    kind: Option<String>,
}

impl Package {
    /// Whether its programs and tests are linked to libtorch.
    fn is_linked_to_libtorch(&self) -> bool {
        self.name != "xtask"
            && self.dependencies.iter().any(|dependency| {
                matches!(
                    dependency.name.as_str(),
                    "tch" | "diffusion-sched" | "unet-core" | "ms-guidance" | "deblur" | "trainer"
                )
            })
    }
}

/// Asks cargo for the packages of the workspace.
pub(super) fn read(root: &Path) -> Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let mut command = workspace::cargo();
    command.current_dir(root).args([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
        "--offline",
    ]);
    let output = workspace::output(&mut command)?;
    Ok(serde_json::from_slice::<Metadata>(&output)
        .context("cargo metadata is not as expected")?
        .packages)
}

/// The rules for all packages.
pub(super) fn check(root: &Path, packages: &[Package]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in packages {
        let manifest = package
            .manifest_path
            .strip_prefix(root)
            .unwrap_or(&package.manifest_path)
            .to_owned();
        violations.extend(check_description(root, &manifest, package));
        violations.extend(check_arrows(&manifest, package, packages));
    }
    violations.extend(check_build_scripts(root, packages));
    violations
}

fn check_description(root: &Path, manifest: &Path, package: &Package) -> Vec<Violation> {
    let mut violations = Vec::new();
    let folder = manifest.parent().unwrap_or(Path::new(""));
    if !root.join(folder).join("README.md").is_file() {
        violations.push(Violation::new(folder, 0, "has no README.md"));
    }
    let Some(folder_name) = folder
        .strip_prefix("crates")
        .ok()
        .filter(|rest| !rest.as_os_str().is_empty())
    else {
        return violations;
    };
    if folder_name != Path::new(&package.name) {
        violations.push(Violation::new(
            manifest,
            0,
            format!("the package is called {}, its folder is not", package.name),
        ));
    }
    if package
        .description
        .as_deref()
        .is_none_or(|text| text.trim().is_empty())
    {
        violations.push(Violation::new(manifest, 0, "has no description"));
    }
    if package.version == "0.0.0" {
        violations.push(Violation::new(manifest, 0, "has no version"));
    }
    violations
}

fn check_arrows(manifest: &Path, package: &Package, packages: &[Package]) -> Vec<Violation> {
    let layer = |name: &str| ARCHITECTURE.iter().find(|layer| layer.package == name);
    let Some(own) = layer(&package.name) else {
        let what = format!(
            "{} has no place in the table of xtask/src/tidy/packages.rs",
            package.name
        );
        return vec![Violation::new(manifest, 0, what)];
    };
    let mut violations = Vec::new();
    for dependency in &package.dependencies {
        let is_for_tests = dependency.kind.as_deref() == Some("dev");
        let is_ours = packages.iter().any(|other| other.name == dependency.name);
        let is_below = layer(&dependency.name).is_some_and(|other| other.floor < own.floor);
        let is_allowed = own.uses.contains(&dependency.name.as_str()) || (is_for_tests && is_below);
        if is_ours && !is_allowed {
            violations.push(Violation::new(
                manifest,
                0,
                format!("{} may not depend on {}", package.name, dependency.name),
            ));
        }
        let owners = OWNERS.iter().find(|(name, _)| *name == dependency.name);
        if let Some((name, owners)) = owners
            && !is_for_tests
            && !owners.contains(&package.name.as_str())
        {
            let what = format!(
                "{} may not know {name}; it belongs to {}",
                package.name,
                owners.join(", ")
            );
            violations.push(Violation::new(manifest, 0, what));
        }
    }
    violations
}

/// Link arguments of a build script hold for its own package only, so each package that is linked to libtorch
/// has the same one, and it must stay the same.
fn check_build_scripts(root: &Path, packages: &[Package]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut first: Option<(PathBuf, String)> = None;
    for package in packages
        .iter()
        .filter(|package| package.is_linked_to_libtorch())
    {
        let script = package.manifest_path.with_file_name("build.rs");
        let shown = script.strip_prefix(root).unwrap_or(&script).to_owned();
        match (fs::read_to_string(&script), &first) {
            (Err(_), _) => violations.push(Violation::new(
                shown,
                0,
                "missing: without it the loader does not find libtorch",
            )),
            (Ok(text), None) => first = Some((shown, text)),
            (Ok(text), Some((other, expected))) if text != *expected => {
                violations.push(Violation::new(
                    shown,
                    0,
                    format!("differs from {}", other.display()),
                ));
            }
            _ => {}
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(root: &Path, name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let folder = root.join("crates").join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("README.md"), "# x").unwrap();
        fs::write(folder.join("build.rs"), "fn main() {}").unwrap();
        Package {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            description: Some("text".to_owned()),
            manifest_path: folder.join("Cargo.toml"),
            dependencies: dependencies
                .iter()
                .map(|(name, kind)| Dependency {
                    name: (*name).to_owned(),
                    kind: kind.map(str::to_owned),
                })
                .collect(),
        }
    }

    fn complaints(root: &Path, packages: &[Package]) -> Vec<String> {
        check(root, packages)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn an_arrow_that_points_up_or_sideways_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let others = || {
            [
                package(root, "unet-core", &[]),
                package(root, "deblur", &[]),
            ]
        };
        for (name, dependency) in [
            ("unet-core", "deblur"),
            ("diffusion-sched", "unet-core"),
            ("xtask", "unet-core"),
        ] {
            let mut packages = Vec::from(others());
            packages.retain(|other| other.name != name);
            packages.push(package(root, name, &[(dependency, None)]));
            let found = complaints(root, &packages);
            assert_eq!(
                found,
                [format!(
                    "crates/{name}/Cargo.toml: {name} may not depend on {dependency}"
                )]
            );
        }
        let good = [
            package(root, "unet-core", &[]),
            package(root, "ms-guidance", &[("unet-core", None)]),
        ];
        assert!(complaints(root, &good).is_empty());
    }

    #[test]
    fn tests_may_look_further_down_but_not_up() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let down = [
            package(root, "image-io", &[]),
            package(root, "deblur", &[("image-io", Some("dev"))]),
        ];
        assert!(complaints(root, &down).is_empty());
        let up = [
            package(root, "deblur", &[]),
            package(root, "image-io", &[("deblur", Some("dev"))]),
        ];
        assert_eq!(complaints(root, &up).len(), 1);
    }

    #[test]
    fn a_ground_floor_crate_that_knows_tensors_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let found = complaints(
            folder.path(),
            &[package(folder.path(), "image-io", &[("tch", None)])],
        );
        assert!(found[0].contains("image-io may not know tch"), "{found:?}");
        let found = complaints(
            folder.path(),
            &[package(folder.path(), "deblur", &[("clap", None)])],
        );
        assert!(found[0].contains("deblur may not know clap"), "{found:?}");
    }

    #[test]
    fn a_package_without_readme_description_version_or_place_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let mut bad = package(root, "image-io", &[]);
        bad.description = None;
        bad.version = "0.0.0".to_owned();
        fs::remove_file(root.join("crates/image-io/README.md")).unwrap();
        assert_eq!(complaints(root, &[bad]).len(), 3);
        let found = complaints(root, &[package(root, "newcomer", &[])]);
        assert!(found[0].contains("has no place"), "{found:?}");
    }

    #[test]
    fn build_scripts_that_part_or_are_missing_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let packages = [
            package(root, "unet-core", &[("tch", None)]),
            package(root, "deblur", &[("tch", None)]),
        ];
        assert!(complaints(root, &packages).is_empty());
        fs::write(root.join("crates/deblur/build.rs"), "fn main() { }").unwrap();
        assert!(complaints(root, &packages)[0].contains("differs from"));
        fs::remove_file(root.join("crates/deblur/build.rs")).unwrap();
        assert!(complaints(root, &packages)[0].contains("missing"));
    }
}
