//! The program as a user meets it, one module per theme.

mod batch;
mod checkpoints;
mod evaluate;
mod formats;
mod inputs;
mod interrupt;
mod invariants;
mod machine;
mod memory;
mod outputs;
mod pictures;
mod train;
mod train_setup;
mod train_trace;
mod usage;

use integration_tests::{Folder, Outcome, msdeblur};

/// `msdeblur deblur ARGUMENTS`, to its end.
#[track_caller]
fn deblur(arguments: &[&str]) -> Outcome {
    Outcome::of(&mut msdeblur(["deblur"].iter().chain(arguments)))
}

/// Restores one photo of 48×40 pixels with a model of noise and returns the bytes of the result.
#[track_caller]
fn restored(options: &[&str]) -> Vec<u8> {
    let folder = Folder::new();
    folder.photo("photo.png", 48, 40);
    let (input, output, model) = (
        folder.text("photo.png"),
        folder.text("out.png"),
        folder.model(),
    );
    deblur(&[&[&*input, "-o", &output, "--checkpoint", &model], options].concat()).exits(0);
    folder.bytes("out.png")
}
