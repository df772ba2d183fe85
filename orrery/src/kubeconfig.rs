//! The file that kubectl, kube-rs and client-go find the API with. The API asks for no credentials, so the file has none.

/// What the cluster, its context and its user are called.
const NAME: &str = "orrery";

/// The kubeconfig of the API at `server`, as YAML.
pub fn text(server: &str) -> String {
    let server = if server.contains("://") {
        server.to_owned()
    } else {
        format!("http://{server}")
    };
    // JSON's strings are YAML's too, and need no second set of rules for quoting.
    let server = serde_json::Value::from(server);
    format!(
        "apiVersion: v1\n\
         kind: Config\n\
         current-context: {NAME}\n\
         clusters:\n\
         - name: {NAME}\n  \
           cluster:\n    \
             server: {server}\n\
         contexts:\n\
         - name: {NAME}\n  \
           context:\n    \
             cluster: {NAME}\n    \
             namespace: default\n    \
             user: {NAME}\n\
         users:\n\
         - name: {NAME}\n  \
           user: {{}}\n"
    )
}

/// A path as a shell reads it back.
pub fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c);
    if path.chars().all(plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn the_context_leads_to_the_server_without_credentials() {
        for (server, url) in [
            ("127.0.0.1:7443", "http://127.0.0.1:7443"),
            ("http://[::1]:7443", "http://[::1]:7443"),
        ] {
            let text = text(server);
            let documents = apimachinery::json::yaml::documents(&text);
            let config: Vec<Value> = documents.map(|document| document.unwrap().value).collect();
            assert_eq!(
                config,
                [json!({
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "orrery",
                    "clusters": [{"name": "orrery", "cluster": {"server": url}}],
                    "contexts": [{
                        "name": "orrery",
                        "context": {"cluster": "orrery", "namespace": "default", "user": "orrery"},
                    }],
                    "users": [{"name": "orrery", "user": {}}],
                })]
            );
        }
    }

    #[test]
    fn paths_are_quoted_only_where_a_shell_needs_it() {
        for (path, expected) in [
            (
                "/home/x/.local/share/orrery/kubeconfig",
                "/home/x/.local/share/orrery/kubeconfig",
            ),
            ("/tmp/a b", "'/tmp/a b'"),
            ("/tmp/it's", r"'/tmp/it'\''s'"),
        ] {
            assert_eq!(quoted(path), expected);
        }
    }
}
