//! The server over real sockets: what it serves besides the component's own services, and what hostile clients get.

use component_base::clock::Clock;
use component_base::grpc::{failure, from_tonic, to_tonic};
use component_base::metrics::Registry;
use component_base::ready::Progress;
use component_base::server::{Limits, MAX_MESSAGE_BYTES, Server};
use component_base::shutdown::Shutdown;
use futures::StreamExt;
use proto::orrery::v1::component_client::ComponentClient;
use proto::orrery::v1::pods_client::PodsClient;
use proto::orrery::v1::pods_server::{Pods, PodsServer};
use proto::orrery::v1::{BindRequest, EvictRequest, EvictResponse, GetStatusRequest};
use proto::{EventFrame, Object};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// Binds at once, fails, or hangs until it is released, as the Pod's name says.
#[derive(Clone, Default)]
struct FakePods {
    release: Arc<Notify>,
    hanging: Arc<Notify>,
}

#[tonic::async_trait]
impl Pods for FakePods {
    async fn bind(&self, request: Request<BindRequest>) -> Result<Response<Object>, Status> {
        match request.get_ref().name.as_str() {
            "bound" => return Err(to_tonic(failure("Conflict", "bound already"))),
            "hang" => {
                self.hanging.notify_one();
                self.release.notified().await;
            }
            _ => {}
        }
        Ok(Response::new(Object::default()))
    }

    async fn evict(&self, request: Request<EvictRequest>) -> Result<Response<EvictResponse>, Status> {
        if request.get_ref().name == "huge" {
            let pod = Object {
                number: 1,
                bytes: vec![0; 1 << 20].into(),
            };
            return Ok(Response::new(EvictResponse { pod: Some(pod) }));
        }
        Err(Status::internal("a bug"))
    }
}

struct Running {
    address: SocketAddr,
    pods: FakePods,
    progress: Progress,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

async fn start(limits: Limits) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (pods, progress, shutdown) = (FakePods::default(), Progress::new("starting"), Shutdown::new());
    let server = Server::new("planet", &Clock::system(), &Registry::new(), &progress)
        .service(PodsServer::new(pods.clone()))
        .limits(limits);
    let serving = shutdown.clone();
    let task = tokio::spawn(async move { server.serve(listener, serving).await.unwrap() });
    Running {
        address,
        pods,
        progress,
        shutdown,
        task,
    }
}

impl Running {
    async fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address))
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    /// One HTTP/1 exchange; the answer as it came.
    async fn http(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn get(&self, path: &str) -> String {
        self.http(&format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        ))
        .await
    }

    async fn stop(self) {
        self.shutdown.trigger();
        self.task.await.unwrap();
    }
}

fn bind(name: &str) -> BindRequest {
    BindRequest {
        name: name.into(),
        ..BindRequest::default()
    }
}

/// Sends any bytes as the request of any method.
async fn raw(channel: Channel, path: &'static str, bytes: &'static [u8]) -> Result<EventFrame, Status> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<EventFrame, EventFrame>::default();
    let request = Request::new(EventFrame(bytes.into()));
    grpc.unary(request, path.parse().unwrap(), codec)
        .await
        .map(Response::into_inner)
}

#[track_caller]
fn assert_status(status: &Status, code: Code, reason: &str) {
    assert!(!status.details().is_empty(), "no details: {status}");
    assert_eq!(
        (status.code(), from_tonic(status).reason.as_str()),
        (code, reason),
        "{status}"
    );
}

