//! The machine that reads a pickle. Instructions are those of Python's `pickletools`, protocols 2 and 3.
//!
//! What bounds it: every value is one node, made by one instruction, and there is a limit on instructions. Nodes refer to
//! each other by number, so that neither reading nor dropping recurses, whatever a pickle nests or shares; text and bytes
//! are never copied; lengths are compared with what is left of the file before anything is taken.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use super::objects::{Array, Name, Storage, View};

/// The largest pickle that is used has 800.
const MOST_INSTRUCTIONS: usize = 1 << 16;
/// Of the two parts of a name.
const MOST_NAME_BYTES: usize = 100;

/// The number of a node.
pub(super) type Id = usize;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// One of the names that may be used.
    Name(Name),
    /// The type of float32 values; the byte order is said later.
    Float32 {
        is_little: bool,
    },
    /// An array of NumPy; its contents are said later.
    Array(Option<Array<'a>>),
    Storage(Storage<'a>),
    View(View<'a>),
}

/// What a pickle describes.
pub(super) struct Pickle<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) root: Id,
    /// Bytes up to its end.
    pub(super) length: usize,
}

/// Reads the pickle at the beginning of `input`.
///
/// # Errors
/// An instruction or a name that is not allowed, an end before the end, or more than is reasonable.
pub(super) fn read(input: &[u8]) -> Result<Pickle<'_>> {
    let mut machine = Machine {
        input,
        at: 0,
        pickle: Vec::new(),
        stack: Vec::new(),
        memo: BTreeMap::new(),
    };
    let root = machine
        .run()
        .with_context(|| format!("pickle, at byte {}", machine.at))?;
    Ok(Pickle {
        nodes: machine.pickle,
        root,
        length: machine.at,
    })
}

enum Item {
    Mark,
    Value(Id),
}

