//! `orrery get`: shows objects, once or as they change.
//!
//! In: lists, or one ordered stream that survives the server's restarts. Out: kubectl's tables, or YAML, JSON, names.

use crate::cli::ServerArgs;
use crate::resource::{self, Kind, Selection};
use crate::session::{self, NamespaceArg};
use crate::table::Widths;
use anyhow::{Context, Result, bail};
use apimachinery::json::yaml;
use apimachinery::jsonpath::Path;
use apimachinery::printers::{self, Layout};
use apimachinery::wire::MetaView;
use client::{Client, Delta, Informer};
use component_base::clock::Clock;
use jiff::Timestamp;
use proto::Object;
use proto::orrery::v1::{ListRequest, WatchTarget};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::str::FromStr;

/// Show objects: in a table, or as YAML or JSON; once, or as they change.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orrery get pods\n  orrery get pods -o wide -l app=nginx --watch\n  \
    orrery get deploy,rs,pods\n  orrery get all -A\n  orrery get deployment/nginx -o yaml\n  \
    orrery get pods --field-selector spec.nodeName=node-0 -o name\n  \
    orrery get pod web-1 -o jsonpath={.status.podIP}\n\n`orrery api-resources` lists the kinds."
)]
pub struct Args {
    /// KIND[,KIND…] [NAME…], or KIND/NAME…
    #[arg(required = true, value_name = "KIND")]
    objects: Vec<String>,
    /// Objects of all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only those with these labels: app=web,tier in (a, b),!test.
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Only those with these fields: spec.nodeName=node-1,status.phase!=Running.
    #[arg(long, value_name = "FIELDS")]
    field_selector: Option<String>,
    /// table, wide, yaml, json, name, or jsonpath={.path}.
    #[arg(short, long, default_value = "table")]
    output: Output,
    /// Go on, and show every change.
    #[arg(short, long)]
    watch: bool,
    /// Show labels as the last column.
    #[arg(long)]
    show_labels: bool,
    /// Leave the headers out.
    #[arg(long)]
    no_headers: bool,
    /// Succeed when there is no such object.
    #[arg(long)]
    ignore_not_found: bool,
    #[command(flatten)]
    namespace: NamespaceArg,
    #[command(flatten)]
    server: ServerArgs,
}

/// How to print.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Output {
    Table { wide: bool },
    Yaml,
    Json,
    Name,
    JsonPath(Path),
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("jsonpath=") {
            return Path::parse(path)
                .map(Self::JsonPath)
                .map_err(|error| error.to_string());
        }
        match text {
            "table" => Ok(Self::Table { wide: false }),
            "wide" => Ok(Self::Table { wide: true }),
            "yaml" => Ok(Self::Yaml),
            "json" => Ok(Self::Json),
            "name" => Ok(Self::Name),
            _ => Err("must be table, wide, yaml, json, name or jsonpath={.path}".into()),
        }
    }
}

