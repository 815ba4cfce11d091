//! What training is told and what it finds: configurations, data sets, other models; and what becomes of all that is wrong with them.

use integration_tests::{Folder, Outcome, model, msdeblur, workspace};
use ms_guidance::GuidedUNetConfig;

/// Three photos of their own in `photos`.
fn photos() -> Folder {
    let folder = Folder::new();
    for name in ["photos/a.png", "photos/b.png", "photos/c.png"] {
        folder.photo(name, 176, 176);
    }
    folder
}

fn train(arguments: &[&str]) -> Outcome {
    Outcome::of(&mut msdeblur(["train"].iter().chain(arguments)))
}

/// A configuration of the smallest run on the photos, with this text after it.
fn tiny(folder: &Folder, rest: &str) -> String {
    let text = format!(
        "preset = 'tiny'\nphotos = ['{}']\nout = '{}'\nsteps = 2\n{rest}",
        folder.text("photos"),
        folder.text("run")
    );
    folder.write("config.toml", text);
    folder.text("config.toml")
}

#[test]
fn a_file_and_settings_are_all_that_a_run_needs() {
    let folder = photos();
    let config = tiny(&folder, "");
    train(&[
        &config,
        "--set",
        "steps=1",
        "--set",
        "model.unet.mid_layers=2",
    ])
    .exits(0);
    let written = String::from_utf8(folder.bytes("run/config.toml")).expect("text");
    for line in ["steps = 1\n", "mid_layers = 2\n", "name = \"tiny\"\n"] {
        assert!(written.contains(line), "{line}: {written}");
    }
    // What does not go on is named with its place.
    let other = tiny(&folder, "batch = 3\n");
    let outcome = train(&[&other, "--set", "model.unet.mid_layers=2", "--resume"]).exits(2);
    let told = "run/state.safetensors: the saved run differs in batch\n";
    assert!(outcome.stderr.contains(told), "{outcome}");
    let hint = format!("\nhint: put back `batch` in line 5 of {other}; if the change");
    assert!(outcome.stderr.contains(&hint), "{outcome}");
    let config = tiny(&folder, "");
    // It goes on in the same place.
    let again = train(&[&config, "--set", "model.unet.mid_layers=2", "--resume"]).exits(0);
    assert!(again.stderr.contains("2 steps in all"), "{again}");
}

#[test]
fn a_printed_configuration_is_one_to_start_from() {
    let folder = photos();
    let printed = train(&["--preset", "tiny-unguided", "--print-config"]).exits(0);
    assert!(
        printed.stdout.contains("photos = [\"photos\"]"),
        "{printed}"
    );
    assert!(
        printed.stdout.contains("guidance_channels = []"),
        "{printed}"
    );
    folder.write("mine.toml", &printed.stdout);
    // What is offered as comments is known: taken in, all but the data set, which is not here.
    let (set, offered) = printed.stdout.split_once("# Not set").unwrap();
    let offered: Vec<&str> = offered.lines().skip(1).map(|line| &line[2..]).collect();
    let at = |table: &str| {
        offered
            .iter()
            .position(|line| line.starts_with(table))
            .unwrap()
    };
    let (top, pairs) = (
        &offered[..at("[[photo_sets]]")],
        &offered[at("[[pairs]]")..],
    );
    assert!(top.len() > 4 && pairs.len() > 4, "{printed}");
    let all = format!("{}\n{set}\n{}\n", top.join("\n"), pairs.join("\n"));
    folder.write("all.toml", &all);
    let taken = train(&[&folder.text("all.toml"), "--print-config"]).exits(0);
    assert!(taken.stdout.contains("micro_batch = "), "{taken}");
    std::fs::remove_file(folder.at("all.toml")).unwrap();
    let (mine, photos, out) = (
        folder.text("mine.toml"),
        folder.text("photos"),
        folder.text("run"),
    );
    train(&[&mine, "--photos", &photos, "--out", &out, "--steps", "1"]).exits(0);
    assert_eq!(folder.names(""), ["mine.toml", "photos", "run"]);
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let folder = photos();
    let config = tiny(
        &folder,
        "stepps = 3\ncrop = 33\n[model.unet]\nmid_layers = 'two'\n",
    );
    let outcome = train(&[&config, "--set", "batch=0", "--set", "loss=l3"])
        .exits(2)
        .silent_on_stdout()
        .says(&["config.toml: 5 problems"]);
    for line in [
        "\n  line 5: unknown key `stepps`; did you mean `steps`?\n",
        "\n  line 6: crop is 33, it must be",
        "\n  line 8: `model.unet.mid_layers`: is \"two\", expected a whole number",
        "\n  --set batch=0: batch is 0, allowed are 1 to 4096\n",
        "\n  --set loss=l3: `loss` cannot be `l3`; did you mean `l1`?\n",
        "\nhint: ",
    ] {
        assert!(outcome.stderr.contains(line), "{line}: {outcome}");
    }
    let older = tiny(&folder, "schema_version = 0\nnonsense = 1\n");
    train(&[&older])
        .exits(2)
        .says(&["config.toml: line 5: schema_version is 0"]);
    let newer = tiny(&folder, "schema_version = 9\nnonsense = 1\n");
    train(&[&newer])
        .exits(2)
        .says(&["config.toml: line 5: schema_version is 9", "newer"]);
    assert_eq!(folder.names(""), ["config.toml", "photos"]);
}

