//! Owners and dependents: tables, and properties over random graphs of them.

use super::*;
use client::testing::World;
use proptest::prelude::*;
use proto::Kind;
use proto::api::core::v1::{ConfigMap, Node};
use std::collections::{BTreeMap, BTreeSet};

const HOLD: &str = "test/hold";
const POLICIES: [&str; 3] = ["Background", "Foreground", "Orphan"];

/// Names an object of a test: one that begins with a capital is a Node, all others are ConfigMaps of the namespace before
/// the slash, `default` where there is none.
fn key(name: &str) -> ObjectKey {
    if name.starts_with(|first: char| first.is_ascii_uppercase()) {
        return ObjectKey::new::<Node>("", &name.to_lowercase());
    }
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    ObjectKey::new::<ConfigMap>(namespace, name)
}

fn add(world: &mut World, name: &str) {
    let key = key(name);
    if key.is::<Node>() {
        let mut node = Node::default();
        node.metadata_mut().name = key.name.to_string();
        world.add(&node);
    } else {
        let mut object = ConfigMap::default();
        object.metadata_mut().name = key.name.to_string();
        object.metadata_mut().namespace = key.namespace.to_string();
        world.add(&object);
    }
}

fn meta(world: &World, name: &str) -> Option<ObjectMeta> {
    world.cache().metadata(&key(name)).cloned()
}

fn edit(world: &mut World, name: &str, change: impl FnOnce(&mut ObjectMeta)) {
    let key = key(name);
    if key.is::<Node>() {
        world.edit::<Node>("", &key.name, |node| change(node.metadata_mut()));
    } else {
        world.edit::<ConfigMap>(&key.namespace, &key.name, |object| change(object.metadata_mut()));
    }
}

/// A reference that blocks the owner's deletion. The owner must be there.
fn reference(world: &World, owner: &str) -> OwnerReference {
    let key = key(owner);
    let info = key.info().unwrap();
    OwnerReference {
        api_version: info.api_version(),
        kind: info.kind.into(),
        name: key.name.to_string(),
        uid: meta(world, owner).unwrap().uid,
        block_owner_deletion: Some(true),
        ..OwnerReference::default()
    }
}

fn own(world: &mut World, dependent: &str, owner: &str) {
    let reference = reference(world, owner);
    edit(world, dependent, |meta| meta.owner_references.push(reference));
}

fn delete(world: &mut World, name: &str, policy: &str) {
    let Some(meta) = meta(world, name) else { return };
    let options = DeleteOptions {
        propagation_policy: Some(policy.into()),
        ..DeleteOptions::default()
    };
    let action = Action::delete_key(key(name), &meta, options);
    world.apply(&action).unwrap();
}

/// A World of the objects that the pairs of dependent and owner name, at rest.
fn world(pairs: &[(&str, &str)]) -> World {
    let mut world = World::of(&[&GarbageCollector]);
    let names: BTreeSet<_> = pairs
        .iter()
        .flat_map(|(dependent, owner)| [*dependent, *owner])
        .collect();
    for name in &names {
        add(&mut world, name);
    }
    for (dependent, owner) in pairs {
        own(&mut world, dependent, owner);
    }
    world.settle(&[&GarbageCollector]);
    world
}

/// The names of what is there, those of Nodes in small letters.
fn left(world: &World) -> Vec<String> {
    world.objects().map(|(key, _)| key.name.to_string()).collect()
}

#[test]
fn dependents_go_with_the_last_of_their_owners_or_are_set_free() {
    let chain = [("b", "a"), ("c", "b")];
    let two_owners = [("c", "a"), ("c", "b")];
    for (pairs, deleted, policy, expected) in [
        (&chain[..], &["a"][..], "Background", &[][..]),
        (&chain, &["a"], "Foreground", &[]),
        (&chain, &["a"], "Orphan", &["b", "c"]),
        (&chain, &["b"], "Background", &["a"]),
        (&two_owners, &["a"], "Background", &["b", "c"]),
        (&two_owners, &["a"], "Foreground", &["b", "c"]),
        (&two_owners, &["a", "b"], "Background", &[]),
        (&two_owners, &["a", "b"], "Foreground", &[]),
        (&two_owners, &["a", "b"], "Orphan", &["c"]),
        (&[("a", "b"), ("b", "a")], &["a"], "Background", &[]),
        (&[("a", "b"), ("b", "a")], &["a"], "Foreground", &[]),
        (&[("a", "b"), ("b", "a")], &["a"], "Orphan", &["b"]),
        (
            &[("a", "b"), ("b", "c"), ("c", "a")],
            &["a", "b", "c"],
            "Foreground",
            &[],
        ),
        (&[("a", "a")], &["a"], "Foreground", &[]),
        (&[("lease", "Machine")], &["Machine"], "Background", &[]),
    ] {
        let mut world = world(pairs);
        for name in deleted {
            delete(&mut world, name, policy);
        }
        world.settle(&[&GarbageCollector]);
        assert_eq!(left(&world), expected, "{pairs:?}, {deleted:?} deleted, {policy}");
    }
}

