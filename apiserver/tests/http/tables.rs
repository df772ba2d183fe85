//! Tables, as `kubectl get` asks for them, and metadata alone, as metadata informers do.

use crate::harness::{Ask, CONFIG_MAPS, PODS, Server, config_map, pod};
use crate::watches::Watch;
use serde_json::{Value, json};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

fn as_table(ask: Ask) -> Ask {
    ask.header("accept", TABLE)
}

fn names(table: &Value) -> Vec<&str> {
    let columns = table["columnDefinitions"].as_array().unwrap();
    columns
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_list_is_a_table_of_the_kinds_own_columns() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    server.post(CONFIG_MAPS, &config_map("b")).await.ok(201);
    let table = as_table(server.ask("GET", CONFIG_MAPS)).send().await.ok(200);
    assert_eq!(
        (table["kind"].as_str(), table["apiVersion"].as_str()),
        (Some("Table"), Some("meta.k8s.io/v1"))
    );
    assert_eq!(names(&table), ["Name", "Data", "Age"]);
    assert_eq!(table["columnDefinitions"][0]["format"], "name");
    assert_eq!(table["columnDefinitions"][1]["type"], "integer");
    let rows = table["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1]["cells"][0], "b");
    assert_eq!(rows[1]["cells"][1], 1);
    assert_eq!(rows[1]["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(rows[1]["object"]["metadata"]["labels"]["app"], "b");
    assert!(rows[1]["object"].get("data").is_none());
    assert!(table["metadata"]["resourceVersion"].is_string());
}

#[tokio::test]
async fn a_page_of_a_table_says_how_to_go_on() {
    let server = Server::start().await;
    for name in ["a", "b", "c"] {
        server.post(CONFIG_MAPS, &config_map(name)).await.ok(201);
    }
    let page = |rest: &str| as_table(server.ask("GET", format!("{CONFIG_MAPS}?limit=2{rest}"))).send();
    let first = page("").await.ok(200);
    assert_eq!(first["metadata"]["remainingItemCount"], 1);
    let token = first["metadata"]["continue"].as_str().unwrap().to_owned();
    let second = page(&format!("&continue={token}")).await.ok(200);
    assert_eq!(second["rows"][0]["cells"][0], "c");
}

#[tokio::test]
async fn a_row_holds_as_much_of_its_object_as_is_asked_for() {
    let server = Server::start().await;
    server.post(PODS, &pod("a")).await.ok(201);
    let row = async |include: &str| {
        let path = format!("{PODS}/a?includeObject={include}");
        as_table(server.ask("GET", path)).send().await
    };
    let table = row("Object").await.ok(200);
    assert_eq!(names(&table)[..5], ["Name", "Ready", "Status", "Restarts", "Age"]);
    assert_eq!(table["rows"][0]["object"]["spec"]["containers"][0]["name"], "web");
    assert_eq!(row("None").await.ok(200)["rows"][0]["object"], Value::Null);
    assert_eq!(
        row("Metadata").await.ok(200)["rows"][0]["object"]["metadata"]["name"],
        "a"
    );
    row("All").await.fails(400, "BadRequest");
}

#[tokio::test]
async fn older_clients_get_the_older_version() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let ask = server.ask("GET", CONFIG_MAPS);
    let ask = ask.header("accept", "application/json;as=Table;v=v1beta1;g=meta.k8s.io");
    let table = ask.send().await.ok(200);
    assert_eq!(table["apiVersion"], "meta.k8s.io/v1beta1");
    assert_eq!(table["rows"][0]["object"]["apiVersion"], "meta.k8s.io/v1beta1");
}

#[tokio::test]
async fn a_watch_tells_its_columns_once() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    server.post(CONFIG_MAPS, &config_map("b")).await.ok(201);
    let ask = server.ask("GET", format!("{CONFIG_MAPS}?watch=1"));
    let mut watch = Watch::open(as_table(ask)).await;
    let first = watch.next().await.unwrap();
    assert_eq!(
        (first["type"].as_str(), first["object"]["kind"].as_str()),
        (Some("ADDED"), Some("Table"))
    );
    assert_eq!(names(&first["object"]), ["Name", "Data", "Age"]);
    let second = watch.next().await.unwrap();
    assert_eq!(second["object"]["columnDefinitions"], Value::Null);
    assert_eq!(second["object"]["rows"][0]["cells"][0], "b");
    server.delete(format!("{CONFIG_MAPS}/a")).await.ok(200);
    let third = watch.next().await.unwrap();
    assert_eq!(third["type"], "DELETED");
    assert_eq!(third["object"]["rows"][0]["object"]["metadata"]["name"], "a");
}

#[tokio::test]
async fn metadata_comes_alone_for_an_object_a_list_and_a_watch() {
    let server = Server::start().await;
    let created = server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let accept = |shape: &str| format!("application/json;as={shape};g=meta.k8s.io;v=v1");
    let one = server
        .ask("GET", format!("{CONFIG_MAPS}/a"))
        .header("accept", accept("PartialObjectMetadata"));
    let one = one.send().await.ok(200);
    assert_eq!(
        one,
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": created["metadata"]})
    );
    let list = server
        .ask("GET", CONFIG_MAPS)
        .header("accept", accept("PartialObjectMetadataList"));
    let list = list.send().await.ok(200);
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"], json!([one]));
    let ask = server
        .ask("GET", format!("{CONFIG_MAPS}?watch=1"))
        .header("accept", accept("PartialObjectMetadata"));
    let event = Watch::open(ask).await.next().await.unwrap();
    assert_eq!(event, json!({"type": "ADDED", "object": one}));
}

#[tokio::test]
async fn metadata_comes_in_protobuf_too() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    for (path, shape) in [
        (format!("{CONFIG_MAPS}/a"), "PartialObjectMetadata"),
        (CONFIG_MAPS.to_owned(), "PartialObjectMetadataList"),
    ] {
        let accept = format!("application/vnd.kubernetes.protobuf;as={shape};g=meta.k8s.io;v=v1");
        let answer = server.ask("GET", path).header("accept", accept).send().await;
        assert_eq!(answer.code, 200, "{answer:?}");
        assert_eq!(
            answer.headers["content-type"],
            "application/vnd.kubernetes.protobuf"
        );
        let inside = answer.body.strip_prefix(b"k8s\0").unwrap();
        let has = |text: &str| inside.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(has(shape) && has("app") && !has("value"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_custom_kind_shows_the_columns_of_its_definition() {
    let server = Server::start().await;
    let column =
        |name: &str, r#type: &str, path: &str| json!({"name": name, "type": r#type, "jsonPath": path});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"plural": "widgets", "kind": "Widget"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1",
                    "served": true,
                    "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
                    "additionalPrinterColumns": [
                        column("Size", "integer", ".spec.size"),
                        column("Ready", "string", ".status.conditions[?(@.type==\"Ready\")].status"),
                    ],
                },
                {
                    "name": "v2",
                    "served": true,
                    "storage": false,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
                },
            ],
        },
    });
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    server.post(definitions, &definition).await.ok(201);
    let widgets = |version: &str| format!("/apis/example.com/{version}/namespaces/default/widgets");
    let widget = json!({
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "a"},
        "spec": {"size": 3},
        "status": {"conditions": [{"type": "Odd", "status": "False"}, {"type": "Ready", "status": "True"}]},
    });
    server.post(widgets("v1"), &widget).await.ok(201);
    let table = as_table(server.ask("GET", widgets("v1"))).send().await.ok(200);
    assert_eq!(names(&table), ["Name", "Size", "Ready"]);
    assert_eq!(table["rows"][0]["cells"], json!(["a", 3, "True"]));
    let table = as_table(server.ask("GET", widgets("v2"))).send().await.ok(200);
    assert_eq!(names(&table), ["Name", "Age"]);
    let table = as_table(server.ask("GET", definitions)).send().await.ok(200);
    assert_eq!(names(&table), ["Name", "Created At"]);
}
