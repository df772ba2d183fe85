//! Batches: many writes, a result each.

use super::harness::{Server, plain, pod};
use prost::Message;
use proto::api::core::v1::{Namespace, Pod};
use proto::orrery::v1::batch_operation::Operation;
use proto::orrery::v1::batch_result::Result as One;
use proto::orrery::v1::{
    BatchOperation, BatchRequest, BatchResponse, BindRequest, CreateRequest, DeleteRequest, GetChangeRequest,
    PatchRequest, patch_request::Type,
};
use proto::{Kind, Object};

fn create<K: Kind>(object: &K) -> Operation {
    Operation::Create(CreateRequest {
        object: Some(Object::encode_from(object)),
        ..CreateRequest::default()
    })
}

fn operation(operation: Operation, cause: i64) -> BatchOperation {
    BatchOperation {
        operation: Some(operation),
        cause,
    }
}

#[tokio::test]
async fn every_operation_has_its_own_result_and_cause() {
    let mut server = Server::start().await;
    let bind = |node: &str| {
        Operation::Bind(BindRequest {
            name: "a".into(),
            node: node.into(),
            ..BindRequest::default()
        })
    };
    let patch = Operation::Patch(PatchRequest {
        kind: "pods".into(),
        name: "a".into(),
        r#type: Type::Merge.into(),
        patch: r#"{"metadata":{"labels":{"x":"y"}}}"#.into(),
        ..PatchRequest::default()
    });
    let delete = Operation::Delete(DeleteRequest {
        kind: "pods".into(),
        name: "none".into(),
        ..DeleteRequest::default()
    });
    let mut team = Namespace::default();
    team.metadata_mut().name = "team".into();
    let mut member = pod("member");
    member.metadata_mut().namespace = "team".into();
    let operations = vec![
        operation(create(&pod("a")), 2),
        operation(create(&pod("a")), 0),
        operation(bind("n1"), 3),
        operation(bind("n2"), 0),
        operation(patch, 0),
        operation(delete, 0),
        operation(create(&team), 0),
        operation(create(&member), 0),
        BatchOperation::default(),
        operation(create(&pod("z")), -1),
    ];
    let answer = plain(server.resources.batch(BatchRequest { operations }).await).unwrap();
    let outcomes: Vec<String> = answer
        .results
        .iter()
        .map(|result| match result.result.as_ref().unwrap() {
            One::Object(_) => "done".to_owned(),
            One::Error(status) => status.reason.clone(),
        })
        .collect();
    let expected = [
        "done",
        "AlreadyExists",
        "done",
        "Conflict",
        "done",
        "NotFound",
        "done",
        "done",
        "BadRequest",
        "BadRequest",
    ];
    assert_eq!(outcomes, expected);
    let pod: Pod = server.get("default", "a").await.unwrap();
    assert_eq!(
        (
            pod.spec.as_ref().unwrap().node_name.as_str(),
            pod.meta().labels["x"].as_str()
        ),
        ("n1", "y")
    );
    let Some(One::Object(first)) = &answer.results[0].result else {
        panic!("the first was created")
    };
    let revision = first.decode_as::<Pod>().unwrap().revision();
    let change = plain(server.history.get_change(GetChangeRequest { revision }).await).unwrap();
    assert_eq!(change.cause, 2);
    server.stop().await;
}

#[tokio::test]
async fn a_full_batch_of_generated_names_creates_them_all() {
    let mut server = Server::start().await;
    let mut nameless = pod("");
    nameless.metadata_mut().generate_name = "web-".into();
    let operations = vec![operation(create(&nameless), 0); 1_000];
    let answer = plain(server.resources.batch(BatchRequest { operations }).await).unwrap();
    assert!(
        answer
            .results
            .iter()
            .all(|result| matches!(result.result, Some(One::Object(_))))
    );
    let mut watch = server.watch(&["pods"], 0).await;
    assert_eq!(watch.initial::<Pod>().await.len(), 1_000);
    server.stop().await;
}

