//! What pickles of arrays call: the objects of NumPy and PyTorch, as far as float32 arrays need them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use super::pickle::{Id, Node, Pickle};

/// Dicts in dicts.
const MOST_DEPTH: usize = 4;
/// Arrays, and dicts with arrays; the largest file that is used has 48.
const MOST_ENTRIES: usize = 1 << 12;
/// Axes of an array.
const MOST_AXES: usize = 8;

/// The names that a pickle may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Reconstruct,
    NdArray,
    Dtype,
    RebuildTensor,
    FloatStorage,
    OrderedDict,
}

impl Name {
    /// # Errors
    /// Any other name: calling it could do anything.
    pub(super) fn find(module: &str, name: &str) -> Result<Self> {
        Ok(match (module, name) {
            // NumPy 2 calls its module by the second name.
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => {
                Self::Reconstruct
            }
            ("numpy", "ndarray") => Self::NdArray,
            ("numpy", "dtype") => Self::Dtype,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch", "FloatStorage") => Self::FloatStorage,
            ("collections", "OrderedDict") => Self::OrderedDict,
            _ => bail!(
                "it uses `{}.{}`, which is not allowed: only float32 arrays are read",
                module.escape_debug(),
                name.escape_debug()
            ),
        })
    }
}

/// A float32 array of NumPy, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array<'a> {
    pub(super) shape: Vec<usize>,
    pub(super) bytes: &'a [u8],
}

/// Values of PyTorch that lie outside of the pickle.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Storage<'a> {
    pub(super) key: &'a str,
    /// Number of values.
    pub(super) length: usize,
}

/// A tensor of PyTorch: a part of a storage, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View<'a> {
    pub(super) storage: Storage<'a>,
    /// Number of values before it.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    /// Number of values.
    pub(super) length: usize,
}

/// What `callable(*arguments)` is.
pub(super) fn call<'a>(nodes: &[Node<'a>], callable: Id, arguments: Id) -> Result<Node<'a>> {
    let (Node::Name(name), Node::Tuple(ids)) = (&nodes[callable], &nodes[arguments]) else {
        bail!("something is called that cannot be called");
    };
    let arguments: Vec<&Node> = ids.iter().map(|id| &nodes[*id]).collect();
    let made = match (name, arguments.as_slice()) {
        (
            Name::Reconstruct,
            [
                Node::Name(Name::NdArray),
                Node::Tuple(shape),
                Node::Bytes(b"b"),
            ],
        ) if sizes(nodes, shape)? == [0] => Some(Node::Array(None)),
        // Big-endian until the state says otherwise, so that an array without it is refused.
        (Name::Dtype, [Node::Text("f4"), Node::Bool(false), Node::Bool(true)]) => {
            Some(Node::Float32 { is_little: false })
        }
        (
            Name::RebuildTensor,
            [
                Node::Storage(storage),
                Node::Int(offset),
                Node::Tuple(shape),
                Node::Tuple(strides),
                Node::Bool(_),
                Node::Dict(hooks),
            ],
        ) if hooks.is_empty() => {
            let shape = sizes(nodes, shape)?;
            let length = number_of_values(&shape)?;
            let strides = sizes(nodes, strides)?;
            ensure!(
                is_row_by_row(&shape, &strides),
                "a tensor does not lie row by row: sizes {shape:?}, strides {strides:?}"
            );
            let offset = usize::try_from(*offset).context("a negative offset")?;
            ensure!(
                offset
                    .checked_add(length)
                    .is_some_and(|end| end <= storage.length),
                "a tensor of {length} values at {offset} is longer than its storage of {}",
                storage.length
            );
            Some(Node::View(View {
                storage: storage.clone(),
                offset,
                shape,
                length,
            }))
        }
        (Name::OrderedDict, []) => Some(Node::Dict(Vec::new())),
        _ => None,
    };
    made.with_context(|| format!("{name:?} is called in a way that float32 arrays do not need"))
}

