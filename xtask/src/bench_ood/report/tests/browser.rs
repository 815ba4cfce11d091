//! The report in a real browser, where chromium and chromedriver are installed (Debian: `chromium`, `chromium-driver`).

use base64::Engine;
use serde_json::Value;

use super::webdriver::Browser;
use super::*;

#[test]
fn a_browser_shows_it_without_errors_and_requests_and_the_keyboard_works() {
    let folder = tempfile::tempdir().unwrap();
    let Some(browser) = Browser::start(360, &folder.path().join("profile")) else {
        eprintln!("skipped: chromedriver is not installed");
        return;
    };
    let results = fixture::whole_run(folder.path());
    let file = folder.path().join("report.html");
    std::fs::write(&file, page(&results, folder.path())).unwrap();
    // What the browser does for its own start page is not ours.
    browser.log("performance");
    browser.log("browser");
    browser.open(&file);

    quiet(&browser);
    layout(&browser);
    slider(&browser);
    choices(&browser);
    accessible(&browser);
    quiet(&browser);
}

/// No message on the console and no request but the file itself.
fn quiet(browser: &Browser) {
    let console = browser.log("browser");
    assert!(console.is_empty(), "{console:?}");
    for entry in browser.log("performance") {
        let message: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
        if message["message"]["method"] == "Network.requestWillBeSent" {
            let address = message["message"]["params"]["request"]["url"]
                .as_str()
                .unwrap();
            let is_own = address.starts_with("data:") || address.ends_with("/report.html");
            assert!(is_own, "a request to {address}");
        }
    }
}

/// Nothing is wider than a phone, and all pictures are decoded.
fn layout(browser: &Browser) {
    assert_eq!(browser.run("return window.innerWidth"), 360);
    let wide = browser.run(
        "return [...document.querySelectorAll('body *')].filter(e => !e.closest('.table, .view, svg') && \
         e.getBoundingClientRect().right > 361).map(e => e.outerHTML.slice(0, 120))",
    );
    assert_eq!(wide, serde_json::json!([]));
    assert_eq!(
        browser.run("return document.documentElement.scrollWidth"),
        360
    );
    let broken = browser.run(
        "return [...document.images].filter(i => !i.hidden && !(i.complete && i.naturalWidth > 0)).length",
    );
    assert_eq!(broken, 0);
}

fn slider(browser: &Browser) {
    browser.run("document.querySelector('.case input[type=range]').focus()");
    let state = || {
        browser.run(
            "const f = document.querySelector('.case'), after = f.querySelector('.after'); return [f.querySelector('input').value, \
             getComputedStyle(after).clipPath, f.querySelector('input').getAttribute('aria-valuetext')]",
        )
    };
    assert_eq!(state()[0], "50");
    assert_eq!(state()[1], "inset(0px 0px 0px 50%)");
    browser.press(&["\u{E014}", "\u{E014}", "\u{E014}"]);
    assert_eq!(state()[0], "53");
    assert_eq!(state()[1], "inset(0px 0px 0px 53%)");
    assert_eq!(state()[2], "53 % of the width shows the input");
    // Home: all of the comparison.
    browser.press(&["\u{E011}"]);
    assert_eq!(state()[1], "inset(0px 0px 0px 0%)");
}

/// The list and the zoom, by keyboard.
fn choices(browser: &Browser) {
    browser.run("document.querySelector('.case select').focus()");
    browser.press(&["\u{E015}"]);
    let shown = browser.run(
        "const f = document.querySelector('.case'); return [f.querySelector('.right').textContent, \
         [...f.querySelectorAll('.after')].filter(i => !i.hidden).map(i => i.alt)]",
    );
    assert_eq!(shown[0], "sharp (the truth)");
    assert_eq!(shown[1].as_array().unwrap().len(), 1);
    assert!(shown[1][0].as_str().unwrap().ends_with("sharp (the truth)"));

    let width = "return document.querySelector('.case .stack').getBoundingClientRect().width";
    let before = browser.run(width).as_f64().unwrap();
    browser.run("document.querySelector('.case .zoom').focus()");
    browser.press(&["\u{E007}"]);
    assert!((browser.run(width).as_f64().unwrap() - 2.0 * before).abs() < 1.0);
    assert_eq!(
        browser.run("return document.activeElement.textContent"),
        "zoom 2×"
    );
    browser.press(&[" ", " ", " "]);
    assert!((browser.run(width).as_f64().unwrap() - before).abs() < 1.0);
}

fn accessible(browser: &Browser) {
    let nameless = browser.run(
        "return [...document.images].filter(i => !i.alt.trim()).length + \
         [...document.querySelectorAll('[role=img]')].filter(e => !e.ariaLabel.trim()).length + \
         [...document.querySelectorAll('input, select')].filter(e => !e.ariaLabel && !e.labels.length).length",
    );
    assert_eq!(nameless, 0);
    // No heading skips a level.
    let levels =
        browser.run("return [...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])");
    let levels: Vec<i64> = levels
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_i64)
        .collect();
    assert_eq!(levels.iter().filter(|&&level| level == 1).count(), 1);
    assert!(
        levels.windows(2).all(|two| two[1] <= two[0] + 1),
        "{levels:?}"
    );
    let duplicates = browser.run("const ids = [...document.querySelectorAll('[id]')].map(e => e.id); return ids.length - new Set(ids).size");
    assert_eq!(duplicates, 0);
}

/// Writes the report and pictures of it at two widths into the folder that a variable names, for people to look at.
#[test]
fn screenshots_for_people() {
    let Some(out) = std::env::var_os("MSDEBLUR_REPORT_SCREENSHOTS") else {
        eprintln!("skipped: MSDEBLUR_REPORT_SCREENSHOTS names no folder");
        return;
    };
    let out = Path::new(&out);
    std::fs::create_dir_all(out).unwrap();
    let run = tempfile::tempdir().unwrap();
    let results = fixture::whole_run(run.path());
    let file = out.join("report.html");
    std::fs::write(&file, page(&results, run.path())).unwrap();
    for width in [360, 1200] {
        let profile = tempfile::tempdir().unwrap();
        let Some(browser) = Browser::start(width, profile.path()) else {
            eprintln!("skipped: chromedriver is not installed");
            return;
        };
        browser.open(&file);
        let height = browser
            .run("return document.documentElement.scrollHeight")
            .as_u64()
            .unwrap();
        for (number, top) in (0..height).step_by(800).enumerate() {
            browser.run(&format!("window.scrollTo(0, {top})"));
            let picture = base64::engine::general_purpose::STANDARD
                .decode(browser.screenshot())
                .unwrap();
            assert!(picture.starts_with(b"\x89PNG"));
            std::fs::write(out.join(format!("{width}-{number:02}.png")), picture).unwrap();
        }
    }
}
