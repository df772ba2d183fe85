//! A write of an object of a kind that people use, from what they send to what is stored.

use super::{compile, fixtures, told};
use serde_json::json;

#[test]
fn a_certificate_is_pruned_filled_and_held_to_its_rules() {
    let schema = compile(&fixtures::schema("certificates"));
    let mut certificate = json!({
        "apiVersion": "pki.example.com/v1", "kind": "Certificate", "metadata": {"name": "web"},
        "spec": {
            "secretName": "web-tls", "issuerRef": {"name": "ca"}, "dnsNames": ["example.com", "*.example.com"],
            "ipAddresses": ["10.0.0.1"], "renewBefore": "360h", "colour": "green",
        }
    });
    assert_eq!(schema.prune(&mut certificate), ["spec.colour"]);
    schema.default(&mut certificate);
    assert_eq!(told(schema.validate(&certificate, None)), [""; 0]);
    let spec = &certificate["spec"];
    assert_eq!(spec["duration"], "2160h");
    assert_eq!(
        spec["issuerRef"],
        json!({"name": "ca", "kind": "Issuer", "group": "pki.example.com"})
    );
    assert_eq!(
        spec["privateKey"],
        json!({"algorithm": "RSA", "encoding": "PKCS1", "rotationPolicy": "Never"})
    );

    let mut bad = certificate.clone();
    bad["spec"]["renewBefore"] = "9000h".into();
    bad["spec"]["ipAddresses"] = json!(["10.0.0.300"]);
    bad["spec"]["privateKey"] = json!({"algorithm": "ECDSA", "encoding": "PKCS1", "rotationPolicy": "Never"});
    assert_eq!(
        told(schema.validate(&bad, Some(&certificate))),
        [
            "spec.renewBefore: Invalid value: \"object\": renewBefore must be shorter than duration",
            "spec.ipAddresses[0]: Invalid value: \"string\": must be an address",
            "spec.privateKey: Invalid value: \"object\": the algorithm is immutable",
        ]
    );
    bad["spec"]["privateKey"] = json!({"algorithm": "RSA", "size": 1024});
    let faults = told(schema.validate(&bad, None));
    assert_eq!(
        faults[2],
        "spec.privateKey.size: Forbidden: an RSA key of 1024 bits is too weak"
    );
}
