//! `orrery.v1.Kubelet`: the logs of the process' containers.
//!
//! In: gRPC requests. Out: questions for the one task that owns the nodes, and text made of its answers. What a log says
//! is decided in `pod::log`, what is shown of it in [`options`].

mod options;

use crate::kubelet::{Kubelet, LogError};
use crate::pod::{ContainerLog, Cursor, Run};
use apimachinery::status::{Reason, failure};
use component_base::clock::Clock;
use component_base::grpc::to_tonic;
use futures::stream::{BoxStream, StreamExt, try_unfold};
use jiff::Timestamp;
use options::Options;
use prost::bytes::Bytes;
use proto::orrery::v1 as api;
use proto::orrery::v1::kubelet_server::Kubelet as KubeletRpc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status};

/// Questions that wait: each is answered at once.
const WAITING: usize = 64;

/// How often a follower looks for more: soon enough for a person, and a thousand of them cost a thousandth of a core.
const FOLLOW_PERIOD: Duration = Duration::from_millis(500);

/// Which log is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) container: String,
    pub(crate) run: Run,
}

/// A question, and whom to answer.
#[derive(Debug)]
pub(crate) struct Question {
    wanted: Wanted,
    answer: oneshot::Sender<Result<Answer, LogError>>,
}

/// A log, and the time up to which it is known.
type Answer = (ContainerLog, Timestamp);

impl Question {
    /// Answers it.
    pub(crate) fn answer(self, kubelet: &mut Kubelet, now: Timestamp) {
        let log = kubelet.container_log(&self.wanted, now).map(|log| (log, now));
        // Whoever asked may be gone.
        let _ = self.answer.send(log);
    }
}

/// The service.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    questions: mpsc::Sender<Question>,
    clock: Clock,
}

impl Service {
    /// A service, and where its questions arrive.
    pub(crate) fn new(clock: Clock) -> (Self, mpsc::Receiver<Question>) {
        let (questions, receiver) = mpsc::channel(WAITING);
        (Self { questions, clock }, receiver)
    }

    async fn ask(&self, wanted: &Wanted) -> Result<Answer, Status> {
        let ending = || {
            to_tonic(failure(
                Reason::ServiceUnavailable,
                "kubelet-sim is shutting down",
            ))
        };
        let (answer, reply) = oneshot::channel();
        let wanted = wanted.clone();
        let question = Question { wanted, answer };
        self.questions.send(question).await.map_err(|_| ending())?;
        let log = reply.await.map_err(|_| ending())?;
        log.map_err(|error| to_tonic(status_of(&error)))
    }
}

fn status_of(error: &LogError) -> proto::meta::v1::Status {
    let reason = match error {
        LogError::NoPod(_) => Reason::NotFound,
        LogError::Stopped(_) => Reason::ServiceUnavailable,
        // What upstream's kubelet answers for all that the container is not ready for.
        LogError::Unavailable { .. } | LogError::Waiting { .. } | LogError::NoPrevious { .. } => {
            Reason::BadRequest
        }
    };
    failure(reason, error.to_string())
}

/// A log that is being sent.
struct Sending {
    service: Service,
    wanted: Wanted,
    options: Options,
    cursor: Cursor,
    log: ContainerLog,
    /// What goes out next.
    text: Bytes,
    /// Whether more may come.
    open: bool,
}

impl Sending {
    /// The next piece; `None` at the end.
    async fn next(mut self) -> Result<Option<(api::ContainerLogsResponse, Self)>, Status> {
        loop {
            if !self.text.is_empty() {
                let data = self.options.piece(&mut self.text);
                return Ok(Some((api::ContainerLogsResponse { data }, self)));
            }
            if !self.open || self.options.is_full() {
                return Ok(None);
            }
            self.service.clock.sleep(FOLLOW_PERIOD).await;
            match self.service.ask(&self.wanted).await {
                // Another pod of this name has other chances.
                Ok((log, now)) if log.seed == self.log.seed => {
                    self.open = log.exit.is_none();
                    self.text = self.options.render(log.lines(&mut self.cursor, now));
                }
                Ok(_) | Err(_) => return Ok(None),
            }
        }
    }
}

#[async_trait::async_trait]
impl KubeletRpc for Service {
    type ContainerLogsStream = BoxStream<'static, Result<api::ContainerLogsResponse, Status>>;

    async fn container_logs(
        &self,
        request: Request<api::ContainerLogsRequest>,
    ) -> Result<Response<Self::ContainerLogsStream>, Status> {
        let request = request.into_inner();
        let run = if request.previous {
            Run::Previous
        } else {
            Run::Current
        };
        let mut wanted = Wanted {
            namespace: request.namespace.clone(),
            pod: request.pod.clone(),
            container: request.container.clone(),
            run,
        };
        let (log, now) = self.ask(&wanted).await?;
        let mut options = Options::of(&request, now);
        let mut cursor = Cursor::default();
        let text = options.begin(log.lines(&mut cursor, now));
        // A follower stays with the run that it began with.
        wanted.run = Run::Number(log.run);
        let sending = Sending {
            service: self.clone(),
            wanted,
            options,
            cursor,
            open: request.follow && log.exit.is_none(),
            log,
            text,
        };
        Ok(Response::new(try_unfold(sending, Sending::next).boxed()))
    }
}

#[cfg(test)]
mod tests;
