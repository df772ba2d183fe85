//! Turns `proto/**/*.proto` into `proto/src/generated`: Rust messages and gRPC stubs, the descriptors, and the `Kind` of
//! every arm of `orrery.v1.Object`, and the comments of Kubernetes' messages for OpenAPI.
//!
//! The result is checked in, so that nobody needs protoc or waits for generation, and a change of the schema shows in a
//! review as what it changes. `--check` (part of `cargo xtask ci`) proves that it is current.

use anyhow::{Context, Result, bail, ensure};
use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Generates, or with `check` only compares.
pub(crate) fn run(check: bool) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask lies in the workspace")?;
    let generated = generate(&root.join("proto"))?;
    let target = root.join("proto/src/generated");
    if check {
        compare(&generated, &target)
    } else {
        write(&generated, &target)
    }
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

fn generate(proto: &Path) -> Result<Files> {
    let mut sources = Vec::new();
    find_protos(proto, &mut sources)?;
    sources.sort();

    let mut compiler = protox::Compiler::new([proto])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(&sources)?;
    let set = compiler.file_descriptor_set();
    options_apart(&set)?;
    let kinds = kinds(&set)?;
    let comments = comments(&set);

    let mut bare = protox::Compiler::new([proto])?;
    bare.include_imports(true).include_source_info(false);
    // etcd's API is one that we call. Reflection lists the descriptors' services as ones that we serve.
    let etcd = proto.join("etcd");
    bare.open_files(sources.iter().filter(|source| !source.starts_with(&etcd)))?;

    let out = std::env::temp_dir().join(format!("orrery-codegen-{}", std::process::id()));
    fs::create_dir_all(&out)?;
    tonic_prost_build::configure()
        .out_dir(&out)
        .include_file("mod.rs")
        .btree_map(".")
        .bytes(".")
        // Objects travel as the bytes they are stored as: see proto/src/object.rs.
        .extern_path(".orrery.v1.Object", "crate::Object")
        .extern_path(".orrery.v1.WatchEvent", "crate::EventFrame")
        .client_mod_attribute(".", "#[cfg(feature = \"grpc\")]")
        .server_mod_attribute(".", "#[cfg(feature = \"grpc\")]")
        .compile_fds(with_snake_case_fields(set))?;

    let mut files = Files::new();
    for entry in fs::read_dir(&out)? {
        let path = entry?.path();
        let name = path.file_name().context("a file has a name")?;
        files.insert(PathBuf::from(name), fs::read(&path)?);
    }
    fs::remove_dir_all(&out)?;
    files.insert("kinds.rs".into(), kinds.into_bytes());
    files.insert("comments.txt".into(), comments.into_bytes());
    files.insert("descriptors.bin".into(), bare.encode_file_descriptor_set());
    Ok(files)
}

fn find_protos(dir: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_some_and(|n| n != "src") {
            find_protos(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "proto") {
            found.push(path);
        }
    }
    Ok(())
}

/// Kubernetes spells fields `clusterIP` and `podCIDRs`. The descriptors keep that; Rust gets `cluster_ip` and
/// `pod_cidrs`, where prost's own rule would make `pod_cid_rs`.
fn with_snake_case_fields(mut set: FileDescriptorSet) -> FileDescriptorSet {
    fn rename(message: &mut DescriptorProto) {
        for field in &mut message.field {
            field.name = field.name.as_deref().map(snake_case);
        }
        message.nested_type.iter_mut().for_each(rename);
    }
    set.file
        .iter_mut()
        .flat_map(|file| &mut file.message_type)
        .for_each(rename);
    set
}

