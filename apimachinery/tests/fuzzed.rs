//! Every input that the fuzzers begin with, and every one that they broke something with, in the ordinary test run.

#[allow(unreachable_pub, reason = "there it is a library")]
#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

/// Runs a fuzzer's property with all inputs of `fuzz/seeds/<name>` and `fuzz/found/<name>`.
fn replay(name: &str, property: fn(&[u8])) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let mut count = 0;
    for folder in ["seeds", "found"] {
        let Ok(files) = fs::read_dir(fuzz.join(folder).join(name)) else {
            continue;
        };
        for file in files {
            let path = file.unwrap().path();
            let input = fs::read(&path).unwrap();
            assert!(catch_unwind(|| property(&input)).is_ok(), "{}", path.display());
            count += 1;
        }
    }
    assert!(count > 0, "fuzz/seeds/{name} is empty");
}

#[test]
fn json_to_wire() {
    replay("json_to_wire", fuzz::json_to_wire);
}

#[test]
fn wire_to_json() {
    replay("wire_to_json", fuzz::wire_to_json);
}

#[test]
fn yaml() {
    replay("yaml", fuzz::yaml);
}

#[test]
fn round_trip_structured() {
    replay("round_trip_structured", fuzz::round_trip_structured);
}

#[test]
fn patch() {
    replay("patch", fuzz::patch);
}
