//! Every `.proto` of Orrery, and the code generated from them.
//!
//! - [`api`] and [`apimachinery`]: Kubernetes' objects, wire-compatible with upstream's own protobuf.
//! - [`orrery`]: our services. The gRPC stubs need the feature `grpc`; what is pure does without.
//! - [`etcd`]: what storage calls of etcd.
//! - [`Object`] and [`EventFrame`]: the two messages written by hand, because they travel as encoded bytes.
//! - [`Kind`]: what every arm of `orrery.v1.Object` has in common.
//! - [`descriptors`]: the schema at run time, with our field options.
//! - [`comment`]: what the schema says about a message or field.
//!
//! `generated/` is made by `cargo xtask codegen`; never edit it.

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, rustdoc::all, rust_2018_idioms)]
#[rustfmt::skip]
mod generated;
mod kind;
mod object;
mod watch_event;

/// `k8s.io/apiextensions-apiserver/pkg/apis/apiextensions`.
pub use apiextensions_apiserver::pkg::apis::apiextensions;
/// `sigs.k8s.io/scheduler-plugins/apis/scheduling`.
pub use generated::k8s::io::scheduler_plugins::apis::scheduling as gangs;
pub use generated::k8s::io::{api, apiextensions_apiserver, apimachinery};
pub use generated::orrery;
/// The part of etcd's v3 API that storage calls. Not in [`descriptors`]: we do not serve it.
pub mod etcd {
    pub use crate::generated::{etcdserverpb, mvccpb};
}
pub use kind::Kind;
pub use object::Object;
pub use watch_event::{Event, EventFrame, EventType};

/// `k8s.io/apimachinery/pkg/api/resource.Quantity`.
pub use generated::k8s::io::apimachinery::pkg::api::resource::Quantity;
/// `k8s.io/apimachinery/pkg/apis/meta`, under the name that everybody uses.
pub use generated::k8s::io::apimachinery::pkg::apis::meta;
/// `k8s.io/apimachinery/pkg/util/intstr.IntOrString`.
pub use generated::k8s::io::apimachinery::pkg::util::intstr::IntOrString;
/// `google.protobuf.Timestamp`, which is a Kubernetes `Time` on the wire.
pub use prost_types::Timestamp;

use std::collections::HashMap;
use std::sync::LazyLock;

/// The encoded `FileDescriptorSet` of every `.proto`, our field options included. For gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/descriptors.bin");

/// The schema at run time.
pub fn descriptors() -> &'static prost_reflect::DescriptorPool {
    static POOL: LazyLock<prost_reflect::DescriptorPool> = LazyLock::new(|| {
        prost_reflect::DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the descriptors are checked in CI")
    });
    &POOL
}

/// What the schema says, in one paragraph, about one of Kubernetes' messages or fields:
/// `k8s.io.api.core.v1.PodSpec.nodeName`.
pub fn comment(full_name: &str) -> Option<&'static str> {
    static COMMENTS: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
        include_str!("generated/comments.txt")
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .collect()
    });
    COMMENTS.get(full_name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_and_field_of_kubernetes_says_what_it_is() {
        for message in descriptors().all_messages() {
            if !message.full_name().starts_with("k8s.io.") || message.is_map_entry() {
                continue;
            }
            assert!(comment(message.full_name()).is_some(), "{}", message.full_name());
            for field in message.fields() {
                assert!(comment(field.full_name()).is_some(), "{}", field.full_name());
            }
        }
    }
}