fn snake_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, &c) in chars.iter().enumerate() {
        let after_lower = i > 0 && (chars[i - 1].is_lowercase() || chars[i - 1].is_ascii_digit());
        // The last capital of a run starts the next word ("clientIPConfig"), unless only a plural `s` follows it.
        let starts_word = i > 0
            && chars[i - 1].is_uppercase()
            && chars.get(i + 1).is_some_and(|next| next.is_lowercase())
            && !(chars[i + 1] == 's' && chars.get(i + 2).is_none_or(|c| c.is_uppercase()));
        if c.is_uppercase() && (after_lower || starts_word) {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// What prost calls a message in Rust: `CsiNode` for `CSINode`.
fn camel_case(name: &str) -> String {
    let capitalized = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    };
    snake_case(name).split('_').map(capitalized).collect()
}

/// No two of our options may have one number: each would be read as the other too, and nobody would say so.
fn options_apart(set: &FileDescriptorSet) -> Result<()> {
    let mut found = BTreeMap::new();
    for option in set.file.iter().flat_map(|file| &file.extension) {
        let place = (option.extendee(), option.number());
        if let Some(other) = found.insert(place, option.name()) {
            bail!(
                "the options {other} and {} have one number, {}",
                option.name(),
                option.number()
            );
        }
    }
    Ok(())
}

/// `impl Kind for …`, one for each arm of `orrery.v1.Object`.
fn kinds(set: &FileDescriptorSet) -> Result<String> {
    let object = set
        .file
        .iter()
        .filter(|f| f.package() == "orrery.v1")
        .flat_map(|f| &f.message_type)
        .find(|m| m.name() == "Object")
        .context("orrery/v1/object.proto defines Object")?;
    let mut out =
        String::from("// This file is @generated by `cargo xtask codegen` from orrery/v1/object.proto.\n\n");
    for arm in &object.field {
        let full_name = arm.type_name().trim_start_matches('.');
        let name = full_name.rsplit('.').next().context("a type has a name")?;
        let path: Vec<_> = full_name.split('.').collect();
        let path = path[..path.len() - 1].join("::");
        writeln!(
            out,
            "kind!(crate::generated::{path}::{}, {}, {name:?}, {full_name:?});",
            camel_case(name),
            arm.number()
        )?;
    }
    Ok(out)
}

/// What the schema says about each of Kubernetes' messages and fields: a line each, the full name, a tab, and the comment
/// with its lines joined. The descriptors that ship have no comments; OpenAPI is made of these.
fn comments(set: &FileDescriptorSet) -> String {
    let mut lines: Vec<String> = set
        .file
        .iter()
        .filter(|file| file.package().starts_with("k8s.io."))
        .flat_map(comments_of)
        .collect();
    lines.sort();
    lines.concat()
}

fn comments_of(file: &FileDescriptorProto) -> Vec<String> {
    // Numbers of the fields that a path in SourceCodeInfo goes through: `FileDescriptorProto.message_type`, then
    // `DescriptorProto.field`. Nested messages are map entries, which have no comments.
    const MESSAGE: i32 = 4;
    const FIELD: i32 = 2;
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let line = |location: &prost_types::source_code_info::Location| {
        let message = |index: i32| file.message_type.get(usize::try_from(index).ok()?);
        let name = match location.path[..] {
            [MESSAGE, at] => message(at)?.name().to_owned(),
            [MESSAGE, at, FIELD, field] => {
                let message = message(at)?;
                let field = message.field.get(usize::try_from(field).ok()?)?;
                format!("{}.{}", message.name(), field.name())
            }
            _ => return None,
        };
        let words: Vec<_> = location.leading_comments().split_whitespace().collect();
        (!words.is_empty()).then(|| format!("{}.{name}\t{}\n", file.package(), words.join(" ")))
    };
    locations.filter_map(line).collect()
}

fn write(files: &Files, target: &Path) -> Result<()> {
    if target.exists() {
        fs::remove_dir_all(target)?;
    }
    fs::create_dir_all(target)?;
    for (name, content) in files {
        fs::write(target.join(name), content)?;
    }
    println!("wrote {} files to {}", files.len(), target.display());
    Ok(())
}

fn compare(files: &Files, target: &Path) -> Result<()> {
    for (name, content) in files {
        let path = target.join(name);
        let current = fs::read(&path)
            .with_context(|| format!("{} is missing: run `cargo xtask codegen`", path.display()))?;
        ensure!(
            &current == content,
            "{} is out of date: run `cargo xtask codegen`",
            path.display()
        );
    }
    for entry in fs::read_dir(target)? {
        let path = entry?.path();
        let known = path
            .file_name()
            .is_some_and(|name| files.contains_key(Path::new(name)));
        if !known {
            bail!("{} is generated by nothing: delete it", path.display());
        }
    }
    println!("proto/src/generated is up to date");
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn kubernetes_names_become_words() {
        for (name, expected) in [
            ("clusterIP", "cluster_ip"),
            ("clusterIPs", "cluster_ips"),
            ("podCIDRs", "pod_cidrs"),
            ("hostPID", "host_pid"),
            ("externalIPs", "external_ips"),
            ("clientIP", "client_ip"),
            ("intVal", "int_val"),
            ("fieldsV1", "fields_v1"),
            ("setHostnameAsFQDN", "set_hostname_as_fqdn"),
            ("volumeDevices", "volume_devices"),
            ("Raw", "raw"),
            ("label_selector", "label_selector"),
            ("nodeInfo", "node_info"),
            ("tcpSocket", "tcp_socket"),
            ("kubeProxyVersion", "kube_proxy_version"),
            ("ISCSIDisk", "iscsi_disk"),
            ("kubeletSpecs", "kubelet_specs"),
        ] {
            assert_eq!(super::snake_case(name), expected, "{name}");
        }
    }
}
