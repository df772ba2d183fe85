//! An etcd to compare with: one member on free ports, in a directory of its own, with its own defaults, fsync included.

use super::Common;
use anyhow::{Context, Result, bail};
use component_base::clock::Clock;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// etcd elects itself within a second or two.
const READY_WITHIN: Duration = Duration::from_secs(20);
const ASK_EVERY: Duration = Duration::from_millis(20);

/// See the module. Killed when it is dropped.
pub(super) struct Etcd {
    /// `host:port` of its client API.
    pub(super) address: String,
    _process: Child,
    _directory: tempfile::TempDir,
}

impl Etcd {
    /// Whether there is an etcd on the `PATH`.
    pub(super) async fn is_installed() -> bool {
        let version = Command::new("etcd")
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        version.await.is_ok_and(|status| status.success())
    }

    /// Starts one, and waits until it takes connections.
    pub(super) async fn start(common: &Common, clock: &Clock) -> Result<Self> {
        let directory = common.directory()?;
        let (client, peer) = (free_address()?, free_address()?);
        let (client_url, peer_url) = (format!("http://{client}"), format!("http://{peer}"));
        let mut process = Command::new("etcd")
            .args(["--listen-client-urls", &client_url])
            .args(["--advertise-client-urls", &client_url])
            .args(["--listen-peer-urls", &peer_url])
            .args(["--initial-advertise-peer-urls", &peer_url])
            .args(["--initial-cluster", &format!("default={peer_url}")])
            .arg("--data-dir")
            .arg(directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start etcd")?;
        // It opens the client port once it has elected itself.
        let ready = clock.timeout(READY_WITHIN, async {
            while TcpStream::connect(&client).await.is_err() {
                clock.sleep(ASK_EVERY).await;
            }
        });
        if ready.await.is_err() {
            match process.try_wait()? {
                Some(status) => bail!("etcd ended: {status}"),
                None => bail!("etcd does not listen after {READY_WITHIN:?}"),
            }
        }
        Ok(Self {
            address: client,
            _process: process,
            _directory: directory,
        })
    }
}

fn free_address() -> Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    Ok(listener.local_addr()?.to_string())
}
