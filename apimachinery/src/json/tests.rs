use super::*;
use prost::Message as _;
use proto::Kind as _;
use proto::api::apps::v1::{ControllerRevision, Deployment};
use proto::api::core::v1::{Event, Pod, Secret, Service};
use serde_json::json;

const POD: u32 = Pod::NUMBER;

fn read(text: &str) -> Result<Decoded, Faults> {
    from_json(text.as_bytes(), Unknown::Strict)
}

fn printed(number: u32, bytes: &[u8]) -> String {
    let mut out = Vec::new();
    to_json(number, bytes, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// What the text comes to when it is read and printed.
fn again(number: u32, text: &str) -> String {
    let decoded = from_json_as(number, text.as_bytes(), Unknown::Strict).unwrap();
    printed(number, &decoded.bytes)
}

/// Every fault of a text: what and where.
fn faults(number: u32, text: &str) -> Vec<String> {
    let error = from_json_as(number, text.as_bytes(), Unknown::Strict).unwrap_err();
    error.0.iter().map(Fault::to_string).collect()
}

fn container(field: &str) -> String {
    format!(r#"{{"spec":{{"containers":[{{{field}}}]}}}}"#)
}

#[test]
fn a_pod_goes_to_the_wire_and_back() {
    let text = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"a":"1","b":"2"},"name":"web"},"spec":{"containers":[{"image":"nginx","name":"web","resources":{}}]},"status":{}}"#;
    let decoded = read(text).unwrap();
    assert_eq!(decoded.number, POD);
    assert_eq!(printed(POD, &decoded.bytes), text);
    let pod = Pod::decode(decoded.bytes.clone()).unwrap();
    assert_eq!(pod.spec.unwrap().containers[0].image, "nginx");
    let from_tree = from_value(&serde_json::from_str(text).unwrap(), Unknown::Strict).unwrap();
    assert_eq!(from_tree, decoded);
}

