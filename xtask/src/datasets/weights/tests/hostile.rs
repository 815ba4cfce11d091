//! Files that want to run something, to exhaust memory or the stack, or to be taken for whole.

use super::super::{Convert, flax, npz, pickle, state_dict, to_safetensors};
use super::golden;

/// The error of the machine, or of reading its result as a dict of arrays.
fn refused(pickle: &[u8]) -> String {
    let error = match pickle::read(pickle) {
        Ok(read) => read.leaves().err(),
        Err(error) => Some(error),
    };
    format!("{:#}", error.expect("must be refused"))
}

#[test]
fn nothing_is_called() {
    for (module, name) in [
        ("os", "system"),
        ("builtins", "eval"),
        ("posix", "system"),
        ("numpy", "load"),
        ("numpy.core.multiarray", "scalar"),
        ("torch", "load"),
        ("torch._utils", "_rebuild_tensor"),
        ("torch", "DoubleStorage"),
        ("collections", "OrderedDict.fromkeys"),
    ] {
        let pickle = format!("c{module}\n{name}\n(X\x02\0\0\0lstR.");
        let error = refused(pickle.as_bytes());
        assert!(
            error.contains(&format!("`{module}.{name}`, which is not allowed")),
            "{error}"
        );
    }
    // Allowed names in another way than arrays need.
    for pickle in [
        b"cnumpy\nndarray\n(K\x05tR.".as_slice(),
        b"cnumpy\ndtype\n(X\x02\0\0\0O8\x89\x88tR.",
        b"cnumpy\ndtype\n(X\x02\0\0\0f8\x89\x88tR.",
        b"ctorch\nFloatStorage\n(K\x05tR.",
        b"ccollections\nOrderedDict\n(K\x01tR.",
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\ndtype\nK\0\x85C\x01b\x87R.",
        b"K\x01K\x02R.",
        b"}K\x01b.",
        b"}(K\x01tb.",
    ] {
        refused(pickle);
    }
}

#[test]
fn other_instructions_are_refused() {
    let allowed = b"\x80(NJKMXBC)]}tasueqrhjcRbQ\x85\x86\x87\x88\x89.";
    let mut count = 0;
    for code in 0..=255_u8 {
        if allowed.contains(&code) {
            continue;
        }
        let error = refused(&[code, 0, 0, 0, 0, 0, 0, 0, 0, b'.']);
        assert!(error.contains("is not allowed"), "{code:#x}: {error}");
        count += 1;
    }
    assert_eq!(count, 256 - allowed.len());
}

#[test]
fn lengths_and_indices_are_not_trusted() {
    for pickle in [
        b"B\xff\xff\xff\xff.".as_slice(),
        b"X\xff\xff\xff\x7f.",
        b"C\xff.",
        b"cno end of the name",
        b"h\x05.",
        b"j\xff\xff\xff\xff.",
        b"t.",
        b"\x87.",
        b"q\0.",
        b"(.",
        b"K\x01K\x02.",
        b"}K\x01s.",
        b"}(K\x01u.",
        b"K\x01K\x02a.",
        b"\x80\x04.",
        b"X\x02\0\0\0\xff\xff.",
        b"",
    ] {
        refused(pickle);
    }
    // A memo index does not make room for all indices below it.
    assert!(refused(b"Nr\xff\xff\xff\xff.").contains("no dict"));
}

#[test]
fn nesting_sharing_and_circles_end() {
    // A tuple in a tuple in a tuple: reading and dropping must not recurse.
    let mut deep = vec![b')'];
    deep.extend([0x85].repeat(60_000));
    deep.push(b'.');
    assert!(refused(&deep).contains("no dict"));
    let mut long = vec![b')'];
    long.extend([0x85].repeat(70_000));
    assert!(refused(&long).contains("instructions"));
    // A dict that holds itself.
    assert!(refused(b"}q\0X\x01\0\0\0ah\0s.").contains("nested"));
    // Every dict holds the next one a hundred times: without a limit 100^3 entries.
    let mut nested = Vec::new();
    for level in 0..3_u8 {
        nested.extend([b'}', b'q', level, b'(', b'X', 1, 0, 0, 0, b'x']);
    }
    nested.extend([b'}', b'q', 3]);
    for level in (0..3_u8).rev() {
        for key in 0..100_u8 {
            nested.extend([b'X', 2, 0, 0, 0, b'a' + key / 26, b'a' + key % 26]);
            nested.extend([b'h', level + 1]);
        }
        nested.push(b'u');
    }
    nested.push(b'.');
    assert!(refused(&nested).contains("entries"));
}

