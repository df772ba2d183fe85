//! Input from strangers: the transcoder answers with an error that names the place, and never panics.

use super::SUBJECTS;
use apimachinery::json::{self, FaultKind, MAX_DEPTH, MAX_FAULTS, Unknown, yaml};
use proptest::prelude::*;
use prost::Message as _;
use proto::Kind as _;
use proto::api::core::v1::Pod;

fn faults(text: &str) -> Vec<(FaultKind, String)> {
    let read = json::from_json_as(Pod::NUMBER, text.as_bytes(), Unknown::Strict);
    let faults = read.expect_err(text).0;
    faults.iter().map(|fault| (fault.kind, fault.field())).collect()
}

#[test]
fn text_that_is_no_json_is_a_fault_of_syntax_with_its_place() {
    for text in [
        "",
        " ",
        "{",
        "{\"metadata\":",
        "{\"metadata\":{}}x",
        "[]",
        "1",
        "null",
        "{'metadata':{}}",
        "{\"metadata\":{},}",
        "{\"metadata\":{\"name\":\"\\ud800\"}}",
        "{\"metadata\":{\"name\":\"a\nb\"}}",
        "{\"metadata\":{\"name\":\"\\x\"}}",
        "{\"metadata\":{\"generation\":01}}",
        "{\"metadata\":{\"generation\":1e999}}",
        "\u{feff}{}",
    ] {
        let error = json::from_json_as(Pod::NUMBER, text.as_bytes(), Unknown::Ignore).expect_err(text);
        assert_eq!(error.0[0].kind, FaultKind::Syntax, "{text}: {error}");
        assert!(error.0[0].place.is_some(), "{text}: {error}");
    }
    let invalid_utf8 = b"{\"metadata\":{\"name\":\"\xff\"}}";
    assert!(json::from_json_as(Pod::NUMBER, invalid_utf8, Unknown::Strict).is_err());
}

#[test]
fn nesting_without_end_is_refused_before_the_stack_is() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let unknown = format!("{{\"x\":{}1{}}}", open.repeat(200_000), close.repeat(200_000));
        assert!(json::from_json_as(Pod::NUMBER, unknown.as_bytes(), Unknown::Strict).is_err());
        // What is left out may be as deep as it likes: serde_json skips it without recursion.
        assert!(json::from_json_as(Pod::NUMBER, unknown.as_bytes(), Unknown::Ignore).is_ok());
        let raw = format!("{{\"data\":{}1{}}}", open.repeat(200), close.repeat(200));
        let number = proto::api::apps::v1::ControllerRevision::NUMBER;
        assert!(json::from_json_as(number, raw.as_bytes(), Unknown::Strict).is_err());
    }
}

#[test]
fn deep_trees_are_refused_too() {
    let mut value = serde_json::json!(1);
    for _ in 0..MAX_DEPTH + 10 {
        value = serde_json::json!([value]);
    }
    let number = proto::api::apps::v1::ControllerRevision::NUMBER;
    let revision = serde_json::json!({"data": value});
    let error = json::from_value_as(number, &revision, Unknown::Strict).unwrap_err();
    assert!(error.to_string().contains("nested deeper"), "{error}");
}

#[test]
fn the_number_of_faults_named_is_bounded() {
    let many: Vec<String> = (0..10_000).map(|i| format!("\"x{i}\":1")).collect();
    assert_eq!(faults(&format!("{{{}}}", many.join(","))).len(), MAX_FAULTS);
}

#[test]
fn bytes_cut_short_anywhere_are_refused_or_a_shorter_object() {
    for subject in SUBJECTS {
        let message = subject.message();
        let bytes = subject.generate(7, 60);
        for end in 0..bytes.len().min(2000) {
            let mut out = Vec::new();
            let printed = message.to_json(&bytes[..end], &mut out);
            if message.check_wire(&bytes[..end]).is_ok() {
                assert_eq!(printed, Ok(()), "{}", message.full_name());
            }
        }
    }
}

#[test]
fn wire_faults_are_named_by_their_paths() {
    let container = |field: &[u8]| {
        // spec.containers: 2, then 2.
        let mut spec = vec![0x12, field.len() as u8];
        spec.extend_from_slice(field);
        let mut pod = vec![0x12, spec.len() as u8];
        pod.extend_from_slice(&spec);
        pod
    };
    for (field, path) in [
        (&[0x0a, 0x02, 0xff, 0xfe][..], "spec.containers[0].name"),
        (&[0x08, 0x01], "spec.containers[0].name"),
        (&[0x0a, 0x7f, 0x61], "spec.containers[0]"),
        (&[0x0b], "spec.containers[0]"),
        (&[0x00, 0x00], "spec.containers[0]"),
    ] {
        let error = json::check_wire(Pod::NUMBER, &container(field)).unwrap_err();
        assert_eq!(error.0[0].field(), path, "{error}");
        let mut out = Vec::new();
        let fault = json::to_json(Pod::NUMBER, &container(field), &mut out).unwrap_err();
        assert_eq!(fault.field(), path, "{fault}");
    }
    let unknown = container(&[0x98, 0x06, 0x01]);
    let found = json::check_wire(Pod::NUMBER, &unknown).unwrap();
    assert_eq!(found, ["spec.containers[0].99"]);
    // However many there are, those that are told are few.
    let faults = json::check_wire(Pod::NUMBER, &[0x08, 0x01].repeat(100_000)).unwrap_err();
    assert_eq!(faults.0.len(), json::MAX_FAULTS);
    let found = json::check_wire(Pod::NUMBER, &[0x98, 0x06, 0x01].repeat(100_000)).unwrap();
    assert_eq!(found.len(), json::MAX_FAULTS);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic_and_what_passes_the_check_decodes_and_prints(bytes: Vec<u8>) {
        let checked = json::check_wire(Pod::NUMBER, &bytes);
        let printed = json::to_json(Pod::NUMBER, &bytes, &mut Vec::new());
        if checked.is_ok() {
            prop_assert_eq!(printed, Ok(()));
            prop_assert!(Pod::decode(bytes.as_slice()).is_ok());
        }
    }

    #[test]
    fn a_flipped_byte_never_panics(subject in 0..SUBJECTS.len(), seed: u64, at: prop::sample::Index, byte: u8) {
        let subject = &SUBJECTS[subject];
        let message = subject.message();
        let mut bytes = subject.generate(seed, 30);
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut out = Vec::new();
        let printed = message.to_json(&bytes, &mut out);
        if message.check_wire(&bytes).is_ok() {
            prop_assert!((subject.decodes)(&bytes));
            prop_assert_eq!(printed, Ok(()));
            let again = message.from_json(&out, Unknown::Strict);
            prop_assert!(again.is_ok(), "{:?}", again);
        }
    }

    #[test]
    fn a_flipped_byte_of_json_never_panics(subject in 0..SUBJECTS.len(), seed: u64, at: prop::sample::Index, byte: u8) {
        let subject = &SUBJECTS[subject];
        let message = subject.message();
        let mut text = super::json(message, &subject.generate(seed, 30)).into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok((bytes, _)) = message.from_json(&text, Unknown::Warn) {
            prop_assert!(message.check_wire(&bytes).is_ok());
        }
    }

    #[test]
    fn random_text_never_panics(text: String) {
        prop_assert!(json::from_json(text.as_bytes(), Unknown::Strict).is_err());
        for document in yaml::documents(&text).flatten() {
            prop_assert!(document.decode(Unknown::Strict).is_err());
        }
    }
}