#[tokio::test]
async fn both_reflections_list_what_is_served_and_describe_it() {
    let server = start(Limits::default()).await;
    macro_rules! check {
        ($version:ident) => {{
            use reflection::server_reflection_client::ServerReflectionClient;
            use reflection::server_reflection_request::MessageRequest;
            use reflection::server_reflection_response::MessageResponse;
            use tonic_reflection::pb::$version as reflection;
            let ask = |message| reflection::ServerReflectionRequest {
                host: String::new(),
                message_request: Some(message),
            };
            let asked = [
                ask(MessageRequest::ListServices(String::new())),
                ask(MessageRequest::FileContainingSymbol("orrery.v1.Pods".into())),
            ];
            let mut client = ServerReflectionClient::new(server.channel().await);
            let answers = client
                .server_reflection_info(futures::stream::iter(asked))
                .await
                .unwrap();
            let answers: Vec<_> = answers
                .into_inner()
                .map(|a| a.unwrap().message_response.unwrap())
                .collect()
                .await;
            let MessageResponse::ListServicesResponse(list) = &answers[0] else {
                panic!("{answers:?}");
            };
            let mut names: Vec<_> = list.service.iter().map(|s| s.name.as_str()).collect();
            names.sort_unstable();
            assert_eq!(
                names,
                [
                    "grpc.health.v1.Health",
                    "grpc.reflection.v1.ServerReflection",
                    "grpc.reflection.v1alpha.ServerReflection",
                    "orrery.v1.Component",
                    "orrery.v1.Pods",
                ]
            );
            assert!(matches!(answers[1], MessageResponse::FileDescriptorResponse(_)));
        }};
    }
    check!(v1);
    check!(v1alpha);
    server.stop().await;
}

