//! Kernels from files that NumPy, SciPy and Pillow wrote (`tests/golden/blur-synth/kernel_files.py`), and from broken ones.

#[allow(dead_code, reason = "other tests read tensors and records")]
mod support;

use blur_synth::{CustomKernel, Error, KernelFileFault};
use ndarray::ArrayD;
use proptest::prelude::*;
use support::Reference;

const KINDS: [&str; 10] = ["f8", "f4", "u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8"];

/// The file and the one array, or several, that it holds.
fn file(name: &str) -> (Vec<u8>, ArrayD<f64>) {
    let reference = Reference::open();
    let bytes = reference.bytes(&format!("files.{name}"));
    (bytes, reference.tensor(&format!("files.{name}.taps")))
}

fn fault(bytes: &[u8], variable: Option<&str>) -> KernelFileFault {
    match CustomKernel::from_file_bytes("k", bytes, variable) {
        Err(Error::KernelFile { name, fault }) => {
            assert_eq!(name, "k");
            fault
        }
        other => panic!("must be refused: {other:?}"),
    }
}

#[track_caller]
fn assert_holds(kernel: &CustomKernel, name: &str, expected: ndarray::ArrayViewD<'_, f64>) {
    assert_eq!(kernel.name, name);
    assert_eq!(kernel.taps.len(), expected.shape()[0], "{name}: rows");
    for row in &kernel.taps {
        assert_eq!(row.len(), expected.shape()[1], "{name}: columns");
    }
    for (tap, expected) in kernel.taps.iter().flatten().zip(&expected) {
        // Rounded to float32.
        assert!(
            (f64::from(*tap) - expected).abs() <= 1e-7 * expected,
            "{name}: {tap} is not {expected}"
        );
    }
    kernel.kernel().expect("a kernel");
}

#[test]
fn single_arrays_are_read_as_they_were_written() {
    let mut names: Vec<String> = [
        "<f8", "<f4", ">f8", ">f4", "|u1", "<i2", "<u2", "<i4", ">i4", "<u4", "<i8", "<u8", "i1",
        "bool", "fortran", "version2",
    ]
    .iter()
    .map(|kind| format!("npy.{kind}"))
    .collect();
    names.extend(["8", "16", "rgb", "rgba"].map(|kind| format!("png.{kind}")));
    for name in &names {
        let (bytes, expected) = file(name);
        let kernels = CustomKernel::from_file_bytes(name, &bytes, None).expect(name);
        assert_eq!(kernels.len(), 1, "{name}");
        assert_holds(&kernels[0], name, expected.view());
    }
    for name in KINDS.map(|kind| format!("mat.{kind}")) {
        for name in [name.clone(), format!("{name}.compressed")] {
            let (bytes, expected) = file(&name);
            for variable in [None, Some("f")] {
                let kernels = CustomKernel::from_file_bytes("file", &bytes, variable).expect(&name);
                assert_eq!(kernels.len(), 1, "{name}");
                assert_holds(&kernels[0], "file:f", expected.view());
            }
        }
    }
}

#[test]
fn stacks_of_kernels_are_read_in_order() {
    for name in ["npy.several", "npy.several.fortran"] {
        let (bytes, expected) = file(name);
        let kernels = CustomKernel::from_file_bytes("stack", &bytes, None).expect(name);
        assert_eq!(kernels.len(), 3);
        for (index, (kernel, expected)) in kernels.iter().zip(expected.outer_iter()).enumerate() {
            assert_holds(kernel, &format!("stack[{index}]"), expected);
        }
    }
}

