//! CustomResourceDefinitions.

use super::{Defaults, string};
use proto::apiextensions::v1::{CustomResourceConversion, CustomResourceDefinition};

/// Where webhooks listen.
const WEBHOOK_PORT: i32 = 443;

impl Defaults for CustomResourceDefinition {
    fn set_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        let names = spec.names.get_or_insert_default();
        if !names.kind.is_empty() {
            string(&mut names.singular, &names.kind.to_lowercase());
            string(&mut names.list_kind, &format!("{}List", names.kind));
        }
        let conversion = spec.conversion.get_or_insert_with(|| CustomResourceConversion {
            strategy: "None".to_owned(),
            webhook: None,
        });
        let client = conversion.webhook.as_mut().and_then(|w| w.client_config.as_mut());
        if let Some(service) = client.and_then(|client| client.service.as_mut()) {
            service.port.get_or_insert(WEBHOOK_PORT);
        }
        // What is stored from now on. Whoever has rewritten the objects of the other versions takes those away.
        let stored = &mut self.status.get_or_insert_default().stored_versions;
        for version in spec.versions.iter().filter(|version| version.storage) {
            if !stored.contains(&version.name) {
                stored.push(version.name.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::apiextensions::v1::{CustomResourceDefinitionNames, CustomResourceDefinitionVersion};

    #[test]
    fn a_definition_gets_its_names_its_conversion_and_its_stored_version() {
        let mut definition = CustomResourceDefinition::default();
        let spec = definition.spec.get_or_insert_default();
        spec.names = Some(CustomResourceDefinitionNames {
            kind: "CronTab".into(),
            ..Default::default()
        });
        spec.versions = vec![
            CustomResourceDefinitionVersion {
                name: "v1".into(),
                storage: true,
                ..Default::default()
            },
            CustomResourceDefinitionVersion {
                name: "v2".into(),
                ..Default::default()
            },
        ];
        definition.set_defaults();
        let once = definition.clone();
        definition.set_defaults();
        assert_eq!(definition, once);
        let spec = definition.spec.unwrap();
        let names = spec.names.unwrap();
        assert_eq!(
            (names.singular.as_str(), names.list_kind.as_str()),
            ("crontab", "CronTabList")
        );
        assert_eq!(spec.conversion.unwrap().strategy, "None");
        assert_eq!(definition.status.unwrap().stored_versions, ["v1"]);
    }
}
