//! Output that grows by many short pieces.
//!
//! Invariant: the bytes behind `len` are room and say nothing. Because they are there, a short piece is stored in words,
//! where appending to a `Vec` would call for a copy of any length.

use super::plain;
use prost::encoding::encode_varint;

/// Bytes that were written, and room for more.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    len: usize,
    /// How much room is made when there is none: room is filled with zeros, so that it costs as much as it is long.
    step: usize,
}

impl Buffer {
    /// Goes on behind `bytes`. About `expected` more will be written.
    pub(super) fn behind(mut bytes: Vec<u8>, expected: usize) -> Self {
        let len = bytes.len();
        bytes.resize(len + expected, 0);
        Self {
            bytes,
            len,
            step: expected / 2 + 64,
        }
    }

    /// What was written.
    pub(super) fn into_vec(mut self) -> Vec<u8> {
        self.bytes.truncate(self.len);
        self.bytes
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Takes back what was written past `len`.
    pub(super) fn truncate(&mut self, len: usize) {
        debug_assert!(len <= self.len);
        self.len = len;
    }

    /// What was written from `start` to `end`.
    pub(super) fn slice(&self, start: usize, end: usize) -> &[u8] {
        &self.bytes[start..end]
    }

    #[inline]
    fn room(&mut self, more: usize) -> &mut [u8] {
        let end = self.len + more;
        if end > self.bytes.len() {
            self.grow(end);
        }
        &mut self.bytes[self.len..end]
    }

    #[cold]
    fn grow(&mut self, end: usize) {
        self.bytes.resize(end + self.step, 0);
    }

    /// Appends `length` bytes that the caller fills in.
    pub(super) fn take(&mut self, length: usize) -> &mut [u8] {
        self.room(length);
        self.len += length;
        &mut self.bytes[self.len - length..self.len]
    }

    #[inline]
    pub(super) fn push(&mut self, byte: u8) {
        self.room(1)[0] = byte;
        self.len += 1;
    }

    #[inline]
    pub(super) fn put(&mut self, piece: &[u8]) {
        let room = self.room(piece.len());
        if piece.len() <= SHORT {
            copy(piece, room, |_| 0);
        } else {
            room.copy_from_slice(piece);
        }
        self.len += piece.len();
    }

    /// Appends a piece that was prepared for it.
    #[inline]
    pub(super) fn put_padded(&mut self, piece: &Padded) {
        let (room, _) = self.room(piece.chunks.len() * 16).as_chunks_mut::<16>();
        for (chunk, room) in piece.chunks.iter().zip(room) {
            *room = *chunk;
        }
        self.len += piece.len;
    }

    /// Appends a string in quotes if all of it is plain ASCII; says whether it is.
    #[inline]
    pub(super) fn put_quoted(&mut self, text: &[u8]) -> bool {
        let length = text.len();
        let room = self.room(length + 2);
        room[0] = b'"';
        room[length + 1] = b'"';
        let is_plain = copy(text, &mut room[1..=length], plain::marks_and_not_ascii) == 0;
        if is_plain {
            self.len += length + 2;
        }
        is_plain
    }

    #[inline]
    pub(super) fn put_varint(&mut self, number: u64) {
        if number < 0x80 {
            self.push(number as u8);
            return;
        }
        if number < 0x4000 {
            self.room(2)
                .copy_from_slice(&[number as u8 | 0x80, (number >> 7) as u8]);
            self.len += 2;
            return;
        }
        let room = self.room(MAX_VARINT);
        let mut rest = &mut room[..];
        encode_varint(number, &mut rest);
        let unused = rest.len();
        self.len += MAX_VARINT - unused;
    }

    /// Appends length and bytes.
    #[inline]
    pub(super) fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_varint(bytes.len() as u64);
        self.put(bytes);
    }

    /// Makes room for a length that is not known yet; [`Self::close`] fills it in.
    #[inline]
    pub(super) fn open(&mut self) -> usize {
        self.push(0);
        self.len
    }

