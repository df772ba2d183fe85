//! HTTP over real sockets: what well-meaning clients get, and what hostile ones cannot take.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use component_base::clock::Clock;
use component_base::metrics::Registry;
use component_base::ready::Progress;
use component_base::server::{Limits, RequestLabels, Server, SizeAtLeast};
use component_base::shutdown::Shutdown;
use futures::StreamExt;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

struct Running {
    address: SocketAddr,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

async fn start(limits: Limits) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (progress, shutdown) = (Progress::new("starting"), Shutdown::new());
    let server = Server::new("planet", &Clock::system(), &Registry::new(), &progress)
        .http(routes())
        .limits(limits);
    let serving = shutdown.clone();
    let task = tokio::spawn(async move { server.serve(listener, serving).await.unwrap() });
    Running {
        address,
        shutdown,
        task,
    }
}

fn routes() -> Router {
    let panics = async || -> StatusCode { panic!("a bug") };
    let lasting = || {
        let first = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from("event\n"))]);
        Body::from_stream(first.chain(futures::stream::pending()))
    };
    let breaking = || {
        let lines = futures::stream::iter([0, 1]);
        Body::from_stream(lines.then(async |line| {
            // In between, what came before is sent.
            tokio::task::yield_now().await;
            assert_eq!(line, 0, "a bug");
            Ok::<_, std::io::Error>(Bytes::from("event\n"))
        }))
    };
    let made = || {
        let pieces = futures::stream::iter((0..16).map(|_| Ok::<_, std::io::Error>("x".repeat(64 << 10))));
        let mut response = Response::new(Body::from_stream(pieces));
        response.extensions_mut().insert(SizeAtLeast(1 << 20));
        response
    };
    let labelled = async || {
        let labels = RequestLabels {
            verb: "LIST",
            resource: "moons",
        };
        let mut response = Response::new(Body::from("[]"));
        response.extensions_mut().insert(labels);
        response
    };
    Router::new()
        .route("/count", post(async |body: Bytes| body.len().to_string()))
        .route("/hang", get(async || std::future::pending::<StatusCode>().await))
        .route("/panic", get(panics))
        .route("/large", get(async || "x".repeat(1 << 20)))
        .route("/endless", get(async || Body::from("x".repeat(64 << 20))))
        .route("/made", get(async move || made()))
        .route("/small", get(async || "x".repeat(1 << 10)))
        .route("/moons", get(labelled))
        .route("/lasting", get(async move || lasting()))
        .route("/breaking", get(async move || breaking()))
        .route("/teapot", get(async || StatusCode::IM_A_TEAPOT))
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// One HTTP/1 exchange; the answer as it came.
    async fn raw(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    }

    async fn http(&self, head: &str, body: &str) -> String {
        let length = body.len();
        let request = format!(
            "{head} HTTP/1.1\r\nhost: planet\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        String::from_utf8(self.raw(request.as_bytes()).await).unwrap()
    }

    async fn get(&self, path: &str) -> String {
        self.http(&format!("GET {path}"), "").await
    }

    async fn serves_on(&self) {
        assert!(self.get("/small").await.starts_with("HTTP/1.1 200"));
    }

    async fn stop(self) {
        self.shutdown.trigger();
        self.task.await.unwrap();
    }
}

/// The answer is a `Status` with this code and reason.
fn assert_status(answer: &str, code: u16, reason: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: application/json"), "{answer}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["kind"], "Status", "{answer}");
    assert_eq!(
        (body["code"].as_u64(), body["reason"].as_str()),
        (Some(code.into()), Some(reason))
    );
    assert_ne!(body["message"], "", "{answer}");
}

/// Reads until the answer holds `text`.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains(text) {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "{answer:?}");
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn every_failure_is_a_status() {
    let server = start(Limits::default()).await;
    for (head, code, reason) in [
        ("GET /nowhere", 404, "NotFound"),
        ("DELETE /large", 405, "MethodNotAllowed"),
        ("BREW /large", 405, "MethodNotAllowed"),
        ("GET /teapot", 418, "BadRequest"),
        ("GET /panic", 500, "InternalError"),
        ("POST /orrery.v1.Component/GetStatus", 415, "UnsupportedMediaType"),
        (
            "POST /count HTTP/1.1\r\norigin: http://evil.example\r\nx:",
            403,
            "Forbidden",
        ),
    ] {
        assert_status(&server.http(head, "").await, code, reason);
    }
    server.serves_on().await;
    server.stop().await;
}

#[tokio::test]
async fn a_body_is_read_up_to_its_limit_and_one_that_says_it_is_larger_is_not_read() {
    let server = start(Limits::default()).await;
    let whole = server.http("POST /count", &"x".repeat(3 << 20)).await;
    assert!(whole.ends_with("\r\n\r\n3145728"), "{whole}");

    let announced = "POST /count HTTP/1.1\r\nhost: planet\r\ncontent-length: 104857600\r\n\r\n";
    let answer = server.raw(announced.as_bytes()).await;
    assert_status(&String::from_utf8(answer).unwrap(), 413, "RequestEntityTooLarge");

    // Without an announcement it is cut off where it grows too large: the server closes, whatever the client still sends.
    let mut stream = server.connect().await;
    let head = "POST /count HTTP/1.1\r\nhost: planet\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("100000\r\n{}\r\n", "x".repeat(1 << 20));
    let mut sent = 0;
    while sent < 100 && stream.write_all(chunk.as_bytes()).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 100, "100 MiB were read");
    server.serves_on().await;
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_in_is_cut_off_and_holds_no_place_meanwhile() {
    let server = start(Limits {
        calls: 1,
        ..Limits::default()
    })
    .await;
    let mut slow = server.connect().await;
    let head = "POST /count HTTP/1.1\r\nhost: planet\r\ncontent-length: 10\r\n\r\nx";
    slow.write_all(head.as_bytes()).await.unwrap();
    server.serves_on().await;
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert_status(&answer, 408, "Timeout");
    server.stop().await;
}

