//! The service over a kubelet that owns one node and one pod, on virtual time.

use super::*;
use crate::node::{address, group, object, state};
use client::{Delta, ObjectKey};
use component_base::grpc::from_tonic;
use component_base::rng::Seed;
use futures::TryStreamExt;
use proto::Object;
use proto::api::core::v1::{Container, Pod, PodSpec};
use proto::meta::v1::ObjectMeta;
use tonic::Code;

/// A pod on the node that answers once it has been told of.
fn pod(annotations: &[(&str, &str)]) -> Pod {
    let annotations = annotations.iter();
    let container = Container {
        name: "web".into(),
        image: "nginx".into(),
        ..Container::default()
    };
    Pod {
        metadata: Some(ObjectMeta {
            name: "web".into(),
            namespace: "default".into(),
            uid: "uid".into(),
            annotations: annotations
                .map(|(key, value)| (format!("sim.orrery.dev/{key}"), (*value).into()))
                .collect(),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            node_name: "node-0".into(),
            containers: vec![container],
            restart_policy: "Never".into(),
            ..PodSpec::default()
        }),
        status: None,
    }
}

/// A service over a node that has taken the pod.
fn serve(pod: &Pod, clock: &Clock) -> Service {
    let groups = group::parse("test", "- {name: node, count: 1}").unwrap();
    let blocks = state::Blocks {
        nodes: address::default_nodes(""),
        pods: address::default_pods(""),
    };
    let now = clock.wall();
    let nodes = state::build(&groups, blocks, Seed(1), now).unwrap();
    let node = object::node(&nodes[0], &object::Endpoints::default(), now);
    let mut kubelet = Kubelet::new(nodes, object::Endpoints::default(), now);
    let upsert = |key, object, revision| Delta::Upsert {
        key,
        object,
        revision,
        actor: "".into(),
        cause: 0,
    };
    let deltas = [
        upsert(ObjectKey::of(&node), Object::encode_from(&node), 1),
        upsert(ObjectKey::of(pod), Object::encode_from(pod), 2),
        Delta::Synced(2),
    ];
    for delta in deltas {
        kubelet.apply(delta, now);
    }
    let (service, mut questions) = Service::new(clock.clone());
    let clock = clock.clone();
    tokio::spawn(async move {
        while let Some(question) = questions.recv().await {
            question.answer(&mut kubelet, clock.wall());
        }
    });
    service
}

fn request(follow: bool) -> api::ContainerLogsRequest {
    api::ContainerLogsRequest {
        namespace: "default".into(),
        pod: "web".into(),
        container: "web".into(),
        follow,
        ..api::ContainerLogsRequest::default()
    }
}

async fn read(service: &Service, request: api::ContainerLogsRequest) -> Result<String, Status> {
    let answer = service.container_logs(Request::new(request)).await?;
    let pieces: Vec<_> = answer.into_inner().try_collect().await?;
    let bytes: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.data).collect();
    Ok(String::from_utf8(bytes).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_follower_reads_until_the_container_ends() {
    let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
    let annotations = [
        ("pull-latency", "0s"),
        ("start-latency", "0s"),
        ("log", "tick"),
        ("log-period", "10s"),
        ("run-time", "25s"),
        ("exit-code", "3"),
    ];
    let service = serve(&pod(&annotations), &clock);
    let so_far = read(&service, request(false)).await.unwrap();
    assert_eq!(so_far.lines().count(), 2, "{so_far}");
    let whole = read(&service, request(true)).await.unwrap();
    let lines: Vec<_> = whole.lines().skip(1).collect();
    assert_eq!(lines, ["tick", "tick", "tick", "web exits with code 3"]);
    assert_eq!(read(&service, request(false)).await.unwrap(), whole);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_said_as_upstream_says_it() {
    let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
    let service = serve(&pod(&[("pull-latency", "1h")]), &clock);
    for (request, code, message) in [
        (
            request(false),
            Code::InvalidArgument,
            r#"container "web" in pod "web" is waiting to start: ContainerCreating"#,
        ),
        (
            api::ContainerLogsRequest {
                previous: true,
                ..request(false)
            },
            Code::InvalidArgument,
            r#"previous terminated container "web" in pod "web" not found"#,
        ),
        (
            api::ContainerLogsRequest {
                container: "db".into(),
                ..request(false)
            },
            Code::InvalidArgument,
            r#"container "db" in pod "web" is not available"#,
        ),
        (
            api::ContainerLogsRequest {
                pod: "db".into(),
                ..request(false)
            },
            Code::NotFound,
            r#"pod "default/db" does not run on any of this kubelet's nodes"#,
        ),
    ] {
        let error = read(&service, request).await.unwrap_err();
        assert_eq!(
            (error.code(), from_tonic(&error).message.as_str()),
            (code, message)
        );
    }
}
