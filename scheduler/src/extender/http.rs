//! [`Caller`]: asks extenders over HTTP.

use super::wire::{self, Filtered};
use super::{About, Answer, Extender, Extenders, Question, Said};
use crate::framework::{Rejection, Room};
use crate::limits::EXTENDER_ANSWER_BYTES;
use crate::pod::PodInfo;
use bytes::Bytes;
use client::Client;
use component_base::clock::Clock;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use proto::Object;
use proto::orrery::v1::{GetRequest, ListRequest};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The highest score of an extender, and what it is worth: upstream's MaxExtenderPriority and MaxNodeScore.
const MAX_PRIORITY: i64 = 10;

/// See the module.
#[derive(Clone)]
pub(crate) struct Caller {
    extenders: Extenders,
    http: HttpClient<HttpConnector, Full<Bytes>>,
    client: Client,
}

impl Caller {
    /// Asks these. Pods and nodes are read through `client`.
    pub(crate) fn new(extenders: Extenders, client: Client) -> Self {
        Self {
            extenders,
            http: HttpClient::builder(TokioExecutor::new()).build_http(),
            client,
        }
    }

    /// Asks those that are interested, one after the other.
    pub(crate) async fn ask(&self, question: Question) -> Answer {
        let pod = question.pod.clone();
        let said = match self.pod(&pod).await {
            Err(why) => Err(why),
            Ok(object) => match question.about {
                About::Nodes(nodes) => self.nodes(&pod, &object, nodes).await,
                About::Rooms(rooms, diagnosis) => {
                    let rooms = self.rooms(&pod, &object, rooms).await;
                    rooms.map(|rooms| Said::Rooms(rooms, diagnosis))
                }
            },
        };
        Answer { pod, said }
    }

    /// Binds a Pod by the extender that binds such.
    pub(crate) async fn bind(&self, pod: &PodInfo, node: &str) -> Result<(), String> {
        let mut binders = self
            .extenders
            .interested(&pod.template, |extender| extender.bind.is_some());
        let Some((extender, verb)) = binders
            .next()
            .and_then(|extender| Some((extender, extender.bind.as_deref()?)))
        else {
            return Err("no extender binds the pod".into());
        };
        let body = wire::binding(&pod.key.namespace, &pod.key.name, &pod.uid, node);
        let answer = self.post(extender, verb, &body).await;
        answer
            .and_then(|answer| wire::bound(&answer))
            .map_err(|why| told(extender, &why))
    }

    pub(super) async fn nodes(
        &self,
        pod: &PodInfo,
        object: &Value,
        mut names: Vec<Arc<str>>,
    ) -> Result<Said, String> {
        let template = &pod.template;
        let with_verb = |extender: &Extender| extender.filter.is_some() || extender.prioritize.is_some();
        let interested: Vec<&Extender> = self.extenders.interested(template, with_verb).collect();
        let by_name = interested.iter().all(|extender| extender.node_cache_capable);
        let whole = if by_name {
            BTreeMap::new()
        } else {
            self.whole_nodes().await?
        };
        let arguments = |extender: &Extender, names: &[Arc<str>]| {
            wire::arguments(object, names, (!extender.node_cache_capable).then_some(&whole))
        };
        let mut refused = Vec::new();
        for extender in &interested {
            let Some(verb) = extender.filter.as_deref().filter(|_| !names.is_empty()) else {
                continue;
            };
            let answer = self.post(extender, verb, &arguments(extender, &names)).await;
            let read = answer.and_then(|answer| wire::filtered(&answer, &names, extender.node_cache_capable));
            match read {
                Ok(Filtered {
                    names: left,
                    failed,
                    unresolvable,
                }) => {
                    refused.extend(failed.into_values().map(Rejection::unschedulable));
                    refused.extend(unresolvable.into_values().map(Rejection::unresolvable));
                    names = left;
                }
                Err(why) if extender.ignorable => {
                    tracing::warn!(extender = extender.url_prefix, why, "an extender is ignored");
                }
                Err(why) => return Err(told(extender, &why)),
            }
        }
        let mut scores: BTreeMap<&str, i64> = BTreeMap::new();
        for extender in &interested {
            let Some(verb) = extender.prioritize.as_deref().filter(|_| names.len() > 1) else {
                continue;
            };
            let answer = self.post(extender, verb, &arguments(extender, &names)).await;
            let listed = answer.as_ref().map_err(Clone::clone).and_then(wire::priorities);
            match listed {
                Ok(listed) => {
                    for (host, score) in listed {
                        if let Some(name) = names.iter().find(|name| ***name == *host) {
                            let worth =
                                score * extender.weight * (crate::framework::MAX_SCORE / MAX_PRIORITY);
                            *scores.entry(name).or_default() += worth;
                        }
                    }
                }
                // As upstream: a score is an opinion, which can do without.
                Err(why) => tracing::warn!(
                    extender = extender.url_prefix,
                    why,
                    "an extender's scores are missing"
                ),
            }
        }
        let score = |name: &Arc<str>| scores.get(&**name).copied().unwrap_or(0);
        let nodes = names.iter().map(|name| (name.clone(), score(name))).collect();
        Ok(Said::Nodes(nodes, refused))
    }

