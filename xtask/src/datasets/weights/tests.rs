//! Against files that NumPy and PyTorch have written, and against hostile ones.

mod hostile;

use std::collections::BTreeMap;
use std::path::PathBuf;

use safetensors::SafeTensors;

use super::{Convert, to_safetensors};
use crate::workspace;

fn golden(name: &str) -> Vec<u8> {
    let folder: PathBuf = workspace::root().join("tests/golden/metric-weights");
    std::fs::read(folder.join(name)).unwrap()
}

/// Type, shape and bytes of every array of a safetensors file whose name begins with `prefix`, without it.
fn arrays(file: &[u8], prefix: &str) -> BTreeMap<String, String> {
    let file = SafeTensors::deserialize(file).unwrap();
    file.iter()
        .filter_map(|(name, view)| Some((name.strip_prefix(prefix)?.to_owned(), view)))
        .map(|(name, view)| {
            let text = format!("{:?} {:?} {:?}", view.dtype(), view.shape(), view.data());
            (name, text)
        })
        .collect()
}

#[test]
fn arrays_come_out_as_numpy_and_pytorch_put_them_in() {
    let reference = golden("reference.safetensors");
    for (file, conversion, prefix, count) in [
        ("alexnet.ckpt", Convert::Lpips, "alexnet.", 15),
        ("vgg16.ckpt", Convert::Lpips, "vgg16.", 31),
        ("state_dict.pt", Convert::StateDict, "state_dict.", 3),
        ("arrays.npz", Convert::Npz, "arrays.", 3),
    ] {
        let converted = to_safetensors(&golden(file), conversion).unwrap();
        let expected = arrays(&reference, prefix);
        assert_eq!(expected.len(), count, "{file}");
        assert_eq!(arrays(&converted, ""), expected, "{file}");
        // The hash in the list holds for every run.
        assert_eq!(
            to_safetensors(&golden(file), conversion).unwrap(),
            converted
        );
    }
}

#[test]
fn a_file_of_another_kind_is_refused() {
    for (file, conversion, why) in [
        ("state_dict.pt", Convert::Lpips, "0x8a is not allowed"),
        ("alexnet.ckpt", Convert::StateDict, "before PyTorch 1.6"),
        ("vgg16.ckpt", Convert::Npz, "no zip archive"),
        ("arrays.npz", Convert::Lpips, "not allowed"),
        ("reference.safetensors", Convert::Npz, "no zip archive"),
    ] {
        let error = to_safetensors(&golden(file), conversion).unwrap_err();
        assert!(format!("{error:#}").contains(why), "{file}: {error:#}");
    }
}
