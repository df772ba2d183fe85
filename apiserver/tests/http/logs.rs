//! Logs, from a kubelet that says what the test tells it to; and what needs a program that really runs.

use crate::harness::{PODS, Server, pod};
use component_base::grpc::{failure, to_tonic};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use http_body_util::BodyExt;
use proto::orrery::v1::kubelet_server::{Kubelet, KubeletServer};
use proto::orrery::v1::{ContainerLogsRequest, ContainerLogsResponse};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// Says what it was asked; never ends when it is followed; knows no container `new`, and hangs over `mute`.
struct Echo;

#[tonic::async_trait]
impl Kubelet for Echo {
    type ContainerLogsStream = BoxStream<'static, Result<ContainerLogsResponse, Status>>;

    async fn container_logs(
        &self,
        request: Request<ContainerLogsRequest>,
    ) -> Result<Response<Self::ContainerLogsStream>, Status> {
        let asked = request.into_inner();
        if asked.container == "new" {
            let why = r#"container "new" in pod "web" is waiting to start: ContainerCreating"#;
            return Err(to_tonic(failure("BadRequest", why)));
        }
        if asked.container == "mute" {
            std::future::pending::<()>().await;
        }
        let text = format!(
            "{}/{}/{} {:?} {}\n",
            asked.namespace, asked.pod, asked.container, asked.tail_lines, asked.timestamps
        );
        let said = stream::iter([Ok(ContainerLogsResponse {
            data: text.into_bytes().into(),
        })]);
        Ok(Response::new(if asked.follow {
            said.chain(stream::pending()).boxed()
        } else {
            said.boxed()
        }))
    }
}

/// A kubelet, and where it is.
async fn kubelet() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let kubelet = tonic::transport::Server::builder().add_service(KubeletServer::new(Echo));
    tokio::spawn(kubelet.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

/// A Pod of three containers on a Node whose kubelet is at `address`.
async fn place(server: &Server, address: &str) {
    let node = json!({"metadata": {
        "name": "n1",
        "annotations": {"sim.orrery.dev/kubelet-endpoint": address},
    }});
    server.post("/api/v1/nodes", &node).await.ok(201);
    let mut web = pod("web");
    web["spec"]["nodeName"] = "n1".into();
    web["spec"]["containers"] =
        json!([{"name": "a", "image": "a"}, {"name": "new", "image": "b"}, {"name": "mute", "image": "c"}]);
    server.post(PODS, &web).await.ok(201);
}

#[tokio::test]
async fn a_log_comes_from_the_kubelet_of_the_pods_node() {
    let address = kubelet().await;
    let server = Server::start().await;
    place(&server, &address).await;

    let answer = server
        .get(format!("{PODS}/web/log?container=a&tailLines=7&timestamps=true"))
        .await;
    assert_eq!(
        (answer.code, answer.text()),
        (200, "default/web/a Some(7) true\n")
    );
    assert_eq!(answer.headers["content-type"], "text/plain");

    let followed = server.ask("GET", format!("{PODS}/web/log?container=a&follow=true"));
    let mut body = followed.stream().await.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "default/web/a None false\n");

    for (query, code, reason, message) in [
        (
            "",
            400,
            "BadRequest",
            "a container name must be specified for pod web, choose one of: [a new mute]",
        ),
        (
            "?container=x",
            400,
            "BadRequest",
            "container x is not valid for pod web",
        ),
        (
            "?container=new",
            400,
            "BadRequest",
            r#"container "new" in pod "web" is waiting to start: ContainerCreating"#,
        ),
        (
            "?container=a&tailLines=-1",
            422,
            "Invalid",
            "PodLogOptions \"\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0",
        ),
    ] {
        let refused = server.get(format!("{PODS}/web/log{query}")).await;
        let said = refused.fails(code, reason);
        assert!(said.contains(message), "{said}");
    }
}

#[tokio::test]
async fn without_its_kubelet_a_pod_has_no_log_and_the_error_says_so() {
    let server = Server::start().await;
    // A port that nobody listens on: the listener is gone again.
    let address = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    place(&server, &address.to_string()).await;
    let refused = server.get(format!("{PODS}/web/log?container=a")).await;
    let message = refused.fails(500, "InternalError");
    assert!(
        message.contains("the kubelet of node n1 does not answer"),
        "{message}"
    );

    // What runs nowhere yet has said nothing.
    server.post(PODS, &pod("unbound")).await.ok(201);
    let empty = server.get(format!("{PODS}/unbound/log")).await;
    assert_eq!((empty.code, empty.text()), (200, ""));
    server
        .get(format!("{PODS}/none/log"))
        .await
        .fails(404, "NotFound");
}

#[tokio::test]
async fn what_needs_a_program_that_really_runs_is_refused_with_what_to_use_instead() {
    let server = Server::start().await;
    for (method, path) in [
        ("POST", format!("{PODS}/web/exec?command=sh")),
        ("GET", format!("{PODS}/web/exec?command=sh")),
        ("POST", format!("{PODS}/web/attach")),
        ("POST", format!("{PODS}/web/portforward")),
        ("GET", format!("{PODS}/web/proxy/index.html")),
        ("GET", "/api/v1/namespaces/default/services/web/proxy/".into()),
        ("GET", "/api/v1/nodes/n1/proxy/metrics".into()),
    ] {
        let message = server.ask(method, path).send().await.fails(400, "BadRequest");
        assert!(
            message.contains("really runs") || message.contains("simulated"),
            "{message}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_kubelet_that_says_nothing_is_not_waited_for_long() {
    let address = kubelet().await;
    let server = Server::start().await;
    place(&server, &address).await;
    let refused = server.get(format!("{PODS}/web/log?container=mute")).await;
    let message = refused.fails(500, "InternalError");
    assert!(message.contains("nothing within 10s"), "{message}");
}