/// What `target` is after it was given its state.
pub(super) fn build<'a>(nodes: &[Node<'a>], target: Id, state: Id) -> Result<Node<'a>> {
    let Node::Tuple(ids) = &nodes[state] else {
        bail!("a state that is no tuple");
    };
    let state: Vec<&Node> = ids.iter().map(|id| &nodes[*id]).collect();
    match (&nodes[target], state.as_slice()) {
        (
            Node::Float32 { .. },
            [
                Node::Int(3),
                Node::Text("<"),
                Node::None,
                Node::None,
                Node::None,
                Node::Int(-1),
                Node::Int(-1),
                Node::Int(0),
            ],
        ) => Ok(Node::Float32 { is_little: true }),
        (
            Node::Array(None),
            [
                Node::Int(1),
                Node::Tuple(shape),
                Node::Float32 { is_little: true },
                Node::Bool(false),
                Node::Bytes(bytes),
            ],
        ) => {
            let shape = sizes(nodes, shape)?;
            ensure!(
                number_of_values(&shape)?.checked_mul(4) == Some(bytes.len()),
                "an array of shape {shape:?} has {} bytes",
                bytes.len()
            );
            Ok(Node::Array(Some(Array { shape, bytes })))
        }
        _ => bail!("the state of something that is no float32 array in row order"),
    }
}

/// The storage that a reference names.
pub(super) fn storage<'a>(nodes: &[Node<'a>], reference: Id) -> Result<Node<'a>> {
    let Node::Tuple(ids) = &nodes[reference] else {
        bail!("a reference that is no tuple");
    };
    let parts: Vec<&Node> = ids.iter().map(|id| &nodes[*id]).collect();
    match parts.as_slice() {
        [
            Node::Text("storage"),
            Node::Name(Name::FloatStorage),
            Node::Text(key),
            Node::Text("cpu"),
            Node::Int(length),
            Node::None,
        ] => Ok(Node::Storage(Storage {
            key,
            length: usize::try_from(*length).context("a storage of negative length")?,
        })),
        _ => bail!("a reference to something that is no float32 storage"),
    }
}

impl<'a> Pickle<'a> {
    /// The values in nested dicts; the keys on the way to each are joined by `/`.
    ///
    /// # Errors
    /// A root that is no dict, keys that are not text or are there twice, or too much of anything.
    pub(super) fn leaves(&self) -> Result<BTreeMap<String, &Node<'a>>> {
        let mut leaves = BTreeMap::new();
        let mut open = vec![(String::new(), self.root, 0)];
        // Shared and circular dicts are met again and again: what counts is how often, not how many there are.
        let mut entries = 0;
        while let Some((path, id, depth)) = open.pop() {
            let Node::Dict(dict) = &self.nodes[id] else {
                ensure!(depth > 0, "it is no dict");
                let is_new = leaves.insert(path.clone(), &self.nodes[id]).is_none();
                ensure!(is_new, "`{path}` is there twice");
                continue;
            };
            ensure!(
                depth < MOST_DEPTH,
                "dicts nested more than {MOST_DEPTH} deep"
            );
            for (key, value) in dict {
                entries += 1;
                ensure!(entries <= MOST_ENTRIES, "more than {MOST_ENTRIES} entries");
                let Node::Text(key) = self.nodes[*key] else {
                    bail!("a key that is no text");
                };
                ensure!(
                    key.len() <= 200 && !key.contains('/'),
                    "the key `{}` is not usable",
                    key.escape_debug()
                );
                let path = match path.as_str() {
                    "" => key.to_owned(),
                    _ => format!("{path}/{key}"),
                };
                open.push((path, *value, depth + 1));
            }
        }
        Ok(leaves)
    }
}

fn sizes(nodes: &[Node<'_>], ids: &[Id]) -> Result<Vec<usize>> {
    ensure!(ids.len() <= MOST_AXES, "more than {MOST_AXES} axes");
    ids.iter()
        .map(|id| match nodes[*id] {
            Node::Int(size) => usize::try_from(size).context("a negative size"),
            _ => bail!("a size that is no whole number"),
        })
        .collect()
}

fn number_of_values(shape: &[usize]) -> Result<usize> {
    shape
        .iter()
        .try_fold(1_usize, |product, size| product.checked_mul(*size))
        .with_context(|| format!("an array of shape {shape:?} is too large"))
}

fn is_row_by_row(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1_usize;
    shape.len() == strides.len()
        && shape.iter().zip(strides).rev().all(|(size, stride)| {
            // An axis of one place is never walked along.
            let fits = *size == 1 || *stride == expected;
            expected = expected.saturating_mul(*size);
            fits
        })
}