struct Machine<'a> {
    input: &'a [u8],
    at: usize,
    pickle: Vec<Node<'a>>,
    stack: Vec<Item>,
    /// A map: a hostile index must not make room for all below it.
    memo: BTreeMap<u32, Id>,
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Id> {
        for _ in 0..MOST_INSTRUCTIONS {
            let code = self.byte()?;
            if code == b'.' {
                let root = self.pop()?;
                ensure!(self.stack.is_empty(), "values are left over at its end");
                return Ok(root);
            }
            self.step(code)?;
        }
        bail!("more than {MOST_INSTRUCTIONS} instructions")
    }

    fn step(&mut self, code: u8) -> Result<()> {
        match code {
            // PROTO
            0x80 => {
                let version = self.byte()?;
                ensure!(
                    matches!(version, 2 | 3),
                    "protocol {version}; 2 and 3 are read"
                );
            }
            b'(' => self.stack.push(Item::Mark),
            b'N' => self.push(Node::None),
            0x88 => self.push(Node::Bool(true)),
            0x89 => self.push(Node::Bool(false)),
            // BININT, BININT1, BININT2
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()));
            }
            b'K' => {
                let value = self.byte()?;
                self.push(Node::Int(value.into()));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()));
            }
            // BINUNICODE
            b'X' => {
                let bytes = self.counted()?;
                let text = std::str::from_utf8(bytes).context("text that is not UTF-8")?;
                self.push(Node::Text(text));
            }
            // BINBYTES, SHORT_BINBYTES
            b'B' => {
                let bytes = self.counted()?;
                self.push(Node::Bytes(bytes));
            }
            b'C' => {
                let length = self.byte()?;
                let bytes = self.take(length.into())?;
                self.push(Node::Bytes(bytes));
            }
            b')' => self.push(Node::Tuple(Vec::new())),
            b']' => self.push(Node::List(Vec::new())),
            b'}' => self.push(Node::Dict(Vec::new())),
            // TUPLE1, TUPLE2, TUPLE3, TUPLE
            0x85..=0x87 => {
                let count = usize::from(code - 0x84);
                let mut items = Vec::with_capacity(count);
                for _ in 0..count {
                    items.push(self.pop()?);
                }
                items.reverse();
                self.push(Node::Tuple(items));
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Node::Tuple(items));
            }
            // APPEND, APPENDS
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(items)?;
            }
            // SETITEM, SETITEMS
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set(&items)?;
            }
            // BINPUT, LONG_BINPUT, BINGET, LONG_BINGET
            b'q' => {
                let index = self.byte()?;
                self.memorise(index.into())?;
            }
            b'r' => {
                let index = u32::from_le_bytes(self.array()?);
                self.memorise(index)?;
            }
            b'h' => {
                let index = self.byte()?;
                self.recall(index.into())?;
            }
            b'j' => {
                let index = u32::from_le_bytes(self.array()?);
                self.recall(index)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Node::Name(Name::find(module, name)?));
            }
            b'R' => {
                let arguments = self.pop()?;
                let callable = self.pop()?;
                let node = super::objects::call(&self.pickle, callable, arguments)?;
                self.push(node);
            }
            b'b' => {
                let state = self.pop()?;
                let target = self.top()?;
                let node = super::objects::build(&self.pickle, target, state)?;
                self.pickle[target] = node;
            }
            // BINPERSID
            b'Q' => {
                let reference = self.pop()?;
                let node = super::objects::storage(&self.pickle, reference)?;
                self.push(node);
            }
            _ => bail!("instruction 0x{code:02x} is not allowed: only arrays are read"),
        }
        Ok(())
    }

    fn push(&mut self, node: Node<'a>) {
        self.pickle.push(node);
        self.stack.push(Item::Value(self.pickle.len() - 1));
    }

    fn pop(&mut self) -> Result<Id> {
        match self.stack.pop() {
            Some(Item::Value(id)) => Ok(id),
            _ => bail!("a value is taken where there is none"),
        }
    }

    fn top(&self) -> Result<Id> {
        match self.stack.last() {
            Some(Item::Value(id)) => Ok(*id),
            _ => bail!("a value is used where there is none"),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        let mut items = Vec::new();
        loop {
            match self.stack.pop() {
                Some(Item::Value(id)) => items.push(id),
                Some(Item::Mark) => break,
                None => bail!("there is no mark"),
            }
        }
        items.reverse();
        Ok(items)
    }

    fn append(&mut self, items: Vec<Id>) -> Result<()> {
        let target = self.top()?;
        match &mut self.pickle[target] {
            Node::List(list) => list.extend(items),
            _ => bail!("something is appended to what is no list"),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Id]) -> Result<()> {
        let target = self.top()?;
        let (pairs, rest) = items.as_chunks::<2>();
        ensure!(rest.is_empty(), "a key has no value");
        match &mut self.pickle[target] {
            Node::Dict(dict) => dict.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            _ => bail!("an entry is set in what is no dict"),
        }
        Ok(())
    }

    fn memorise(&mut self, index: u32) -> Result<()> {
        let id = self.top()?;
        self.memo.insert(index, id);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<()> {
        let id = *self
            .memo
            .get(&index)
            .with_context(|| format!("nothing was memorised as {index}"))?;
        self.stack.push(Item::Value(id));
        Ok(())
    }

    fn byte(&mut self) -> Result<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.take(N)?;
        <[u8; N]>::try_from(bytes).context("it ends too early")
    }

    /// Bytes after their number, which has four bytes.
    fn counted(&mut self) -> Result<&'a [u8]> {
        let length = u32::from_le_bytes(self.array()?);
        self.take(usize::try_from(length).context("too long")?)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let bytes = self.input[self.at..]
            .get(..length)
            .context("it ends too early")?;
        self.at += length;
        Ok(bytes)
    }

    fn line(&mut self) -> Result<&'a str> {
        let rest = &self.input[self.at..];
        let length = rest
            .iter()
            .take(MOST_NAME_BYTES)
            .position(|byte| *byte == b'\n')
            .context("a name has no end, or is too long")?;
        self.at += length + 1;
        std::str::from_utf8(&rest[..length]).context("a name that is not UTF-8")
    }
}
