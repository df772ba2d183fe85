//! Puts what was read into the wire's order: fields by number, maps by key.
//!
//! In: where each record lies in the output. Out: the output, its records in order, those of inlined messages wrapped,
//! and of equal ones only the last.

use crate::json::buffer::Buffer;

/// Where a field's records lie in the output.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) order: u32,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    /// The number of the inlined message that holds the field, or of the field itself.
    fn outer(&self) -> u32 {
        self.order >> 16
    }

    fn is_inlined(&self) -> bool {
        self.order & 0xffff != 0
    }
}

/// Where a map's entry lies in the output, and its key therein.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) key: (usize, usize),
    /// Where its value begins in the text.
    pub(super) at: usize,
}

impl Entry {
    fn key<'o>(&self, out: &'o Buffer) -> &'o [u8] {
        out.slice(self.key.0, self.key.1)
    }
}

/// What lies where in the output.
pub(super) struct Order {
    /// The fields of every message that is being read, outermost first.
    pub(super) spans: Vec<Span>,
    /// The entries of every map that is being read, outermost first.
    pub(super) entries: Vec<Entry>,
    scratch: Vec<u8>,
}

impl Order {
    /// Begins with room for a usual object.
    pub(super) fn new() -> Self {
        Self {
            spans: Vec::with_capacity(64),
            entries: Vec::with_capacity(16),
            scratch: Vec::with_capacity(1024),
        }
    }

    /// Drops a field of the message whose spans begin at `base`.
    pub(super) fn forget(&mut self, base: usize, order: u32) {
        let twin = self.spans[base..].iter().position(|span| span.order == order);
        if let Some(twin) = twin {
            self.spans.remove(base + twin);
        }
    }

    /// Arranges the message that was written from `start` on, whose spans begin at `base`.
    pub(super) fn arrange(&mut self, start: usize, base: usize, out: &mut Buffer) {
        let Self { spans, scratch, .. } = self;
        let found = &mut spans[base..];
        let whole: usize = found.iter().map(|span| span.end - span.start).sum();
        let in_order = found.is_sorted_by_key(|span| span.order) && whole == out.len() - start;
        if !in_order || found.iter().any(Span::is_inlined) {
            found.sort_unstable_by_key(|span| span.order);
            scratch.clear();
            scratch.extend_from_slice(out.slice(start, out.len()));
            out.truncate(start);
            for group in found.chunk_by(|a, b| a.outer() == b.outer()) {
                let wrapped = group[0].is_inlined().then(|| {
                    out.put_varint(u64::from(group[0].outer()) << 3 | 2);
                    out.open()
                });
                for span in group {
                    out.put(&scratch[span.start - start..span.end - start]);
                }
                if let Some(content) = wrapped {
                    out.close(content);
                }
            }
        }
        spans.truncate(base);
    }

    /// Sorts the map whose entries begin at `base`, and gives back the keys that are there more than once, each as the
    /// entry that comes after its twin.
    pub(super) fn twins(&mut self, base: usize, out: &Buffer) -> Vec<Entry> {
        let found = &mut self.entries[base..];
        let is_rising = |found: &[Entry]| found.is_sorted_by(|a, b| a.key(out) < b.key(out));
        if is_rising(found) {
            return Vec::new();
        }
        // Stable: the last of equal keys counts.
        found.sort_by(|a, b| a.key(out).cmp(b.key(out)));
        let pairs = found.windows(2);
        pairs
            .filter(|pair| pair[0].key(out) == pair[1].key(out))
            .map(|pair| pair[1])
            .collect()
    }

    /// Arranges the map that was written from `start` on, whose entries, sorted, begin at `base`.
    pub(super) fn arrange_entries(&mut self, start: usize, base: usize, out: &mut Buffer) {
        let Self { entries, scratch, .. } = self;
        let found = &entries[base..];
        if !found.is_sorted_by(|a, b| a.start < b.start && a.key(out) != b.key(out)) {
            scratch.clear();
            scratch.extend_from_slice(out.slice(start, out.len()));
            out.truncate(start);
            let key = |entry: &Entry| &scratch[entry.key.0 - start..entry.key.1 - start];
            for group in found.chunk_by(|a, b| key(a) == key(b)) {
                let last = group[group.len() - 1];
                out.put(&scratch[last.start - start..last.end - start]);
            }
        }
        entries.truncate(base);
    }
}
