//! What happens to a custom object on its way into the store and out of it. Pure.
//!
//! ```text
//! sent ─▶ metadata stamped or kept ─▶ prune ─▶ defaults ─▶ rules ─▶ stored, in the stored version
//! stored ─▶ prune and defaults of the version that is asked for ─▶ shown
//! ```
//!
//! No webhook converts: between two versions only `apiVersion` differs, and what each one's schema keeps.

use super::definition::Version;
use apimachinery::json::{self, Message};
use apimachinery::meta;
use apimachinery::status::FieldError;
use apimachinery::strategy::{Admitted, Rejection, Stamp, Subresource};
use apimachinery::validation::{Faults, validate_meta, validate_meta_update};
use bytes::Bytes;
use prost::Message as _;
use proto::Kind;
use proto::meta::v1::ObjectMeta;
use proto::orrery::v1::CustomResource;
use serde_json::{Map, Value};
use storage::store::Revision;

/// The field that the status subresource writes.
const STATUS: &str = "status";

impl Version {
    /// A new object as it is stored.
    pub(crate) fn create(&self, sent: &Bytes, stamp: Stamp<'_>) -> Result<Bytes, Rejection> {
        let mut object = self.decode(sent)?;
        let mut fields = self.fields(&object)?;
        stamp(object.metadata_mut());
        if self.info.has_status {
            fields.remove(STATUS);
        }
        let mut faults = self.type_faults(&object);
        let mut of_meta = Faults::default();
        validate_meta(self.info, object.meta(), &mut of_meta);
        faults.append(&mut of_meta.into_vec());
        let tree = self.settled(object.meta(), fields);
        self.judge(&tree, None, &mut faults);
        self.refuse(&object, faults)?;
        self.encode(object, &tree)
    }

    /// An object's new state as it is stored. `old` is what is stored, in whatever version.
    pub(crate) fn update(&self, old: &Bytes, new: &Bytes, part: Subresource) -> Result<Admitted, Rejection> {
        let (old, mut new) = (self.decode(old)?, self.decode(new)?);
        let (old_fields, mut fields) = (self.fields(&old)?, self.fields(&new)?);
        let mut faults = self.type_faults(&new);
        match part {
            Subresource::None => {
                if self.info.has_status {
                    replace(&mut fields, STATUS, old_fields.get(STATUS));
                }
                meta::keep_system_fields(old.meta(), new.metadata_mut());
                let mut of_meta = Faults::default();
                validate_meta(self.info, new.meta(), &mut of_meta);
                validate_meta_update(old.meta(), new.meta(), &mut of_meta);
                faults.append(&mut of_meta.into_vec());
            }
            Subresource::Status if self.info.has_status => {
                let mut merged = old_fields.clone();
                replace(&mut merged, STATUS, fields.get(STATUS));
                fields = merged;
                new.metadata.clone_from(&old.metadata);
            }
            other => {
                return Err(Rejection::NoSubresource {
                    kind: self.info.kind,
                    subresource: other,
                });
            }
        }
        let before = self.settled(old.meta(), old_fields);
        let after = self.settled(new.meta(), fields);
        self.judge(&after, Some(&before), &mut faults);
        self.refuse(&new, faults)?;
        let spec_changed = self.counted(&before) != self.counted(&after);
        if spec_changed {
            new.metadata_mut().generation += 1;
        }
        Ok(Admitted {
            bytes: self.encode(new, &after)?,
            spec_changed,
        })
    }

    /// What of a sent object the schema does not have, as upstream writes it: `spec.foo[0].bar`.
    pub(crate) fn unknown_fields(&self, sent: &Bytes) -> Result<Vec<String>, Rejection> {
        let Some(schema) = &self.schema else {
            return Ok(Vec::new());
        };
        let object = self.decode(sent)?;
        let mut tree = tree(
            self.info.api_version(),
            self.info.kind,
            object.meta(),
            self.fields(&object)?,
        );
        Ok(schema.prune(&mut tree))
    }

    /// The stored object as this version shows it. `written` is the revision of its last write.
    pub(crate) fn show(&self, stored: &Bytes, written: Revision) -> Result<Bytes, Rejection> {
        // Written under this very schema: nothing is to be filled in.
        if self.is_only && written > self.since {
            return Ok(stored.clone());
        }
        let mut object = self.decode(stored)?;
        let tree = self.settled(object.meta(), self.fields(&object)?);
        object.api_version = self.info.api_version();
        object.fields = text(&tree).map_err(|problem| self.undecodable(problem))?;
        Ok(object.encode_to_vec().into())
    }

    pub(super) fn decode(&self, bytes: &Bytes) -> Result<CustomResource, Rejection> {
        CustomResource::decode(bytes.clone()).map_err(|error| self.undecodable(error.to_string()))
    }

    pub(super) fn fields(&self, object: &CustomResource) -> Result<Map<String, Value>, Rejection> {
        json::custom::fields_of(&object.fields).map_err(|fault| self.undecodable(fault.to_string()))
    }

    fn undecodable(&self, problem: String) -> Rejection {
        Rejection::Undecodable {
            kind: self.info.kind,
            problem,
        }
    }

