//! Input that no honest client sends: a Status with the right code and reason, and the server serves on.

use crate::harness::{Answer, CONFIG_MAPS, PODS, Server, config_map};
use bytes::Bytes;
use component_base::clock::Clock;
use http_body_util::BodyExt;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An honest write and read still work.
async fn serves_on(server: &Server) {
    let name = "honest";
    server.post(CONFIG_MAPS, &config_map(name)).await.ok(201);
    server.delete(format!("{CONFIG_MAPS}/{name}")).await.ok(200);
}

/// The answer is a Status that says no, with this code and reason.
#[track_caller]
fn refused(answer: &Answer, code: u16, reason: &str, what: &str) {
    assert_eq!(answer.headers["content-type"], "application/json", "{what}");
    assert_eq!(answer.code, code, "{what}: {}", answer.text());
    let message = answer.fails(code, reason);
    assert!(!message.is_empty(), "{what}");
    assert!(
        message.len() < 8 << 10,
        "{what}: a message of {} bytes",
        message.len()
    );
}

/// Nine of nine of nine …, ten levels deep: a few hundred bytes that stand for billions.
fn laughs() -> Bytes {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let below = format!("*a{}, ", level - 1).repeat(9);
        text += &format!("a{level}: &a{level} [{below}]\n");
    }
    Bytes::from(text + "data: {k: *a9}\n")
}