#[test]
fn variables_are_chosen() {
    for name in ["mat.mixed", "mat.mixed.compressed"] {
        let (bytes, expected) = file(name);
        let one = CustomKernel::from_file_bytes("file", &bytes, Some("f")).expect(name);
        assert_eq!(one.len(), 1);
        assert_holds(&one[0], "file:f", expected.view());
        // Neither negative, complex, too large, a single number, nor of three axes, nor hidden in a structure.
        let all = CustomKernel::from_file_bytes("file", &bytes, None).expect(name);
        let names: Vec<_> = all.iter().map(|kernel| kernel.name.as_str()).collect();
        assert_eq!(names, ["file:f", "file:other_kernel"]);

        for (variable, part) in [
            (
                "g",
                "no variable `g`; the file has note, x, signed, number, cells, complex, structure, film, f, other_kernel",
            ),
            ("note", "text cannot be a kernel"),
            ("x", "rows and columns must be from 1 to 257"),
            ("signed", "taps = -"),
            ("cells", "a cell array cannot be a kernel"),
            ("complex", "complex numbers cannot be a kernel"),
            ("structure", "a structure cannot be a kernel"),
            (
                "film",
                "[3, 4, 6] cannot be a kernel; it must have two axes",
            ),
        ] {
            let message = fault(&bytes, Some(variable)).to_string();
            assert!(message.contains(part), "{variable}: {message}");
        }
        let number =
            CustomKernel::from_file_bytes("file", &bytes, Some("number")).expect("one tap");
        assert_eq!(number[0].taps, [[3.0]]);
    }
}