    /// The whole object, pruned and with its defaults.
    fn settled(&self, meta: &ObjectMeta, fields: Map<String, Value>) -> Value {
        let mut tree = tree(self.info.api_version(), self.info.kind, meta, fields);
        if let Some(schema) = &self.schema {
            schema.prune(&mut tree);
            schema.default(&mut tree);
        }
        tree
    }

    /// The schema's rules.
    fn judge(&self, tree: &Value, old: Option<&Value>, faults: &mut Vec<FieldError>) {
        if let Some(schema) = &self.schema {
            faults.append(&mut schema.validate(tree, old));
        }
    }

    /// `apiVersion` and `kind` are the version's; an object that leaves them out means them.
    fn type_faults(&self, object: &CustomResource) -> Vec<FieldError> {
        let api_version = self.info.api_version();
        let fields = [
            ("apiVersion", &object.api_version, api_version.as_str()),
            ("kind", &object.kind, self.info.kind),
        ];
        let wrong = fields
            .into_iter()
            .filter(|(_, sent, expected)| !sent.is_empty() && sent != expected);
        wrong
            .map(|(field, sent, expected)| FieldError {
                reason: "FieldValueInvalid",
                field: field.into(),
                message: format!("Invalid value: {sent:?}: must be {expected}"),
            })
            .collect()
    }

    fn refuse(&self, object: &CustomResource, faults: Vec<FieldError>) -> Result<(), Rejection> {
        if faults.is_empty() {
            return Ok(());
        }
        let meta = object.meta();
        let name = if meta.name.is_empty() {
            &meta.generate_name
        } else {
            &meta.name
        };
        Err(Rejection::Invalid {
            info: self.info,
            name: name.clone(),
            faults,
        })
    }

    /// What `metadata.generation` counts changes of: everything but metadata, and but the status where that is a thing of
    /// its own.
    fn counted<'t>(&self, tree: &'t Value) -> Vec<(&'t String, &'t Value)> {
        let fields = tree.as_object().into_iter().flatten();
        let mut counted: Vec<_> = fields
            .filter(|(name, _)| {
                let name = name.as_str();
                name != "metadata" && !(self.info.has_status && name == STATUS)
            })
            .collect();
        counted.sort_unstable_by_key(|(name, _)| *name);
        counted
    }

    /// The object as it is stored.
    fn encode(&self, object: CustomResource, tree: &Value) -> Result<Bytes, Rejection> {
        let stored = CustomResource {
            metadata: object.metadata,
            api_version: self.stored_as.clone(),
            kind: self.info.kind.to_owned(),
            fields: text(tree).map_err(|problem| self.undecodable(problem))?,
        };
        Ok(stored.encode_to_vec().into())
    }
}

fn replace(fields: &mut Map<String, Value>, name: &str, by: Option<&Value>) {
    match by {
        Some(value) => {
            fields.insert(name.to_owned(), value.clone());
        }
        None => {
            fields.remove(name);
        }
    }
}

/// The flat object that schemas and rules speak of.
fn tree(api_version: String, kind: &str, meta: &ObjectMeta, mut fields: Map<String, Value>) -> Value {
    let message = Message::by_name("k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta");
    // Metadata that was decoded can be shown; times that JSON cannot say were refused when they came.
    let meta = message.and_then(|message| message.to_value(&meta.encode_to_vec()).ok());
    fields.insert("apiVersion".to_owned(), api_version.into());
    fields.insert("kind".to_owned(), kind.into());
    fields.insert("metadata".to_owned(), meta.unwrap_or_default());
    Value::Object(fields)
}

