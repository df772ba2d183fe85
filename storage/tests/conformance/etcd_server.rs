//! An etcd of our own for a test: on free ports, in a temporary directory, gone with the value.

use component_base::clock::Clock;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use storage::etcd::{Config, Etcd};

/// Where Debian's package puts it, when it is not on the PATH.
const BINARIES: [&str; 2] = ["etcd", "/usr/bin/etcd"];
const START_TRIES: u32 = 200;
const START_DELAY: Duration = Duration::from_millis(50);

pub(crate) struct EtcdServer {
    command: Command,
    child: Child,
    endpoint: String,
    _directory: tempfile::TempDir,
}

impl EtcdServer {
    /// Starts one; `None` when this machine has no etcd.
    pub(crate) async fn start() -> Option<Self> {
        let binary = BINARIES.into_iter().find(|binary| {
            let version = Command::new(binary)
                .arg("--version")
                .stdout(Stdio::null())
                .status();
            version.is_ok_and(|status| status.success())
        })?;
        let directory = tempfile::tempdir().unwrap();
        let (client, peer) = (free_address(), free_address());
        let mut command = Command::new(binary);
        command
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}")])
            .arg("--data-dir")
            .arg(directory.path())
            // The suite is about what etcd answers, not about this machine's disk.
            .arg("--unsafe-no-fsync")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Some(Self {
            child: command.spawn().unwrap(),
            command,
            endpoint: client,
            _directory: directory,
        })
    }

    /// Kills it, and starts it again with what it had.
    pub(crate) fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = self.command.spawn().unwrap();
    }

    /// A store below a prefix of its own.
    pub(crate) async fn store(&self, prefix: &str, keep_age: Duration) -> Etcd {
        let clock = Clock::system();
        let config = Config {
            prefix: prefix.into(),
            keep_age,
            ..Config::new([self.endpoint.clone()])
        };
        let mut tries = 0;
        loop {
            match Etcd::connect(config.clone(), clock.clone()).await {
                Ok(store) => return store,
                Err(error) => assert!(tries < START_TRIES, "{error}"),
            }
            tries += 1;
            clock.sleep(START_DELAY).await;
        }
    }
}

impl Drop for EtcdServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