#[test]
fn a_dry_run_tells_what_would_be_and_writes_nothing() {
    let folder = photos();
    folder.write("photos/broken.png", "no picture");
    let config = tiny(&folder, "");
    let outcome = train(&[&config, "--dry-run"]).exits(0);
    for part in [
        "steps = 2\n",
        "\n# parameters",
        "\n# multiply-adds",
        "\n# memory",
        "2 photos and 1 for validation; 1 file skipped",
        "broken.png",
        "for 2 steps",
        "run: can be written and is free\n",
    ] {
        assert!(outcome.stdout.contains(part), "{part}: {outcome}");
    }
    assert_eq!(folder.names(""), ["config.toml", "photos"]);

    // What is printed is a configuration.
    folder.write("printed.toml", &outcome.stdout);
    let printed = folder.text("printed.toml");
    let again = train(&[&printed, "--dry-run", "--json"]).exits(0);
    let data = again.only("dry_run");
    assert_eq!(data["config"]["steps"], 2);
    assert_eq!(data["findings"]["photos"], 2);
    assert_eq!(data["findings"]["held_out_photos"], 1);
    assert_eq!(
        data["findings"]["skipped"].as_array().map(Vec::len),
        Some(1)
    );
    let seconds = data["findings"]["seconds"].as_f64().expect("seconds");
    assert!(seconds > 0.0, "{data}");
    assert_eq!(folder.names(""), ["config.toml", "photos", "printed.toml"]);

    let gone = folder.text("gone");
    let outcome = train(&[&config, "--dry-run", "--photos", &gone]).exits(2);
    assert!(
        outcome.stderr.contains("gone: cannot read the folder"),
        "{outcome}"
    );
}

/// Two sequences of two pairs, as GoPro lies on a disk.
fn gopro(folder: &Folder, split: &str) {
    for sequence in ["GOPR0372_07_00", "GOPR0384_11_01"] {
        for frame in ["000047", "000048"] {
            for kind in ["blur", "blur_gamma", "sharp"] {
                let name = format!("sets/gopro/GOPRO_Large/{split}/{sequence}/{kind}/{frame}.png");
                folder.photo(&name, 48, 40);
            }
        }
    }
}

#[test]
fn gopro_is_trained_on_by_its_manifest() {
    let folder = Folder::new();
    gopro(&folder, "train");
    gopro(&folder, "test");
    let manifest = workspace().join("datasets/gopro.toml");
    let config = |split: &str| {
        let text = format!(
            "preset = 'tiny'\nout = '{}'\nsteps = 2\n\n[[pairs]]\nmanifest = '{}'\n{split}weight = 2.0\n",
            folder.text("run"),
            manifest.display()
        );
        folder.write("config.toml", text);
        folder.text("config.toml")
    };
    let sets = folder.text("sets");
    let with_sets = |config: &str| {
        let mut command = msdeblur(["train", config, "--json"]);
        Outcome::of(command.env("MSDEBLUR_DATASETS", &sets))
    };
    let outcome = with_sets(&config("split = 'train'\nvariant = 'blur'\n")).exits(0);
    assert!(
        outcome
            .stderr
            .contains("gopro: 2 pairs for training, 2 set aside for validation (scenes: 1)"),
        "{outcome}"
    );
    let report = &outcome.only("finished")["validation"];
    assert!(report["gopro"]["output_psnr"].is_number(), "{report}");
    // What is written needs no manifest any more.
    let written = String::from_utf8(folder.bytes("run/config.toml")).expect("text");
    assert!(
        written.contains("blurry = \"**/train/*/blur/*.png\""),
        "{written}"
    );
    assert!(!written.contains("manifest"), "{written}");

    for (split, words) in [
        (
            "split = 'test'\nvariant = 'blur'\n",
            "there for `test`, not for training",
        ),
        (
            "split = 'train'\n",
            "name one with `variant`, of blur, blur_gamma",
        ),
        ("variant = 'blur'\nweihgt = 1\n", "did you mean `weight`?"),
    ] {
        with_sets(&config(split))
            .exits(2)
            .says(&["config.toml: line ", words]);
    }
    let config = config("variant = 'blur'\n");
    let empty = folder.text("none");
    train(&[&config, "--datasets", &empty]).exits(2).says(&[
        "line 6",
        "gopro is not in",
        "cargo xtask datasets fetch gopro",
    ]);
}

