//! JSON inside JSON: the content of RawExtension and FieldsV1.
//!
//! In: any serde deserializer, or bytes that ought to be JSON. Out: the same value as compact JSON, keys in their order.
//!
//! Invariant: what is appended is valid JSON no deeper than [`MAX_DEPTH`], or an error is returned.

use super::fault::{Fallible, Fault, FaultKind};
use super::schema::MAX_DEPTH;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Appends `json`, checked and without its white space. `depth` is how deep it stands in its object.
pub(super) fn copy(json: &[u8], depth: usize, out: &mut Vec<u8>) -> Fallible<()> {
    let mut source = serde_json::Deserializer::from_slice(json);
    Text { out, depth }
        .deserialize(&mut source)
        .and_then(|()| source.end())
        .map_err(|error| Fault::boxed(FaultKind::InvalidValue, format!("no JSON: {error}")))
}

/// Writes whatever a deserializer holds as JSON text.
pub(super) struct Text<'o> {
    pub(super) out: &'o mut Vec<u8>,
    pub(super) depth: usize,
}

impl Text<'_> {
    fn put<E: Error>(self, value: &(impl serde::Serialize + ?Sized)) -> Result<(), E> {
        serde_json::to_writer(self.out, value).map_err(E::custom)
    }

    fn deeper<E: Error>(&self) -> Result<usize, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(self.depth + 1)
    }
}

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Text<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.put(value)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.put(&())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        self.out.push(b'[');
        let first = self.out.len();
        loop {
            let mark = self.out.len();
            if mark > first {
                self.out.push(b',');
            }
            if items.next_element_seed(Text { out: self.out, depth })?.is_none() {
                self.out.truncate(mark);
                break;
            }
        }
        self.out.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        self.out.push(b'{');
        let first = self.out.len();
        while let Some(key) = entries.next_key::<std::borrow::Cow<'_, str>>()? {
            if self.out.len() > first {
                self.out.push(b',');
            }
            serde_json::to_writer(&mut *self.out, &key).map_err(A::Error::custom)?;
            self.out.push(b':');
            entries.next_value_seed(Text { out: self.out, depth })?;
        }
        self.out.push(b'}');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Fallible<String> {
        let mut out = Vec::new();
        copy(json.as_bytes(), 1, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn embedded_json_keeps_its_keys_in_order_and_loses_its_white_space() {
        let json = "{ \"b\": [1, -2, 2.5, true, null, [], {}],\n \"a\": {\"x\": \"\\u00e9\\n\"} }";
        assert_eq!(
            check(json).unwrap(),
            "{\"b\":[1,-2,2.5,true,null,[],{}],\"a\":{\"x\":\"é\\n\"}}"
        );
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for json in ["", "{", "{}x", "{a:1}", "k8s\0", "[1,]", &"[".repeat(100_000)] {
            assert_eq!(check(json).unwrap_err().kind, FaultKind::InvalidValue);
        }
        let deep = format!("{}{}", "[".repeat(110), "]".repeat(110));
        assert!(check(&deep).unwrap_err().message.contains("nested deeper"));
    }
}