fn text(tree: &Value) -> Result<String, String> {
    match tree.as_object() {
        Some(fields) => json::custom::text_of(fields).map_err(|fault| fault.to_string()),
        None => Ok(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::definition::Definition;
    use super::*;
    use apimachinery::json::Unknown;
    use apimachinery::status::Reason;
    use proto::Object;
    use proto::apiextensions::v1::CustomResourceDefinition;
    use serde_json::json;
    use std::sync::Arc;

    /// A kind in two versions; `status` says whether it is a subresource.
    fn definition(status: bool) -> Definition {
        let version = |name: &str, storage: bool, properties: Value| {
            let mut version = json!({
                "name": name, "served": true, "storage": storage,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": properties},
                    "status": {"type": "object", "properties": {"ready": {"type": "integer"}}},
                }}},
            });
            if status {
                version["subresources"] = json!({"status": {}});
            }
            version
        };
        let manifest = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "dials.object.example.com", "uid": "u"},
            "spec": {
                "group": "object.example.com", "scope": "Namespaced",
                "names": {"kind": "Dial", "plural": "dials"},
                "versions": [
                    version("v1beta1", false, json!({"size": {"type": "integer"}, "old": {"type": "string"}})),
                    version("v1", true, json!({
                        "size": {"type": "integer", "minimum": 1},
                        "color": {"type": "string", "default": "red"},
                    })),
                ],
            },
            "status": {
                "acceptedNames": {"kind": "Dial", "plural": "dials", "listKind": "DialList"},
                "conditions": [{"type": "Established", "status": "True"}],
                "storedVersions": ["v1"],
            },
        });
        let decoded = json::from_value(&manifest, Unknown::Strict).unwrap();
        let object = CustomResourceDefinition::decode(decoded.bytes).unwrap();
        Definition::new(object, 5, None)
    }

    fn version(definition: &Definition, name: &str) -> Arc<Version> {
        let mut versions = definition.versions.iter();
        Arc::clone(versions.find(|version| version.info.version == name).unwrap())
    }

    fn sent(api_version: &str, mut fields: Value) -> Bytes {
        fields["apiVersion"] = format!("object.example.com/{api_version}").into();
        fields["kind"] = "Dial".into();
        fields["metadata"] = json!({"name": "d", "namespace": "default"});
        json::from_value_as(
            Object::encode_from(&CustomResource::default()).number,
            &fields,
            Unknown::Strict,
        )
        .unwrap()
        .bytes
    }

    fn stamped(meta: &mut ObjectMeta) {
        meta.uid = "u1".into();
        meta.generation = 1;
    }

    fn shown(bytes: &Bytes) -> Value {
        json::to_value(29, bytes).unwrap()
    }

    #[test]
    fn a_new_object_is_pruned_gets_its_defaults_and_loses_its_status() {
        let definition = definition(true);
        let v1 = version(&definition, "v1");
        let new = sent(
            "v1",
            json!({"spec": {"size": 2, "more": 1}, "status": {"ready": 1}}),
        );
        assert_eq!(v1.unknown_fields(&new).unwrap(), ["spec.more"]);
        let stored = v1.create(&new, &mut stamped).unwrap();
        let tree = shown(&stored);
        assert_eq!(tree["spec"], json!({"color": "red", "size": 2}));
        assert!(tree.get("status").is_none());
        let refused = v1.create(&sent("v1", json!({"spec": {"size": 0}})), &mut stamped);
        let status = refused.unwrap_err().to_status();
        assert_eq!(Reason::of(&status), Some(Reason::Invalid));
        assert!(status.message.contains("spec.size"), "{}", status.message);
    }

    #[test]
    fn any_version_is_written_and_shown_and_one_is_stored() {
        let definition = definition(true);
        let (v1beta1, v1) = (version(&definition, "v1beta1"), version(&definition, "v1"));
        let stored = v1beta1
            .create(
                &sent("v1beta1", json!({"spec": {"size": 3, "old": "x"}})),
                &mut stamped,
            )
            .unwrap();
        assert_eq!(shown(&stored)["apiVersion"], "object.example.com/v1");
        let in_v1 = shown(&v1.show(&stored, 1).unwrap());
        assert_eq!(in_v1["spec"], json!({"color": "red", "size": 3}));
        let in_v1beta1 = shown(&v1beta1.show(&stored, 9).unwrap());
        assert_eq!(in_v1beta1["apiVersion"], "object.example.com/v1beta1");
        assert_eq!(in_v1beta1["spec"], json!({"old": "x", "size": 3}));
        assert_eq!(definition.stored().unwrap().info.version, "v1");
        let fresh = v1
            .create(&sent("v1", json!({"spec": {"size": 3}})), &mut stamped)
            .unwrap();
        assert_eq!(v1.show(&fresh, 6).unwrap(), fresh, "nothing to fill in");
        let bare = CustomResource {
            fields: r#"{"spec":{}}"#.into(),
            ..CustomResource::decode(fresh).unwrap()
        };
        let in_v1 = shown(&v1.show(&bare.encode_to_vec().into(), 6).unwrap());
        assert_eq!(
            in_v1["spec"],
            json!({"color": "red"}),
            "the other version may have written it"
        );
        let wrong = v1.create(&sent("v1beta1", json!({})), &mut stamped).unwrap_err();
        assert!(wrong.to_status().message.contains("apiVersion"));
    }

    #[test]
    fn generation_counts_what_is_wanted() {
        for with_status in [true, false] {
            let definition = definition(with_status);
            let v1 = version(&definition, "v1");
            let stored = v1
                .create(&sent("v1", json!({"spec": {"size": 2}})), &mut stamped)
                .unwrap();
            let update = |fields: Value, part| v1.update(&stored, &sent("v1", fields), part);
            let same = update(json!({"spec": {"size": 2}}), Subresource::None).unwrap();
            assert_eq!((same.bytes, same.spec_changed), (stored.clone(), false));
            let other = update(json!({"spec": {"size": 3}}), Subresource::None).unwrap();
            assert_eq!(shown(&other.bytes)["metadata"]["generation"], 2);
            let status = json!({"spec": {"size": 4}, "status": {"ready": 1}});
            let main = update(status.clone(), Subresource::None).unwrap();
            assert_eq!(shown(&main.bytes).get("status").is_some(), !with_status);
            match update(status, Subresource::Status) {
                Ok(written) if with_status => {
                    let tree = shown(&written.bytes);
                    assert_eq!(
                        (&tree["status"], &tree["spec"]["size"]),
                        (&json!({"ready": 1}), &json!(2))
                    );
                    assert!(!written.spec_changed);
                }
                Err(Rejection::NoSubresource { .. }) if !with_status => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
