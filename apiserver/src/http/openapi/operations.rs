//! The paths of a group's version and what can be done there, in words of neither dialect. Pure.
//!
//! In: a [`Version`] of discovery. Out: [`Path`]s with their [`Operation`]s, named as upstream names them. The parameters are
//! the fields of the messages that hold them (`ListOptions` …), so that there is one description of each.

use super::super::discovery::groups::{Gvk, Resource, Subresource, Version};
use super::definitions::META;
use super::names;
use prost_reflect::{Cardinality, Kind};

/// A path and its operations.
pub(super) struct Path {
    /// `/api/v1/namespaces/{namespace}/pods/{name}`.
    pub(super) template: String,
    /// In every operation.
    pub(super) parameters: Vec<Parameter>,
    /// By HTTP method.
    pub(super) operations: Vec<(&'static str, Operation)>,
}

/// What one method does at a path.
pub(super) struct Operation {
    /// `readCoreV1NamespacedPod`.
    pub(super) id: String,
    /// `core_v1`.
    pub(super) tag: String,
    pub(super) description: String,
    /// `x-kubernetes-action`.
    pub(super) action: &'static str,
    /// `x-kubernetes-group-version-kind`.
    pub(super) kind: Gvk,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    /// The codes of success.
    pub(super) codes: &'static [u16],
    /// The definition of what is answered; `None` for text.
    pub(super) answer: Option<String>,
    /// What it is answered as.
    pub(super) produces: Vec<&'static str>,
}

/// What is sent.
pub(super) struct Body {
    /// Its definition.
    pub(super) definition: String,
    pub(super) types: &'static [&'static str],
    pub(super) required: bool,
}

/// A part of the path or of the query.
#[derive(Clone)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) in_path: bool,
    pub(super) description: String,
    /// `string`, `integer`, `boolean`.
    pub(super) kind: &'static str,
}

const ANY: &[&str] = &["*/*"];
const OBJECTS: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];
const CUSTOM_OBJECTS: &[&str] = &["application/json", "application/yaml"];
const STREAMS: &[&str] = &[
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
];
const CUSTOM_STREAMS: &[&str] = &["application/json;stream=watch"];
const PATCHES: &[&str] = &[
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];
/// Custom kinds have no strategy.
const CUSTOM_PATCHES: &[&str] = &[
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
];

/// How a resource's objects are defined.
pub(super) struct Definitions<'a> {
    /// Of a kind: the name of its definition, if it has one.
    pub(super) of: &'a dyn Fn(Gvk) -> Option<String>,
    /// Whether the kind is a custom one.
    pub(super) is_custom: &'a dyn Fn(Gvk) -> bool,
}

/// The paths of a group's version.
pub(super) fn paths(version: &Version, definitions: &Definitions<'_>) -> Vec<Path> {
    let resources = version.resources.iter();
    resources
        .flat_map(|resource| Author::new(resource, definitions).paths())
        .collect()
}

/// Writes the operations of one resource.
struct Author<'a> {
    resource: &'a Resource,
    definitions: &'a Definitions<'a>,
    custom: bool,
    /// `/api/v1/namespaces/{namespace}/pods`.
    collection: String,
    /// `/api/v1/pods`.
    everywhere: String,
}

impl<'a> Author<'a> {
    fn new(resource: &'a Resource, definitions: &'a Definitions<'a>) -> Self {
        let Gvk { group, version, .. } = resource.kind;
        let base = match group {
            "" => format!("/api/{version}"),
            group => format!("/apis/{group}/{version}"),
        };
        let everywhere = format!("{base}/{}", resource.plural);
        let collection = if resource.namespaced {
            format!("{base}/namespaces/{{namespace}}/{}", resource.plural)
        } else {
            everywhere.clone()
        };
        Self {
            custom: (definitions.is_custom)(resource.kind),
            resource,
            definitions,
            collection,
            everywhere,
        }
    }

    fn paths(&self) -> Vec<Path> {
        let can = |verb: &str| self.resource.verbs.contains(&verb);
        let mut paths = Vec::new();
        if self.resource.namespaced && can("list") {
            paths.push(Path {
                template: self.everywhere.clone(),
                parameters: [options("ListOptions"), vec![pretty()]].concat(),
                operations: vec![("get", self.list("ForAllNamespaces"))],
            });
        }
        let mut operations = Vec::new();
        if can("list") {
            operations.push(("get", self.list("")));
        }
        if can("create") {
            operations.push(("post", self.create(None)));
        }
        if can("deletecollection") {
            operations.push(("delete", self.delete(true)));
        }
        paths.push(Path {
            template: self.collection.clone(),
            parameters: self.path_parameters(None),
            operations,
        });
        let mut operations = Vec::new();
        if can("get") {
            operations.push(("get", self.read(None)));
        }
        if can("update") {
            operations.push(("put", self.replace(None)));
        }
        if can("patch") {
            operations.push(("patch", self.patch(None)));
        }
        if can("delete") {
            operations.push(("delete", self.delete(false)));
        }
        if !operations.is_empty() {
            paths.push(Path {
                template: format!("{}/{{name}}", self.collection),
                parameters: self.path_parameters(Some(self.resource.kind.kind)),
                operations,
            });
        }
        paths.extend(self.resource.subresources.iter().map(|below| self.below(below)));
        paths
    }