/// Runs the command.
pub async fn run(args: Args, clock: Clock) -> Result<()> {
    let client = session::connect(&args.server, &clock).await?;
    let selection = resource::parse(&args.objects)?;
    if let Selection::Objects(objects) = &selection {
        if args.selector.is_some() || args.field_selector.is_some() || args.all_namespaces {
            bail!("names do not go with selectors or --all-namespaces");
        }
        if args.watch && objects.len() > 1 {
            bail!("--watch follows one object, or all that selectors match");
        }
    }
    if args.watch {
        return watch(&client, &selection, &args).await;
    }
    let (objects, missing) = read(&client, &selection, &args).await?;
    print(&objects, &selection, &args, clock.wall())?;
    match missing.into_iter().next() {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// The objects, and the errors of those that could not be read.
async fn read(
    client: &Client,
    selection: &Selection,
    args: &Args,
) -> Result<(Vec<Object>, Vec<client::Error>)> {
    let (mut objects, mut missing) = (Vec::new(), Vec::new());
    match selection {
        Selection::Objects(named) => {
            for (info, name) in named {
                match session::get(client, info, &args.namespace.of(info), name).await {
                    Ok(object) => objects.push(object),
                    Err(error) if error.is_not_found() && args.ignore_not_found => {}
                    Err(error) if error.is_not_found() => missing.push(error),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Selection::Kinds(kinds) => {
            for info in kinds {
                let request = ListRequest {
                    kind: info.resource(),
                    namespace: namespace(info, args),
                    label_selector: args.selector.clone().unwrap_or_default(),
                    field_selector: args.field_selector.clone().unwrap_or_default(),
                    ..ListRequest::default()
                };
                objects.extend(client.list(request).await?.items);
            }
        }
    }
    Ok((objects, missing))
}

fn namespace(info: Kind, args: &Args) -> String {
    if args.all_namespaces {
        String::new()
    } else {
        args.namespace.of(info)
    }
}

fn print(objects: &[Object], selection: &Selection, args: &Args, now: Timestamp) -> Result<()> {
    match &args.output {
        Output::Table { wide } => {
            if objects.is_empty() && !matches!(selection, Selection::Objects(_)) {
                eprintln!("{}", nothing_found(selection, args));
            }
            print!("{}", tables(objects, &Look::new(*wide, selection, args), now)?);
        }
        Output::Name => {
            for object in objects {
                println!("{}", label(object)?);
            }
        }
        Output::Yaml => print!("{}", yaml::print(&whole(objects, selection)?)),
        Output::Json => println!("{}", serde_json::to_string_pretty(&whole(objects, selection)?)?),
        Output::JsonPath(path) => println!("{}", path.print(&whole(objects, selection)?)),
    }
    Ok(())
}

fn nothing_found(selection: &Selection, args: &Args) -> String {
    let namespaced = match selection {
        Selection::Kinds(kinds) => kinds.iter().any(|info| info.namespaced),
        Selection::Objects(_) => false,
    };
    if namespaced && !args.all_namespaces {
        format!("No resources found in {} namespace.", args.namespace.namespace)
    } else {
        "No resources found".into()
    }
}

/// One object as it is, several as a `List`.
fn whole(objects: &[Object], selection: &Selection) -> Result<Value> {
    match (objects, selection) {
        ([object], Selection::Objects(named)) if named.len() == 1 => tree(object),
        _ => {
            let items: Vec<Value> = objects.iter().map(tree).collect::<Result<_>>()?;
            Ok(
                json!({"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}}),
            )
        }
    }
}

/// An object as people read it: without the bookkeeping of who manages which field.
fn tree(object: &Object) -> Result<Value> {
    let mut value = session::tree(object)?;
    if let Some(meta) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.shift_remove("managedFields");
    }
    Ok(value)
}

fn label(object: &Object) -> Result<String> {
    let info = kind_of(object)?;
    Ok(resource::label(info, MetaView::parse(&object.bytes)?.name))
}

fn kind_of(object: &Object) -> Result<Kind> {
    apimachinery::kinds::custom::of_object(object)
        .context("the server sent an object of a kind that this program does not know")
}

/// What a table shows besides the kind's own columns.
#[derive(Clone, Copy, Debug, Default)]
struct Look {
    wide: bool,
    namespace: bool,
    labels: bool,
    headers: bool,
    /// Names say their kind, because there are several.
    prefixed: bool,
}

impl Look {
    fn new(wide: bool, selection: &Selection, args: &Args) -> Self {
        let prefixed = match selection {
            Selection::Kinds(kinds) => kinds.len() > 1,
            Selection::Objects(objects) => objects.iter().any(|(info, _)| info.number != objects[0].0.number),
        };
        Self {
            wide,
            namespace: args.all_namespaces,
            labels: args.show_labels,
            headers: !args.no_headers,
            prefixed,
        }
    }

    fn headers(&self, layout: &Layout) -> Vec<String> {
        let mut headers = layout.headers(self.wide);
        if self.namespace {
            headers.insert(0, "NAMESPACE".into());
        }
        if self.labels {
            headers.push("LABELS".into());
        }
        headers
    }

    fn row(&self, layout: &Layout, object: &Object, now: Timestamp) -> Result<Vec<String>> {
        let meta = MetaView::parse(&object.bytes)?;
        let mut row = layout.row(object, now, self.wide)?;
        // A row is a line, whatever a message holds.
        for cell in &mut row {
            if let Some((first, _)) = cell.split_once('\n') {
                *cell = format!("{first}...");
            }
        }
        if self.prefixed {
            let name = layout
                .headers(self.wide)
                .iter()
                .position(|header| header == "NAME");
            if let Some(cell) = name.and_then(|at| row.get_mut(at)) {
                *cell = resource::label(kind_of(object)?, cell);
            }
        }
        if self.namespace {
            row.insert(0, meta.namespace.to_owned());
        }
        if self.labels {
            let labels: BTreeMap<String, String> = meta
                .labels()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect();
            row.push(printers::text::set(&labels));
        }
        Ok(row)
    }
}

/// A table a kind, in the order in which the kinds come.
fn tables(objects: &[Object], look: &Look, now: Timestamp) -> Result<String> {
    let mut text = String::new();
    for group in objects.chunk_by(|one, other| one.number == other.number) {
        if !text.is_empty() {
            text.push('\n');
        }
        let layout = printers::layout(group[0].number);
        let mut lines = Vec::new();
        if look.headers {
            lines.push(look.headers(&layout));
        }
        for object in group {
            lines.push(look.row(&layout, object, now)?);
        }
        let mut widths = Widths::default();
        for line in &lines {
            widths.fit(line);
        }
        for line in &lines {
            text += &widths.line(line);
            text.push('\n');
        }
    }
    Ok(text)
}

/// Shows what there is, then every change, until Ctrl-C.
async fn watch(client: &Client, selection: &Selection, args: &Args) -> Result<()> {
    let (targets, one): (Vec<WatchTarget>, Option<&(Kind, String)>) = match selection {
        Selection::Objects(objects) => {
            let (info, name) = objects.first().context("no object is named")?;
            // An object that is not there is a mistake more often than one to wait for.
            session::get(client, info, &args.namespace.of(info), name).await?;
            let target = crate::follow::target(info, &args.namespace.of(info), name);
            (vec![target], objects.first())
        }
        Selection::Kinds(kinds) => {
            let target = |info: &Kind| WatchTarget {
                kind: info.resource(),
                namespace: namespace(info, args),
                label_selector: args.selector.clone().unwrap_or_default(),
                field_selector: args.field_selector.clone().unwrap_or_default(),
            };
            (kinds.iter().map(target).collect(), None)
        }
    };
    // Says at once what is wrong with a selector or the address; the stream would try for ever.
    if one.is_none() {
        for target in &targets {
            let request = ListRequest {
                kind: target.kind.clone(),
                namespace: target.namespace.clone(),
                label_selector: target.label_selector.clone(),
                field_selector: target.field_selector.clone(),
                limit: 1,
                ..ListRequest::default()
            };
            client.list_page(request).await?;
        }
    }
    let mut informer = Informer::spawn(client, targets);
    let mut lines = Lines::new(selection, args);
    let mut initial: Option<BTreeMap<client::ObjectKey, Object>> = Some(BTreeMap::new());
    while let Some(delta) = informer.next().await {
        let now = client.clock().wall();
        match (delta, &mut initial) {
            (Delta::Upsert { key, object, .. }, Some(initial)) => {
                initial.insert(key, object);
            }
            (Delta::Synced(_), Some(objects)) => {
                let objects: Vec<Object> = std::mem::take(objects).into_values().collect();
                lines.show(&objects, now)?;
                initial = None;
            }
            (
                Delta::Upsert { object, .. }
                | Delta::Delete {
                    object: Some(object), ..
                },
                None,
            ) => {
                lines.show(&[object], now)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a watch prints. Columns keep their widths, so that later lines stand under earlier ones.
struct Lines {
    output: Output,
    look: Look,
    widths: BTreeMap<u32, Widths>,
    /// The kind of the last line; a line of another gets headers first.
    kind: Option<u32>,
}

impl Lines {
    fn new(selection: &Selection, args: &Args) -> Self {
        let wide = args.output == Output::Table { wide: true };
        Self {
            output: args.output.clone(),
            look: Look::new(wide, selection, args),
            widths: BTreeMap::new(),
            kind: None,
        }
    }

    fn show(&mut self, objects: &[Object], now: Timestamp) -> Result<()> {
        match &self.output {
            Output::Table { .. } => print!("{}", self.table(objects, now)?),
            Output::Name => objects
                .iter()
                .try_for_each(|object| label(object).map(|label| println!("{label}")))?,
            Output::Yaml => {
                for object in objects {
                    print!("---\n{}", yaml::print(&tree(object)?));
                }
            }
            Output::Json => {
                for object in objects {
                    println!("{}", serde_json::to_string_pretty(&tree(object)?)?);
                }
            }
            Output::JsonPath(path) => {
                for object in objects {
                    println!("{}", path.print(&tree(object)?));
                }
            }
        }
        Ok(())
    }

    fn table(&mut self, objects: &[Object], now: Timestamp) -> Result<String> {
        let mut rows = Vec::with_capacity(objects.len());
        for object in objects {
            let layout = printers::layout(object.number);
            let row = self.look.row(&layout, object, now)?;
            let widths = self.widths.entry(object.number).or_default();
            widths.fit(&self.look.headers(&layout));
            widths.fit(&row);
            rows.push((object.number, row));
        }
        let mut text = String::new();
        for (number, row) in rows {
            let widths = self.widths.entry(number).or_default();
            if self.kind != Some(number) && self.look.headers {
                text += &widths.line(&self.look.headers(&printers::layout(number)));
                text.push('\n');
            }
            self.kind = Some(number);
            text += &widths.line(&row);
            text.push('\n');
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::Kind as _;
    use proto::api::core::v1::{ConfigMap, Namespace};

    fn config_map(name: &str, entries: usize) -> Object {
        let mut object = ConfigMap::default();
        object.metadata_mut().name = name.into();
        object.metadata_mut().namespace = "shop".into();
        object.metadata_mut().labels.insert("app".into(), name.into());
        object.metadata_mut().creation_timestamp = Some(proto::Timestamp {
            seconds: 1_767_225_600,
            nanos: 0,
        });
        object
            .data
            .extend((0..entries).map(|entry| (entry.to_string(), String::new())));
        Object::encode_from(&object)
    }

    fn namespace(name: &str) -> Object {
        let mut object = Namespace::default();
        object.metadata_mut().name = name.into();
        Object::encode_from(&object)
    }

    fn now() -> Timestamp {
        "2026-01-01T00:03:12Z".parse().unwrap()
    }

    #[test]
    fn a_table_looks_like_kubectls() {
        let look = Look {
            headers: true,
            ..Look::default()
        };
        insta::assert_snapshot!(tables(&[config_map("web", 2), config_map("longer", 10)], &look, now()).unwrap(), @r"
        NAME     DATA   AGE
        web      2      3m12s
        longer   10     3m12s
        ");
    }

    #[test]
    fn several_kinds_get_tables_of_their_own_and_names_that_say_their_kind() {
        let look = Look {
            headers: true,
            namespace: true,
            labels: true,
            prefixed: true,
            wide: false,
        };
        insta::assert_snapshot!(tables(&[config_map("web", 2), namespace("shop")], &look, now()).unwrap(), @r"
        NAMESPACE   NAME            DATA   AGE     LABELS
        shop        configmap/web   2      3m12s   app=web

        NAMESPACE   NAME             STATUS   AGE         LABELS
                    namespace/shop            <unknown>   <none>
        ");
    }

    #[test]
    fn the_lines_of_a_watch_stand_under_each_other() {
        let mut lines = Lines {
            output: Output::Table { wide: false },
            look: Look {
                headers: true,
                ..Look::default()
            },
            widths: BTreeMap::new(),
            kind: None,
        };
        let mut text = lines
            .table(&[config_map("web", 2), config_map("longer", 1)], now())
            .unwrap();
        text += &lines.table(&[config_map("web", 3)], now()).unwrap();
        insta::assert_snapshot!(text, @r"
        NAME     DATA   AGE
        web      2      3m12s
        longer   1      3m12s
        web      3      3m12s
        ");
    }

    #[test]
    fn outputs_are_read_and_wrong_ones_told() {
        assert_eq!("wide".parse(), Ok(Output::Table { wide: true }));
        assert!(matches!("jsonpath={.a}".parse(), Ok(Output::JsonPath(_))));
        for wrong in ["", "xml", "jsonpath={.a[}"] {
            assert!(wrong.parse::<Output>().is_err(), "{wrong}");
        }
    }
}