    pub(super) async fn rooms(
        &self,
        pod: &PodInfo,
        object: &Value,
        mut rooms: Vec<Room>,
    ) -> Result<Vec<Room>, String> {
        let interested = self
            .extenders
            .interested(&pod.template, |extender| extender.preempt.is_some());
        for extender in interested {
            let Some(verb) = extender.preempt.as_deref().filter(|_| !rooms.is_empty()) else {
                continue;
            };
            let body = wire::preemption(object, &rooms, extender.node_cache_capable);
            let answer = self.post(extender, verb, &body).await;
            match answer.and_then(|answer| wire::preempted(&answer, &rooms)) {
                Ok(left) => rooms = left,
                Err(why) if extender.ignorable => {
                    tracing::warn!(extender = extender.url_prefix, why, "an extender is ignored");
                }
                Err(why) => return Err(told(extender, &why)),
            }
        }
        Ok(rooms)
    }

    async fn pod(&self, pod: &PodInfo) -> Result<Value, String> {
        let request = GetRequest {
            kind: "pods".into(),
            namespace: pod.key.namespace.to_string(),
            name: pod.key.name.to_string(),
            ..GetRequest::default()
        };
        let object = self
            .client
            .get(request)
            .await
            .map_err(|error| error.to_string())?;
        json(&object)
    }

    async fn whole_nodes(&self) -> Result<BTreeMap<String, Value>, String> {
        let request = ListRequest {
            kind: "nodes".into(),
            ..ListRequest::default()
        };
        let list = self
            .client
            .list(request)
            .await
            .map_err(|error| error.to_string())?;
        let mut nodes = BTreeMap::new();
        for object in &list.items {
            let value = json(object)?;
            let name = value["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            nodes.insert(name, value);
        }
        Ok(nodes)
    }

    async fn post(&self, extender: &Extender, verb: &str, body: &Value) -> Result<Value, String> {
        let clock: &Clock = self.client.clock();
        let url = extender.url(verb);
        let answer = clock.timeout(extender.timeout, self.exchange(&url, body));
        answer
            .await
            .map_err(|_| format!("no answer within {:?}", extender.timeout))?
    }

    async fn exchange(&self, url: &str, body: &Value) -> Result<Value, String> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(url)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .map_err(|error| format!("{url}: {error}"))?;
        let response = self.http.request(request).await;
        let response = response.map_err(|error| format!("POST {url}: {error}"))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), EXTENDER_ANSWER_BYTES)
            .collect()
            .await;
        let body = body.map_err(|error| format!("POST {url}: {error}"))?.to_bytes();
        if !status.is_success() {
            return Err(format!("POST {url}: {status}"));
        }
        serde_json::from_slice(&body).map_err(|error| format!("POST {url}: the answer is no JSON: {error}"))
    }
}

fn json(object: &Object) -> Result<Value, String> {
    apimachinery::json::to_value(object.number, &object.bytes).map_err(|fault| fault.to_string())
}

fn told(extender: &Extender, why: &str) -> String {
    format!("extender {}: {why}", extender.url_prefix)
}
