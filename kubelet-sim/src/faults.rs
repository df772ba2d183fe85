//! `orrery.v1.Simulator`: faults for the process' nodes.
//!
//! In: gRPC requests. Out: commands for the one task that owns the nodes, and its answers. Nothing is decided here.

use crate::kubelet::{FaultError, Kubelet, NodeSummary};
use apimachinery::status::{Reason, failure};
use component_base::grpc::to_tonic;
use jiff::Timestamp;
use proto::orrery::v1 as api;
use proto::orrery::v1::simulator_server::Simulator;
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status};

/// Commands that wait: each is a person's or a test's, and is done at once.
const WAITING: usize = 64;

/// The exit code of a crash that names none: SIGKILL's.
const DEFAULT_CODE: i32 = crate::pod::KILLED;
/// Exit codes fit into a byte.
const MOST_CODE: i32 = 255;

/// What to do to the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Tell which nodes there are.
    List,
    /// End a container.
    CrashContainer {
        /// The pod's namespace.
        namespace: String,
        /// The pod.
        pod: String,
        /// The container; empty for the first.
        container: String,
        /// Its exit code.
        code: i32,
    },
    /// End a pod.
    CrashPod {
        /// The pod's namespace.
        namespace: String,
        /// The pod.
        pod: String,
    },
    /// Cut a node off.
    Stop(String),
    /// Let it go on.
    Resume(String),
    /// Take it out.
    Remove(String),
}

/// A fault, and whom to answer.
#[derive(Debug)]
pub(crate) struct Command {
    fault: Fault,
    answer: oneshot::Sender<Result<Vec<NodeSummary>, FaultError>>,
}

impl Command {
    /// Does it.
    pub(crate) fn run(self, kubelet: &mut Kubelet, now: Timestamp) {
        tracing::info!(fault = ?self.fault, "a fault is asked for");
        let result = match &self.fault {
            Fault::List => Ok(()),
            Fault::CrashContainer {
                namespace,
                pod,
                container,
                code,
            } => kubelet.crash_container(namespace, pod, container, *code, now),
            Fault::CrashPod { namespace, pod } => kubelet.crash_pod(namespace, pod, now),
            Fault::Stop(node) => kubelet.stop_node(node),
            Fault::Resume(node) => kubelet.resume_node(node, now),
            Fault::Remove(node) => kubelet.remove_node(node),
        };
        let nodes = if self.fault == Fault::List {
            kubelet.summaries()
        } else {
            Vec::new()
        };
        // Whoever asked may be gone; the fault is done all the same.
        let _ = self.answer.send(result.map(|()| nodes));
    }
}

/// The service.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    commands: mpsc::Sender<Command>,
}

impl Service {
    /// A service, and where its commands arrive.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(WAITING);
        (Self { commands }, receiver)
    }

    async fn ask(&self, fault: Fault) -> Result<Vec<NodeSummary>, Status> {
        let ending = || {
            to_tonic(failure(
                Reason::ServiceUnavailable,
                "kubelet-sim is shutting down",
            ))
        };
        let (answer, reply) = oneshot::channel();
        self.commands
            .send(Command { fault, answer })
            .await
            .map_err(|_| ending())?;
        reply
            .await
            .map_err(|_| ending())?
            .map_err(|error| to_tonic(status_of(&error)))
    }
}

fn status_of(error: &FaultError) -> proto::meta::v1::Status {
    let reason = match error {
        FaultError::NoNode(_) | FaultError::NoPod(_) | FaultError::NoContainer(..) => Reason::NotFound,
        FaultError::NotRunning(..) | FaultError::Stopped(_) => Reason::Conflict,
    };
    failure(reason, error.to_string())
}

fn required(value: String, field: &str) -> Result<String, Status> {
    if value.is_empty() {
        return Err(to_tonic(failure(
            Reason::BadRequest,
            format!("{field} must not be empty"),
        )));
    }
    Ok(value)
}

fn namespace(value: String) -> String {
    if value.is_empty() {
        "default".to_owned()
    } else {
        value
    }
}

#[async_trait::async_trait]
impl Simulator for Service {
    async fn list_nodes(
        &self,
        _: Request<api::ListSimulatedNodesRequest>,
    ) -> Result<Response<api::ListSimulatedNodesResponse>, Status> {
        let nodes = self
            .ask(Fault::List)
            .await?
            .into_iter()
            .map(|node| api::SimulatedNode {
                name: node.name.to_string(),
                stopped: node.stopped,
                pods: i32::try_from(node.pods).unwrap_or(i32::MAX),
            });
        Ok(Response::new(api::ListSimulatedNodesResponse {
            nodes: nodes.collect(),
        }))
    }

