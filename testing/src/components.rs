//! The components as a test cluster runs them: their flags' defaults, a listener each, one seed.

use crate::builder::Builder;
use crate::host::Part;
use component_base::clock::Clock;
use component_base::process::configured;
use component_base::rng::Seed;
use component_base::shutdown::Shutdown;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

/// The components, and where each listens.
pub(crate) struct Components {
    pub(crate) parts: Vec<Part>,
    /// Where the apiserver answers.
    pub(crate) apiserver: SocketAddr,
    /// Where each component says whether it is ready.
    pub(crate) endpoints: Vec<(&'static str, SocketAddr)>,
    directory: String,
    seed: Seed,
    shutdown: Shutdown,
}

impl Components {
    /// What `wanted` asks for, with the apiserver's files in `directory`. The ports are taken from here on, so that
    /// everybody knows everybody's address before anybody runs.
    pub(crate) fn new(wanted: &Builder, directory: &Path, shutdown: &Shutdown) -> io::Result<Self> {
        let mut components = Self {
            parts: Vec::new(),
            apiserver: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            endpoints: Vec::new(),
            directory: directory.join("store").display().to_string(),
            seed: wanted.seed.unwrap_or_else(Seed::from_entropy),
            shutdown: shutdown.clone(),
        };
        components.apiserver = components.add(
            apiserver::COMPONENT.name,
            &["--data-dir", &components.directory.clone()],
            apiserver::run,
        )?;
        let server = components.apiserver.to_string();
        if wanted.controllers {
            let flags = ["--server", &server];
            components.add(
                controller_manager::COMPONENT.name,
                &flags,
                controller_manager::run,
            )?;
        }
        if wanted.scheduler {
            components.add(scheduler::COMPONENT.name, &["--server", &server], scheduler::run)?;
        }
        if wanted.nodes > 0 {
            let flags = ["--server", &server, "--nodes", &wanted.nodes.to_string()];
            components.add(kubelet_sim::COMPONENT.name, &flags, kubelet_sim::run)?;
        }
        Ok(components)
    }

    /// Adds one. Its flags are those given and the defaults: what is in the environment is for other clusters.
    fn add<C, F, Fut>(&mut self, name: &'static str, flags: &[&str], run: F) -> io::Result<SocketAddr>
    where
        C: clap::Args + Send + 'static,
        F: FnOnce(C, tokio::net::TcpListener, Clock, Seed, Shutdown) -> Fut + Send + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send,
    {
        let config: C = configured(flags).map_err(io::Error::other)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (seed, shutdown) = (self.seed.child(name), self.shutdown.clone());
        let run = async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            run(config, listener, Clock::system(), seed, shutdown).await
        };
        self.parts.push(Part {
            name,
            run: Box::pin(run),
        });
        self.endpoints.push((name, address));
        Ok(address)
    }
}