/// A NumPy file with a header of our choice.
fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn floats(values: &[f64]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

#[test]
fn bad_arrays_are_refused_with_the_reason() {
    let header = |descr: &str, shape: &str| {
        format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n")
    };
    let square = header("'<f8'", "(2, 2)");
    for (bytes, part) in [
        (
            npy(&square, &floats(&[1.0, -0.5, 0.0, 1.0])),
            "taps = -0.5 (must be finite and at least 0)",
        ),
        (
            npy(&square, &floats(&[1.0, f64::NAN, 0.0, 1.0])),
            "taps = NaN",
        ),
        (npy(&square, &floats(&[1.0, 1e300, 0.0, 1.0])), "taps = inf"),
        (
            npy(&square, &floats(&[0.0; 4])),
            "sum of taps = 0 (must be greater than 0)",
        ),
        (
            npy(&square, &floats(&[1.0; 3])),
            "fewer values than its shape",
        ),
        (
            npy(&header("'<f8'", "(4,)"), &floats(&[1.0; 4])),
            "[4] cannot be a kernel; it must have the axes",
        ),
        (
            npy(&header("'<f8'", "()"), &floats(&[1.0])),
            "it must have the axes",
        ),
        (
            npy(&header("'<f8'", "(1, 1, 2, 2)"), &floats(&[1.0; 4])),
            "it must have the axes",
        ),
        (
            npy(&header("'<f8'", "(0, 2, 2)"), &[]),
            "at least one kernel",
        ),
        (
            npy(&header("'<f8'", "(0, 2)"), &[]),
            "rows and columns must be from 1 to 257",
        ),
        (
            npy(&header("'<f8'", "(258, 2)"), &floats(&[1.0; 516])),
            "rows and columns must be from 1 to 257",
        ),
        (
            npy(
                &header("'<f8'", "(18446744073709551615, 257, 257)"),
                &floats(&[1.0; 4]),
            ),
            "at most 4096 kernels",
        ),
        (
            // 2^60 kernels of 32 bytes are 2^65 bytes, which a product of 64 bits takes for none.
            npy(&header("'<f8'", "(1152921504606846976, 2, 2)"), &[]),
            "at most 4096 kernels",
        ),
        (
            npy(&header("'|u1'", "(5000, 1, 1)"), &[1; 5000]),
            "at most 4096 kernels",
        ),
        (
            npy(&header("'|u1'", "(200, 257, 257)"), &[1; 200 * 257 * 257]),
            "8 million numbers",
        ),
        (
            npy(
                &header("'<f8'", "(18446744073709551616, 2, 2)"),
                &floats(&[1.0; 4]),
            ),
            "not a list of whole numbers",
        ),
        (
            npy(&header("'<f8'", "(-2, 2)"), &floats(&[1.0; 4])),
            "not a list of whole numbers",
        ),
        (
            npy(&header("'<c16'", "(2, 2)"), &[0; 64]),
            "NumPy type `<c16`",
        ),
        (npy(&header("'|O'", "(2, 2)"), &[0; 64]), "NumPy type `|O`"),
        (
            npy(&header("''", "(2, 2)"), &[0; 64]),
            "type of the values is empty",
        ),
        (
            npy(&header("'é'", "(2, 2)"), &[0; 64]),
            "type of the values is empty",
        ),
        (
            npy(&header("[('a', '<f8')]", "(2, 2)"), &[0; 64]),
            "a structured array cannot",
        ),
        (npy(&"(".repeat(60_000), &[]), "lacks descr"),
        (
            b"\x93NUMPY\x02\x00\xFF\xFF\xFF\xFFabc".to_vec(),
            "ends within the header",
        ),
        (b"\x93NUMPY\x09\x00\x01\x00a".to_vec(), "unknown version"),
        (b"GIF89a".to_vec(), "neither a PNG"),
        (Vec::new(), "neither a PNG"),
        (vec![0; 200], "neither a PNG"),
        (
            b"MATLAB 5.0 MAT-file".to_vec(),
            "broken MATLAB file: it ends within the header",
        ),
        (
            b"MATLAB 7.3 MAT-file, Platform: GLNXA64".to_vec(),
            "save it in MATLAB with `-v7`",
        ),
        (
            b"\x89HDF\r\n\x1a\n".to_vec(),
            "save it in MATLAB with `-v7`",
        ),
    ] {
        let message = fault(&bytes, None).to_string();
        assert!(message.contains(part), "`{part}` is not in `{message}`");
    }
    let message = CustomKernel::from_file_bytes("mine.npy", b"?", None)
        .unwrap_err()
        .to_string();
    assert!(
        message.starts_with("kernel file `mine.npy`: neither"),
        "{message}"
    );
    for (kind, bytes) in [("|i1", 1), ("<i2", 2), (">i2", 2), ("<i4", 4), ("<i8", 8)] {
        let message = fault(
            &npy(
                &header(&format!("'{kind}'"), "(1, 2)"),
                &vec![0xFF; 2 * bytes],
            ),
            None,
        )
        .to_string();
        assert!(message.contains("taps = -1 "), "{kind}: {message}");
    }
    for name in ["npy.<f8", "png.8"] {
        let message = fault(&file(name).0, Some("f")).to_string();
        assert!(message.contains("file has no variables"), "{message}");
    }
}

/// A PNG of 8 bits a sample.
fn png(color: image::ExtendedColorType, width: u32, height: u32, samples: &[u8]) -> Vec<u8> {
    use image::ImageEncoder;
    let mut bytes = Vec::new();
    image::codecs::png::PngEncoder::new(&mut bytes)
        .write_image(samples, width, height, color)
        .expect("a sound picture");
    bytes
}

#[test]
fn bad_pictures_are_refused_with_the_reason() {
    use image::ExtendedColorType::{L8, Rgb8, Rgba8};
    let coloured = png(Rgb8, 2, 1, &[9, 9, 9, 9, 9, 8]);
    assert_eq!(
        fault(&coloured, None),
        KernelFileFault::Coloured { row: 0, column: 1 }
    );
    let transparent = png(Rgba8, 1, 1, &[9, 9, 9, 254]);
    assert_eq!(fault(&transparent, None), KernelFileFault::Transparent);
    let black = png(L8, 3, 3, &[0; 9]);
    assert!(fault(&black, None).to_string().contains("sum of taps"));
    let wide = png(L8, 258, 1, &[1; 258]);
    assert!(
        fault(&wide, None)
            .to_string()
            .contains("[1, 258] cannot be a kernel")
    );
    assert_eq!(
        CustomKernel::from_file_bytes("k", &png(L8, 257, 1, &[1; 257]), None)
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn decompression_stops_at_the_limit() {
    use std::io::Write;
    // 2 GiB of zeros would follow the tag of a matrix: the beginning is looked at, the rest stays compressed.
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut inner = Vec::new();
    for word in [
        14_u32,
        2 << 30,
        6,
        8,
        6,
        0,
        5,
        8,
        16384,
        16384,
        0x0001_0001,
        u32::from(b'f'),
        9,
        2 << 30,
    ] {
        inner.extend(word.to_le_bytes());
    }
    encoder.write_all(&inner).unwrap();
    encoder.write_all(&vec![0; 8 << 20]).unwrap();
    let compressed = encoder.finish().unwrap();
    let mut bytes = file("mat.f8").0[..128].to_vec();
    bytes.extend(15_u32.to_le_bytes());
    bytes.extend((compressed.len() as u32).to_le_bytes());
    bytes.extend(&compressed);
    let fault = fault(&bytes, Some("f"));
    assert!(
        matches!(fault, KernelFileFault::Shape { ref shape, .. } if *shape == [16384, 16384]),
        "{fault}"
    );
}

/// Files of every kind, small ones.
fn samples() -> Vec<(String, Vec<u8>)> {
    let reference = Reference::open();
    [
        "npy.<f8",
        "npy.several.fortran",
        "npy.version2",
        "mat.f8",
        "mat.f4.compressed",
        "mat.i2",
        "mat.mixed",
        "mat.mixed.compressed",
        "png.8",
        "png.16",
        "png.rgba",
    ]
    .map(|name| (name.to_owned(), reference.bytes(&format!("files.{name}"))))
    .into()
}

#[test]
fn files_cut_anywhere_are_refused_or_hold_what_is_left() {
    for (name, bytes) in samples() {
        let whole = CustomKernel::from_file_bytes("k", &bytes, None).expect(&name);
        for length in 0..bytes.len() {
            match CustomKernel::from_file_bytes("k", &bytes[..length], None) {
                Err(Error::KernelFile { .. }) => {}
                // Cut after the last value (padding, a checksum), or between two variables.
                Ok(kernels) => assert_eq!(
                    kernels,
                    whole[..kernels.len()],
                    "{name} cut to {length} bytes"
                ),
                Err(other) => panic!("{name} cut to {length} bytes: {other}"),
            }
        }
        // Without its second half no file holds all of its kernels.
        let half = CustomKernel::from_file_bytes("k", &bytes[..bytes.len() / 2], None);
        assert!(half.is_err(), "{name}: {half:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bytes_never_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        near_the_start in any::<bool>(),
    ) {
        for (name, mut bytes) in samples() {
            let reach = if near_the_start { bytes.len().min(320) } else { bytes.len() };
            for (place, value) in &flips {
                bytes[place.index(reach)] = *value;
            }
            for variable in [None, Some("f")] {
                // Whatever is accepted is a kernel.
                for kernel in CustomKernel::from_file_bytes("k", &bytes, variable).unwrap_or_default() {
                    prop_assert!(kernel.kernel().is_ok(), "{}: {:?}", name, kernel);
                }
            }
        }
    }
}

#[test]
fn many_small_variables_are_refused_together() {
    let mut bytes = vec![b' '; 128];
    bytes[..10].copy_from_slice(b"MATLAB 5.0");
    bytes[124..].copy_from_slice(&[0, 1, b'I', b'M']);
    let words = |words: [u32; 6]| words.map(u32::to_le_bytes).concat();
    // An object, which is passed over: a matrix of 16 bytes with its flags alone.
    let object = words([14, 16, 6, 8, 17, 0]);
    bytes.extend(object.repeat(5000));
    let error = CustomKernel::from_file_bytes("many", &bytes, None).unwrap_err();
    assert!(
        error.to_string().contains("more than 4096 variables"),
        "{error}"
    );
    // Few of them are told by name, not refused.
    bytes.truncate(128 + 50 * object.len());
    let error = CustomKernel::from_file_bytes("few", &bytes, None).unwrap_err();
    assert!(error.to_string().contains("and 30 more"), "{error}");
}