#[test]
fn an_owner_that_is_deleted_in_the_foreground_waits_for_the_dependents_that_block_it() {
    for (blocks, waits) in [(Some(true), true), (Some(false), false), (None, false)] {
        let mut world = world(&[("pod", "set")]);
        edit(&mut world, "pod", |meta| {
            meta.finalizers.push(HOLD.into());
            meta.owner_references[0].block_owner_deletion = blocks;
        });
        delete(&mut world, "set", "Foreground");
        world.settle(&[&GarbageCollector]);
        assert!(meta(&world, "pod").is_some_and(|meta| is_being_deleted(&meta)));
        assert_eq!(meta(&world, "set").is_some(), waits, "{blocks:?}");
        edit(&mut world, "pod", |meta| meta.finalizers.clear());
        world.settle(&[&GarbageCollector]);
        assert!(left(&world).is_empty());
    }
}

#[test]
fn dependents_of_dependents_go_first_too() {
    let mut world = world(&[("pod", "set"), ("volume", "pod")]);
    edit(&mut world, "volume", |meta| meta.finalizers.push(HOLD.into()));
    delete(&mut world, "set", "Foreground");
    world.settle(&[&GarbageCollector]);
    assert_eq!(left(&world), ["pod", "set", "volume"]);
    assert!(waits(&meta(&world, "pod").unwrap()));
    edit(&mut world, "volume", |meta| meta.finalizers.clear());
    world.settle(&[&GarbageCollector]);
    assert!(left(&world).is_empty());
}

#[test]
fn an_object_may_ask_that_its_dependents_outlive_it_before_it_is_deleted() {
    let mut world = world(&[("pod", "set"), ("volume", "pod")]);
    edit(&mut world, "pod", |meta| meta.finalizers.push(ORPHAN.into()));
    delete(&mut world, "set", "Background");
    world.settle(&[&GarbageCollector]);
    assert_eq!(left(&world), ["volume"]);
}

#[test]
fn a_dependent_lets_go_of_owners_that_are_gone_and_keeps_the_others() {
    let mut world = world(&[("c", "a"), ("c", "b")]);
    delete(&mut world, "a", "Background");
    world.settle(&[&GarbageCollector]);
    let kept = reference(&world, "b");
    assert_eq!(meta(&world, "c").unwrap().owner_references, [kept]);
}

#[test]
fn an_owner_is_what_the_whole_reference_names() {
    type Break = fn(&mut OwnerReference);
    let changes: [(Break, bool); 5] = [
        (|_| {}, true),
        (|reference| reference.name = "other".into(), false),
        (|reference| reference.kind = "Secret".into(), false),
        (|reference| reference.uid = "other".into(), false),
        // Nobody can tell whether an object of an unknown kind is there.
        (|reference| reference.kind = "Gadget".into(), true),
    ];
    for (number, (change, stays)) in changes.into_iter().enumerate() {
        let mut world = world(&[("b", "a")]);
        edit(&mut world, "b", |meta| change(&mut meta.owner_references[0]));
        world.settle(&[&GarbageCollector]);
        assert_eq!(meta(&world, "b").is_some(), stays, "change {number}");
    }
}

#[test]
fn an_owner_in_another_namespace_is_none() {
    let mut world = world(&[("near/b", "near/a")]);
    assert!(meta(&world, "near/b").is_some());
    add(&mut world, "far/c");
    own(&mut world, "far/c", "near/a");
    world.settle(&[&GarbageCollector]);
    assert!(meta(&world, "far/c").is_none());
}

