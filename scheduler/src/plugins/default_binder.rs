//! DefaultBinder: binds through the API.
//!
//! Bind. The write carries the Pod's UID, so that a Pod which was deleted and made again is not bound by a decision about
//! the first. <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/binding-v1/>

use crate::framework::{Bind, Plugin};
use crate::pod::PodInfo;
use proto::orrery::v1::batch_operation::Operation;
use proto::orrery::v1::{BatchOperation, BindRequest};

/// See the module.
#[derive(Debug)]
pub struct DefaultBinder;

impl Plugin for DefaultBinder {
    fn name(&self) -> &'static str {
        "DefaultBinder"
    }
}

impl Bind for DefaultBinder {
    fn bind(&self, pod: &PodInfo, node: &str) -> Option<BatchOperation> {
        let bind = BindRequest {
            namespace: pod.key.namespace.to_string(),
            name: pod.key.name.to_string(),
            uid: pod.uid.to_string(),
            node: node.into(),
        };
        Some(BatchOperation {
            operation: Some(Operation::Bind(bind)),
            cause: pod.revision,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{class, info};

    #[test]
    fn the_write_names_the_pod_by_its_uid_and_the_node() {
        let pod = info("web", &class(&[]));
        let write = DefaultBinder.bind(&pod, "node-1").unwrap();
        let Some(Operation::Bind(bind)) = write.operation else {
            panic!("not a binding");
        };
        assert_eq!(
            (bind.name.as_str(), bind.uid.as_str(), bind.node.as_str()),
            ("web", "web", "node-1")
        );
        assert_eq!(write.cause, pod.revision);
    }
}