#[tokio::test]
async fn health_and_status_tell_what_the_component_tells() {
    let server = start(Limits::default()).await;
    let mut health = HealthClient::new(server.channel().await);
    let mut component = ComponentClient::new(server.channel().await);
    for service in ["", "orrery.v1.Pods"] {
        let request = HealthCheckRequest {
            service: service.into(),
        };
        let mut states = health.watch(request).await.unwrap().into_inner();
        let mut next = async |expected| {
            assert_eq!(states.message().await.unwrap().unwrap().status, expected as i32);
        };
        next(tonic_health::ServingStatus::NotServing).await;
        server.progress.ready();
        next(tonic_health::ServingStatus::Serving).await;
        server.progress.not_ready("starting");
        next(tonic_health::ServingStatus::NotServing).await;
    }
    server.progress.not_ready("no connection to the apiserver");
    server.progress.reach(42);
    let status = component
        .get_status(GetStatusRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!((status.name.as_str(), status.pid), ("planet", std::process::id()));
    assert_eq!(
        (status.ready, status.reason.as_str()),
        (false, "no connection to the apiserver")
    );
    assert_eq!(status.revision, 42);
    assert!(status.resident_bytes > 0 && status.started.is_some());
    server.stop().await;
}

#[tokio::test]
async fn one_port_serves_metrics_and_probes_over_http_too() {
    let server = start(Limits::default()).await;
    let mut pods = PodsClient::new(server.channel().await);
    pods.bind(bind("web")).await.unwrap();
    pods.bind(bind("bound")).await.unwrap_err();
    let metrics = server.get("/metrics").await;
    for line in [
        r#"grpc_server_handled_total{method="orrery.v1.Pods/Bind",code="OK"} 1"#,
        r#"grpc_server_handled_total{method="orrery.v1.Pods/Bind",code="ABORTED"} 1"#,
        r#"grpc_server_handling_seconds_count{method="orrery.v1.Pods/Bind"} 2"#,
        "grpc_server_calls_open 0",
        "server_connections_open 2",
        "# EOF",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line} in\n{metrics}");
    }
    assert!(server.get("/livez").await.starts_with("HTTP/1.1 200"));
    assert!(server.get("/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(server.get("/readyz").await.starts_with("HTTP/1.1 503"));
    server.progress.ready();
    assert!(server.get("/readyz?verbose").await.contains("[+]ready ok"));
    assert!(server.get("/nowhere").await.starts_with("HTTP/1.1 404"));
    server.stop().await;
}

#[tokio::test]
async fn every_error_carries_a_status() {
    let server = start(Limits::default()).await;
    let channel = server.channel().await;
    let mut pods = PodsClient::new(channel.clone());
    assert_status(
        &pods.bind(bind("bound")).await.unwrap_err(),
        Code::Aborted,
        "Conflict",
    );
    let bug = pods.evict(EvictRequest::default()).await.unwrap_err();
    assert_status(&bug, Code::Internal, "InternalError");

    // Twice the largest message is refused; one just below is not.
    let huge = pods
        .bind(bind(&"x".repeat(2 * MAX_MESSAGE_BYTES)))
        .await
        .unwrap_err();
    assert_status(&huge, Code::ResourceExhausted, "RequestEntityTooLarge");
    pods.bind(bind(&"x".repeat(MAX_MESSAGE_BYTES - 16)))
        .await
        .unwrap();

    for (path, bytes, code, reason) in [
        (
            "/orrery.v1.Pods/Bind",
            &b"\xff\xff\xff\xff"[..],
            Code::InvalidArgument,
            "BadRequest",
        ),
        // Field 2, a string, that is no UTF-8.
        (
            "/orrery.v1.Pods/Bind",
            b"\x12\x01\xff",
            Code::InvalidArgument,
            "BadRequest",
        ),
        // Field 2, longer than the message.
        (
            "/orrery.v1.Pods/Bind",
            b"\x12\xff\x01",
            Code::InvalidArgument,
            "BadRequest",
        ),
        (
            "/grpc.health.v1.Health/Watch",
            b"\xff\xff",
            Code::InvalidArgument,
            "BadRequest",
        ),
        (
            "/orrery.v1.Pods/Boil",
            b"",
            Code::Unimplemented,
            "MethodNotAllowed",
        ),
        (
            "/orrery.v1.Resources/Get",
            b"",
            Code::Unimplemented,
            "MethodNotAllowed",
        ),
        ("/", b"", Code::Unimplemented, "MethodNotAllowed"),
    ] {
        let error = raw(channel.clone(), path, bytes).await.unwrap_err();
        assert_status(&error, code, reason);
    }
    let metrics = server.get("/metrics").await;
    assert!(
        metrics.contains(r#"{method="unknown",code="UNIMPLEMENTED"} 3"#),
        "{metrics}"
    );
    server.stop().await;
}

#[tokio::test]
async fn what_a_web_page_can_make_a_browser_send_reaches_no_method() {
    let server = start(Limits::default()).await;
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ] {
        let answer = server
            .http(&format!(
                "POST /orrery.v1.Pods/Bind HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
                 content-type: {content_type}\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0"
            ))
            .await;
        assert!(answer.starts_with("HTTP/1.1 415"), "{answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn overload_is_refused_with_a_time_to_come_back_and_probes_still_answer() {
    let server = start(Limits {
        calls: 1,
        ..Limits::default()
    })
    .await;
    let channel = server.channel().await;
    let mut pods = PodsClient::new(channel.clone());
    let mut first = pods.clone();
    let first = tokio::spawn(async move { first.bind(bind("hang")).await });
    server.pods.hanging.notified().await;

    let refused = pods.bind(bind("web")).await.unwrap_err();
    assert_status(&refused, Code::ResourceExhausted, "TooManyRequests");
    assert_eq!(from_tonic(&refused).details.unwrap().retry_after_seconds, 1);
    ComponentClient::new(channel.clone())
        .get_status(GetStatusRequest {})
        .await
        .unwrap();
    HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await
        .unwrap();

    server.pods.release.notify_one();
    first.await.unwrap().unwrap();
    pods.bind(bind("web")).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_handler_that_hangs_is_cut_off_and_frees_its_place() {
    let server = start(Limits {
        calls: 1,
        call_deadline: Duration::from_millis(20),
        ..Limits::default()
    })
    .await;
    let mut pods = PodsClient::new(server.channel().await);
    for _ in 0..3 {
        let late = pods.bind(bind("hang")).await.unwrap_err();
        assert_status(&late, Code::DeadlineExceeded, "Timeout");
    }
    pods.bind(bind("web")).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_thousand_streams_on_one_connection_leave_room_for_calls_and_end_at_shutdown() {
    const STREAMS: usize = 1000;
    let server = start(Limits {
        watches: STREAMS,
        ..Limits::default()
    })
    .await;
    let channel = server.channel().await;
    let mut health = HealthClient::new(channel.clone());
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(
            health
                .watch(HealthCheckRequest::default())
                .await
                .unwrap()
                .into_inner(),
        );
    }
    let refused = health.watch(HealthCheckRequest::default()).await.unwrap_err();
    assert_status(&refused, Code::ResourceExhausted, "TooManyRequests");
    PodsClient::new(channel).bind(bind("web")).await.unwrap();

    // A client that goes away frees its place.
    drop(streams.pop());
    let mut again = health.watch(HealthCheckRequest::default()).await;
    while again.is_err() {
        tokio::task::yield_now().await;
        again = health.watch(HealthCheckRequest::default()).await;
    }

    let Running { shutdown, task, .. } = server;
    shutdown.trigger();
    for mut stream in streams {
        let ended = loop {
            match stream.message().await {
                Ok(message) => assert!(message.is_some(), "a stream must say why it ends"),
                Err(status) => break status,
            }
        };
        assert_status(&ended, Code::Unavailable, "ServiceUnavailable");
    }
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn connections_that_say_nothing_or_half_of_it_are_closed() {
    let server = start(Limits::default()).await;
    for start in [
        &b""[..],
        b"PRI * HTTP/2",
        b"GET /livez HTT",
        b"GET /livez HTTP/1.1\r\nhost: ",
        b"\0\0\0\0",
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(start).await.unwrap();
        let mut answer = Vec::new();
        // Closed or reset, both end the reading; hanging would not.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{start:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn one_connection_too_many_is_closed_at_once() {
    let server = start(Limits {
        connections: 1,
        ..Limits::default()
    })
    .await;
    let channel = server.channel().await;
    let mut component = ComponentClient::new(channel.clone());
    component.get_status(GetStatusRequest {}).await.unwrap();
    let mut second = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(second.read(&mut [0]).await.unwrap_or(0), 0);
    component.get_status(GetStatusRequest {}).await.unwrap();
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_ends_its_request_cannot_hold_up_the_shutdown() {
    let clock = Clock::system();
    let server = start(Limits::default()).await;
    let mut pods = PodsClient::new(server.channel().await);
    let hanging = tokio::spawn(async move { pods.bind(bind("hang")).await });
    server.pods.hanging.notified().await;
    let asked = clock.now();
    server.stop().await;
    assert!(asked.elapsed() <= Limits::default().drain + Duration::from_secs(1));
    let status = hanging.await.unwrap().unwrap_err();
    assert_eq!(from_tonic(&status).reason, "ServiceUnavailable", "{status}");
}

#[tokio::test]
async fn a_client_that_never_reads_its_answers_hurts_only_itself() {
    let server = start(Limits {
        connection_bytes: 4 << 20,
        ..Limits::default()
    })
    .await;
    let channel = Endpoint::from_shared(format!("http://{}", server.address))
        .unwrap()
        .initial_stream_window_size(1024)
        .connect()
        .await
        .unwrap();
    let mut unread = Vec::new();
    let refused = loop {
        assert!(unread.len() < 20, "20 MiB are held");
        let mut grpc = tonic::client::Grpc::new(channel.clone());
        grpc.ready().await.unwrap();
        let request = EvictRequest {
            name: "huge".into(),
            ..EvictRequest::default()
        };
        // Opened as a stream, the answer begins but nobody reads it.
        let codec = tonic_prost::ProstCodec::<EvictRequest, EvictResponse>::default();
        let path = "/orrery.v1.Pods/Evict".parse().unwrap();
        match grpc.server_streaming(Request::new(request), path, codec).await {
            Ok(answer) => unread.push(answer),
            Err(status) => break status,
        }
    };
    assert_status(&refused, Code::ResourceExhausted, "TooManyRequests");
    PodsClient::new(server.channel().await)
        .bind(bind("web"))
        .await
        .unwrap();

    // Reading, or going away, makes room again.
    unread.clear();
    let mut pods = PodsClient::new(channel);
    while let Err(status) = pods.bind(bind("web")).await {
        assert_status(&status, Code::ResourceExhausted, "TooManyRequests");
        tokio::task::yield_now().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn requests_that_never_end_are_refused_before_they_fill_the_memory() {
    let server = start(Limits {
        connection_bytes: 4 << 20,
        ..Limits::default()
    })
    .await;
    let channel = server.channel().await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let mut grpc = tonic::client::Grpc::new(channel.clone());
        calls.spawn(async move {
            grpc.ready().await.unwrap();
            let endless =
                futures::stream::iter([bind(&"x".repeat(1 << 20))]).chain(futures::stream::pending());
            let codec = tonic_prost::ProstCodec::<BindRequest, Object>::default();
            let path = "/orrery.v1.Pods/Bind".parse().unwrap();
            grpc.client_streaming(Request::new(endless), path, codec).await
        });
    }
    // Only those beyond the limit are answered; each frees what it held, so that the others go on.
    let refused = calls.join_next().await.unwrap().unwrap().unwrap_err();
    assert_status(&refused, Code::ResourceExhausted, "TooManyRequests");
    calls.shutdown().await;
    server.stop().await;
}
