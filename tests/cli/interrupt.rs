//! Ctrl-C in the middle of long work.
#![cfg(unix)]

use std::time::{Duration, Instant};

use integration_tests::{Folder, Running, decode, msdeblur};

/// The program looks for Ctrl-C after every tile, which takes milliseconds here. The rest is for busy machines; the work
/// itself would take minutes.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn ctrl_c_ends_soon_and_leaves_whole_photos_only() {
    for signal in ["INT", "TERM"] {
        let folder = Folder::new();
        folder.photo("in/1-small.png", 8, 8);
        folder.photo("in/2-large.png", 700, 500);
        folder.photo("in/3-small.png", 8, 8);
        let (input, out, model) = (folder.text("in"), folder.text("out"), folder.model());
        // The first photo takes 121 passes over one small tile, the second as many over each of 352.
        let mut running = Running::start(&mut msdeblur([
            "deblur",
            &input,
            "-o",
            &out,
            "--checkpoint",
            &model,
            "--json",
            "--compare",
            "--uncertainty",
            "--samples=2",
            "--steps=60",
            "--tile=32",
        ]));
        running.until("the first photo", |running| {
            running.stdout().contains("\"restored\"")
        });
        std::thread::sleep(Duration::from_millis(300));
        assert!(running.is_running());
        let asked = Instant::now();
        running.signal(signal);
        while running.is_running() {
            assert!(asked.elapsed() < SOON, "{signal}: still at work");
            std::thread::sleep(Duration::from_millis(20));
        }
        let outcome = running.wait();
        let outcome = outcome.exits(130);
        assert!(
            outcome
                .stderr
                .contains("interrupted; 1 of 3 photos were restored"),
            "{outcome}"
        );
        let summary = outcome.only("summary");
        assert_eq!(summary["interrupted"], true);
        assert_eq!(summary["restored"], 1);
        assert_eq!(
            folder.names("out"),
            [
                "1-small.compare.png",
                "1-small.png",
                "1-small.uncertainty.png"
            ],
            "{signal}"
        );
        assert_eq!(decode(&folder.at("out/1-small.png")).width(), 8);
    }
}

#[test]
fn ctrl_c_before_the_first_photo_leaves_nothing() {
    // The second one ends the program at once, if it is still there.
    for signals in [1, 2] {
        let folder = Folder::new();
        folder.photo("large.png", 700, 500);
        let (input, out, model) = (
            folder.text("large.png"),
            folder.text("new/out"),
            folder.model(),
        );
        let mut running = Running::start(&mut msdeblur([
            "deblur",
            &input,
            "-o",
            &out,
            "--checkpoint",
            &model,
            "--mode=sample",
            "--steps=200",
            "--tile=32",
        ]));
        running.until("the folder", |_| folder.at("new/out").is_dir());
        std::thread::sleep(Duration::from_millis(100));
        assert!(running.is_running());
        for _ in 0..signals {
            running.signal("INT");
        }
        let outcome = running.wait().exits(130);
        assert!(
            outcome.stderr.contains("stopping after this tile"),
            "{outcome}"
        );
        assert_eq!(
            folder.names(""),
            ["large.png", "model.safetensors"],
            "{outcome}"
        );
    }
}