#[test]
fn what_lives_in_no_namespace_neither_goes_with_nor_holds_an_owner_in_one() {
    let mut world = world(&[("Machine", "claim")]);
    assert!(meta(&world, "Machine").is_some());
    delete(&mut world, "claim", "Foreground");
    world.settle(&[&GarbageCollector]);
    assert_eq!(left(&world), ["machine"]);
}

#[test]
fn what_lost_its_owner_while_nobody_looked_is_found_after_a_restart() {
    let mut world = world(&[("b", "a")]);
    delete(&mut world, "a", "Background");
    world.restart();
    world.settle(&[&GarbageCollector]);
    assert!(left(&world).is_empty());
}

#[test]
fn an_owner_of_more_than_one_plan_sets_free_is_orphaned_wholly() {
    let names: Vec<_> = (0..=BURST).map(|number| format!("d{number}")).collect();
    let pairs: Vec<_> = names.iter().map(|name| (name.as_str(), "a")).collect();
    let mut world = world(&pairs);
    delete(&mut world, "a", "Orphan");
    world.settle(&[&GarbageCollector]);
    assert_eq!(left(&world).len(), names.len());
    assert!(
        names
            .iter()
            .all(|name| meta(&world, name).unwrap().owner_references.is_empty())
    );
}

/// The objects of random graphs: in two namespaces and in none.
const NAMES: [&str; 8] = ["one/a", "one/b", "one/c", "one/d", "two/e", "two/f", "Gg", "Hh"];

/// Who owns whom: dependent, owner, whether it blocks.
type Edges = Vec<(usize, usize, bool)>;

fn edges() -> impl Strategy<Value = Edges> {
    prop::collection::vec((0..NAMES.len(), 0..NAMES.len(), any::<bool>()), 0..16)
}

/// A World of all `NAMES` with these edges, before the first look at it; `held` has a finalizer of somebody else.
fn random_world(edges: &Edges, held: &BTreeSet<usize>) -> World {
    let mut world = World::of(&[&GarbageCollector]);
    for name in NAMES {
        add(&mut world, name);
    }
    for &(dependent, owner, blocks) in edges {
        let mut reference = reference(&world, NAMES[owner]);
        reference.block_owner_deletion = Some(blocks);
        edit(&mut world, NAMES[dependent], |meta| {
            if meta
                .owner_references
                .iter()
                .all(|known| known.uid != reference.uid)
            {
                meta.owner_references.push(reference);
            }
        });
    }
    for &number in held {
        edit(&mut world, NAMES[number], |meta| {
            meta.finalizers.push(HOLD.into());
        });
    }
    world
}

/// Which objects are there, and whom each names as its owners: what must come out, told without finalizers or steps.
struct Model(BTreeMap<usize, BTreeSet<usize>>);

impl Model {
    fn of(edges: &Edges) -> Self {
        let mut owners: BTreeMap<usize, BTreeSet<usize>> =
            (0..NAMES.len()).map(|n| (n, BTreeSet::new())).collect();
        for &(dependent, owner, _) in edges {
            owners.entry(dependent).or_default().insert(owner);
        }
        let mut model = Self(owners);
        // References over the border of a namespace name nobody; from none into one they are void, but stay.
        let wrong = |dependent: usize, owner: usize| {
            let (dependent, owner) = (key(NAMES[dependent]), key(NAMES[owner]));
            !owner.namespace.is_empty()
                && !dependent.namespace.is_empty()
                && owner.namespace != dependent.namespace
        };
        for (owner, _) in NAMES.iter().enumerate() {
            model.forget(owner, |dependent| wrong(dependent, owner));
        }
        model
    }

    /// Takes the owner away from the dependents that `lose` it; those that have none left go, and take theirs along.
    fn forget(&mut self, owner: usize, lose: impl Fn(usize) -> bool) {
        let mut orphans = Vec::new();
        for (&dependent, owners) in &mut self.0 {
            if lose(dependent) && owners.remove(&owner) && owners.is_empty() {
                orphans.push(dependent);
            }
        }
        for orphan in orphans {
            self.delete(orphan, "Background");
        }
    }