    async fn crash_container(
        &self,
        request: Request<api::CrashContainerRequest>,
    ) -> Result<Response<api::CrashContainerResponse>, Status> {
        let request = request.into_inner();
        let code = if request.exit_code == 0 {
            DEFAULT_CODE
        } else {
            request.exit_code
        };
        if !(0..=MOST_CODE).contains(&code) {
            let message = format!("exit_code {code} is not between 0 and {MOST_CODE}");
            return Err(to_tonic(failure(Reason::BadRequest, message)));
        }
        self.ask(Fault::CrashContainer {
            namespace: namespace(request.namespace),
            pod: required(request.pod, "pod")?,
            container: request.container,
            code,
        })
        .await?;
        Ok(Response::new(api::CrashContainerResponse {}))
    }

    async fn crash_pod(
        &self,
        request: Request<api::CrashPodRequest>,
    ) -> Result<Response<api::CrashPodResponse>, Status> {
        let request = request.into_inner();
        self.ask(Fault::CrashPod {
            namespace: namespace(request.namespace),
            pod: required(request.pod, "pod")?,
        })
        .await?;
        Ok(Response::new(api::CrashPodResponse {}))
    }

    async fn stop_heartbeats(
        &self,
        request: Request<api::StopHeartbeatsRequest>,
    ) -> Result<Response<api::StopHeartbeatsResponse>, Status> {
        self.ask(Fault::Stop(required(request.into_inner().node, "node")?))
            .await?;
        Ok(Response::new(api::StopHeartbeatsResponse {}))
    }

    async fn resume_heartbeats(
        &self,
        request: Request<api::ResumeHeartbeatsRequest>,
    ) -> Result<Response<api::ResumeHeartbeatsResponse>, Status> {
        self.ask(Fault::Resume(required(request.into_inner().node, "node")?))
            .await?;
        Ok(Response::new(api::ResumeHeartbeatsResponse {}))
    }

    async fn remove_node(
        &self,
        request: Request<api::RemoveNodeRequest>,
    ) -> Result<Response<api::RemoveNodeResponse>, Status> {
        self.ask(Fault::Remove(required(request.into_inner().node, "node")?))
            .await?;
        Ok(Response::new(api::RemoveNodeResponse {}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::object::Endpoints;
    use crate::node::{address, group, state};
    use component_base::rng::Seed;
    use tonic::Code;

    #[tokio::test]
    async fn faults_reach_the_nodes_and_bad_requests_are_refused() {
        let now = Timestamp::UNIX_EPOCH;
        let groups = group::parse("test", "- {name: node, count: 2}").unwrap();
        let blocks = state::Blocks {
            nodes: address::default_nodes(""),
            pods: address::default_pods(""),
        };
        let mut kubelet = Kubelet::new(
            state::build(&groups, blocks, Seed(1), now).unwrap(),
            Endpoints::default(),
            now,
        );
        let (service, mut commands) = Service::new();
        tokio::spawn(async move {
            while let Some(command) = commands.recv().await {
                command.run(&mut kubelet, now);
            }
        });
        let stop = |node: &str| Request::new(api::StopHeartbeatsRequest { node: node.into() });
        service.stop_heartbeats(stop("node-1")).await.unwrap();
        let list = service
            .list_nodes(Request::new(api::ListSimulatedNodesRequest {}))
            .await
            .unwrap();
        let nodes: Vec<_> = list
            .into_inner()
            .nodes
            .into_iter()
            .map(|n| (n.name, n.stopped))
            .collect();
        assert_eq!(nodes, [("node-0".to_owned(), false), ("node-1".to_owned(), true)]);

        let unknown = service.stop_heartbeats(stop("mars")).await.unwrap_err();
        assert_eq!(unknown.code(), Code::NotFound);
        assert!(unknown.message().contains("ListNodes names them"), "{unknown}");
        assert_eq!(
            service.stop_heartbeats(stop("")).await.unwrap_err().code(),
            Code::InvalidArgument
        );
        let crash = |pod: &str, exit_code| {
            Request::new(api::CrashContainerRequest {
                pod: pod.into(),
                exit_code,
                ..Default::default()
            })
        };
        let missing = service.crash_container(crash("web", 1)).await.unwrap_err();
        assert_eq!(missing.code(), Code::NotFound);
        assert!(missing.message().contains("default/web"), "{missing}");
        assert_eq!(
            service
                .crash_container(crash("web", 256))
                .await
                .unwrap_err()
                .code(),
            Code::InvalidArgument
        );
    }
}
