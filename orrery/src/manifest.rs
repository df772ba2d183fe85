//! Manifests: what `-f` names, as objects.
//!
//! In: files, directories and standard input, each with any number of YAML or JSON documents. Out: the objects in order,
//! and for what is none an error with file, document, line and field. One bad document does not hide the others.

use crate::resource::{self, Kind};
use anyhow::{Context, Result, anyhow, bail};
use apimachinery::json::{Unknown, yaml};
use apimachinery::kinds;
use proto::Object;
use serde_json::{Value, json};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The most that a file may hold. A manifest of a thousand objects has a few megabytes.
const MAX_BYTES: u64 = 64 << 20;

/// Which manifests a command reads.
#[derive(Clone, Debug, clap::Args)]
pub struct FileArgs {
    /// A file, a directory (its .yaml, .yml and .json files), or `-` for standard input. May be given several times.
    #[arg(short, long = "filename", value_name = "FILE")]
    pub file: Vec<PathBuf>,
    /// Look into directories below, too.
    #[arg(short = 'R', long)]
    pub recursive: bool,
}

/// One object of a manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Its kind.
    pub info: Kind,
    /// Its namespace; empty for kinds that live in none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What the user wrote, and the namespace.
    pub value: Value,
    /// Where it stands: `nginx.yaml: document 2 (line 10)`.
    pub place: String,
}

/// Reads all that the flags name. An object that names no namespace goes to `namespace`, or to `default`; one that names
/// another than `namespace` is an error.
pub fn load(args: &FileArgs, namespace: Option<&str>) -> Result<Vec<Result<Manifest>>> {
    let mut manifests = Vec::new();
    for path in files(args)? {
        let (name, text) = read(&path)?;
        manifests.extend(parse(&name, &text, namespace));
    }
    if manifests.is_empty() {
        bail!("there is no object in what -f names");
    }
    Ok(manifests)
}

/// Reads one text. `file` is for error messages.
pub fn parse<'a>(
    file: &'a str,
    text: &'a str,
    namespace: Option<&'a str>,
) -> impl Iterator<Item = Result<Manifest>> + use<'a> {
    yaml::documents(text).map(move |document| {
        let document = document.map_err(|error| anyhow!("{file}: {error}"))?;
        let place = format!("{file}: document {} (line {})", document.index + 1, document.line);
        manifest(&document, namespace, &place).with_context(|| place.clone())
    })
}

fn manifest(document: &yaml::Document, namespace: Option<&str>, place: &str) -> Result<Manifest> {
    let decoded = document.decode(Unknown::Strict)?;
    let object = Object {
        number: decoded.number,
        bytes: decoded.bytes,
    };
    let info = kinds::custom::of_object(&object).context("this kind is not stored")?;
    let mut value = document.value.clone();
    let text = |field: &str| {
        let found = value.get("metadata").and_then(|meta| meta.get(field));
        found.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let name = text("name");
    if name.is_empty() {
        bail!(
            "metadata.name: required, so that it is known which {} is meant",
            info.singular
        );
    }
    let own = text("namespace");
    let namespace = match (info.namespaced, own.as_str(), namespace) {
        (false, ..) => String::new(),
        (true, "", wanted) => wanted.unwrap_or("default").to_owned(),
        (true, own, Some(wanted)) if own != wanted => bail!(
            "metadata.namespace: {} is of namespace {own:?}, and the command names {wanted:?}",
            resource::label(info, &name)
        ),
        (true, own, _) => own.to_owned(),
    };
    if info.namespaced {
        value["metadata"]["namespace"] = json!(namespace);
    }
    Ok(Manifest {
        info,
        namespace,
        name,
        value,
        place: place.to_owned(),
    })
}

fn files(args: &FileArgs) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in &args.file {
        if path.is_dir() {
            walk(path, args.recursive, &mut files)?;
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// The manifests of a directory, in order of their names.
fn walk(dir: &Path, recursive: bool, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .with_context(|| format!("cannot read {}", dir.display()))?;
    paths.sort();
    for path in paths {
        // A link back up would never end.
        if path.is_dir() && !path.is_symlink() {
            if recursive {
                walk(&path, recursive, files)?;
            }
        } else if matches!(
            path.extension().and_then(|ending| ending.to_str()),
            Some("yaml" | "yml" | "json")
        ) {
            files.push(path);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<(String, String)> {
    let (name, source): (String, Box<dyn Read>) = if path == Path::new("-") {
        ("standard input".into(), Box::new(std::io::stdin()))
    } else {
        let name = path.display().to_string();
        let file = fs::File::open(path).with_context(|| format!("cannot open {name}"))?;
        (name, Box::new(file))
    };
    let mut text = String::new();
    let read = source.take(MAX_BYTES + 1).read_to_string(&mut text);
    let len = read.with_context(|| format!("cannot read {name}"))?;
    if len as u64 > MAX_BYTES {
        bail!("{name} is larger than {} MiB: split it", MAX_BYTES >> 20);
    }
    Ok((name, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: b\n";

    fn told(text: &str, namespace: Option<&str>) -> Vec<String> {
        parse("m.yaml", text, namespace)
            .map(|manifest| match manifest {
                Ok(found) => format!(
                    "{} in {:?}",
                    resource::label(found.info, &found.name),
                    found.namespace
                ),
                Err(error) => format!("{error:#}"),
            })
            .collect()
    }

    #[test]
    fn objects_go_to_the_commands_namespace_or_to_default() {
        assert_eq!(
            told(TWO, None),
            ["configmap/a in \"default\"", "namespace/b in \"\""]
        );
        assert_eq!(told(TWO, Some("shop"))[0], "configmap/a in \"shop\"");
    }

    #[test]
    fn a_bad_document_is_named_with_its_line_and_field_and_the_others_are_read() {
        let text = format!(
            "{TWO}---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicass: 3\n---\n{TWO}"
        );
        let told = told(&text, None);
        assert_eq!(told.len(), 5, "{told:?}");
        assert!(told[2].starts_with("m.yaml: document 3 (line 11)"), "{}", told[2]);
        assert!(
            told[2].contains("line 16") && told[2].contains("spec.replicass"),
            "{}",
            told[2]
        );
        assert_eq!(told[4], "namespace/b in \"\"");
    }

    #[test]
    fn what_names_another_namespace_or_nothing_is_refused() {
        let other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: x}\n";
        assert!(
            told(other, Some("y"))[0].contains("\"x\""),
            "{:?}",
            told(other, Some("y"))
        );
        let nameless = "apiVersion: v1\nkind: ConfigMap\nmetadata: {labels: {a: b}}\n";
        assert!(told(nameless, None)[0].contains("metadata.name: required"));
        assert!(told("kind: Nothing\napiVersion: v9\n", None)[0].contains("no kind"));
    }

    #[test]
    fn a_directory_gives_its_manifests_in_order_and_those_below_when_asked() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("deep")).unwrap();
        for name in ["b.yaml", "a.json", "notes.txt", "deep/c.yml"] {
            fs::write(temp.path().join(name), "").unwrap();
        }
        let found = |recursive| {
            let args = FileArgs {
                file: vec![temp.path().to_owned()],
                recursive,
            };
            let files = files(&args).unwrap();
            let names = files
                .iter()
                .map(|file| file.file_name().unwrap().to_str().unwrap().to_owned());
            names.collect::<Vec<_>>()
        };
        assert_eq!(found(false), ["a.json", "b.yaml"]);
        assert_eq!(found(true), ["a.json", "b.yaml", "c.yml"]);
    }
}