/// A dict with one array `a`: shape, byte order, column order and bytes as given.
fn array(shape: &[u8], order: &[u8], fortran: u8, bytes: &[u8]) -> Vec<u8> {
    let mut pickle =
        b"}X\x01\0\0\0acnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87R(K\x01("
            .to_vec();
    pickle.extend(shape);
    pickle.extend(b"tcnumpy\ndtype\nX\x02\0\0\0f4\x89\x88\x87R(K\x03X\x01\0\0\0");
    pickle.extend(order);
    pickle.extend(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb");
    pickle.push(fortran);
    pickle.extend([b'C', bytes.len() as u8]);
    pickle.extend(bytes);
    pickle.extend(b"tbs.");
    pickle
}

/// The instruction for a text.
fn text(text: &str) -> Vec<u8> {
    let length = (text.len() as u32).to_le_bytes();
    [b"X".as_slice(), &length, text.as_bytes()].concat()
}

/// A state dict of 250 values under each of these names, all of them in one storage.
fn shared_state_dict(names: &[&str]) -> Vec<u8> {
    let good = golden("state_dict.pt");
    let system = pickle::read(&good[15..]).unwrap().length + 15;
    let tensors = pickle::read(&good[system..]).unwrap().length + system;
    let mut file = good[..tensors].to_vec();
    file.extend(b"}");
    for (index, name) in names.iter().enumerate() {
        file.extend(text(name));
        if index > 0 {
            file.extend(b"h\0s");
            continue;
        }
        file.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        file.extend([text("storage"), b"ctorch\nFloatStorage\n".to_vec()].concat());
        file.extend([text("0"), text("cpu")].concat());
        file.extend(b"M\xfa\0NtQK\0M\xfa\0\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRq\0s");
    }
    file.extend(b".");
    file.extend([b"](".to_vec(), text("0"), b"e.".to_vec()].concat());
    file.extend(250_u64.to_le_bytes());
    file.extend([0; 1000]);
    file
}

#[test]
fn shared_values_do_not_multiply() {
    assert_eq!(
        state_dict::read(&shared_state_dict(&["a"])).unwrap().len(),
        1
    );
    let error = state_dict::read(&shared_state_dict(&["a", "b"])).unwrap_err();
    assert!(format!("{error:#}").contains("share values"), "{error:#}");

    // LPIPS of which all kernels are one array, and all biases another.
    let value = |shape: &[u8], memo: &[u8]| {
        let dict = array(shape, b"<", 0x89, &[0; 240]);
        [&dict[7..dict.len() - 2], memo].concat()
    };
    let (kernel, bias) = (
        value(b"K\x01K\x01K\x01K\x3c", b"q\0"),
        value(b"K\x3c", b"q\x01"),
    );
    let mut pickle = [b"}".to_vec(), text("AlexNet_0"), b"}".to_vec()].concat();
    for layer in 0..5 {
        let is_first = layer == 0;
        pickle.extend(
            [
                text(&format!("Conv_{layer}")),
                b"}".to_vec(),
                text("kernel"),
            ]
            .concat(),
        );
        pickle.extend(if is_first { &kernel[..] } else { b"h\0" });
        pickle.extend([b"s".to_vec(), text("bias")].concat());
        pickle.extend(if is_first { &bias[..] } else { b"h\x01" });
        pickle.extend(b"ss");
    }
    pickle.extend(b"s");
    for head in 0..5 {
        pickle.extend([text(&format!("NetLinLayer_{head}")), b"}".to_vec()].concat());
        pickle.extend([text("Conv_0"), b"}".to_vec(), text("kernel")].concat());
        pickle.extend(b"h\0sss");
    }
    pickle.extend(b".");
    let error = flax::lpips(&pickle).unwrap_err();
    assert!(format!("{error:#}").contains("share values"), "{error:#}");
}

#[test]
fn arrays_that_do_not_fit_are_refused() {
    let good = array(b"K\x02K\x01", b"<", 0x89, &[0; 8]);
    assert_eq!(pickle::read(&good).unwrap().leaves().unwrap().len(), 1);
    for (bad, why) in [
        (array(b"K\x02K\x02", b"<", 0x89, &[0; 8]), "has 8 bytes"),
        (
            array(b"K\x02K\x01", b">", 0x89, &[0; 8]),
            "no float32 array",
        ),
        (
            array(b"K\x02K\x01", b"<", 0x88, &[0; 8]),
            "no float32 array",
        ),
        (array(b"J\xff\xff\xff\xff", b"<", 0x89, &[0; 8]), "negative"),
        (
            array(&b"J\xff\xff\xff\x7f".repeat(4), b"<", 0x89, &[0; 8]),
            "too large",
        ),
        (array(&b"K\x01".repeat(9), b"<", 0x89, &[0; 4]), "axes"),
    ] {
        let error = refused(&bad);
        assert!(error.contains(why), "{error}");
    }
    // An axis of length 0 lets the others have any length.
    let name = b"}X\x01\0\0\0a";
    let mut lpips = b"}X\x09\0\0\0AlexNet_0}X\x06\0\0\0Conv_0}X\x06\0\0\0kernel".to_vec();
    let many = b"K\x01K\x01K\0J\xff\xff\xff\x7f";
    lpips.extend(&array(many, b"<", 0x89, b"")[name.len()..]);
    lpips.pop();
    lpips.extend(b"ss.");
    let error = flax::lpips(&lpips).unwrap_err();
    assert!(format!("{error:#}").contains("without values"), "{error:#}");
}

#[test]
fn an_array_of_numpy_that_does_not_fit_is_refused() {
    let zip = |header: &str, values: &[u8]| {
        let mut array = b"\x93NUMPY\x01\x00".to_vec();
        array.extend((header.len() as u16).to_le_bytes());
        array.extend(header.as_bytes());
        array.extend(values);
        crate::datasets::tests::zip_of(&[("a.npy", &array)])
    };
    let header =
        |shape: &str| format!("{{'descr': '<f8', 'fortran_order': True, 'shape': ({shape}), }}\n");
    assert_eq!(npz::read(&zip(&header("1, 2"), &[0; 16])).unwrap().len(), 1);
    for bad in [
        zip(&header("1, 3"), &[0; 16]),
        zip(&header("9999999999999, 0"), &[]),
        zip(&header("4294967296, 4294967296, 4294967296"), &[0; 16]),
        zip(&header("-1"), &[]),
        zip(
            "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
            &[0; 8],
        ),
        zip("", &[]),
        crate::datasets::tests::zip_of(&[("a.txt", b"")]),
        crate::datasets::tests::zip_of(&[("a.npy", b"\x93NUMPY")]),
        // 64 MB of zeros in 64 kB.
        crate::datasets::tests::zip_of(&[("a.npy", &vec![0; 64 << 20])]),
    ] {
        npz::read(&bad).unwrap_err();
    }
}

#[test]
fn every_cut_and_every_changed_byte_is_survived() {
    for (file, conversion) in [
        ("alexnet.ckpt", Convert::Lpips),
        ("state_dict.pt", Convert::StateDict),
        ("arrays.npz", Convert::Npz),
    ] {
        let good = golden(file);
        for length in 0..good.len() {
            to_safetensors(&good[..length], conversion).unwrap_err();
        }
        for at in 0..good.len() {
            for flip in [1, 0x80, 0xff] {
                let mut changed = good.clone();
                changed[at] ^= flip;
                // Values may change; what counts is that it ends, with an error or not.
                let _ = to_safetensors(&changed, conversion);
            }
        }
        let mut longer = good.clone();
        longer.push(0);
        if conversion != Convert::Npz {
            to_safetensors(&longer, conversion).unwrap_err();
        }
    }
}

#[test]
fn a_state_dict_does_not_reach_beyond_its_storages() {
    let good = golden("state_dict.pt");
    let keys = start_of_storages(&good);
    for count in [u64::MAX, 1 << 62, 1 << 61, 0] {
        let mut changed = good.clone();
        changed[keys..keys + 8].copy_from_slice(&count.to_le_bytes());
        state_dict::read(&changed).unwrap_err();
    }
}

/// Where the fourth pickle of a state dict ends.
fn start_of_storages(file: &[u8]) -> usize {
    // The first pickle is a number that the machine does not read.
    let mut at = 15;
    for _ in 0..4 {
        at += pickle::read(&file[at..]).unwrap().length;
    }
    at
}