#[test]
fn the_kind_is_found_wherever_it_stands_and_must_be_served() {
    assert_eq!(
        read(r#"{"spec":{},"kind":"Deployment","apiVersion":"apps/v1"}"#)
            .unwrap()
            .number,
        Deployment::NUMBER
    );
    for (text, fault) in [
        (
            r#"{"kind":"Pod"}"#,
            "apiVersion: required: it says what the object is",
        ),
        (
            r#"{"apiVersion":"v1"}"#,
            "kind: required: it says what the object is",
        ),
        (
            r#"{"apiVersion":"v1","kind":"Deployment"}"#,
            "kind: no kind \"Deployment\" in version \"v1\" is served here",
        ),
    ] {
        assert_eq!(read(text).unwrap_err().to_string(), fault);
    }
    assert_eq!(
        faults(POD, r#"{"apiVersion":"v2","kind":"Node"}"#),
        [
            "line 1, column 15: apiVersion: expected \"v1\", got \"v2\"",
            "line 1, column 27: kind: expected \"Pod\", got \"Node\"",
        ]
    );
    assert!(from_json_as(999, b"{}", Unknown::Strict).is_err());
    assert!(to_json(999, b"", &mut Vec::new()).is_err());
}

#[test]
fn type_meta_of_an_object_inside_of_another_says_nothing() {
    let text = r#"{"spec":{"volumeClaimTemplates":[{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"data"}}]}}"#;
    let number = proto::api::apps::v1::StatefulSet::NUMBER;
    assert!(again(number, text).contains(r#"[{"metadata":{"name":"data"},"#));
}

#[test]
fn delete_options_are_read_whatever_group_they_come_with() {
    let message = Message::by_name("k8s.io.apimachinery.pkg.apis.meta.v1.DeleteOptions").unwrap();
    let text = br#"{"apiVersion":"policy/v1","kind":"DeleteOptions","gracePeriodSeconds":0}"#;
    let (bytes, _) = message.from_json(text, Unknown::Strict).unwrap();
    let options = proto::meta::v1::DeleteOptions::decode(bytes).unwrap();
    assert_eq!(options.grace_period_seconds, Some(0));
}

#[test]
fn what_go_always_prints_is_printed_and_reads_as_nothing() {
    let text = printed(Deployment::NUMBER, b"");
    assert_eq!(
        text,
        r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{},"spec":{"selector":null,"strategy":{},"template":{"metadata":{},"spec":{"containers":null}}},"status":{}}"#
    );
    assert!(read(&text).unwrap().bytes.is_empty());
}

#[test]
fn fields_of_inlined_messages_stand_in_their_parents_object() {
    let text = r#"{"apiVersion":"v1","kind":"Pod","metadata":{},"spec":{"containers":null,"volumes":[{"emptyDir":{"sizeLimit":"1Gi"},"name":"scratch"},{"configMap":{"name":"web","optional":false},"name":"config"}]},"status":{}}"#;
    assert_eq!(again(POD, text), text);
    let pod = Pod::decode(read(text).unwrap().bytes).unwrap();
    let volumes = pod.spec.unwrap().volumes;
    assert!(volumes[0].volume_source.as_ref().unwrap().empty_dir.is_some());
}

#[test]
fn int_or_string_keeps_which_it_is() {
    for port in ["8080", "\"http\"", "0", "\"\"", "-1", "\"25%\""] {
        let text = format!(r#"{{"spec":{{"ports":[{{"port":80,"targetPort":{port}}}]}}}}"#);
        assert!(
            again(Service::NUMBER, &text).contains(&format!("\"targetPort\":{port}}}")),
            "{port}"
        );
    }
}

#[test]
fn quantities_keep_their_text_and_may_be_numbers() {
    for (given, kept) in [
        ("\"0.50\"", "\"0.50\""),
        ("\"1e3\"", "\"1e3\""),
        ("2", "\"2\""),
        ("0.5", "\"0.5\""),
        ("-1", "\"-1\""),
    ] {
        let text = container(&format!(r#""resources":{{"limits":{{"cpu":{given}}}}}"#));
        assert!(
            again(POD, &text).contains(&format!(r#""limits":{{"cpu":{kept}}}"#)),
            "{given}"
        );
    }
}

#[test]
fn an_empty_quantity_is_zero_where_something_stands() {
    for given in ["null", "\"\"", "0", "\"0\""] {
        let text = container(&format!(r#""resources":{{"limits":{{"cpu":{given}}}}}"#));
        let decoded = from_json_as(POD, text.as_bytes(), Unknown::Strict).unwrap();
        let zero = container(r#""resources":{"limits":{"cpu":"0"}}"#);
        assert_eq!(
            decoded.bytes,
            from_json_as(POD, zero.as_bytes(), Unknown::Strict).unwrap().bytes,
            "{given}"
        );
        let volume = format!(r#"{{"spec":{{"volumes":[{{"emptyDir":{{"sizeLimit":{given}}}}}]}}}}"#);
        let printed = again(POD, &volume);
        assert_eq!(
            printed.contains(r#""sizeLimit":"0""#),
            given != "null",
            "{printed}"
        );
        assert_eq!(again(POD, &printed), printed);
    }
}

#[test]
fn times_are_seconds_and_event_times_are_microseconds() {
    let text = r#"{"eventTime":"2026-01-02T03:04:05.678901+01:00","lastTimestamp":"2026-01-02T03:04:05.678Z","firstTimestamp":null}"#;
    let text = again(Event::NUMBER, text);
    assert!(
        text.contains(r#""eventTime":"2026-01-02T02:04:05.678901Z""#),
        "{text}"
    );
    assert!(
        text.contains(r#""lastTimestamp":"2026-01-02T03:04:05Z""#),
        "{text}"
    );
    assert!(text.contains(r#""firstTimestamp":null"#), "{text}");
}

#[test]
fn the_first_second_of_1970_is_a_time_and_not_nothing() {
    let text = again(
        POD,
        r#"{"metadata":{"creationTimestamp":"1970-01-01T00:00:00Z"}}"#,
    );
    assert!(
        text.contains(r#""creationTimestamp":"1970-01-01T00:00:00Z""#),
        "{text}"
    );
}

#[test]
fn secrets_are_base64_also_when_folded() {
    let text = again(Secret::NUMBER, r#"{"data":{"b":"aGVs\nbG8=","a":""}}"#);
    assert!(text.contains(r#""data":{"a":"","b":"aGVsbG8="}"#), "{text}");
    assert_eq!(
        faults(Secret::NUMBER, r#"{"data":{"b":"no base64!"}}"#),
        ["line 1, column 14: data[b]: expected a base64 string, got \"no base64!\""]
    );
}

#[test]
fn embedded_json_stays_as_it_is() {
    let text = r#"{"apiVersion":"apps/v1","data":{"z":[1,{"y":"\u0001"}],"a":null},"kind":"ControllerRevision","metadata":{},"revision":1}"#;
    let text = again(ControllerRevision::NUMBER, text);
    assert!(
        text.contains(r#""data":{"z":[1,{"y":"\u0001"}],"a":null}"#),
        "{text}"
    );
}

#[test]
fn numbers_are_integers_that_fit_and_never_strings() {
    let number = |value: &str| {
        let text = format!(r#"{{"metadata":{{"generation":{value}}},"spec":{{"priority":{value}}}}}"#);
        from_json_as(POD, text.as_bytes(), Unknown::Strict).map_or_else(
            |error| error.0.iter().map(|f| (f.field(), f.kind)).collect(),
            |_| Vec::new(),
        )
    };
    let both = |kind| {
        vec![
            ("metadata.generation".to_owned(), kind),
            ("spec.priority".to_owned(), kind),
        ]
    };
    let narrow = vec![("spec.priority".to_owned(), FaultKind::InvalidValue)];
    assert_eq!(number("0"), []);
    assert_eq!(number("-2147483648"), []);
    assert_eq!(number("2147483648"), narrow);
    assert_eq!(number("9223372036854775807"), narrow);
    for value in ["9223372036854775808", "123456789012345678901234567890"] {
        assert_eq!(number(value), both(FaultKind::InvalidValue), "{value}");
    }
    for value in ["1.0", "1e3", "\"1\"", "true", "[1]", "{}"] {
        assert_eq!(number(value), both(FaultKind::WrongType), "{value}");
    }
}

#[test]
fn one_reading_names_every_fault_with_its_place() {
    let text = r#"{
  "metadata": {"name": 1, "labels": {"app": true}},
  "spec": {
    "containers": [
      {"name": "web", "imag": "nginx", "ports": {"containerPort": 80}},
      {"name": "two", "name": "three", "env": [{"value": 80}]}
    ],
    "restartPolicy": ["Always"]
  }
}"#;
    assert_eq!(
        faults(POD, text),
        [
            "line 2, column 24: metadata.name: expected a string, got integer `1`",
            "line 2, column 45: metadata.labels[app]: expected a string, got boolean `true`",
            "line 5, column 31: unknown field \"spec.containers[0].imag\"",
            "line 5, column 49: spec.containers[0].ports: expected a list, got map",
            "line 6, column 31: duplicate field \"spec.containers[1].name\"",
            "line 6, column 58: spec.containers[1].env[0].value: expected a string, got integer `80`",
            "line 8, column 22: spec.restartPolicy: expected a string, got sequence",
        ]
    );
}

#[test]
fn stray_fields_are_errors_warnings_or_nothing() {
    let text =
        br#"{"metadata":{"name":"a","name":"b","labels":{"x":"1","a":"0","x":"2"},"nmae":{"deep":[1]}}}"#;
    assert_eq!(from_json_as(POD, text, Unknown::Strict).unwrap_err().0.len(), 3);
    let warned = from_json_as(POD, text, Unknown::Warn).unwrap();
    let named: Vec<String> = warned.warnings.iter().map(Fault::to_string).collect();
    assert_eq!(
        named,
        [
            "duplicate field \"metadata.name\"",
            "duplicate field \"metadata.labels[x]\"",
            "unknown field \"metadata.nmae\""
        ]
    );
    let ignored = from_json_as(POD, text, Unknown::Ignore).unwrap();
    assert_eq!(ignored.warnings, []);
    assert_eq!(ignored.bytes, warned.bytes);
    let pod = Pod::decode(ignored.bytes).unwrap();
    assert_eq!(pod.name(), "b");
    assert_eq!(pod.meta().labels["x"], "2");
}

#[test]
fn null_is_absent_and_in_a_list_an_empty_item() {
    let text = again(
        POD,
        r#"{"metadata":null,"spec":{"containers":[{"name":null,"command":["a",null]}],"volumes":null}}"#,
    );
    assert_eq!(
        text,
        r#"{"apiVersion":"v1","kind":"Pod","metadata":{},"spec":{"containers":[{"command":["a",""],"name":"","resources":{}}]},"status":{}}"#
    );
}

#[test]
fn empty_is_not_absent_where_upstream_has_a_pointer() {
    let text = container(r#""name":"web","securityContext":{"runAsUser":0,"privileged":false}"#);
    assert!(again(POD, &text).contains(r#""securityContext":{"privileged":false,"runAsUser":0}"#));
}

#[test]
fn a_message_that_comes_in_two_pieces_is_merged() {
    let half = |name: &str, image: &str| {
        let mut pod = Pod::default();
        pod.metadata_mut().name = name.into();
        pod.metadata_mut().generate_name = image.into();
        pod.encode_to_vec()
    };
    let bytes = [half("web", ""), half("", "web-")].concat();
    let text = printed(POD, &bytes);
    assert!(
        text.contains(r#""metadata":{"generateName":"web-","name":"web"}"#),
        "{text}"
    );
}

#[test]
fn zero_values_and_unknown_fields_are_not_canonical() {
    let mut pod = Pod::default();
    pod.metadata_mut().name = "web".into();
    let bytes = pod.encode_to_vec();
    // As Go writes it: an empty spec and status; and field 99 from a later version.
    let loose = [&bytes[..], &[0x12, 0x00, 0x1a, 0x00, 0x98, 0x06, 0x01]].concat();
    assert_eq!(canonical(POD, &loose).unwrap(), bytes);
}

#[test]
fn maps_are_sorted_whatever_order_they_come_in() {
    let text = again(POD, r#"{"metadata":{"labels":{"c":"3","a":"1","":"0","b":""}}}"#);
    assert!(
        text.contains(r#""labels":{"":"0","a":"1","b":"","c":"3"}"#),
        "{text}"
    );
}

#[test]
fn the_pretty_form_says_the_same() {
    let bytes = read(r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web"}}"#)
        .unwrap()
        .bytes;
    let pretty = to_json_pretty(POD, &bytes).unwrap();
    assert!(
        pretty.starts_with("{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"Pod\",\n"),
        "{pretty}"
    );
    let tree: serde_json::Value = serde_json::from_str(&pretty).unwrap();
    assert_eq!(tree, to_value(POD, &bytes).unwrap());
    assert_eq!(tree["metadata"], json!({"name": "web"}));
}