    /// The operations of a subresource.
    fn below(&self, below: &Subresource) -> Path {
        let operation = |verb: &&str| match *verb {
            "get" if below.connects() => ("get", self.connect("Get", below)),
            "create" if below.connects() => ("post", self.connect("Post", below)),
            "get" => ("get", self.read(Some(below))),
            "create" => ("post", self.create(Some(below))),
            "update" => ("put", self.replace(Some(below))),
            _ => ("patch", self.patch(Some(below))),
        };
        Path {
            template: format!("{}/{{name}}/{}", self.collection, below.name),
            parameters: self.path_parameters(Some(below.kind.kind)),
            operations: below.verbs.iter().map(operation).collect(),
        }
    }

    fn list(&self, suffix: &str) -> Operation {
        let kind = self.resource.kind;
        let place = names::place(kind.group, kind.version);
        let id = if suffix.is_empty() {
            self.id("list", None)
        } else {
            format!("list{place}{}{suffix}", kind.kind)
        };
        Operation {
            id,
            description: format!("List or watch objects of kind {}", kind.kind),
            action: "list",
            // At a path for lists alone they stand with the path.
            parameters: if suffix.is_empty() {
                options("ListOptions")
            } else {
                Vec::new()
            },
            body: None,
            codes: &[200],
            answer: (self.definitions.of)(kind).map(|name| format!("{name}List")),
            produces: [self.objects(), if self.custom { CUSTOM_STREAMS } else { STREAMS }].concat(),
            ..self.operation(None)
        }
    }

    fn create(&self, below: Option<&Subresource>) -> Operation {
        Operation {
            id: self.id("create", below),
            description: self.description("Create", below),
            action: "post",
            parameters: options("CreateOptions"),
            body: self.body(below),
            codes: &[200, 201, 202],
            ..self.operation(below)
        }
    }

    fn read(&self, below: Option<&Subresource>) -> Operation {
        let is_log = below.is_some_and(|below| below.name == "log");
        let operation = Operation {
            id: self.id("read", below),
            description: self.description("Read", below),
            action: "get",
            ..self.operation(below)
        };
        if !is_log {
            return operation;
        }
        Operation {
            parameters: message_parameters("k8s.io.api.core.v1.PodLogOptions"),
            answer: None,
            produces: [&["text/plain"], OBJECTS].concat(),
            ..operation
        }
    }

    fn replace(&self, below: Option<&Subresource>) -> Operation {
        Operation {
            id: self.id("replace", below),
            description: self.description("Replace", below),
            action: "put",
            parameters: options("UpdateOptions"),
            body: self.body(below),
            codes: &[200, 201],
            ..self.operation(below)
        }
    }

    fn patch(&self, below: Option<&Subresource>) -> Operation {
        Operation {
            id: self.id("patch", below),
            description: self.description("Partially update", below),
            action: "patch",
            parameters: options("PatchOptions"),
            body: Some(Body {
                definition: names::definition(&format!("{META}.Patch")),
                types: if self.custom { CUSTOM_PATCHES } else { PATCHES },
                required: true,
            }),
            codes: &[200, 201],
            ..self.operation(below)
        }
    }

    fn delete(&self, collection: bool) -> Operation {
        let mut parameters = options("DeleteOptions");
        if collection {
            let selects = options("ListOptions").into_iter();
            parameters
                .extend(selects.filter(|p| !matches!(p.name.as_str(), "watch" | "allowWatchBookmarks")));
        }
        let kind = self.resource.kind.kind;
        let (verb, action) = if collection {
            ("deleteCollection", "deletecollection")
        } else {
            ("delete", "delete")
        };
        Operation {
            id: self.id(verb, None),
            description: format!(
                "Delete {} {kind}",
                if collection { "a collection of" } else { "a" }
            ),
            action,
            parameters,
            body: Some(Body {
                definition: names::definition(&format!("{META}.DeleteOptions")),
                types: ANY,
                required: false,
            }),
            codes: if collection { &[200] } else { &[200, 202] },
            answer: Some(names::definition(&format!("{META}.Status"))),
            ..self.operation(None)
        }
    }

