//! Namespaces, Nodes, Events, Leases, ConfigMaps, Secrets, ServiceAccounts, ResourceQuotas, LimitRanges,
//! PriorityClasses.

use super::{Defaults, fill_in, optional, resource_list, string};
use crate::well_known::METADATA_NAME;
use proto::api::coordination::v1::Lease;
use proto::api::core::v1::{
    ConfigMap, Event, LimitRange, LimitRangeItem, Namespace, Node, ResourceQuota, Secret, ServiceAccount,
};
use proto::api::scheduling::v1::PriorityClass;

impl Defaults for Namespace {
    fn set_defaults(&mut self) {
        let meta = self.metadata.get_or_insert_default();
        if !meta.name.is_empty() {
            meta.labels.insert(METADATA_NAME.to_owned(), meta.name.clone());
        }
        string(&mut self.status.get_or_insert_default().phase, "Active");
    }
}

impl Defaults for Node {
    fn set_defaults(&mut self) {
        if let Some(status) = &mut self.status {
            resource_list(&mut status.capacity);
            resource_list(&mut status.allocatable);
            if status.allocatable.is_empty() {
                status.allocatable.clone_from(&status.capacity);
            }
        }
    }
}

impl Defaults for Event {
    fn set_defaults(&mut self) {}
}

impl Defaults for Lease {
    fn set_defaults(&mut self) {}
}

impl Defaults for ConfigMap {
    fn set_defaults(&mut self) {}
}

impl Defaults for ServiceAccount {
    fn set_defaults(&mut self) {}
}

impl Defaults for Secret {
    fn set_defaults(&mut self) {
        string(&mut self.r#type, "Opaque");
        // `stringData` is only a way to write: it wins over `data` and is never stored.
        for (key, text) in std::mem::take(&mut self.string_data) {
            self.data.insert(key, text.into());
        }
    }
}

impl Defaults for ResourceQuota {
    fn set_defaults(&mut self) {
        resource_list(&mut self.spec.get_or_insert_default().hard);
        if let Some(status) = &mut self.status {
            resource_list(&mut status.hard);
            resource_list(&mut status.used);
        }
    }
}

impl Defaults for LimitRange {
    fn set_defaults(&mut self) {
        for item in &mut self.spec.get_or_insert_default().limits {
            let LimitRangeItem {
                max,
                min,
                default,
                default_request,
                max_limit_request_ratio,
                ..
            } = item;
            for list in [
                &mut *max,
                &mut *min,
                &mut *default,
                &mut *default_request,
                max_limit_request_ratio,
            ] {
                resource_list(list);
            }
            if item.r#type == "Container" {
                fill_in(default, max);
                fill_in(default_request, default);
                fill_in(default_request, min);
            }
        }
    }
}

impl Defaults for PriorityClass {
    fn set_defaults(&mut self) {
        optional(&mut self.preemption_policy, "PreemptLowerPriority");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::Kind;

    #[test]
    fn a_namespace_bears_its_own_name_as_a_label() {
        let mut namespace = Namespace::default();
        namespace.metadata_mut().name = "team-a".into();
        namespace.set_defaults();
        assert_eq!(namespace.meta().labels[METADATA_NAME], "team-a");
        assert_eq!(namespace.status.unwrap().phase, "Active");
    }

    #[test]
    fn a_secrets_plain_text_becomes_data() {
        let mut secret = Secret::default();
        secret.data.insert("a".into(), "old".into());
        secret.string_data.insert("a".into(), "new".into());
        secret.set_defaults();
        assert_eq!(secret.data["a"], "new");
        assert!(secret.string_data.is_empty());
        assert_eq!(secret.r#type, "Opaque");
    }

    #[test]
    fn a_node_can_give_all_that_it_has() {
        let mut node = Node::default();
        let capacity = &mut node.status.get_or_insert_default().capacity;
        capacity.insert(
            "cpu".into(),
            proto::Quantity {
                string: "4000m".into(),
            },
        );
        node.set_defaults();
        assert_eq!(node.status.unwrap().allocatable["cpu"].string, "4");
    }

    #[test]
    fn a_container_limit_range_fills_its_lists_from_each_other() {
        let mut item = LimitRangeItem {
            r#type: "Container".into(),
            ..LimitRangeItem::default()
        };
        item.max
            .insert("cpu".into(), proto::Quantity { string: "2".into() });
        let mut range = LimitRange::default();
        range.spec.get_or_insert_default().limits.push(item);
        range.set_defaults();
        let item = &range.spec.unwrap().limits[0];
        assert_eq!(item.default["cpu"].string, "2");
        assert_eq!(item.default_request["cpu"].string, "2");
    }
}
