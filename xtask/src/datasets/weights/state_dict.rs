//! State dicts as `torch.save` wrote them before PyTorch 1.6: four pickles, and after them the values of each storage.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use safetensors::Dtype;

use super::pickle::{self, Node};
use super::{Budget, Tensor};

/// The first pickle: a number of ten bytes that stands for this format.
const START: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
/// The second.
const VERSION: i64 = 1001;

/// The tensors by name.
///
/// # Errors
/// Another format, anything but float32 tensors on the CPU in row order, or a file that is cut or too long.
pub(super) fn read(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>> {
    let mut budget = Budget::of(bytes);
    let mut rest = bytes
        .strip_prefix(START)
        .context("it is no file of torch.save in the format before PyTorch 1.6")?;
    let mut next = |what: &str| -> Result<_> {
        let pickle = pickle::read(rest).with_context(|| what.to_owned())?;
        rest = &rest[pickle.length..];
        Ok(pickle)
    };
    let version = next("the version")?;
    ensure!(
        version.nodes[version.root] == Node::Int(VERSION),
        "another version of the format than {VERSION}"
    );
    let system = next("the description of the machine")?;
    ensure!(
        system.leaves()?.get("little_endian") == Some(&&Node::Bool(true)),
        "the values are not little-endian"
    );
    let tensors = next("the tensors")?;
    let keys = next("the list of storages")?;
    let Node::List(list) = &keys.nodes[keys.root] else {
        bail!("the list of storages is no list");
    };
    let mut storages = BTreeMap::new();
    for id in list {
        let Node::Text(key) = keys.nodes[*id] else {
            bail!("the name of a storage is no text");
        };
        let values = storage(&mut rest).with_context(|| format!("storage {key}"))?;
        ensure!(
            storages.insert(key, values).is_none(),
            "storage {key} is there twice"
        );
    }
    ensure!(rest.is_empty(), "{} bytes after its end", rest.len());
    tensors
        .leaves()?
        .into_iter()
        .map(|(name, node)| {
            let Node::View(view) = node else {
                bail!("{name} is no float32 tensor");
            };
            let values = storages
                .get(view.storage.key)
                .with_context(|| format!("the storage of {name} is not there"))?;
            ensure!(
                values.len() / 4 == view.storage.length,
                "the storage of {name} has another length than its tensor says"
            );
            budget.take(view.length * 4).with_context(|| name.clone())?;
            let bytes = values[view.offset * 4..(view.offset + view.length) * 4].to_vec();
            let tensor = Tensor {
                dtype: Dtype::F32,
                shape: view.shape.clone(),
                bytes,
            };
            Ok((name, tensor))
        })
        .collect()
}

/// The next storage: the number of its values in eight bytes, and the values.
fn storage<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8]> {
    let (count, after) = rest
        .split_first_chunk::<8>()
        .context("the file ends too early")?;
    let (values, after) = usize::try_from(i64::from_le_bytes(*count))
        .ok()
        .and_then(|count| count.checked_mul(4))
        .and_then(|length| after.split_at_checked(length))
        .context("the file ends too early")?;
    *rest = after;
    Ok(values)
}