#[tokio::test]
async fn however_much_is_wrong_the_answer_fits_a_message() {
    let mut server = Server::start().await;
    let mut wrong = pod("Not_A_Name");
    let containers = &mut wrong.spec.get_or_insert_default().containers;
    for i in 0..60 {
        let mut container = containers[0].clone();
        container.name = format!("Not_A_Name_{i}");
        containers.push(container);
    }
    let mut operations = vec![operation(create(&wrong), 0); 400];
    operations.push(operation(create(&pod("good")), 0));
    let request = BatchRequest { operations };
    let results = plain(server.resources.batch(request).await).unwrap().results;
    let errors: Vec<_> = results
        .iter()
        .filter_map(|result| match result.result.as_ref()? {
            One::Error(status) => Some(status),
            One::Object(_) => None,
        })
        .collect();
    assert_eq!((results.len(), errors.len()), (401, 400));
    assert!(
        errors
            .iter()
            .all(|status| status.reason == "Invalid" && !status.message.is_empty())
    );
    assert!(errors[0].details.is_some() && errors[399].details.is_none());
    let answer = BatchResponse { results };
    assert!(answer.encoded_len() < 4 << 20, "{}", answer.encoded_len());
    server.stop().await;
}

#[tokio::test]
async fn binds_that_race_never_ask_more_of_a_node_than_it_has() {
    let mut server = Server::start().await;
    let quantity = |text: &str| proto::Quantity { string: text.into() };
    let mut node = proto::api::core::v1::Node::default();
    node.metadata_mut().name = "n1".into();
    let allocatable = &mut node.status.get_or_insert_default().allocatable;
    allocatable.insert("cpu".into(), quantity("2"));
    allocatable.insert("pods".into(), quantity("100"));
    let mut creates = vec![operation(create(&node), 0)];
    let names: Vec<String> = (0..8).map(|number| format!("pod-{number}")).collect();
    for name in &names {
        let mut pod = pod(name);
        let container = &mut pod.spec.get_or_insert_default().containers[0];
        let requests = &mut container.resources.get_or_insert_default().requests;
        requests.insert("cpu".into(), quantity("1"));
        creates.push(operation(create(&pod), 0));
    }
    let made = plain(server.resources.batch(BatchRequest { operations: creates }).await).unwrap();
    assert!(
        made.results
            .iter()
            .all(|made| matches!(made.result, Some(One::Object(_))))
    );
    let bind = |name: &String| {
        let bind = BindRequest {
            name: name.clone(),
            node: "n1".into(),
            ..BindRequest::default()
        };
        operation(Operation::Bind(bind), 0)
    };
    let batch = |names: &[String]| BatchRequest {
        operations: names.iter().map(bind).collect(),
    };
    let (mut one, mut other) = (server.resources.clone(), server.resources.clone());
    let (first, second) = tokio::join!(one.batch(batch(&names[..5])), other.batch(batch(&names[3..])));
    let mut bound = 0;
    for result in plain(first)
        .unwrap()
        .results
        .into_iter()
        .chain(plain(second).unwrap().results)
    {
        match result.result.unwrap() {
            One::Object(_) => bound += 1,
            One::Error(status) => {
                assert_eq!(status.reason, "Conflict", "{status:?}");
                let why = &status.message;
                assert!(
                    why.contains("not enough cpu") || why.contains("already assigned"),
                    "{why}"
                );
            }
        }
    }
    assert_eq!(bound, 2);
    // What is deleted makes room again.
    let mut holding = Vec::new();
    for name in &names {
        let pod: Pod = server.get("default", name).await.unwrap();
        if !pod.spec.unwrap().node_name.is_empty() {
            holding.push(name.clone());
        }
    }
    let options = proto::meta::v1::DeleteOptions {
        grace_period_seconds: Some(0),
        ..Default::default()
    };
    let delete = Operation::Delete(DeleteRequest {
        kind: "pods".into(),
        name: holding[0].clone(),
        options: Some(options),
        ..DeleteRequest::default()
    });
    let free = names.iter().find(|name| !holding.contains(name)).unwrap();
    let operations = vec![operation(delete, 0)];
    plain(server.resources.batch(BatchRequest { operations }).await).unwrap();
    let again = plain(server.resources.batch(batch(std::slice::from_ref(free))).await).unwrap();
    assert!(
        matches!(again.results[0].result, Some(One::Object(_))),
        "{again:?}"
    );
    server.stop().await;
}