/// What comes back for these bytes, until the server closes.
async fn raw(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // The server may close before all is sent.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn bodies_that_are_no_objects_are_bad_requests() {
    let server = Server::start().await;
    let deep = |open: &str, close: &str, depth: usize| {
        let (open, close) = (open.repeat(depth), close.repeat(depth));
        Bytes::from(format!(r#"{{"metadata":{{"name":"a"}},"data":{open}{close}}}"#))
    };
    let laughs = laughs();
    const JSON: &str = "application/json";
    const YAML: &str = "application/yaml";
    const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
    for (content_type, body) in [
        (JSON, Bytes::new()),
        (JSON, "{".into()),
        (JSON, "null".into()),
        (JSON, "[]".into()),
        (JSON, r#""configmap""#.into()),
        (JSON, "{} {}".into()),
        (JSON, "\u{feff}{}}".into()),
        (JSON, r#"{"metadata":{"name":1}}"#.into()),
        (JSON, r#"{"metadata":{"name":"a","generation":1e999}}"#.into()),
        (
            JSON,
            r#"{"metadata":{"name":"a","generation":99999999999999999999}}"#.into(),
        ),
        (JSON, r#"{"metadata":{"name":"a"},"data":{"k":"\ud800"}}"#.into()),
        (
            JSON,
            Bytes::from_static(b"{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"\xff\"}}"),
        ),
        (JSON, r#"{"kind":"Secret","metadata":{"name":"a"}}"#.into()),
        (JSON, r#"{"apiVersion":"v9","metadata":{"name":"a"}}"#.into()),
        (JSON, deep("[", "]", 100_000)),
        (JSON, deep(r#"{"k":"#, "}", 100_000)),
        (JSON, Bytes::from("[".repeat(1 << 20))),
        (JSON, Bytes::from(r#"{"a":"#.repeat(1 << 18))),
        (YAML, Bytes::new()),
        (YAML, "{".into()),
        (YAML, "- a\n- b\n".into()),
        (YAML, "a: &a [*a]\n".into()),
        (YAML, "kind: ConfigMap\n---\nkind: ConfigMap\n".into()),
        (YAML, Bytes::from_static(b"data: {k: \xff}\n")),
        (YAML, Bytes::from("[".repeat(1 << 20))),
        (YAML, Bytes::from("- ".repeat(1 << 18))),
        (YAML, Bytes::from("{a: ".repeat(1 << 18))),
        (YAML, laughs),
        (PROTOBUF, "{}".into()),
        (PROTOBUF, Bytes::from_static(b"k8s\0\x0a\xff\xff\xff\xff\x0f")),
        (PROTOBUF, Bytes::from_static(b"k8s\0\x12\x04\x0a\x7f\x01\x01")),
        (
            PROTOBUF,
            Bytes::from([b"k8s\0\x12\x80\x80\x01".as_slice(), &[0x0b; 16 << 10]].concat()),
        ),
    ] {
        let start: String = String::from_utf8_lossy(&body).chars().take(40).collect();
        let answer = server
            .ask("POST", CONFIG_MAPS)
            .body(content_type, body)
            .send()
            .await;
        refused(&answer, 400, "BadRequest", &format!("{content_type} {start}"));
    }
    serves_on(&server).await;
}

#[tokio::test]
async fn a_body_of_a_type_that_nobody_reads_is_refused_by_its_type() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    for content_type in [
        "text/plain",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application",
        &"x/".repeat(1000),
    ] {
        for (method, path) in [
            ("POST", CONFIG_MAPS.to_owned()),
            ("PUT", format!("{CONFIG_MAPS}/a")),
            ("PATCH", format!("{CONFIG_MAPS}/a")),
        ] {
            let answer = server.ask(method, path).body(content_type, "{}").send().await;
            refused(
                &answer,
                415,
                "UnsupportedMediaType",
                &format!("{method} {content_type}"),
            );
        }
    }
    let unwanted = server
        .ask("GET", CONFIG_MAPS)
        .header("accept", "image/png")
        .send()
        .await;
    refused(&unwanted, 406, "NotAcceptable", "Accept: image/png");
    serves_on(&server).await;
}

#[tokio::test]
async fn patches_that_grow_or_sink_without_end_are_refused() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let path = format!("{CONFIG_MAPS}/a");
    let doubling: Vec<_> = (0..64)
        .map(|step| json!({"op": "copy", "from": "/data", "path": format!("/data/k{step}")}))
        .collect();
    let many = vec![json!({"op": "test", "path": "/kind", "value": "ConfigMap"}); 20_000];
    let deep = format!(
        r#"{{"data":{}{}}}"#,
        r#"{"k":"#.repeat(10_000),
        "}".repeat(10_000)
    );
    for (content_type, body, codes) in [
        (
            "application/json-patch+json",
            json!(doubling).to_string(),
            [413, 422],
        ),
        ("application/json-patch+json", json!(many).to_string(), [413, 413]),
        ("application/json-patch+json", "{}".into(), [400, 400]),
        (
            "application/json-patch+json",
            r#"[{"op":"brew"}]"#.into(),
            [400, 400],
        ),
        ("application/merge-patch+json", deep.clone(), [400, 422]),
        ("application/strategic-merge-patch+json", deep, [400, 422]),
        ("application/merge-patch+json", "[1]".into(), [400, 422]),
        ("application/merge-patch+json", "{".into(), [400, 400]),
    ] {
        let start: String = body.chars().take(60).collect();
        let answer = server
            .ask("PATCH", path.as_str())
            .body(content_type, body)
            .send()
            .await;
        assert!(
            codes.contains(&answer.code),
            "{start}: {} {}",
            answer.code,
            answer.text()
        );
        answer.fails(answer.code, answer.json()["reason"].as_str().unwrap_or_default());
    }
    serves_on(&server).await;
}

#[tokio::test]
async fn what_is_no_object_cannot_be_applied_nor_be_the_options_of_a_delete() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let path = format!("{CONFIG_MAPS}/a");
    for body in [
        Bytes::from("{"),
        Bytes::from("[]"),
        Bytes::from("data: &a {b: *a}"),
        Bytes::from("- ".repeat(1 << 18)),
        Bytes::from_static(b"data: {k: \xff}"),
        laughs(),
    ] {
        let start: String = String::from_utf8_lossy(&body).chars().take(40).collect();
        let apply = server.ask("PATCH", format!("{path}?fieldManager=me"));
        let applied = apply
            .body("application/apply-patch+yaml", body.clone())
            .send()
            .await;
        refused(&applied, 400, "BadRequest", &format!("apply {start}"));
        let delete = server.ask("DELETE", path.as_str());
        let deleted = delete.body("application/yaml", body).send().await;
        refused(&deleted, 400, "BadRequest", &format!("delete {start}"));
    }
    server.get(path).await.ok(200);
    serves_on(&server).await;
}

#[tokio::test]
async fn a_hundred_megabytes_are_cut_off_and_an_object_too_large_is_refused() {
    let server = Server::start().await;
    let head = format!("POST {CONFIG_MAPS} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n");
    let announced = raw(
        &server,
        format!("{head}content-length: 104857600\r\n\r\n").as_bytes(),
    )
    .await;
    assert!(announced.starts_with("HTTP/1.1 413 "), "{announced}");
    assert!(
        announced.contains(r#""reason":"RequestEntityTooLarge""#),
        "{announced}"
    );

    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let chunk = format!("100000\r\n{}\r\n", "x".repeat(1 << 20));
    let mut sent = 0;
    while sent < 100 && stream.write_all(chunk.as_bytes()).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 100, "100 MiB were taken");

    // Within the body's limit, beyond the object's.
    let mut large = config_map("large");
    large["data"]["k"] = "x".repeat(2 << 20).into();
    let answer = server.post(CONFIG_MAPS, &large).await;
    refused(&answer, 413, "RequestEntityTooLarge", "2 MiB");
    serves_on(&server).await;
}

#[tokio::test]
async fn absurd_parameters_are_refused_with_the_parameters_name() {
    let server = Server::start().await;
    for (query, code, reason, part) in [
        ("limit=-1", 400, "BadRequest", "limit"),
        ("limit=many", 400, "BadRequest", "limit"),
        ("limit=99999999999999999999", 400, "BadRequest", "limit"),
        ("watch=1&timeoutSeconds=1e99", 400, "BadRequest", "timeoutSeconds"),
        ("watch=1&timeoutSeconds=-1", 400, "BadRequest", "timeoutSeconds"),
        ("resourceVersion=abc", 400, "BadRequest", "resourceVersion"),
        ("resourceVersion=-1", 400, "BadRequest", "resourceVersion"),
        (
            "watch=1&resourceVersion=abc",
            400,
            "BadRequest",
            "resourceVersion",
        ),
        (
            "resourceVersion=1&resourceVersionMatch=Maybe",
            422,
            "Invalid",
            "resourceVersionMatch",
        ),
        (
            "resourceVersionMatch=Exact",
            422,
            "Invalid",
            "resourceVersionMatch",
        ),
        ("labelSelector=a%20b%20c", 400, "BadRequest", ""),
        ("labelSelector=%ff", 400, "BadRequest", ""),
        (
            "fieldSelector=spec.nothing%3Dx",
            400,
            "BadRequest",
            "spec.nothing",
        ),
        ("continue=garbage", 400, "BadRequest", "continue"),
        (
            "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiLi4vLi4vIn0",
            400,
            "BadRequest",
            "continue",
        ),
    ] {
        let answer = server.get(format!("{CONFIG_MAPS}?{query}")).await;
        refused(&answer, code, reason, query);
        assert!(answer.text().contains(part), "{query}: {}", answer.text());
    }
    let long = server
        .get(format!("{CONFIG_MAPS}?labelSelector={}", "a".repeat(20 << 10)))
        .await;
    refused(&long, 400, "BadRequest", "a selector of 20 KiB");
    let future = server
        .get(format!("{CONFIG_MAPS}?resourceVersion=9000000000000000000"))
        .await;
    refused(&future, 504, "Timeout", "a revision of the far future");
    serves_on(&server).await;
}

#[tokio::test]
async fn tricks_with_paths_and_methods_lead_nowhere() {
    let server = Server::start().await;
    for path in [
        "/api/v1/../../etc/passwd",
        "/api/v1/namespaces/../pods",
        "//api/v1/pods",
        "/api//v1/pods",
        "/api/v1/namespaces/default/configmaps/%c0%ae%c0%ae",
        "/api/v1/namespaces/%2e%2e/pods",
        "/api/v1/namespaces/default%2fpods",
        "/api/v1/namespaces/default/pods/a/b/c/d",
        "/apis/../api/v1/pods",
        "/favicon.ico",
        "/.env",
    ] {
        let answer = raw(
            &server,
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes(),
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
        assert!(answer.contains(r#""reason":"NotFound""#), "{path}: {answer}");
    }
    for (method, path) in [
        ("TRACE", CONFIG_MAPS),
        ("OPTIONS", CONFIG_MAPS),
        ("PATCH", CONFIG_MAPS),
        ("PUT", CONFIG_MAPS),
        ("POST", "/api/v1/configmaps"),
        ("POST", "/version"),
        ("DELETE", "/api"),
        ("POST", "/api/v1/namespaces/default/pods/web/log"),
    ] {
        let answer = server.ask(method, path).send().await;
        refused(&answer, 405, "MethodNotAllowed", &format!("{method} {path}"));
    }
    serves_on(&server).await;
}

#[tokio::test]
async fn requests_that_two_servers_would_read_differently_are_not_served() {
    let server = Server::start().await;
    for head in [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: -1\r\n",
        "content-length: 0x5\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "host : x\r\n",
        "x: a\r\n b\r\n",
        "\0: x\r\n",
    ] {
        let request =
            format!("POST {CONFIG_MAPS} HTTP/1.1\r\nhost: x\r\n{head}connection: close\r\n\r\n{{}}xxx");
        let answer = raw(&server, request.as_bytes()).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{head:?}: {answer}"
        );
        assert_eq!(
            answer.matches("HTTP/1.1").count(),
            usize::from(!answer.is_empty()),
            "{head:?}"
        );
    }
    let chunks = format!(
        "POST {CONFIG_MAPS} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n{{}}"
    );
    let answer = raw(&server, chunks.as_bytes()).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
        "{answer}"
    );
    serves_on(&server).await;
}

#[tokio::test]
async fn clients_that_say_half_of_it_hold_up_nobody() {
    let server = Server::start().await;
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let half = format!("POST {CONFIG_MAPS} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{");
        stream.write_all(half.as_bytes()).await.unwrap();
        slow.push(stream);
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream
            .write_all(b"GET /api/v1/pods HTTP/1.1\r\nhost")
            .await
            .unwrap();
        slow.push(stream);
    }
    serves_on(&server).await;
}

#[tokio::test]
async fn watches_that_nobody_reads_hold_up_nobody_and_are_freed_with_their_clients() {
    let server = Server::start().await;
    let open = async || {
        let metrics = server.get("/metrics").await;
        let line = metrics
            .text()
            .lines()
            .find(|line| line.starts_with("grpc_server_streams_open "));
        line.unwrap()
            .rsplit(' ')
            .next()
            .unwrap()
            .parse::<usize>()
            .unwrap()
    };
    let mut idle = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let watch = format!("GET {CONFIG_MAPS}?watch=1 HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.write_all(watch.as_bytes()).await.unwrap();
        idle.push(stream);
    }
    let reader = server.ask("GET", format!("{CONFIG_MAPS}?watch=1"));
    let mut reader = reader.stream().await.into_body();
    while open().await < 51 {
        tokio::task::yield_now().await;
    }
    // More than the sockets of those who do not read can hold.
    let mut hot = config_map("hot");
    hot["data"]["k"] = "x".repeat(200_000).into();
    server.post(CONFIG_MAPS, &hot).await.ok(201);
    for round in 0..50 {
        hot["data"]["round"] = round.to_string().into();
        server.put(format!("{CONFIG_MAPS}/hot"), &hot).await.ok(200);
    }
    let mut read = String::new();
    while !read.contains(r#""round":"49""#) {
        let frame = reader.frame().await.unwrap().unwrap();
        read += std::str::from_utf8(&frame.into_data().unwrap()).unwrap();
    }
    drop((idle, reader));
    let clock = Clock::system();
    while open().await > 0 {
        clock.sleep(Duration::from_millis(10)).await;
    }
    serves_on(&server).await;
}

#[tokio::test]
async fn names_that_are_none_are_refused_by_the_field() {
    let server = Server::start().await;
    for name in ["..", "a/b", "A", "a_b", "", &"a".repeat(300), "a\nb", "\u{202e}a"] {
        let mut object = config_map("x");
        object["metadata"]["name"] = name.into();
        let answer = server.post(CONFIG_MAPS, &object).await;
        refused(&answer, 422, "Invalid", name);
        assert!(answer.text().contains("metadata.name"), "{}", answer.text());
    }
    let elsewhere = json!({"metadata": {"name": "a", "namespace": "other"}});
    let answer = server.post(CONFIG_MAPS, &elsewhere).await;
    refused(&answer, 400, "BadRequest", "a namespace that is not the path's");
    let unnamed = server
        .post(PODS, &json!({"metadata": {}, "spec": {"containers": []}}))
        .await;
    refused(&unnamed, 422, "Invalid", "no name and no containers");
}
