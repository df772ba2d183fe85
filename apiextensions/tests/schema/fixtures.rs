//! Definitions of the shapes that people use, written for these tests: certificates, workflows, monitoring.

use serde_json::Value;

/// Every one, by its name.
pub(crate) fn all() -> Vec<(&'static str, Value)> {
    [
        ("certificates", include_str!("fixtures/certificates.yaml")),
        ("workflows", include_str!("fixtures/workflows.yaml")),
        ("monitors", include_str!("fixtures/monitors.yaml")),
    ]
    .into_iter()
    .map(|(name, text)| {
        let value = serde_saphyr::from_str(text).unwrap_or_else(|why| panic!("{name}: {why}"));
        (name, value)
    })
    .collect()
}

/// The schema of one of them.
pub(crate) fn schema(name: &str) -> Value {
    let (_, definition) = all().into_iter().find(|(other, _)| *other == name).unwrap();
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}