    fn delete(&mut self, number: usize, policy: &str) {
        if self.0.remove(&number).is_none() {
            return;
        }
        let in_namespace = !key(NAMES[number]).namespace.is_empty();
        let is_void = |dependent: usize| in_namespace && key(NAMES[dependent]).namespace.is_empty();
        if policy == "Orphan" {
            for (&dependent, owners) in &mut self.0 {
                if !is_void(dependent) {
                    owners.remove(&number);
                }
            }
        } else {
            self.forget(number, |dependent| !is_void(dependent));
        }
    }

    fn names(&self) -> Vec<String> {
        let mut keys: Vec<_> = self.0.keys().map(|&number| key(NAMES[number])).collect();
        keys.sort();
        keys.iter().map(|key| key.name.to_string()).collect()
    }
}

/// Nothing that was asked to go and that nobody holds is left, and no reference names what is not there.
fn check_no_orphan(world: &World) {
    for (key, _) in world.objects() {
        let meta = world.cache().metadata(key).unwrap();
        for owner in meta.owner_references.iter().filter(|_| !is_being_deleted(meta)) {
            assert_ne!(
                standing(world.cache(), key, owner),
                Standing::Absent,
                "{key} is an orphan"
            );
        }
        if is_being_deleted(meta) && !has_finalizer(meta, HOLD) {
            let mut blocking = dependents(world.cache(), key, meta);
            assert!(blocking.next().is_some(), "{key} should be gone");
        }
    }
}

proptest! {
    #[test]
    fn exactly_those_go_that_were_deleted_or_have_lost_all_owners(
        edges in edges(),
        deletions in prop::collection::vec((0..NAMES.len(), 0..POLICIES.len()), 0..6),
    ) {
        let mut world = random_world(&edges, &BTreeSet::new());
        let mut model = Model::of(&edges);
        world.settle(&[&GarbageCollector]);
        prop_assert_eq!(left(&world), model.names());
        for (number, policy) in deletions {
            delete(&mut world, NAMES[number], POLICIES[policy]);
            model.delete(number, POLICIES[policy]);
            world.settle(&[&GarbageCollector]);
            prop_assert_eq!(left(&world), model.names());
            check_no_orphan(&world);
        }
    }

    #[test]
    fn what_finalizers_hold_stays_what_is_owned_stays_and_all_ends_when_they_are_gone(
        edges in edges(),
        held in prop::collection::btree_set(0..NAMES.len(), 0..4),
        steps in prop::collection::vec((0..NAMES.len(), 0..=POLICIES.len()), 0..8),
    ) {
        let mut world = random_world(&edges, &held);
        world.settle(&[&GarbageCollector]);
        for (number, what) in steps {
            let name = NAMES[number];
            let before: Vec<_> = world
                .objects()
                .map(|(key, _)| (key.clone(), world.cache().metadata(key).unwrap().clone()))
                .collect();
            match POLICIES.get(what) {
                Some(policy) => delete(&mut world, name, policy),
                None if meta(&world, name).is_some() => edit(&mut world, name, |meta| meta.finalizers.retain(|f| f != HOLD)),
                None => {}
            }
            world.settle(&[&GarbageCollector]);
            check_no_orphan(&world);
            for (object, old) in &before {
                let new = world.cache().metadata(object);
                let released = what == POLICIES.len() && *object == key(name);
                prop_assert!(new.is_some() || !has_finalizer(old, HOLD) || released, "{object} was held");
                let asked = what < POLICIES.len() && *object == key(name);
                if new.is_some_and(|new| !is_being_deleted(new)) || is_being_deleted(old) || asked {
                    continue;
                }
                prop_assert!(!old.owner_references.is_empty(), "nobody asked {object} to go");
                for owner in &old.owner_references {
                    let owner = world.cache().by_uid(&owner.uid).and_then(|owner| world.cache().metadata(owner));
                    prop_assert!(owner.is_none_or(is_being_deleted), "{object} was owned");
                }
            }
        }
        for name in NAMES {
            if meta(&world, name).is_some() {
                edit(&mut world, name, |meta| meta.finalizers.retain(|f| f != HOLD));
            }
        }
        world.settle(&[&GarbageCollector]);
        check_no_orphan(&world);
        for (key, _) in world.objects() {
            prop_assert!(!is_being_deleted(world.cache().metadata(key).unwrap()), "{} never went", key);
        }
    }
}
