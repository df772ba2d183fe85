//! JSON inside JSON: the content of RawExtension and FieldsV1, when it comes from the wire.
//!
//! In: bytes that ought to be JSON. Out: the same value as compact JSON, keys in their order, numbers as they were written.
//!
//! Invariant: what is appended is valid JSON no deeper than [`MAX_DEPTH`](super::MAX_DEPTH), or an error is returned.

use super::buffer::Buffer;
use super::fault::{Fallible, Fault, FaultKind};
use super::scanner::Scanner;

/// Appends `json`, checked and without its white space. `depth` is how deep it stands in its object.
pub(super) fn copy(json: &[u8], depth: usize, out: &mut Buffer) -> Fallible<()> {
    read(json, |source| source.copy(depth, out))
}

/// Whether [`copy`] would do.
pub(super) fn check(json: &[u8], depth: usize) -> Fallible<()> {
    read(json, |source| source.check(depth))
}

fn read(json: &[u8], value: impl FnOnce(&mut Scanner<'_>) -> Fallible<()>) -> Fallible<()> {
    Scanner::new(json)
        .and_then(|mut source| value(&mut source).and_then(|()| source.end()))
        .map_err(|fault| Fault::boxed(FaultKind::InvalidValue, format!("no JSON: {fault}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(json: &str) -> Fallible<String> {
        let mut out = Buffer::behind(Vec::new(), 0);
        let copied = copy(json.as_bytes(), 1, &mut out);
        assert_eq!(check(json.as_bytes(), 1).is_ok(), copied.is_ok(), "{json}");
        copied.map(|()| String::from_utf8(out.into_vec()).unwrap())
    }

    #[test]
    fn embedded_json_keeps_its_keys_in_order_and_loses_its_white_space() {
        let json = "{ \"b\": [1, -2, 2.5, true, null, [], {}],\n \"a\": {\"x\": \"\\u00e9\\n\"} }";
        assert_eq!(
            copied(json).unwrap(),
            "{\"b\":[1,-2,2.5,true,null,[],{}],\"a\":{\"x\":\"é\\n\"}}"
        );
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for json in ["", "{", "{}x", "{a:1}", "k8s\0", "[1,]", &"[".repeat(100_000)] {
            assert_eq!(copied(json).unwrap_err().kind, FaultKind::InvalidValue);
        }
        let deep = format!("{}{}", "[".repeat(110), "]".repeat(110));
        assert!(copied(&deep).unwrap_err().message.contains("nested deeper"));
    }
}
