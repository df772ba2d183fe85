//! ServiceAccount controller: every Namespace has a ServiceAccount `default`, which Pods use that name no other.
//!
//! Watches: Namespace; the metadata of ServiceAccounts. Writes: ServiceAccount (create). Invariant: it creates nothing in a
//! Namespace that is on its way out.
//! <https://kubernetes.io/docs/concepts/security/service-accounts/#default-service-accounts>

use apimachinery::meta::is_being_deleted;
use client::cache::{Cache, CacheEvent, Watch};
use client::controller::{Action, Controller, Plan};
use client::key::ObjectKey;
use jiff::Timestamp;
use proto::Kind;
use proto::api::core::v1::{Namespace, ServiceAccount};

/// The account that every Namespace has.
const DEFAULT: &str = "default";

/// The controller. It keeps nothing.
pub(crate) struct ServiceAccountController;

impl Controller for ServiceAccountController {
    fn name(&self) -> &'static str {
        "serviceaccount"
    }

    fn watches(&self) -> Vec<Watch> {
        vec![Watch::of::<Namespace>(), Watch::metadata(ServiceAccount::NUMBER)]
    }

    fn keys(&self, _cache: &Cache, event: &CacheEvent) -> Vec<ObjectKey> {
        if event.key.is::<Namespace>() {
            return vec![event.key.clone()];
        }
        let is_default = event.key.is::<ServiceAccount>() && *event.key.name == *DEFAULT;
        is_default
            .then(|| ObjectKey::new::<Namespace>("", &event.key.namespace))
            .into_iter()
            .collect()
    }

    fn reconcile(&self, cache: &Cache, key: &ObjectKey, _now: Timestamp) -> Plan {
        let mut plan = Plan::none();
        let stands = cache
            .get_key::<Namespace>(key)
            .is_some_and(|namespace| !is_being_deleted(namespace.meta()));
        let account = ObjectKey::new::<ServiceAccount>(&key.name, DEFAULT);
        if stands && cache.metadata(&account).is_none() {
            let mut account = ServiceAccount::default();
            account.metadata_mut().name = DEFAULT.into();
            account.metadata_mut().namespace = key.name.to_string();
            plan.push(Action::create(&account));
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use client::testing::World;

    fn namespace(name: &str) -> Namespace {
        let mut namespace = Namespace::default();
        namespace.metadata_mut().name = name.into();
        namespace
    }

    #[test]
    fn every_namespace_gets_its_account_and_gets_it_back() {
        let mut world = World::of(&[&ServiceAccountController]);
        world.add(&namespace("team"));
        world.settle(&[&ServiceAccountController]);
        let account: ServiceAccount = world.get("team", DEFAULT).unwrap();
        world.remove(&account);
        world.settle(&[&ServiceAccountController]);
        assert!(world.get::<ServiceAccount>("team", DEFAULT).is_some());
    }

    #[test]
    fn a_namespace_on_its_way_out_gets_none() {
        let mut world = World::of(&[&ServiceAccountController]);
        let mut going = namespace("going");
        going.metadata_mut().finalizers.push("test/hold".into());
        let going = world.add(&going);
        world.delete(&going);
        world.settle(&[&ServiceAccountController]);
        assert!(world.list::<ServiceAccount>().is_empty());
    }
}
