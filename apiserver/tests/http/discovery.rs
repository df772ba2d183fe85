//! What the server tells of itself: groups, resources, versions.

use crate::harness::Server;
use apimachinery::kinds;
use serde_json::Value;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const AGGREGATED_BETA: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

fn names<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    let items = list.as_array().unwrap().iter();
    items
        .map(|item| item[field].as_str().unwrap_or_default())
        .collect()
}

#[tokio::test]
async fn every_kind_is_listed_in_its_group_and_version_with_all_its_names() {
    let server = Server::start().await;
    for info in kinds::all() {
        let path = match info.group {
            "" => format!("/api/{}", info.version),
            group => format!("/apis/{group}/{}", info.version),
        };
        let list = server.ask("GET", &path).send().await.ok(200);
        assert_eq!(
            (&list["kind"], &list["groupVersion"]),
            (&"APIResourceList".into(), &info.api_version().into())
        );
        let resources = list["resources"].as_array().unwrap();
        let found = resources
            .iter()
            .find(|resource| resource["name"] == info.plural)
            .unwrap();
        assert_eq!(found["kind"], info.kind);
        assert_eq!(found["singularName"], info.singular);
        assert_eq!(found["namespaced"], info.namespaced);
        let short: Vec<_> = found["shortNames"].as_array().into_iter().flatten().collect();
        assert_eq!(short, info.short_names);
        let has = |name: &str| {
            resources
                .iter()
                .any(|r| r["name"] == format!("{}/{name}", info.plural))
        };
        assert_eq!(has("status"), info.has_status, "{}", info.kind);
        assert_eq!(has("scale"), info.has_scale, "{}", info.kind);
    }
}

#[tokio::test]
async fn groups_name_their_versions_and_the_preferred_one() {
    let server = Server::start().await;
    let groups = server.ask("GET", "/apis").send().await.ok(200);
    assert_eq!(groups["kind"], "APIGroupList");
    let listed = names(&groups["groups"], "name");
    assert_eq!(listed[0], "apps");
    assert!(listed.contains(&"authorization.k8s.io") && !listed.contains(&""));
    let apps = server.ask("GET", "/apis/apps").send().await.ok(200);
    assert_eq!(
        (&apps["kind"], &apps["name"]),
        (&"APIGroup".into(), &"apps".into())
    );
    assert_eq!(apps["preferredVersion"]["groupVersion"], "apps/v1");
    let core = server
        .ask("GET", "/api")
        .header("host", "it:1")
        .send()
        .await
        .ok(200);
    assert_eq!(core["versions"], serde_json::json!(["v1"]));
}

#[tokio::test]
async fn subresources_say_what_is_sent_there() {
    let server = Server::start().await;
    let find = |list: &Value, name: &str| {
        let mut resources = list["resources"].as_array().unwrap().iter();
        resources
            .find(|resource| resource["name"] == name)
            .cloned()
            .unwrap_or_default()
    };
    let core = server.ask("GET", "/api/v1").send().await.ok(200);
    let apps = server.ask("GET", "/apis/apps/v1").send().await.ok(200);
    let eviction = find(&core, "pods/eviction");
    assert_eq!(
        (&eviction["group"], &eviction["version"]),
        (&"policy".into(), &"v1".into())
    );
    assert_eq!(eviction["verbs"], serde_json::json!(["create"]));
    let scale = find(&apps, "deployments/scale");
    assert_eq!(
        (&scale["group"], &scale["kind"]),
        (&"autoscaling".into(), &"Scale".into())
    );
    assert_eq!(find(&core, "pods/exec")["kind"], "PodExecOptions");
    assert_eq!(find(&core, "namespaces")["verbs"].as_array().unwrap().len(), 7);
}