    fn connect(&self, method: &str, below: &Subresource) -> Operation {
        let operation = self.operation(Some(below));
        Operation {
            id: self.id("connect", Some(below)).replacen(
                &names::place(self.resource.kind.group, self.resource.kind.version),
                &format!(
                    "{}{method}",
                    names::place(self.resource.kind.group, self.resource.kind.version)
                ),
                1,
            ),
            description: format!("Connect {} requests to {}", method.to_uppercase(), below.name),
            action: "connect",
            parameters: names::message(below.kind)
                .map(|message| message_parameters(&message))
                .unwrap_or_default(),
            answer: None,
            produces: ANY.to_vec(),
            ..operation
        }
    }

    /// What all operations have in common.
    fn operation(&self, below: Option<&Subresource>) -> Operation {
        let kind = below.map_or(self.resource.kind, |below| below.kind);
        Operation {
            id: String::new(),
            tag: names::tag(self.resource.kind.group, self.resource.kind.version),
            description: String::new(),
            action: "",
            kind,
            parameters: Vec::new(),
            body: None,
            codes: &[200],
            answer: (self.definitions.of)(kind),
            produces: self.objects().to_vec(),
        }
    }

    fn objects(&self) -> &'static [&'static str] {
        if self.custom { CUSTOM_OBJECTS } else { OBJECTS }
    }

    fn body(&self, below: Option<&Subresource>) -> Option<Body> {
        let kind = below.map_or(self.resource.kind, |below| below.kind);
        (self.definitions.of)(kind).map(|definition| Body {
            definition,
            types: ANY,
            required: true,
        })
    }

    /// `readCoreV1NamespacedPodStatus`; a collection is told apart as `deleteCoreV1CollectionNamespacedPod`.
    fn id(&self, verb: &str, below: Option<&Subresource>) -> String {
        let Gvk { group, version, kind } = self.resource.kind;
        let place = names::place(group, version);
        let namespaced = if self.resource.namespaced {
            "Namespaced"
        } else {
            ""
        };
        let below = below
            .map(|below| names::capitalized(below.name))
            .unwrap_or_default();
        match verb {
            "deleteCollection" => format!("delete{place}Collection{namespaced}{kind}"),
            verb => format!("{verb}{place}{namespaced}{kind}{below}"),
        }
    }

    fn description(&self, verb: &str, below: Option<&Subresource>) -> String {
        let kind = self.resource.kind.kind;
        match below {
            Some(below) => format!("{verb} {} of the specified {kind}", below.name),
            None if verb == "Create" => format!("Create a {kind}"),
            None => format!("{verb} the specified {kind}"),
        }
    }

    fn path_parameters(&self, named: Option<&str>) -> Vec<Parameter> {
        let mut parameters = Vec::new();
        if let Some(kind) = named {
            parameters.push(in_path("name", format!("Name of the {kind}.")));
        }
        if self.resource.namespaced {
            parameters.push(in_path("namespace", "Namespace that the objects live in.".into()));
        }
        parameters.push(pretty());
        parameters
    }
}

fn in_path(name: &str, description: String) -> Parameter {
    Parameter {
        name: name.into(),
        in_path: true,
        description,
        kind: "string",
    }
}

fn pretty() -> Parameter {
    Parameter {
        name: "pretty".into(),
        in_path: false,
        description: "Whether the answer is indented for people. Unset, it is for browsers, curl and wget."
            .into(),
        kind: "string",
    }
}

/// The parameters that one of the API's own option messages describes.
fn options(message: &str) -> Vec<Parameter> {
    message_parameters(&format!("{META}.{message}"))
}

/// The fields of a message as parameters of the query, except those that are messages: a query cannot hold them.
fn message_parameters(message: &str) -> Vec<Parameter> {
    let descriptor = proto::descriptors().get_message_by_name(message);
    let descriptor = descriptor.expect("the schema has the messages that queries are described by");
    let fields = descriptor.fields().filter_map(|field| {
        let kind = match field.kind() {
            Kind::Message(m) if m.full_name() == "google.protobuf.Timestamp" => "string",
            Kind::Message(_) => return None,
            Kind::Bool => "boolean",
            Kind::Int32 | Kind::Int64 => "integer",
            _ => "string",
        };
        let comment = proto::comment(field.full_name()).unwrap_or_default();
        Some(Parameter {
            name: field.json_name().to_owned(),
            in_path: false,
            description: match field.cardinality() {
                Cardinality::Repeated => format!("{comment} May be given more than once."),
                _ => comment.to_owned(),
            },
            kind,
        })
    });
    let mut parameters: Vec<_> = fields.collect();
    parameters.sort_by(|a, b| a.name.cmp(&b.name));
    parameters
}