    /// Writes the length of what was appended since [`Self::open`] returned `start`, and says by how much that moved
    /// it. Most lengths fit the one byte set aside; longer ones move the content, which is cheaper than measuring it
    /// beforehand.
    #[inline]
    pub(super) fn close(&mut self, start: usize) -> usize {
        let end = self.len;
        let length = end - start;
        if length < 0x80 {
            self.bytes[start - 1] = length as u8;
            return 0;
        }
        let mut prefix = [0; MAX_VARINT];
        let mut rest = &mut prefix[..];
        encode_varint(length as u64, &mut rest);
        let used = MAX_VARINT - rest.len();
        let moved = used - 1;
        self.room(moved);
        self.len += moved;
        self.bytes.copy_within(start..end, start + moved);
        self.bytes[start - 1..start + moved].copy_from_slice(&prefix[..used]);
        moved
    }
}

/// A piece that is appended again and again, in chunks as wide as a register.
#[derive(Debug)]
pub(super) struct Padded {
    chunks: Box<[[u8; 16]]>,
    len: usize,
}

impl Padded {
    pub(super) fn new(piece: &str) -> Self {
        let chunks = piece.as_bytes().chunks(16).map(|part| {
            let mut chunk = [0; 16];
            chunk[..part.len()].copy_from_slice(part);
            chunk
        });
        Self {
            chunks: chunks.collect(),
            len: piece.len(),
        }
    }
}

/// Bytes of the longest varint.
const MAX_VARINT: usize = 10;

/// Pieces up to this length are copied without a call.
const SHORT: usize = 64;

/// Copies in words of eight and gives the union of what `look` finds in them.
#[inline]
fn copy(from: &[u8], to: &mut [u8], look: impl Fn(u64) -> u64) -> u64 {
    let mut found = 0;
    if let (Some(last), Some(last_to)) = (from.last_chunk::<8>(), to.last_chunk_mut::<8>()) {
        // The last word overlaps the one before; written first, it is written with what belongs there anyway.
        *last_to = *last;
        found |= look(u64::from_le_bytes(*last));
        let (words, _) = from.as_chunks::<8>();
        let (words_to, _) = to.as_chunks_mut::<8>();
        for (word, word_to) in words.iter().zip(words_to) {
            *word_to = *word;
            found |= look(u64::from_le_bytes(*word));
        }
    } else {
        // What is not there counts as a blank.
        let mut word = *b"        ";
        for ((byte, byte_to), seen) in from.iter().zip(to).zip(&mut word) {
            *byte_to = *byte;
            *seen = *byte;
        }
        found |= look(u64::from_le_bytes(word));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_of_any_length_are_appended(pieces: Vec<Vec<u8>>, before: Vec<u8>, room in 0..200_usize) {
            let mut buffer = Buffer::behind(before.clone(), room);
            let mut expected = before;
            for piece in &pieces {
                buffer.put(piece);
                expected.extend_from_slice(piece);
            }
            prop_assert_eq!(buffer.into_vec(), expected);
        }

        #[test]
        fn only_plain_text_is_quoted_as_it_is(piece: Vec<u8>, text in "[ -~]{0,40}") {
            for piece in [&piece[..], text.as_bytes()] {
                let expected = piece.iter().all(|&b| b.is_ascii() && !plain::is_marked(b));
                let mut buffer = Buffer::behind(Vec::new(), 0);
                prop_assert_eq!(buffer.put_quoted(piece), expected);
                let quoted = [b"\"", piece, b"\""].concat();
                prop_assert_eq!(buffer.into_vec(), if expected { quoted } else { Vec::new() });
            }
        }

        #[test]
        fn a_length_is_written_before_its_content(content in prop::collection::vec(any::<u8>(), 0..20_000)) {
            let mut buffer = Buffer::behind(vec![7], 0);
            let start = buffer.open();
            buffer.put(&content);
            let moved = buffer.close(start);
            let mut expected = vec![7];
            encode_varint(content.len() as u64, &mut expected);
            prop_assert_eq!(expected.len(), start + moved);
            expected.extend_from_slice(&content);
            prop_assert_eq!(buffer.into_vec(), expected);
        }
    }
}