#[tokio::test]
async fn everything_comes_at_once_to_who_understands_it() {
    let server = Server::start().await;
    for (accept, api_version) in [
        (AGGREGATED.to_owned(), "apidiscovery.k8s.io/v2"),
        (AGGREGATED_BETA.to_owned(), "apidiscovery.k8s.io/v2beta1"),
        // What kubectl sends.
        (
            format!("{AGGREGATED},{AGGREGATED_BETA},application/json"),
            "apidiscovery.k8s.io/v2",
        ),
    ] {
        let answer = server
            .ask("GET", "/apis")
            .header("accept", accept.clone())
            .send()
            .await;
        let content_type = answer.headers["content-type"].to_str().unwrap();
        assert!(accept.starts_with(content_type), "{content_type}");
        assert_eq!(answer.headers["vary"], "Accept");
        let list = answer.ok(200);
        assert_eq!(
            (&list["kind"], &list["apiVersion"]),
            (&"APIGroupDiscoveryList".into(), &api_version.into())
        );
        let apps = &list["items"][0];
        assert_eq!(apps["metadata"]["name"], "apps");
        let mut resources = apps["versions"][0]["resources"].as_array().unwrap().iter();
        let deployments = resources.find(|r| r["resource"] == "deployments").unwrap();
        assert_eq!(deployments["scope"], "Namespaced");
        assert_eq!(deployments["responseKind"]["kind"], "Deployment");
        assert_eq!(
            names(&deployments["subresources"], "subresource"),
            ["scale", "status"]
        );
    }
    let core = server
        .ask("GET", "/api")
        .header("accept", AGGREGATED)
        .send()
        .await
        .ok(200);
    assert_eq!(core["items"].as_array().unwrap().len(), 1);
    let plain = server
        .ask("GET", "/apis")
        .header("accept", format!("application/json,{AGGREGATED}"));
    assert_eq!(plain.send().await.ok(200)["kind"], "APIGroupList");
}

#[tokio::test]
async fn who_has_it_already_is_not_sent_it_again() {
    let server = Server::start().await;
    for path in [
        "/apis",
        "/api",
        "/api/v1",
        "/openapi/v2",
        "/openapi/v3/apis/apps/v1",
    ] {
        let first = server.ask("GET", path).send().await;
        assert_eq!(first.code, 200, "{path}");
        let etag = first.headers["etag"].to_str().unwrap();
        let again = server.ask("GET", path).header("if-none-match", etag).send().await;
        assert_eq!((again.code, again.body.len()), (304, 0), "{path}");
    }
}

#[tokio::test]
async fn the_version_is_one_of_kubernetes() {
    let server = Server::start().await;
    let version = server.ask("GET", "/version").send().await.ok(200);
    assert_eq!(
        (&version["major"], &version["minor"]),
        (&"1".into(), &"35".into())
    );
    assert!(version["gitVersion"].as_str().unwrap().starts_with("v1.35."));
    for field in [
        "gitCommit",
        "gitTreeState",
        "buildDate",
        "goVersion",
        "compiler",
        "platform",
    ] {
        assert!(version[field].is_string(), "{field}");
    }
}

#[tokio::test]
async fn every_path_that_is_listed_is_served() {
    let server = Server::start().await;
    let root = server.ask("GET", "/").send().await.ok(200);
    for path in root["paths"].as_array().unwrap() {
        let path = path.as_str().unwrap();
        assert_eq!(server.ask("GET", path).send().await.code, 200, "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there_or_cannot_be_done_is_a_status() {
    let server = Server::start().await;
    for path in [
        "/apis/nothing",
        "/apis/apps/v9",
        "/api/v2",
        "/apis//v1",
        "/openapi/v3/apis/apps/v9",
        "/openapi/v3/apis//v1",
    ] {
        server.ask("GET", path).send().await.fails(404, "NotFound");
    }
    for path in [
        "/api",
        "/apis/apps",
        "/apis/apps/v1",
        "/version",
        "/openapi/v2",
        "/openapi/v3",
    ] {
        server
            .ask("DELETE", path)
            .send()
            .await
            .fails(405, "MethodNotAllowed");
    }
    let csv = |path: &'static str| server.ask("GET", path).header("accept", "text/csv").send();
    for path in [
        "/apis",
        "/apis/apps/v1",
        "/version",
        "/openapi/v2",
        "/openapi/v3/apis/apps/v1",
    ] {
        csv(path).await.fails(406, "NotAcceptable");
    }
}

#[tokio::test]
async fn discovery_is_yaml_too_and_never_protobuf() {
    let server = Server::start().await;
    let yaml = server
        .ask("GET", "/apis/apps")
        .header("accept", "application/yaml")
        .send()
        .await;
    assert!(yaml.text().contains("kind: APIGroup\n"), "{}", yaml.text());
    let either = "application/vnd.kubernetes.protobuf,application/json";
    let json = server
        .ask("GET", "/apis/apps")
        .header("accept", either)
        .send()
        .await;
    assert_eq!(json.ok(200)["kind"], "APIGroup");
}