#[test]
fn photos_are_taken_by_manifest_and_only_for_training() {
    let folder = Folder::new();
    for name in ["train/a.jpg", "train/b.jpg", "tune/c.jpg"] {
        folder.photo(&format!("sets/free-photos-train/{name}"), 176, 176);
    }
    let config = |name: &str, split: &str| {
        let manifest = workspace().join(format!("datasets/{name}.toml"));
        let text = format!(
            "preset = 'tiny'\nout = '{}'\nsteps = 1\n[[photo_sets]]\nmanifest = '{}'\nsplit = '{split}'\n",
            folder.text("run"),
            manifest.display()
        );
        folder.write("config.toml", text);
        folder.text("config.toml")
    };
    let sets = folder.text("sets");
    let config_of_train = config("free-photos-train", "train");
    let outcome = train(&[&config_of_train, "--datasets", &sets]).exits(0);
    assert!(outcome.stderr.contains(" 1 photo, 1 step\n"), "{outcome}");
    for (name, split) in [("free-photos-train", "tune"), ("free-photos-test", "test")] {
        train(&[&config(name, split), "--datasets", &sets])
            .exits(2)
            .says(&["not for training", split]);
    }
}

#[test]
fn unusable_pairs_are_left_out_and_named_once() {
    let folder = Folder::new();
    for scene in ["one", "two", "three"] {
        for frame in ["1", "2", "3"] {
            for side in ["blurry", "sharp"] {
                folder.photo(&format!("pairs/{scene}/{side}/{frame}.png"), 48, 48);
            }
        }
    }
    std::fs::remove_file(folder.at("pairs/one/sharp/1.png")).expect("a file");
    folder.photo("pairs/two/blurry/2.png", 40, 48);
    folder.photo("pairs/two/sharp/3.png", 24, 24);
    folder.photo("pairs/two/blurry/3.png", 24, 24);
    // The header is whole, the pixels are not.
    let whole = folder.bytes("pairs/three/sharp/1.png");
    folder.write("pairs/three/sharp/1.png", &whole[..whole.len() / 2]);
    let config = format!(
        "preset = 'tiny'\nout = '{}'\nsteps = 12\n[[pairs]]\nname = 'mine'\nfolder = '{}'\nblurry = '*/blurry/*'\n\
         sharp = '*/sharp/*'\npairing = {{ sharp = '/sharp/', blurry = '/blurry/' }}\n",
        folder.text("run"),
        folder.text("pairs")
    );
    folder.write("config.toml", config);
    let outcome = train(&[&folder.text("config.toml"), "--json"]).exits(0);
    let skipped = outcome.only("started")["skipped"].to_string();
    for part in [
        "its sharp picture one/sharp/1.png is not there",
        "40×48, but its sharp picture is 48×48",
        "24×24 is smaller than 32×32",
    ] {
        assert_eq!(skipped.matches(part).count(), 1, "{part}: {skipped}");
    }
    let damaged = outcome.stderr.matches("its pair is left out").count();
    assert!(damaged <= 1, "named once: {outcome}");
}

#[test]
fn few_and_small_photos_do() {
    let folder = photos();
    folder.photo("photos/small.png", 40, 40);
    folder.write("photos/broken.jpg", "no picture");
    let config = tiny(&folder, "batch = 9\n");
    let outcome = train(&[&config, "--json"]).exits(0);
    let started = outcome.only("started");
    assert_eq!(started["photos"], 2, "{started}");
    assert_eq!(
        started["skipped"].as_array().map(Vec::len),
        Some(2),
        "{started}"
    );
    let first = "note: 2 files skipped, first ";
    let named = outcome.stderr.contains(first) && outcome.stderr.contains("small.png: 40×40");
    assert!(named || outcome.stderr.contains("broken.jpg"), "{outcome}");
    assert!(outcome.stderr.contains("curves: "), "{outcome}");
}

