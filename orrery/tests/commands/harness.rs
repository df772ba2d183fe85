//! An apiserver on a free port, and the program that speaks to it.

use apiserver::Config;
use apiserver::config::Engine;
use component_base::clock::Clock;
use component_base::rng::Seed;
use component_base::shutdown::Shutdown;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;

/// Longer than anything takes, on any machine; a test that reaches it has failed.
const FOREVER: Duration = Duration::from_secs(60);

/// A running apiserver with a store of its own.
pub(crate) struct Server {
    address: SocketAddr,
    data: TempDir,
    shutdown: Shutdown,
    running: Option<JoinHandle<anyhow::Result<()>>>,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Told {
    /// Checks that the command succeeded and said this.
    #[track_caller]
    pub(crate) fn says(&self, expected: &str) {
        assert_eq!(
            (self.code, self.out.as_str()),
            (Some(0), expected),
            "{}",
            self.err
        );
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        let mut server = Self {
            address: "127.0.0.1:0".parse().unwrap(),
            data: tempfile::tempdir().unwrap(),
            shutdown: Shutdown::new(),
            running: None,
        };
        server.serve().await;
        server
    }

    /// Stops the server, and starts another over the same store on the same port.
    pub(crate) async fn restart(&mut self) {
        self.shutdown.trigger();
        self.running.take().unwrap().await.unwrap().unwrap();
        self.shutdown = Shutdown::new();
        self.serve().await;
    }

    async fn serve(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let config = Config {
            data_dir: self.data.path().to_owned(),
            storage: Engine::Embedded,
            etcd_endpoints: Vec::new(),
            etcd_prefix: String::new(),
            event_ttl: Duration::from_secs(3600),
            retain_changes: 10_000,
            retain_age: Duration::from_secs(3600),
        };
        let serving = apiserver::run(config, listener, Clock::system(), Seed(1), self.shutdown.clone());
        self.running = Some(tokio::spawn(serving));
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orrery"));
        command
            .args(args)
            .env("ORRERY_SERVER", self.address.to_string())
            .env("USER", "tester")
            .env_remove("ORRERY_NAMESPACE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Told {
        self.run_with(args, "").await
    }

    /// Runs a command with this as its standard input.
    pub(crate) async fn run_with(&self, args: &[&str], input: &str) -> Told {
        let mut child = self.command(args).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that does not read may have ended already.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = Clock::system()
            .timeout(FOREVER, child.wait_with_output())
            .await
            .unwrap()
            .unwrap();
        Told {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts a command that goes on.
    pub(crate) fn follow(&self, args: &[&str]) -> Following {
        let mut child = self.command(args).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Following { lines, _child: child }
    }
}

/// A command that goes on until this is dropped.
pub(crate) struct Following {
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Following {
    /// The next line that it prints.
    pub(crate) async fn line(&mut self) -> String {
        let line = Clock::system().timeout(FOREVER, self.lines.next_line()).await;
        line.expect("a line in time")
            .unwrap()
            .expect("the command goes on")
    }
}
