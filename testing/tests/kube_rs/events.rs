//! Events, as kube-rs' recorder writes them: events.k8s.io/v1.

use k8s_openapi::api::core::v1::{ConfigMap, Event as CoreEvent};
use k8s_openapi::api::events::v1::Event as NewEvent;
use kube::api::{ListParams, PostParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Resource};
use orrery_test::Cluster;

#[tokio::test]
async fn a_recorded_event_is_seen_in_both_groups_and_repeats_are_counted() {
    let cluster = Cluster::builder().apiserver_only().start().await.unwrap();
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client());
    let map: ConfigMap =
        serde_json::from_value(serde_json::json!({"metadata": {"name": "settings"}})).unwrap();
    let map = maps.create(&PostParams::default(), &map).await.unwrap();
    let recorder = Recorder::new(
        cluster.client(),
        Reporter {
            controller: "tester".into(),
            instance: Some("tester-1".into()),
        },
    );
    let event = Event {
        type_: EventType::Normal,
        reason: "Tried".into(),
        note: Some("it was tried".into()),
        action: "Trying".into(),
        secondary: None,
    };
    for _ in 0..2 {
        recorder.publish(&event, &map.object_ref(&())).await.unwrap();
    }

    let core: Api<CoreEvent> = Api::default_namespaced(cluster.client());
    let about = ListParams::default().fields("involvedObject.name=settings,reason=Tried");
    let seen = core.list(&about).await.unwrap().items;
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].message.as_deref(), Some("it was tried"));
    assert_eq!(seen[0].reporting_component.as_deref(), Some("tester"));
    assert_eq!(seen[0].series.as_ref().and_then(|series| series.count), Some(2));

    let new: Api<NewEvent> = Api::default_namespaced(cluster.client());
    let about = ListParams::default().fields("regarding.name=settings");
    let seen = new.list(&about).await.unwrap().items;
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].note.as_deref(), Some("it was tried"));
    assert_eq!(
        seen[0].regarding.as_ref().and_then(|r| r.name.as_deref()),
        Some("settings")
    );
}
