//! The commands, as a user runs them, against an apiserver in this process.
//!
//! Each test has a server of its own. What needs controllers or nodes is tested where those are.

mod harness;

use harness::Server;

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {tier: front}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: 'web:1', env: [{name: A, value: one}, {name: B, value: two}]}]
";

#[tokio::test(flavor = "multi_thread")]
async fn the_server_applies_and_refuses_what_another_manager_owns_until_it_is_forced() {
    let server = Server::start().await;
    let apply = ["apply", "--server-side", "-f", "-"];
    server
        .run_with(&apply, WEB)
        .await
        .says("deployment.apps/web serverside-applied\n");
    let more = WEB.replace("replicas: 3", "replicas: 4");
    let other = [&apply[..], &["--field-manager", "ci"]].concat();
    let refused = server.run_with(&other, &more).await;
    assert!(
        refused.err.contains("conflict with \"orrery\": .spec.replicas"),
        "{}",
        refused.err
    );
    let forced = [&other[..], &["--force-conflicts"]].concat();
    server
        .run_with(&forced, &more)
        .await
        .says("deployment.apps/web serverside-applied\n");
    let side = r#"{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"side:1"}]}}}}"#;
    server
        .run(&["patch", "deploy/web", "--type", "strategic", "-p", side])
        .await
        .says("deployment.apps/web patched\n");
    for (path, expected) in [
        (".spec.replicas", "4"),
        (".spec.template.spec.containers[0].name", "side"),
        (".spec.template.spec.containers[1].name", "web"),
    ] {
        let path = format!("jsonpath={{{path}}}");
        let told = server.run(&["get", "deploy/web", "-o", &path]).await;
        assert_eq!(told.out.trim(), expected, "{path}: {}", told.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_creates_then_changes_then_says_that_nothing_changed() {
    let server = Server::start().await;
    server
        .run_with(&["apply", "-f", "-"], WEB)
        .await
        .says("deployment.apps/web created\n");
    server
        .run_with(&["apply", "-f", "-"], WEB)
        .await
        .says("deployment.apps/web unchanged\n");
    let revision = || async {
        server
            .run(&[
                "get",
                "deployment/web",
                "-o",
                "jsonpath={.metadata.resourceVersion}",
            ])
            .await
            .out
    };
    let before = revision().await;
    let reordered = WEB.replace(
        "metadata:\n  name: web\n  labels: {tier: front}",
        "metadata: {labels: {tier: front}, name: web}",
    );
    server
        .run_with(&["apply", "-f", "-"], &reordered)
        .await
        .says("deployment.apps/web unchanged\n");
    assert_eq!(revision().await, before, "what changes nothing makes no write");

    // Somebody else scales it and adds a label; the user takes one variable and a label away.
    server
        .run(&["scale", "deploy/web", "--replicas", "5"])
        .await
        .says("deployment.apps/web scaled\n");
    server
        .run(&["label", "deploy/web", "team=a"])
        .await
        .says("deployment.apps/web labeled\n");
    let changed = WEB
        .replace(", {name: B, value: two}", "")
        .replace("labels: {tier: front}", "labels: {stage: test}")
        .replace("  replicas: 3\n", "");
    server
        .run_with(&["apply", "-f", "-", "--dry-run"], &changed)
        .await
        .says("deployment.apps/web configured (server dry run)\n");
    server
        .run_with(&["apply", "-f", "-"], &changed)
        .await
        .says("deployment.apps/web configured\n");
    for (path, expected) in [
        ("{.spec.template.spec.containers[0].env[*].name}", "A\n"),
        ("{.metadata.labels}", "{\"stage\":\"test\",\"team\":\"a\"}\n"),
        (
            "{.spec.template.spec.containers[0].imagePullPolicy}",
            "IfNotPresent\n",
        ),
    ] {
        server
            .run(&["get", "deploy/web", "-o", &format!("jsonpath={path}")])
            .await
            .says(expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_document_is_told_and_the_others_are_applied() {
    let server = Server::start().await;
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\nkind: ConfigMap\napiVersion: v1\nmetadata: {name: b}\ndatta: {}\n---\n\
        apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 'B A D'}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n";
    let told = server.run_with(&["apply", "-f", "-"], text).await;
    assert_eq!(told.code, Some(1));
    assert_eq!(told.out, "configmap/a created\nconfigmap/c created\n");
    for part in [
        "document 2 (line 5)",
        "line 8",
        "unknown field \"datta\"",
        "document 3",
        "metadata.name",
        "2 of 4",
    ] {
        assert!(told.err.contains(part), "{part}: {}", told.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn get_shows_tables_lists_and_names() {
    let server = Server::start().await;
    let none = server.run(&["get", "deploy"]).await;
    assert_eq!(
        (none.code, none.err.as_str()),
        (Some(0), "No resources found in default namespace.\n")
    );
    server.run_with(&["apply", "-f", "-"], WEB).await;
    server
        .run(&["get", "deploy", "-o", "name"])
        .await
        .says("deployment.apps/web\n");
    let table = server.run(&["get", "deploy", "-A", "--show-labels"]).await.out;
    let words: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        words[0],
        [
            "NAMESPACE",
            "NAME",
            "READY",
            "UP-TO-DATE",
            "AVAILABLE",
            "AGE",
            "LABELS"
        ]
    );
    assert_eq!(words[1][..5], ["default", "web", "0/3", "0", "0"]);
    assert_eq!(words[1][6], "tier=front");
    let list = server.run(&["get", "deploy", "-o", "json"]).await.out;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(
        (&list["kind"], &list["items"][0]["kind"]),
        (&"List".into(), &"Deployment".into())
    );
    // What is printed as YAML can be applied again.
    let yaml = server.run(&["get", "deploy/web", "-o", "yaml"]).await.out;
    server
        .run(&["delete", "deploy/web"])
        .await
        .says("deployment.apps \"web\" deleted from default namespace\n");
    let fresh: String = yaml
        .lines()
        .filter(|line| !line.contains("resourceVersion:") && !line.contains("uid:"))
        .map(|line| format!("{line}\n"))
        .collect();
    server
        .run_with(&["apply", "-f", "-"], &fresh)
        .await
        .says("deployment.apps/web created\n");
    let missing = server.run(&["get", "pod", "nobody"]).await;
    assert_eq!(
        (missing.code, missing.err.as_str()),
        (
            Some(1),
            "error from server (NotFound): pods \"nobody\" not found\n"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_when_the_server_comes_back() {
    let mut server = Server::start().await;
    let config = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    server.run_with(&["apply", "-f", "-"], &config("first")).await;
    let mut watch = server.follow(&["get", "configmaps", "--watch", "-o", "name"]);
    assert_eq!(watch.line().await, "configmap/first");
    server.run_with(&["apply", "-f", "-"], &config("second")).await;
    assert_eq!(watch.line().await, "configmap/second");
    server.restart().await;
    server
        .run_with(&["apply", "-f", "-"], &config("third"))
        .await
        .says("configmap/third created\n");
    assert_eq!(watch.line().await, "configmap/third");
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_and_delete_end_when_what_they_wait_for_has_happened() {
    let server = Server::start().await;
    server.run_with(&["apply", "-f", "-"], WEB).await;
    let late = server
        .run(&[
            "wait",
            "deploy/web",
            "--for",
            "condition=Available",
            "--timeout",
            "10ms",
        ])
        .await;
    assert!(
        late.code == Some(1)
            && late
                .err
                .contains("timed out waiting for the condition on deployment.apps/web"),
        "{}",
        late.err
    );
    server
        .run(&["wait", "deploy/web", "--for", "jsonpath={.spec.replicas}=3"])
        .await
        .says("deployment.apps/web condition met\n");
    // A finalizer holds it until somebody takes it away.
    server
        .run(&[
            "patch",
            "deploy/web",
            "-p",
            r#"{"metadata":{"finalizers":["example.com/held"]}}"#,
        ])
        .await
        .says("deployment.apps/web patched\n");
    let held = server.run(&["delete", "deploy/web", "--timeout", "10ms"]).await;
    assert!(
        held.code == Some(1) && held.err.contains("is still there"),
        "{}",
        held.err
    );
    let (gone, freed) = tokio::join!(
        server.run(&["wait", "deploy/web", "--for", "delete"]),
        server.run(&["patch", "deploy/web", "-p", r#"{"metadata":{"finalizers":null}}"#]),
    );
    gone.says("deployment.apps/web condition met\n");
    assert_eq!(freed.code, Some(0), "{}", freed.err);
    let twice = server.run(&["delete", "deploy/web"]).await;
    assert!(
        twice.code == Some(1) && twice.err.contains("NotFound"),
        "{}",
        twice.err
    );
    server
        .run(&["delete", "deploy/web", "--ignore-not-found"])
        .await
        .says("");
}

#[tokio::test(flavor = "multi_thread")]
async fn why_tells_who_wrote_and_what() {
    let server = Server::start().await;
    server.run_with(&["apply", "-f", "-"], WEB).await;
    server.run(&["scale", "deploy/web", "--replicas", "0"]).await;
    server
        .run(&["set", "image", "deploy/web", "web=web:2"])
        .await
        .says("deployment.apps/web image updated\n");
    let told = server.run(&["why", "deploy/web"]).await.out;
    assert!(
        told.starts_with("tester created deployment.apps/web: replicas 3, image web:1 (revision "),
        "{told}"
    );
    let all = server
        .run(&["why", "deploy/web", "--all", "-o", "json"])
        .await
        .out;
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    let reasons: Vec<&str> = all["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["reason"].as_str().unwrap())
        .collect();
    assert_eq!(
        reasons,
        [
            "replicas 3, image web:1",
            "replicas 3→0",
            "template.spec.containers[web].image web:1→web:2"
        ]
    );
    let nobody = server.run(&["why", "pod/nobody"]).await;
    assert!(
        nobody.code == Some(1) && nobody.err.contains("knows of no write"),
        "{}",
        nobody.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn describe_shows_any_kind() {
    let server = Server::start().await;
    server.run_with(&["apply", "-f", "-"], WEB).await;
    let told = server.run(&["describe", "deploy/web"]).await.out;
    for part in [
        "Name:  ",
        "3 desired | 0 updated",
        "Image:",
        "NewReplicaSet:",
        "Events:",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let told = server.run(&["describe", "namespaces"]).await.out;
    assert!(told.contains("default") && told.contains("Active"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_the_next_step_is_told() {
    let server = Server::start().await;
    let told = server.run(&["get", "pods", "--server", "127.0.0.1:1"]).await;
    assert_eq!(told.code, Some(1));
    assert!(
        told.err.contains("127.0.0.1:1") && told.err.contains("orrery up"),
        "{}",
        told.err
    );
}
