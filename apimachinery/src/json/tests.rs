use super::*;
use proto::Kind as _;
use proto::api::core::v1::Pod;

fn read(text: &str) -> Result<Decoded, Faults> {
    from_json(text.as_bytes(), Unknown::Strict)
}

fn again(text: &str) -> String {
    let decoded = read(text).unwrap();
    let mut out = Vec::new();
    to_json(decoded.number, &decoded.bytes, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_pod_goes_to_the_wire_and_back() {
    let text = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"a":"1","b":"2"},"name":"web"},"spec":{"containers":[{"image":"nginx","name":"web","resources":{}}]},"status":{}}"#;
    assert_eq!(again(text), text);
    let decoded = read(text).unwrap();
    assert_eq!(decoded.number, Pod::NUMBER);
}
