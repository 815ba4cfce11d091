//! Minimal training program: `train OUT PHOTOS... [key=value...]` with the default recipe.
use std::ops::ControlFlow;
use trainer::{Event, TrainConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().ok_or("usage: train OUT CONFIG")?;
    let photos = arguments.next().ok_or("usage: train OUT PHOTOS")?;
    let mut c = TrainConfig::default_preset(vec![photos.into()], out.into());
    for a in arguments {
        let (k, v) = a.split_once('=').ok_or("key=value")?;
        match k {
            "steps" => c.steps = v.parse()?,
            "lr" => c.learning_rate = v.parse()?,
            "batch" => c.batch = v.parse()?,
            "crop" => c.crop = v.parse()?,
            "pure" => c.pure_noise_fraction = v.parse()?,
            "decay" => c.lr_decay_images = v.parse()?,
            "validate" => c.validate_every = v.parse()?,
            _ => return Err(k.into()),
        }
    }
    trainer::run(&c, true, &mut |event| {
        match event {
            Event::Step { step, loss, images_per_second, .. } if step % 10 == 0 => {
                eprintln!("{step} {loss:.4} {images_per_second:.1}/s");
            }
            Event::Validation { report, .. } => {
                for (k, q) in report {
                    eprintln!("  {k}: {:.2} -> {:.2} ({:+.3})", q.input_psnr, q.output_psnr, q.gain());
                }
            }
            Event::Started { parameters, photos, skipped, .. } => eprintln!("{parameters} parameters, {photos} photos, {} skipped", skipped.len()),
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(())
}
