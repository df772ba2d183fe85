//! The informer against a server: whatever happens to the connection, the cache that it feeds ends up equal.

use crate::fake::Fake;
use client::informer::target;
use client::limits::STALLED_AFTER;
use client::{Action, Cache, Delta, Informer, ObjectKey, Watch};
use proto::Kind;
use proto::api::core::v1::{ConfigMap, Pod};
use proto::meta::v1::ObjectMeta;

/// An informer and the cache that it feeds.
struct Follower {
    informer: Informer,
    cache: Cache,
    /// Every delta, shortly.
    told: Vec<String>,
}

impl Follower {
    fn of(fake: &Fake) -> Self {
        let client = fake.client("follower");
        Self {
            informer: Informer::spawn(&client, vec![target::<ConfigMap>(), target::<Pod>()]),
            cache: Cache::new([Watch::of::<ConfigMap>(), Watch::of::<Pod>()]),
            told: Vec::new(),
        }
    }

    /// Follows until the cache has reached the server's revision; then it must hold what the server holds.
    async fn catch_up(&mut self, fake: &Fake) {
        let newest = fake.state().world.cache().revision();
        while self.cache.revision() < newest || !self.cache.synced() {
            let delta = self.informer.next().await.unwrap();
            self.take(&delta);
        }
        let state = fake.state();
        assert_eq!(held(&self.cache), held_by(state.world.list::<ConfigMap>()));
    }

    fn take(&mut self, delta: &Delta) {
        let text = match delta {
            Delta::Restarted => "restarted".into(),
            Delta::Synced(revision) => format!("synced {revision}"),
            Delta::Bookmark(_) => String::new(),
            Delta::Upsert { key, revision, .. } => format!("upsert {} {revision}", key.name),
            Delta::Delete {
                key,
                revision,
                object,
                ..
            } => {
                format!(
                    "delete {} {revision}{}",
                    key.name,
                    if object.is_none() { " unseen" } else { "" }
                )
            }
        };
        if !text.is_empty() {
            self.told.push(text);
        }
        self.cache.apply(delta).unwrap();
    }
}

fn held(cache: &Cache) -> Vec<ObjectMeta> {
    cache
        .list::<ConfigMap>(None)
        .map(|map| map.meta().clone())
        .collect()
}

fn held_by(maps: Vec<ConfigMap>) -> Vec<ObjectMeta> {
    maps.iter().map(|map| map.meta().clone()).collect()
}

fn put(fake: &Fake, name: &str) {
    let mut map = ConfigMap::default();
    map.metadata_mut().name = name.into();
    fake.write(&Action::create(&map));
}

fn touch(fake: &Fake, name: &str) {
    let mut map: ConfigMap = fake.state().world.get("default", name).unwrap();
    let count = map.data.len();
    map.data.insert(format!("k{count}"), String::new());
    fake.write(&Action::update(&map));
}

fn remove(fake: &Fake, name: &str) {
    let map: ConfigMap = fake.state().world.get("default", name).unwrap();
    fake.write(&Action::delete(&map));
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_is_resumed_after_its_last_revision_without_a_list() {
    let fake = Fake::start();
    put(&fake, "a");
    let mut follower = Follower::of(&fake);
    follower.catch_up(&fake).await;
    for round in 0..10 {
        put(&fake, &format!("b-{round}"));
        if round % 2 == 0 {
            follower.catch_up(&fake).await;
        }
        fake.disconnect();
        touch(&fake, "a");
        remove(&fake, &format!("b-{round}"));
    }
    follower.catch_up(&fake).await;
    // Every change is told once: the list, and three writes a round.
    assert_eq!(follower.told.len(), 3 + 30, "{:#?}", follower.told);
    assert_eq!(fake.state().watches[0], 0);
    assert!(
        fake.state().watches[1..].iter().all(|&after| after > 0),
        "{:?}",
        fake.state().watches
    );
}

#[tokio::test(start_paused = true)]
async fn only_an_expired_revision_leads_to_a_list_which_tells_what_differs() {
    let fake = Fake::start();
    for name in ["a", "b", "c"] {
        put(&fake, name);
    }
    let mut follower = Follower::of(&fake);
    follower.catch_up(&fake).await;
    follower.told.clear();
    {
        // Before the informer hears of anything, all of it is compacted away.
        let mut state = fake.state();
        state.frozen = true;
    }
    touch(&fake, "b");
    remove(&fake, "c");
    put(&fake, "d");
    {
        let mut state = fake.state();
        state.compacted = state.world.cache().revision();
        state.frozen = false;
    }
    fake.disconnect();
    follower.catch_up(&fake).await;
    assert_eq!(
        follower.told,
        [
            "restarted",
            "upsert b 4",
            "upsert d 6",
            "delete c 6 unseen",
            "synced 6"
        ]
    );
    assert_eq!(fake.state().watches, [0, 3, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_says_nothing_at_all_is_taken_for_dead() {
    let fake = Fake::start();
    put(&fake, "a");
    let mut follower = Follower::of(&fake);
    follower.catch_up(&fake).await;
    let start = fake.clock.now();
    fake.state().frozen = true;
    put(&fake, "b");
    fake.clock.sleep(STALLED_AFTER / 2).await;
    assert_eq!(fake.state().watches.len(), 1);
    fake.clock.sleep(STALLED_AFTER).await;
    assert!(
        fake.state().watches.len() > 1,
        "opened again after {:?}",
        fake.clock.now() - start
    );
    fake.state().frozen = false;
    follower.catch_up(&fake).await;
    assert!(
        follower
            .cache
            .get_key::<ConfigMap>(&ObjectKey::new::<ConfigMap>("default", "b"))
            .is_some()
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there_yet_is_waited_for() {
    let fake = Fake::start();
    fake.state().down = true;
    put(&fake, "a");
    let mut follower = Follower::of(&fake);
    fake.clock.sleep(std::time::Duration::from_secs(60)).await;
    fake.state().down = false;
    follower.catch_up(&fake).await;
    assert_eq!(follower.told, ["restarted", "upsert a 1", "synced 1"]);
}
