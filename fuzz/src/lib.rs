//! What must hold for any input at all, a function for each fuzzer.
//!
//! In: whatever bytes a fuzzer comes up with. Out: nothing, or a panic that tells what was broken.
//!
//! The fuzzers in `fuzz_targets/` call these; so does `apimachinery/tests/fuzzed.rs`, with every input that is checked
//! in, in the ordinary test run.

#[path = "../../apimachinery/tests/transcode/generator.rs"]
mod generator;

use apimachinery::json::{self, Decoded, Unknown, yaml};
use apimachinery::kinds;
use apimachinery::patch;
use proto::Kind as _;
use proto::orrery::v1::CustomResource;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Any text: what is read is well formed, and its JSON reads back to the same bytes.
pub fn json_to_wire(text: &[u8]) {
    for unknown in [Unknown::Strict, Unknown::Warn, Unknown::Ignore] {
        if let Ok(decoded) = json::from_json(text, unknown) {
            is_canonical(&decoded);
        }
    }
    // Most texts do not say what they are. By their length they are one thing or another.
    if let Ok(decoded) = json::from_json_as(kind(text.len()), text, Unknown::Ignore) {
        is_canonical(&decoded);
    }
}

/// Any bytes, the first of which chooses the kind: those that pass the check print as JSON, which reads back and says
/// the same.
pub fn wire_to_json(input: &[u8]) {
    let Some((&choice, bytes)) = input.split_first() else {
        return;
    };
    wire(kind(choice.into()), bytes);
}

/// The arm of one of the kinds that are known, or of the custom ones.
fn kind(choice: usize) -> u32 {
    let all = kinds::all();
    all.get(choice % (all.len() + 1))
        .map_or(CustomResource::NUMBER, |info| info.number)
}

fn wire(number: u32, bytes: &[u8]) {
    let mut printed = Vec::new();
    let written = json::to_json(number, bytes, &mut printed);
    if json::check_wire(number, bytes).is_err() {
        return;
    }
    written.expect("what passes the check is printed");
    serde_json::from_slice::<IgnoredAny>(&printed).expect("what is printed is JSON");
    if number == CustomResource::NUMBER {
        // Its fields are text that the client wrote, maybe with a key twice.
        return;
    }
    let decoded = json::from_json_as(number, &printed, Unknown::Strict)
        .unwrap_or_else(|faults| panic!("{faults}: {}", String::from_utf8_lossy(&printed)));
    let again = is_canonical(&decoded);
    // JSON prints zero values that are on the wire; the canonical bytes have none.
    if let (Ok(before), Ok(after)) = (serde_json::from_slice(&printed), serde_json::from_slice(&again)) {
        assert_eq!(
            pruned(after),
            pruned(before),
            "{}",
            String::from_utf8_lossy(&printed)
        );
    }
}

/// Without whatever is empty or zero; items of lists stay.
fn pruned(value: Value) -> Value {
    let is_zero = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => matches!(text.as_str(), "" | "0" | "0s"),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) => false,
    };
    match value {
        Value::Array(items) => items.into_iter().map(pruned).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, pruned(value)));
            Value::Object(fields.filter(|(_, value)| !is_zero(value)).collect())
        }
        value => value,
    }
}

/// Any text: no document panics, and what is an object is the same object when it is printed as YAML and read again.
pub fn yaml(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    for document in yaml::documents(text).flatten() {
        let Ok(decoded) = document.decode(Unknown::Ignore) else {
            continue;
        };
        is_canonical(&decoded);
        let printed = json::to_yaml(decoded.number, &decoded.bytes).expect("what was read is printed");
        let again = yaml::documents(&printed)
            .next()
            .expect("there is a document")
            .unwrap_or_else(|error| panic!("{error}: {printed}"))
            .decode(Unknown::Strict)
            .unwrap_or_else(|faults| panic!("{faults}: {printed}"));
        assert_eq!(again.bytes, decoded.bytes, "{printed}");
    }
}

/// A kind, a density and a seed: an object of the schema round-trips; and whatever the bytes behind them overwrite in
/// it, nothing panics.
pub fn round_trip_structured(input: &[u8]) {
    let Some((head, changes)) = input.split_first_chunk::<10>() else {
        return;
    };
    let [kind, density, seed @ ..] = *head;
    let all = kinds::all();
    let info = &all[usize::from(kind) % all.len()];
    let descriptor = proto::descriptors()
        .get_message_by_name(info.message)
        .expect("every kind has a message");
    let mut bytes = generator::object(&descriptor, u64::from_le_bytes(seed), u64::from(density % 101));
    wire(info.number, &bytes);
    // Three bytes are a change: where, and what is there then.
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
        if !bytes.is_empty() {
            let at = at % bytes.len();
            bytes[at] = change[2];
        }
    }
    wire(info.number, &bytes);
}

/// A patch behind an object, a NUL between them: no patch panics, and merging one twice is merging it once.
pub fn patch(input: &[u8]) {
    let mut parts = input.splitn(2, |&byte| byte == 0);
    let (Some(object), Some(patch)) = (parts.next(), parts.next()) else {
        return;
    };
    let (Ok(decoded), Ok(patch)) = (
        json::from_json(object, Unknown::Ignore),
        std::str::from_utf8(patch),
    ) else {
        return;
    };
    let Ok(before) = json::to_value(decoded.number, &decoded.bytes) else {
        return;
    };
    let merged = patch::merge_patch(&before, patch);
    if let Ok(after) = &merged {
        assert_eq!(patch::merge_patch(after, patch).as_ref(), Ok(after));
    }
    let all = [
        merged,
        patch::json_patch(&before, patch),
        patch::strategic_merge_patch(decoded.number, &before, patch),
    ];
    for after in all.into_iter().flatten() {
        if let Ok(decoded) = json::from_value_as(decoded.number, &after, Unknown::Ignore) {
            is_canonical(&decoded);
        }
    }
}

/// Bytes that were read pass the check, and their JSON, which is given back, reads to the same.
fn is_canonical(decoded: &Decoded) -> Vec<u8> {
    let Decoded { number, bytes, .. } = decoded;
    assert_eq!(json::check_wire(*number, bytes), Ok(Vec::new()));
    let mut printed = Vec::new();
    json::to_json(*number, bytes, &mut printed).expect("what was read is printed");
    let again = json::from_json_as(*number, &printed, Unknown::Strict)
        .unwrap_or_else(|faults| panic!("{faults}: {}", String::from_utf8_lossy(&printed)));
    assert_eq!(&again.bytes, bytes, "{}", String::from_utf8_lossy(&printed));
    printed
}
