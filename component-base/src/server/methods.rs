//! The methods that a server serves, read from the descriptors: which are calls, which are streams.

use prost::Message;
use prost_types::FileDescriptorSet;
use std::collections::HashMap;
use std::sync::Arc;

/// One method.
#[derive(Debug)]
pub(super) struct Method {
    /// "orrery.v1.Resources/Get": the metrics' label.
    pub(super) name: Arc<String>,
    /// What limits apply.
    pub(super) kind: MethodKind,
}

/// Which limits apply to a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MethodKind {
    /// One answer, within the deadline; refused under overload.
    Call,
    /// One answer, within the deadline; never refused, because it tells how the process fares.
    Vital,
    /// Many answers, for as long as the client likes; counted apart.
    Stream,
}

/// Services that must answer under overload too.
const VITAL: [&str; 2] = ["grpc.health.v1.Health", "orrery.v1.Component"];

/// Methods by their HTTP path.
#[derive(Debug)]
pub(super) struct Methods {
    by_path: HashMap<String, Method>,
}

impl Methods {
    /// The methods of `services` that the encoded `FileDescriptorSet`s describe.
    pub(super) fn of(descriptors: &[&[u8]], services: &[&str]) -> Result<Self, prost::DecodeError> {
        let mut by_path = HashMap::new();
        for encoded in descriptors {
            for file in FileDescriptorSet::decode(*encoded)?.file {
                for service in &file.service {
                    let service_name = format!("{}.{}", file.package(), service.name());
                    if !services.contains(&service_name.as_str()) {
                        continue;
                    }
                    for method in &service.method {
                        let kind = if method.server_streaming() {
                            MethodKind::Stream
                        } else if VITAL.contains(&service_name.as_str()) {
                            MethodKind::Vital
                        } else {
                            MethodKind::Call
                        };
                        let name = format!("{service_name}/{}", method.name());
                        by_path.insert(
                            format!("/{name}"),
                            Method {
                                name: Arc::new(name),
                                kind,
                            },
                        );
                    }
                }
            }
        }
        Ok(Self { by_path })
    }

    /// The method that a request's path names.
    pub(super) fn get(&self, path: &str) -> Option<&Method> {
        self.by_path.get(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_says_which_methods_are_streams() {
        let methods = Methods::of(
            &super::super::DESCRIPTORS,
            &["orrery.v1.Resources", "orrery.v1.Component"],
        )
        .unwrap();
        for (path, expected) in [
            ("/orrery.v1.Resources/Get", Some(MethodKind::Call)),
            ("/orrery.v1.Resources/Watch", Some(MethodKind::Stream)),
            ("/orrery.v1.Component/GetStatus", Some(MethodKind::Vital)),
            ("/orrery.v1.Pods/Bind", None),
            ("/orrery.v1.Resources/get", None),
        ] {
            assert_eq!(methods.get(path).map(|m| m.kind), expected, "{path}");
        }
    }
}
