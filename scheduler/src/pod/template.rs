//! [`PodTemplate`]: all that decisions know of a Pod but its name, kept once for all Pods made from one template.

use super::PodClass;
use prost::Message;
use proto::Kind;
use proto::api::core::v1::{Pod, PodSpec};
use proto::meta::v1::OwnerReference;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Tells templates apart. Never used again for another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TemplateId(pub u64);

/// What Pods of one origin have in common.
#[derive(Clone, Debug, Default)]
pub struct PodTemplate {
    /// Tells it from others.
    pub id: TemplateId,
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// Kind and name of the controller that owns it.
    pub owner: Option<(String, String)>,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `spec`, without `nodeName` and without gates: what changes while a Pod is on its way.
    pub spec: PodSpec,
    /// What it asks of a node.
    pub class: Arc<PodClass>,
}

/// No sweep below so many: they take less memory than looking for them takes time.
pub(super) const SWEEP_FROM: usize = 1024;

/// Every template that a Pod has, once; and every class that a template has, once.
#[derive(Debug, Default)]
pub struct Classes {
    /// By what [`fingerprint`] makes of them: two Pods with the same bytes are of one template.
    templates: HashMap<Vec<u8>, Arc<PodTemplate>>,
    classes: std::collections::HashSet<Arc<PodClass>>,
    last: u64,
    /// Unused ones are looked for when there are so many.
    sweep_templates_at: usize,
    sweep_classes_at: usize,
    buffer: Vec<u8>,
}

impl Classes {
    /// Templates that are numbered apart from those of another one: for what is only thought of.
    pub fn apart() -> Self {
        Self {
            last: u64::MAX / 2,
            ..Self::default()
        }
    }

    /// The one copy of a Pod's template.
    pub fn of(&mut self, pod: &Pod) -> Arc<PodTemplate> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let spec = fingerprint(pod, &mut buffer);
        let found = self.templates.get(&buffer).cloned();
        let template = found.unwrap_or_else(|| {
            self.sweep();
            let class = self.intern(PodClass::of(&spec));
            self.last += 1;
            let template = Arc::new(PodTemplate {
                id: TemplateId(self.last),
                namespace: pod.namespace().into(),
                owner: controller(pod).map(|owner| (owner.kind.clone(), owner.name.clone())),
                labels: pod.meta().labels.clone(),
                spec: spec.into_owned(),
                class,
            });
            self.templates.insert(buffer.clone(), template.clone());
            template
        });
        self.buffer = buffer;
        template
    }

    fn sweep(&mut self) {
        if self.templates.len() < self.sweep_templates_at.max(SWEEP_FROM) {
            return;
        }
        self.templates
            .retain(|_, template| Arc::strong_count(template) > 1);
        // Twice what is in use: so each is looked at a constant number of times.
        self.sweep_templates_at = self.templates.len() * 2;
    }

    /// The one copy of a class.
    pub fn intern(&mut self, class: PodClass) -> Arc<PodClass> {
        if let Some(known) = self.classes.get(&class) {
            return known.clone();
        }
        if self.classes.len() >= self.sweep_classes_at.max(SWEEP_FROM) {
            self.classes.retain(|class| Arc::strong_count(class) > 1);
            self.sweep_classes_at = self.classes.len() * 2;
        }
        let class = Arc::new(class);
        self.classes.insert(class.clone());
        class
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        (self.templates.len(), self.classes.len())
    }
}

fn controller(pod: &Pod) -> Option<&OwnerReference> {
    let mut owners = pod.meta().owner_references.iter();
    owners.find(|owner| owner.controller == Some(true))
}

/// Writes what tells templates apart into `buffer`: namespace, labels, owner and spec, each with its length before it. Gives the spec.
fn fingerprint<'a>(pod: &'a Pod, buffer: &mut Vec<u8>) -> std::borrow::Cow<'a, PodSpec> {
    use std::borrow::Cow;
    let spec = match &pod.spec {
        None => Cow::Owned(PodSpec::default()),
        Some(spec) if spec.node_name.is_empty() && spec.scheduling_gates.is_empty() => Cow::Borrowed(spec),
        Some(spec) => {
            let mut spec = spec.clone();
            spec.node_name.clear();
            spec.scheduling_gates.clear();
            Cow::Owned(spec)
        }
    };
    buffer.clear();
    let mut text = |text: &str| {
        buffer.extend((text.len() as u64).to_le_bytes());
        buffer.extend(text.as_bytes());
    };
    text(pod.namespace());
    for (key, value) in &pod.meta().labels {
        text(key);
        text(value);
    }
    // No label's key is empty.
    text("");
    if let Some(owner) = controller(pod) {
        text(&owner.kind);
        text(&owner.name);
    }
    buffer.extend(u64::MAX.to_le_bytes());
    // Into a vector that grows, encoding cannot fail.
    _ = spec.encode(buffer);
    spec
}
