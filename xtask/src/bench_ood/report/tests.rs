mod browser;
mod webdriver;

use super::*;
use crate::bench_ood::fixture;
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
    assert!(!page.contains("<script>alert") && !page.contains("<img src=x"));
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
