//! The gRPC service: passes questions to the engine's task, which answers between two decisions.

use super::{explain, what_if};
use crate::engine::Engine;
use crate::limits::EXPLANATIONS_WAITING;
use proto::orrery::v1::scheduler_server::Scheduler;
use proto::orrery::v1::{ExplainRequest, ExplainResponse, WhatIfRequest};
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status};

#[derive(Debug)]
enum Question {
    Explain(ExplainRequest),
    WhatIf(Box<WhatIfRequest>),
}

/// A question, and where the answer goes.
#[derive(Debug)]
pub(crate) struct Asked {
    question: Question,
    answer: oneshot::Sender<Result<ExplainResponse, Status>>,
}

impl Asked {
    /// Answers. Who asked may have gone away.
    pub(crate) fn answer(self, engine: &mut Engine) {
        let answer = match &self.question {
            Question::Explain(request) => explain(engine, request),
            Question::WhatIf(request) => what_if::what_if(engine, request),
        };
        _ = self.answer.send(answer);
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct ExplainService(mpsc::Sender<Asked>);

impl ExplainService {
    /// The service, and the questions that it gets.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Asked>) {
        let (sender, receiver) = mpsc::channel(EXPLANATIONS_WAITING);
        (Self(sender), receiver)
    }

    async fn ask(&self, question: Question) -> Result<Response<ExplainResponse>, Status> {
        let (answer, answered) = oneshot::channel();
        let asked = Asked { question, answer };
        self.0.try_send(asked).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Status::resource_exhausted("too many explanations are asked for at once; ask again")
            }
            mpsc::error::TrySendError::Closed(_) => Status::unavailable("the scheduler is shutting down"),
        })?;
        let answered = answered.await;
        let answer = answered.map_err(|_| Status::unavailable("the scheduler is shutting down"))?;
        answer.map(Response::new)
    }
}

#[tonic::async_trait]
impl Scheduler for ExplainService {
    async fn explain(&self, request: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        self.ask(Question::Explain(request.into_inner())).await
    }

    async fn what_if(&self, request: Request<WhatIfRequest>) -> Result<Response<ExplainResponse>, Status> {
        self.ask(Question::WhatIf(Box::new(request.into_inner()))).await
    }
}