#[tokio::test]
async fn overload_is_refused_with_a_time_to_come_back_and_probes_still_answer() {
    let server = start(Limits {
        calls: 1,
        watches: 1,
        ..Limits::default()
    })
    .await;
    let mut watch = server.connect().await;
    watch
        .write_all(b"GET /lasting?watch=1 HTTP/1.1\r\nhost: planet\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut watch, "event\n").await;
    // A watch takes none of the places of calls, and there is no second one.
    server.serves_on().await;
    assert_status(&server.get("/lasting?watch=true").await, 429, "TooManyRequests");

    let mut hanging = server.connect().await;
    hanging
        .write_all(b"GET /hang HTTP/1.1\r\nhost: planet\r\n\r\n")
        .await
        .unwrap();
    let refused = loop {
        let answer = server.get("/small").await;
        if !answer.starts_with("HTTP/1.1 200") {
            break answer;
        }
    };
    assert_status(&refused, 429, "TooManyRequests");
    assert!(refused.contains("retry-after: 1\r\n"), "{refused}");
    assert!(server.get("/livez").await.ends_with("\r\n\r\nok"));

    // A client that goes away frees its place.
    drop(hanging);
    while !server.get("/small").await.starts_with("HTTP/1.1 200") {}
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_cut_off_and_a_watch_is_not() {
    let server = start(Limits::default()).await;
    let mut watch = server.connect().await;
    watch
        .write_all(b"GET /lasting?watch=1 HTTP/1.1\r\nhost: planet\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut watch, "event\n").await;
    let clock = Clock::system();
    let asked = clock.now();
    assert_status(&server.get("/hang").await, 504, "Timeout");
    assert_eq!(
        asked.elapsed().as_secs(),
        Limits::default().request_deadline.as_secs()
    );
    clock.sleep(Duration::from_secs(3600)).await;
    assert!(
        clock
            .timeout(Duration::from_secs(1), watch.read_u8())
            .await
            .is_err()
    );

    // The shutdown ends it, properly.
    server.stop().await;
    assert_eq!(read_until(&mut watch, "0\r\n\r\n").await, "0\r\n\r\n");
}

#[tokio::test]
async fn a_panic_ends_the_answer_that_it_is_in_and_no_other() {
    let server = start(Limits::default()).await;
    for path in ["/breaking?watch=1", "/breaking"] {
        let broken = server.get(path).await;
        assert!(
            broken.contains("event\n") && !broken.ends_with("0\r\n\r\n"),
            "{broken}"
        );
    }
    server.serves_on().await;
    server.stop().await;
}

#[tokio::test]
async fn large_answers_are_compressed_for_who_asks_and_watches_are_not() {
    let server = start(Limits::default()).await;
    let ask = async |path: &str| {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: planet\r\nconnection: close\r\naccept-encoding: gzip\r\n\r\n"
        );
        let answer = server.raw(request.as_bytes()).await;
        String::from_utf8_lossy(&answer).to_ascii_lowercase()
    };
    for path in ["/large", "/made"] {
        let large = ask(path).await;
        assert!(large.contains("content-encoding: gzip\r\n"), "{large}");
        assert!(large.len() < 64 << 10, "{path}: {}", large.len());
    }
    assert!(!ask("/small").await.contains("content-encoding"));
    assert!(!server.get("/large").await.contains("content-encoding"));

    let mut watch = server.connect().await;
    watch
        .write_all(b"GET /lasting?watch=1 HTTP/1.1\r\nhost: planet\r\naccept-encoding: gzip\r\n\r\n")
        .await
        .unwrap();
    let answer = read_until(&mut watch, "event\n").await;
    assert!(!answer.contains("content-encoding"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_never_reads_loses_its_connection() {
    let server = start(Limits {
        unread: Duration::from_millis(200),
        ..Limits::default()
    })
    .await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /endless HTTP/1.1\r\nhost: planet\r\n\r\n")
        .await
        .unwrap();
    // What the systems buffer between the two is all that it ever gets.
    let open = "server_connections_open 1";
    while !server.get("/metrics").await.contains(open) {
        Clock::system().sleep(Duration::from_millis(20)).await;
    }
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received).await;
    assert!(received.len() < 64 << 20);
    server.stop().await;
}

#[tokio::test]
async fn heads_beyond_all_measure_are_refused() {
    let server = start(Limits::default()).await;
    let long = "x".repeat(100 << 10);
    let many = "x: y\r\n".repeat(1000);
    for head in [
        format!("GET /{long} HTTP/1.1\r\nhost: planet\r\n\r\n"),
        format!("GET /small HTTP/1.1\r\nhost: planet\r\nx: {long}\r\n\r\n"),
        format!("GET /small HTTP/1.1\r\nhost: planet\r\n{many}\r\n"),
    ] {
        let mut stream = server.connect().await;
        let _ = stream.write_all(head.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    server.serves_on().await;
    server.stop().await;
}

#[tokio::test]
async fn requests_are_counted_by_what_they_were_about() {
    let server = start(Limits::default()).await;
    server.get("/moons").await;
    server.get("/nowhere").await;
    let metrics = server.get("/metrics").await;
    for line in [
        r#"planet_request_total{verb="LIST",resource="moons",code="200"} 1"#,
        r#"planet_request_total{verb="GET",resource="",code="404"} 1"#,
        r#"planet_request_duration_seconds_count{verb="LIST",resource="moons"} 1"#,
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line} in\n{metrics}");
    }
    server.stop().await;
}
