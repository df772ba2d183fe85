//! An apiserver on a free port, and a short way to ask it things over HTTP/1.1.

use apiserver::{Parts, serve};
use bytes::Bytes;
use component_base::clock::Clock;
use component_base::rng::Seed;
use component_base::server::Limits;
use component_base::shutdown::Shutdown;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use storage::memory::MemoryStore;
use tokio::net::{TcpListener, TcpStream};

/// A running apiserver. Stops when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shutdown: Shutdown,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The object, after a request that must succeed with this code.
    #[track_caller]
    pub(crate) fn ok(&self, code: u16) -> Value {
        assert_eq!(self.code, code, "{}", self.text());
        self.json()
    }

    /// The message, after a request that must fail with this code and reason, as a Status.
    #[track_caller]
    pub(crate) fn fails(&self, code: u16, reason: &str) -> String {
        assert_eq!(self.code, code, "{}", self.text());
        let status = self.json();
        assert_eq!(
            (
                status["kind"].as_str(),
                status["status"].as_str(),
                status["code"].as_u64()
            ),
            (Some("Status"), Some("Failure"), Some(u64::from(code)))
        );
        assert_eq!(status["reason"], reason, "{status}");
        status["message"].as_str().unwrap_or_default().to_owned()
    }
}

/// A request in the making.
pub(crate) struct Ask {
    address: SocketAddr,
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Ask {
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// The answer's head, with its body still on the way.
    pub(crate) async fn stream(self) -> Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(self.method).uri(&self.path);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = request
            .header("host", "orrery")
            .body(Full::new(self.body))
            .unwrap();
        sender.send_request(request).await.unwrap()
    }

    pub(crate) async fn send(self) -> Answer {
        let (head, body) = self.stream().await.into_parts();
        Answer {
            code: head.status.as_u16(),
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }
}

impl Server {
    /// Starts one over an empty memory store.
    pub(crate) async fn start() -> Self {
        Self::over(Arc::new(MemoryStore::new())).await
    }

    /// Starts one over a store.
    pub(crate) async fn over(store: Arc<MemoryStore>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let parts = Parts {
            store,
            shared_store: false,
            event_ttl: Duration::from_secs(3600),
            limits: Limits::default(),
        };
        tokio::spawn(serve(parts, listener, Clock::system(), Seed(1), shutdown.clone()));
        Self { address, shutdown }
    }

    pub(crate) fn ask(&self, method: &'static str, path: impl Into<String>) -> Ask {
        Ask {
            address: self.address,
            method,
            path: path.into(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) async fn get(&self, path: impl Into<String>) -> Answer {
        self.ask("GET", path).send().await
    }

    pub(crate) async fn post(&self, path: impl Into<String>, body: &Value) -> Answer {
        self.ask("POST", path).json(body).send().await
    }

    pub(crate) async fn put(&self, path: impl Into<String>, body: &Value) -> Answer {
        self.ask("PUT", path).json(body).send().await
    }

    pub(crate) async fn delete(&self, path: impl Into<String>) -> Answer {
        self.ask("DELETE", path).send().await
    }
}

/// Where ConfigMaps of the namespace `default` are.
pub(crate) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Where Pods of the namespace `default` are.
pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";

/// A ConfigMap.
pub(crate) fn config_map(name: &str) -> Value {
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"app": name}},
        "data": {"key": "value"},
    })
}

/// A Pod.
pub(crate) fn pod(name: &str) -> Value {
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "web", "image": "nginx"}]},
    })
}
