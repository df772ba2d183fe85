//! What the server does by itself: the objects that every cluster begins with, Events that expire, the revision that
//! health and status tell.

mod events;

use crate::admission::namespace::SYSTEM_NAMESPACES;
use crate::custom;
use crate::registry::Registry;
use apimachinery::status::Reason;
use component_base::clock::Clock;
use component_base::grpc::Caller;
use component_base::ready::Progress;
use proto::api::core::v1::Namespace;
use proto::orrery::v1::CreateRequest;
use proto::{Kind, Object};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

/// Who writes what no client asked for.
const ACTOR: &str = "apiserver";

/// How often the revision is told to health and status.
const PROGRESS_PERIOD: Duration = Duration::from_millis(100);

/// Makes the namespaces that every cluster has, where they are missing.
///
/// # Errors
/// The store takes no writes.
pub(crate) async fn bootstrap(registry: &Registry) -> anyhow::Result<()> {
    let caller = Caller::new(ACTOR);
    // At once, so that they share an fsync.
    let created = SYSTEM_NAMESPACES.map(async |name| {
        let mut namespace = Namespace::default();
        name.clone_into(&mut namespace.metadata_mut().name);
        let create = CreateRequest {
            object: Some(Object::encode_from(&namespace)),
            ..CreateRequest::default()
        };
        match registry.create(&caller, create).await {
            Err(status) if Reason::of(&status) != Some(Reason::AlreadyExists) => {
                anyhow::bail!("creating the namespace {name}: {}", status.message)
            }
            _ => Ok(()),
        }
    });
    futures::future::try_join_all(created).await?;
    Ok(())
}

/// The tasks; they end when this is dropped.
pub(crate) struct Tasks {
    _events: AbortOnDropHandle<()>,
    _progress: AbortOnDropHandle<()>,
    _definitions: AbortOnDropHandle<()>,
}

impl Tasks {
    /// Starts them.
    pub(crate) fn start(
        registry: &Arc<Registry>,
        progress: &Progress,
        clock: &Clock,
        event_ttl: Duration,
    ) -> Self {
        let expire = events::expire(registry.clone(), clock.clone(), event_ttl);
        let definitions = custom::upkeep::run(registry.clone(), clock.clone(), Caller::new(ACTOR));
        let tell = tell_revision(registry.clone(), progress.clone(), clock.clone());
        Self {
            _events: AbortOnDropHandle::new(tokio::spawn(expire)),
            _progress: AbortOnDropHandle::new(tokio::spawn(tell)),
            _definitions: AbortOnDropHandle::new(tokio::spawn(definitions)),
        }
    }
}

async fn tell_revision(registry: Arc<Registry>, progress: Progress, clock: Clock) {
    loop {
        progress.reach(registry.cache().revision());
        clock.sleep(PROGRESS_PERIOD).await;
    }
}
