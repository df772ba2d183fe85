//! The smallest HTTP clients: one connection each, and nothing that would be measured with the server.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

/// What the server may send on a connection before this client has read it, as gRPC's clients allow.
const WINDOW_BYTES: u32 = 4 << 20;

/// HTTP/1.1, as clients speak it without TLS.
pub(super) struct Http1 {
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Http1 {
    /// Connects to `host:port`, with `http://` before it or not.
    pub(super) async fn connect(address: &str) -> Result<Self> {
        let (sender, connection) = http1::handshake(TokioIo::new(open(address).await?)).await?;
        // Ends with its sender; what breaks it breaks the next request.
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// Sends a request, and reads its answer to the end: how many bytes it had.
    pub(super) async fn send(
        &mut self,
        method: &str,
        path: &str,
        content_type: &str,
        body: String,
    ) -> Result<usize> {
        self.sender.ready().await?;
        let response = self
            .sender
            .send_request(request(method, path, content_type, body)?)
            .await?;
        let mut body = accepted(response).await?;
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            bytes += frame?.into_data().map_or(0, |data| data.len());
        }
        Ok(bytes)
    }
}

/// HTTP/2, so that many watches share a connection as they do in a client's process.
#[derive(Clone)]
pub(super) struct Http2 {
    sender: http2::SendRequest<Full<Bytes>>,
    authority: String,
}

impl Http2 {
    /// Connects to `host:port`, with `http://` before it or not.
    pub(super) async fn connect(address: &str) -> Result<Self> {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .handshake(TokioIo::new(open(address).await?))
            .await?;
        tokio::spawn(connection);
        Ok(Self {
            sender,
            authority: authority(address).to_owned(),
        })
    }

    /// Asks for a path; the answer's body is on its way.
    pub(super) async fn get(&mut self, path: &str) -> Result<Incoming> {
        self.sender.ready().await?;
        let uri = format!("http://{}{path}", self.authority);
        let response = self
            .sender
            .send_request(request("GET", &uri, "", String::new())?)
            .await?;
        accepted(response).await
    }
}

fn authority(address: &str) -> &str {
    address.strip_prefix("http://").unwrap_or(address)
}

async fn open(address: &str) -> Result<TcpStream> {
    let authority = authority(address);
    let stream = TcpStream::connect(authority).await;
    let stream = stream.with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn request(method: &str, uri: &str, content_type: &str, body: String) -> Result<Request<Full<Bytes>>> {
    let mut request = Request::builder().method(method).uri(uri);
    if !uri.starts_with("http") {
        request = request.header("host", "orrery");
    }
    if !content_type.is_empty() {
        request = request.header("content-type", content_type);
    }
    let request = request.header("user-agent", "orrery-bench/1");
    Ok(request.body(Full::new(body.into()))?)
}

async fn accepted(response: Response<Incoming>) -> Result<Incoming> {
    if response.status().is_success() {
        return Ok(response.into_body());
    }
    let status = response.status();
    let text = response.into_body().collect().await?.to_bytes();
    bail!("the server answers {status}: {}", String::from_utf8_lossy(&text))
}
