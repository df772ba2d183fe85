//! [`Cluster`]: the components on their host, and how to reach them.

use crate::StartError;
use crate::builder::Builder;
use crate::components::Components;
use crate::host::Host;
use crate::ready;
use client::ClientConfig;
use component_base::clock::Clock;
use component_base::rng::Seed;
use component_base::shutdown::Shutdown;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// What a cluster may take to be ready. A busy machine is slow; only a broken cluster needs so long.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// A running cluster. It ends, and everything of it, when this is dropped.
pub struct Cluster {
    // In the order in which they are to go: the directory last.
    host: Host,
    client: kube::Client,
    apiserver: SocketAddr,
    endpoints: Vec<(&'static str, SocketAddr)>,
    kubeconfig: PathBuf,
    files: TempDir,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("apiserver", &self.apiserver)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Starts a cluster with controllers, a scheduler and three nodes.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// Chooses what the cluster shall be like.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) async fn start_as(wanted: Builder) -> Result<Self, StartError> {
        let files = tempfile::Builder::new().prefix("orrery-test-").tempdir()?;
        let shutdown = Shutdown::new();
        let components = Components::new(&wanted, files.path(), &shutdown)?;
        let (apiserver, endpoints) = (components.apiserver, components.endpoints);
        let host = Host::start(components.parts, shutdown)?;
        let url = format!("http://{apiserver}");
        let kubeconfig = files.path().join("kubeconfig");
        std::fs::write(&kubeconfig, kubeconfig_for(&url))?;
        let cluster = Self {
            client: client_for(&url)?,
            host,
            apiserver,
            endpoints,
            kubeconfig,
            files,
        };
        cluster.wait(wanted.nodes).await?;
        Ok(cluster)
    }

    /// A client of the whole API.
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// Where the API answers, HTTP and gRPC alike: `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        format!("http://{}", self.apiserver)
    }

    /// A file for `KUBECONFIG`.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Where a component serves its own gRPC methods, health and metrics: `apiserver`, `controller-manager`, `scheduler`
    /// or `kubelet-sim`. `None` for one that was left out.
    pub fn endpoint(&self, component: &str) -> Option<SocketAddr> {
        let mut endpoints = self.endpoints.iter();
        endpoints
            .find(|(name, _)| *name == component)
            .map(|(_, address)| *address)
    }

    /// Where the cluster keeps its files.
    pub fn directory(&self) -> &Path {
        self.files.path()
    }

    /// Waits until all is ready, or something is wrong.
    async fn wait(&self, nodes: u32) -> Result<(), StartError> {
        let components = async {
            for (name, address) in &self.endpoints {
                ready::component(*address)
                    .await
                    .map_err(|status| format!("{name}: {}", status.message()))?;
            }
            Ok::<_, String>(())
        };
        let nodes = async {
            if nodes == 0 {
                return Ok(());
            }
            let config = ClientConfig::new(self.url(), "orrery-test");
            let client = client::Client::new(&config, Clock::system(), Seed::from_entropy())
                .map_err(|error| error.to_string())?;
            ready::nodes(&client, nodes as usize)
                .await
                .map_err(|error| format!("nodes: {error:#}"))
        };
        let all = async { tokio::try_join!(components, nodes) };
        let not_ready = |waiting_for| StartError::NotReady {
            limit: READY_LIMIT,
            waiting_for,
        };
        let clock = Clock::system();
        tokio::select! {
            ready = clock.timeout(READY_LIMIT, all) => match ready {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(reason)) => Err(not_ready(reason)),
                Err(_) => Err(not_ready("it is still starting".into())),
            },
            ended = self.host.ended() => Err(StartError::Ended {
                component: ended.component,
                reason: ended.reason,
            }),
        }
    }
}

fn client_for(url: &str) -> Result<kube::Client, kube::Error> {
    let url: http::Uri = url.parse().expect("an address and a port make a URL");
    kube::Client::try_from(kube::Config::new(url))
}

/// A configuration for clients that read a file: the cluster without credentials, since it asks for none.
fn kubeconfig_for(url: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: orrery\n  cluster:\n    server: {url}\ncontexts:\n- name: orrery\n  \
         context:\n    cluster: orrery\n    user: orrery\nusers:\n- name: orrery\n  user: {{}}\ncurrent-context: orrery\n"
    )
}
