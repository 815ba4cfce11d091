mod browser;
mod webdriver;

use super::*;
use crate::bench_ood::fixture;
use crate::bench_ood::results::{Checkpoint, Image};
use crate::bench_ood::statistics::{Settings, analyse};

fn page(results: &Results, folder: &Path) -> String {
    html(results, &analyse(results, Settings::default()), folder).unwrap()
}

#[test]
fn a_report_has_its_parts_and_nothing_from_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let results = fixture::whole_run(folder.path());
    let page = page(&results, folder.path());
    for id in [
        "summary",
        "gains",
        "severity",
        "gap",
        "perception",
        "guidance",
        "pictures",
        "worst",
        "numbers",
        "protocols",
        "provenance",
    ] {
        assert!(page.contains(&format!("<h2 id=\"{id}\">")), "{id}");
    }
    for condition in &results.conditions {
        assert!(page.contains(&condition.id) && page.contains(&condition.data_sha256));
    }
    assert!(page.contains(&results.provenance.commit));
    // The SVG namespace is a name, not an address that is asked.
    let addresses = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!addresses.contains("http://") && !addresses.contains("https://"));
    // Every picture has a text beside it.
    assert!(page.matches("<img").count() >= 9 * 4);
    assert_eq!(
        page.matches("<img").count(),
        page.matches(" alt=\"").count()
    );
    assert!(page.len() < 25_000_000);
}

#[test]
fn hostile_names_stay_text() {
    let folder = tempfile::tempdir().unwrap();
    let mut results = fixture::whole_run(folder.path());
    let evil = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>&amp;";
    results.suite.name = evil.into();
    results.suite.description = evil.into();
    results.provenance.command = evil.into();
    results.notes = vec![evil.into()];
    results.metrics.get_mut("psnr").unwrap().protocol = evil.into();
    results
        .metrics
        .insert(evil.into(), results.metrics["lpips"].clone());
    for condition in &mut results.conditions {
        condition.name.push_str(evil);
    }
    let rename = |name: &mut String| {
        if name == "guided" || name == "unguided" || name.starts_with("photos-") {
            name.push_str(evil);
        }
    };
    for method in &mut results.methods {
        rename(&mut method.name);
        method.description = evil.into();
        method.matched_with.as_mut().map(rename);
    }
    for image in &mut results.images {
        rename(&mut image.method);
        rename(&mut image.name);
        image.error = image.error.as_ref().map(|_| evil.to_owned());
    }
    for picture in &mut results.pictures {
        picture.method.as_mut().map(rename);
        rename(&mut picture.name);
    }
    let page = page(&results, folder.path());
    let lower = page.to_lowercase();
    assert!(!lower.contains("<script>alert") && !lower.contains("<img src=x"));
    assert_eq!(page.matches("<script").count(), 1);
    assert!(page.contains("class=\"case\""));
}

#[test]
fn results_without_pictures_models_or_lpips_have_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let mut results = fixture::two_domains();
    results.metrics.remove("lpips");
    for image in &mut results.images {
        image.metrics.remove("lpips");
    }
    let without = page(&results, folder.path());
    assert!(!without.contains("id=\"pictures\"") && !without.contains("id=\"perception\""));
    results.methods.truncate(1);
    results.images.retain(|image| image.method == "input");
    assert!(page(&results, folder.path()).contains("no method besides the blurry input"));
    results.images.clear();
    results.conditions.clear();
    assert!(page(&results, folder.path()).contains("<h1>"));
}

#[test]
fn a_picture_that_cannot_be_read_is_said_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let results = fixture::whole_run(folder.path());
    let missing = &results.pictures[2].file;
    std::fs::remove_file(folder.path().join(missing)).unwrap();
    let page = page(&results, folder.path());
    assert!(page.contains("class=\"problem\"") && page.contains("cannot read pictures"));
}

#[test]
fn what_a_user_gave_is_drawn_before_oracles_and_what_is_not_drawn_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut results = fixture::whole_run(folder.path());
    let checkpoint = |name: &str| {
        Some(Checkpoint {
            name: name.into(),
            sha256: name.into(),
            parameters: 5,
        })
    };
    for method in &mut results.methods {
        if method.name.starts_with("guided") {
            method.checkpoint = checkpoint("guided");
        }
    }
    let mut larger = results.methods[4].clone();
    larger.name = "larger".into();
    larger.matched_with = None;
    larger.checkpoint = checkpoint("larger");
    let copies: Vec<Image> = results
        .images
        .iter()
        .filter(|image| image.method == "guided")
        .map(|image| Image {
            method: "larger".into(),
            ..image.clone()
        })
        .collect();
    results.images.extend(copies);
    results.methods.push(larger);
    let (drawn, rest) = plotted(&results);
    assert_eq!(drawn, ["guided", "unguided", "larger", "wiener"]);
    assert_eq!(
        rest,
        [
            "richardson-lucy",
            "guided-average",
            "guided-sample-4",
            "guided-sample-16"
        ]
    );
    let page = page(&results, folder.path());
    let said = "Not drawn, for want of room: richardson-lucy, guided-average, guided-sample-4, guided-sample-16;";
    assert_eq!(page.matches(said).count(), 2);
}

#[test]
fn the_page_says_over_what_means_are_and_what_has_no_rank_or_scale() {
    let folder = tempfile::tempdir().unwrap();
    let results = fixture::whole_run(folder.path());
    let page = page(&results, folder.path());
    assert!(page.contains("maps are not comparable with each other"));
    assert!(page.contains("<small>11 conditions, without photos/sharp</small>"));
    assert!(page.contains("Out of domain, mean over "));
    assert!(page.contains("about 90 % of cases with 12 photos"));
    // The input of `sharp` equals the truth: an infinite loss that is no worst picture.
    assert!(page.contains("12 pictures. By PSNR of guided, worst first: "));
    let worst = page.split("id=\"worst\"").nth(1).unwrap();
    let table = worst.split("</table>").next().unwrap();
    assert!(!table.contains("photos/sharp") && !table.contains('∞'));
}

#[test]
fn numbers_beyond_all_axes_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let mut results = fixture::two_domains();
    for (index, image) in results.images.iter_mut().enumerate() {
        if image.method == "guided" {
            let sign = if index % 2 == 0 { 1.0 } else { -1.0 };
            image.metrics.insert("psnr".into(), sign * 1.75e308);
        }
    }
    assert!(page(&results, folder.path()).contains("</html>"));
}