#[test]
fn a_model_is_tuned_further_with_parts_frozen() {
    let folder = photos();
    let config = tiny(&folder, "");
    train(&[&config]).exits(0);
    let dry = train(&[&config, "--dry-run"]).exits(0);
    let taken = "run: holds a run already: continue it with --resume";
    assert!(
        dry.stdout.contains(taken) && dry.stderr.contains(taken),
        "{dry}"
    );
    let (init, out) = (folder.text("run/model.safetensors"), folder.text("tuned"));
    let tuned = ["--init", &init, "--set", "freeze=guidance.", "--out", &out];
    let start = train(&[&[&*config], &tuned[..]].concat()).exits(0);
    let from = format!("starting from {init}\n");
    assert!(start.stderr.contains(&from), "{start}");
    assert!(start.stderr.contains(" parameters frozen\n"), "{start}");
    let dry = [
        &config,
        "--dry-run",
        "--init",
        &init,
        "--set",
        "freeze=guidance.",
    ];
    let dry = train(&dry).exits(0);
    assert!(dry.stdout.contains(&from), "{dry}");
    assert!(dry.stdout.contains(" parameters frozen\n"), "{dry}");
    let model = folder.text("tuned/model.safetensors");
    let info = Outcome::of(&mut msdeblur(["info", "--json", "--checkpoint", &model])).exits(0);
    let parent = &info.only("model")["provenance"]["parent"];
    assert_eq!(parent["name"], "tiny", "{parent}");
    assert_eq!(parent["sha256"].as_str().map(str::len), Some(64));
    let info = Outcome::of(&mut msdeblur(["info", "--checkpoint", &model])).exits(0);
    assert!(info.stdout.contains("started from     tiny ("), "{info}");

    let wrong = ["--init", &init, "--set", "freeze=[guidance., decoder.]"];
    let none = folder.text("none");
    train(&[&[&*config, "--out", &none], &wrong[..]].concat())
        .exits(2)
        .says(&[
            "freeze: no parameter begins with `decoder.`; there are",
            "`unet.conv_in.`",
        ]);
    assert_eq!(folder.names("none"), [""; 0]);
}

#[test]
fn a_model_of_another_network_is_refused_with_the_tensors() {
    let folder = photos();
    let config = tiny(&folder, "");
    let mut other = GuidedUNetConfig::tiny();
    other.unet.mid_layers = 3;
    other.unet.block_out_channels[0] += 2;
    let weights = model::weights(&other);
    folder.write("other.safetensors", model::checkpoint(&other, &weights));
    let outcome = train(&[&config, "--init", &folder.text("other.safetensors")])
        .exits(2)
        .says(&[
            "other.safetensors: is of another network: ",
            "unexpected",
            "wrong shape",
        ]);
    for line in [
        "\n  unexpected: unet.mid_block.resnets.1.conv1.weight\n",
        "\n  wrong shape: unet.conv_in.weight: expected [",
        "\n  and 27 more\n",
        "\nhint: ",
    ] {
        assert!(outcome.stderr.contains(line), "{line}: {outcome}");
    }
    let named = outcome.stderr.lines();
    let named = named.filter(|line| line.starts_with("  ") && !line.starts_with("  and "));
    assert_eq!(named.count(), 10, "{outcome}");
    folder.write("text.safetensors", "no model");
    train(&[&config, "--init", &folder.text("text.safetensors")])
        .exits(2)
        .says(&["text.safetensors: cannot start from this checkpoint: not a usable"]);
    train(&[&config, "--init", &folder.text("gone.safetensors")])
        .exits(2)
        .says(&["gone.safetensors: cannot start from this checkpoint"]);
    assert_eq!(folder.names("run"), [""; 0]);
}

#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_written_is_named() {
    use std::os::unix::fs::PermissionsExt;

    let folder = photos();
    let config = tiny(&folder, "");
    let locked = folder.at("locked");
    std::fs::create_dir(&locked).expect("a folder");
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).expect("permissions");
    if std::fs::create_dir(locked.join("probe")).is_ok() {
        eprintln!("skipped: this user may write everywhere");
    } else {
        let out = folder.text("locked/run");
        train(&[&config, "--out", &out])
            .exits(2)
            .says(&["locked/run: cannot create the run folder"]);
    }
    // Nobody may make a folder below a file, not even root.
    folder.write("file", "");
    let outcome = train(&[&config, "--out", &folder.text("file/run")])
        .exits(2)
        .says(&["file/run: cannot create the run folder"]);
    let hint = "\nhint: name a folder with --out that you may make";
    assert!(outcome.stderr.contains(hint), "{outcome}");
    let dry = train(&[&config, "--dry-run", "--out", &folder.text("file/run")]).exits(0);
    assert!(dry.stdout.contains("file/run: cannot be used ("), "{dry}");
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o755)).expect("permissions");
}
