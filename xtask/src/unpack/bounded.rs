//! Reading the entries of a tar archive without giving it all memory and all time.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use ::tar::{Entries, Entry};

/// Entries that an archive may have; sets of the field have some ten thousand.
const MOST_ENTRIES: usize = 2_000_000;
/// Bytes that may describe one entry: long names and PAX records, which the library reads into memory as a whole.
const MOST_RECORDS: u64 = 1 << 20;

/// Ends with an error when more comes out of an archive than may be in it.
pub(crate) struct Bounded<'a> {
    reader: Box<dyn Read + 'a>,
    left: u64,
    too_much: &'static str,
    records_left: Rc<Cell<Option<u64>>>,
}

/// Goes through the entries of an archive that is read by a [`Bounded`].
pub(crate) struct Visit {
    entries_left: usize,
    most_entries: usize,
    /// While the library looks for the next entry: what it may still read.
    records_left: Rc<Cell<Option<u64>>>,
}

impl<'a> Bounded<'a> {
    /// Reads at most `most` bytes; beyond, the error is `too_much`.
    pub(crate) fn new(
        reader: Box<dyn Read + 'a>,
        most: u64,
        too_much: &'static str,
    ) -> (Self, Visit) {
        Self::with_entries(reader, most, too_much, MOST_ENTRIES)
    }

    fn with_entries(
        reader: Box<dyn Read + 'a>,
        most: u64,
        too_much: &'static str,
        most_entries: usize,
    ) -> (Self, Visit) {
        let records_left = Rc::new(Cell::new(None));
        let visit = Visit {
            entries_left: most_entries,
            most_entries,
            records_left: Rc::clone(&records_left),
        };
        let bounded = Self {
            reader,
            left: most,
            too_much,
            records_left,
        };
        (bounded, visit)
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other(self.too_much))?;
        if let Some(left) = self.records_left.get() {
            let left = left.checked_sub(read as u64).ok_or_else(|| {
                io::Error::other("more than 1 MiB of names and records describe one entry")
            })?;
            self.records_left.set(Some(left));
        }
        Ok(read)
    }
}

impl Visit {
    /// The next entry. The one before must have been given to [`Visit::finish`].
    pub(crate) fn next<'e, R: Read>(
        &mut self,
        entries: &mut Entries<'e, R>,
    ) -> Option<io::Result<Entry<'e, R>>> {
        self.records_left.set(Some(MOST_RECORDS));
        let next = entries.next();
        self.records_left.set(None);
        if !matches!(next, Some(Ok(_))) {
            return next;
        }
        let Some(left) = self.entries_left.checked_sub(1) else {
            let what = format!("it has more than {} entries", self.most_entries);
            return Some(Err(io::Error::other(what)));
        };
        self.entries_left = left;
        next
    }

    /// Reads what is left of an entry, so that it does not count as description of the next one. Not for sparse files,
    /// of which more comes out than is in the archive.
    pub(crate) fn finish<R: Read>(&self, entry: &mut Entry<R>) -> io::Result<()> {
        io::copy(entry, &mut io::sink()).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many entries can be read, and the error after them.
    fn count(bytes: &[u8], most_bytes: u64, most_entries: usize) -> (usize, Option<String>) {
        let (bounded, mut visit) =
            Bounded::with_entries(Box::new(bytes), most_bytes, "too long", most_entries);
        let mut archive = ::tar::Archive::new(bounded);
        let mut entries = archive.entries().unwrap();
        let mut seen = 0;
        while let Some(entry) = visit.next(&mut entries) {
            match entry.and_then(|mut entry| visit.finish(&mut entry)) {
                Ok(()) => seen += 1,
                Err(error) => return (seen, Some(error.to_string())),
            }
        }
        (seen, None)
    }

    #[test]
    fn entries_are_counted() {
        // Each is longer than all that may describe the next one.
        let content = vec![1_u8; (MOST_RECORDS + 1) as usize];
        let mut builder = ::tar::Builder::new(Vec::new());
        for name in ["a", "b", "c"] {
            let mut header = ::tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            builder
                .append_data(&mut header, name, content.as_slice())
                .unwrap();
        }
        let bytes = builder.into_inner().unwrap();
        assert_eq!(count(&bytes, u64::MAX, 3), (3, None));
        let what = "it has more than 2 entries".to_owned();
        assert_eq!(count(&bytes, u64::MAX, 2), (2, Some(what)));
        assert_eq!(count(&bytes, 4096, 3), (0, Some("too long".to_owned())));
    }
}
