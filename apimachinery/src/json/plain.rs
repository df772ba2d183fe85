//! Which bytes stand in a JSON string as they are, decided eight at a time.
//!
//! Nearly all of Kubernetes' strings are short and need no escape. Looking at a word instead of a byte is what makes
//! both directions fast.

const ONES: u64 = u64::MAX / 0xff;
const HIGH_BITS: u64 = ONES << 7;

/// Marks the high bit of every byte that ends or interrupts a string's plain run: a quote, a backslash, a control
/// character. The lowest mark is exact; a borrow may set false ones above it.
#[inline]
pub(super) fn marks(word: u64) -> u64 {
    let equal = |byte: u8| {
        let difference = word ^ (ONES * u64::from(byte));
        difference.wrapping_sub(ONES) & !difference
    };
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (equal(b'"') | equal(b'\\') | control) & HIGH_BITS
}

/// As [`marks`], and every byte that is not ASCII.
#[inline]
pub(super) fn marks_and_not_ascii(word: u64) -> u64 {
    marks(word) | word & HIGH_BITS
}

/// How many bytes from `at` on are plain.
#[inline]
pub(super) fn run(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let (words, tail) = rest.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let found = marks(u64::from_le_bytes(*word));
        if found != 0 {
            return i * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let plain = tail.iter().position(|&byte| is_marked(byte));
    words.len() * 8 + plain.unwrap_or(tail.len())
}

/// What [`marks`] says, of one byte.
pub(super) fn is_marked(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_byte_is_marked_wherever_it_stands_in_a_word() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                let mut word = *b"aaaaaaaa";
                word[place] = byte;
                let word = u64::from_le_bytes(word);
                let expected = if is_marked(byte) { 0x80 << (8 * place) } else { 0 };
                assert_eq!(marks(word), expected, "{byte} at {place}");
                let is_ascii = byte < 0x80;
                assert_eq!(
                    marks_and_not_ascii(word) == 0,
                    !is_marked(byte) && is_ascii,
                    "{byte} at {place}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn a_run_ends_where_bytes_taken_one_by_one_end_it(bytes: Vec<u8>, at: prop::sample::Index) {
            let at = at.index(bytes.len() + 1);
            let expected = bytes[at..].iter().position(|&byte| is_marked(byte));
            prop_assert_eq!(run(&bytes, at), expected.unwrap_or(bytes.len() - at));
        }
    }
}
