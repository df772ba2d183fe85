//! A Pod's volumes.

use super::{Faults, resources};
use crate::names;
use crate::path::Path;
use proto::api::core::v1::{KeyToPath, Volume, VolumeProjection, VolumeSource};
use std::collections::HashSet;

/// The names of a Pod's volumes.
pub(super) type Volumes<'a> = HashSet<&'a str>;

const HOST_PATH_TYPES: [&str; 8] = [
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
];

/// A list of volumes; gives their names.
pub(super) fn volumes<'a>(list: &'a [Volume], at: &Path<'_>, faults: &mut Faults) -> Volumes<'a> {
    let mut taken = Volumes::new();
    for (i, volume) in list.iter().enumerate() {
        let at = at.index(i);
        let name = at.field("name");
        if volume.name.is_empty() {
            faults.required(&name, "");
        } else {
            faults.problems(&name, &volume.name, names::dns1123_label(&volume.name));
            if !taken.insert(&volume.name) {
                faults.duplicate(&name, &volume.name);
            }
        }
        source(
            volume.volume_source.as_ref().unwrap_or(&VolumeSource::default()),
            &at,
            faults,
        );
    }
    taken
}

fn source(source: &VolumeSource, at: &Path<'_>, faults: &mut Faults) {
    let set = set_sources(source);
    match set.as_slice() {
        [] => faults.required(at, "must specify a volume type"),
        [_] => {}
        [_, others @ ..] => {
            for other in others {
                faults.forbidden(&at.field(other), "may not specify more than 1 volume type");
            }
        }
    }
    if let Some(host_path) = &source.host_path {
        let at = at.field("hostPath");
        required(&host_path.path, &at.field("path"), faults);
        no_backsteps(&host_path.path, &at.field("path"), faults);
        if let Some(r#type) = &host_path.r#type
            && !HOST_PATH_TYPES.contains(&r#type.as_str())
        {
            faults.unsupported(&at.field("type"), r#type, &HOST_PATH_TYPES);
        }
    }
    if let Some(limit) = source.empty_dir.as_ref().and_then(|e| e.size_limit.as_ref()) {
        let at = at.field("emptyDir");
        resources::quantity("memory", limit, &at.field("sizeLimit"), faults);
    }
    if let Some(secret) = &source.secret {
        let at = at.field("secret");
        required(&secret.secret_name, &at.field("secretName"), faults);
        mode(secret.default_mode, &at.field("defaultMode"), faults);
        keys(&secret.items, &at.field("items"), faults);
    }
    if let Some(config_map) = &source.config_map {
        let at = at.field("configMap");
        let name = config_map.local_object_reference.as_ref().map_or("", |r| &r.name);
        required(name, &at.field("name"), faults);
        mode(config_map.default_mode, &at.field("defaultMode"), faults);
        keys(&config_map.items, &at.field("items"), faults);
    }
    if let Some(claim) = &source.persistent_volume_claim {
        let at = at.field("persistentVolumeClaim");
        required(&claim.claim_name, &at.field("claimName"), faults);
    }
    if let Some(downward) = &source.downward_api {
        let at = at.field("downwardAPI");
        mode(downward.default_mode, &at.field("defaultMode"), faults);
        for (i, item) in downward.items.iter().enumerate() {
            let items = at.field("items");
            file_path(&item.path, &items.index(i).field("path"), faults);
        }
    }
    if let Some(projected) = &source.projected {
        let at = at.field("projected");
        mode(projected.default_mode, &at.field("defaultMode"), faults);
        let sources = at.field("sources");
        for (i, part) in projected.sources.iter().enumerate() {
            projection(part, &sources.index(i), faults);
        }
    }
    if let Some(nfs) = &source.nfs {
        let at = at.field("nfs");
        required(&nfs.server, &at.field("server"), faults);
        required(&nfs.path, &at.field("path"), faults);
        if !nfs.path.starts_with('/') {
            faults.invalid(&at.field("path"), &nfs.path, "must be an absolute path");
        }
    }
    if let Some(csi) = &source.csi {
        let at = at.field("csi");
        required(&csi.driver, &at.field("driver"), faults);
    }
    if let Some(ephemeral) = &source.ephemeral {
        let at = at.field("ephemeral");
        if ephemeral.volume_claim_template.is_none() {
            faults.required(&at.field("volumeClaimTemplate"), "");
        }
    }
    if let Some(image) = &source.image {
        let at = at.field("image");
        faults.one_of_or_empty(
            &at.field("pullPolicy"),
            &image.pull_policy,
            &["Always", "IfNotPresent", "Never"],
        );
    }
}

/// Which sources are set, as manifests spell them.
fn set_sources(source: &VolumeSource) -> Vec<&'static str> {
    let all = [
        ("hostPath", source.host_path.is_some()),
        ("emptyDir", source.empty_dir.is_some()),
        ("gcePersistentDisk", source.gce_persistent_disk.is_some()),
        ("awsElasticBlockStore", source.aws_elastic_block_store.is_some()),
        ("gitRepo", source.git_repo.is_some()),
        ("secret", source.secret.is_some()),
        ("nfs", source.nfs.is_some()),
        ("iscsi", source.iscsi.is_some()),
        ("glusterfs", source.glusterfs.is_some()),
        ("persistentVolumeClaim", source.persistent_volume_claim.is_some()),
        ("rbd", source.rbd.is_some()),
        ("flexVolume", source.flex_volume.is_some()),
        ("cinder", source.cinder.is_some()),
        ("cephfs", source.cephfs.is_some()),
        ("flocker", source.flocker.is_some()),
        ("downwardAPI", source.downward_api.is_some()),
        ("fc", source.fc.is_some()),
        ("azureFile", source.azure_file.is_some()),
        ("configMap", source.config_map.is_some()),
        ("vsphereVolume", source.vsphere_volume.is_some()),
        ("quobyte", source.quobyte.is_some()),
        ("azureDisk", source.azure_disk.is_some()),
        ("photonPersistentDisk", source.photon_persistent_disk.is_some()),
        ("projected", source.projected.is_some()),
        ("portworxVolume", source.portworx_volume.is_some()),
        ("scaleIO", source.scale_io.is_some()),
        ("storageos", source.storageos.is_some()),
        ("csi", source.csi.is_some()),
        ("ephemeral", source.ephemeral.is_some()),
        ("image", source.image.is_some()),
    ];
    all.into_iter()
        .filter_map(|(name, set)| set.then_some(name))
        .collect()
}

fn projection(part: &VolumeProjection, at: &Path<'_>, faults: &mut Faults) {
    let mut set = 0;
    let secret = part
        .secret
        .as_ref()
        .map(|p| (&p.local_object_reference, &p.items));
    let config_map = part
        .config_map
        .as_ref()
        .map(|p| (&p.local_object_reference, &p.items));
    for (name, from) in [("secret", secret), ("configMap", config_map)] {
        let Some((object, items)) = from else { continue };
        set += 1;
        let at = at.field(name);
        required(object.as_ref().map_or("", |o| &o.name), &at.field("name"), faults);
        keys(items, &at.field("items"), faults);
    }
    if let Some(downward) = &part.downward_api {
        set += 1;
        let at = at.field("downwardAPI");
        let items = at.field("items");
        for (i, item) in downward.items.iter().enumerate() {
            file_path(&item.path, &items.index(i).field("path"), faults);
        }
    }
    if let Some(token) = &part.service_account_token {
        set += 1;
        let at = at.field("serviceAccountToken");
        file_path(&token.path, &at.field("path"), faults);
        if let Some(seconds) = token.expiration_seconds
            && !(600..=1 << 32).contains(&seconds)
        {
            let detail = "must be between 10 minutes and 2^32 seconds";
            faults.invalid(&at.field("expirationSeconds"), seconds, detail);
        }
    }
    set += usize::from(part.cluster_trust_bundle.is_some()) + usize::from(part.pod_certificate.is_some());
    match set {
        0 => faults.required(at, "must specify a volume type"),
        1 => {}
        _ => faults.forbidden(at, "may not specify more than 1 volume type per source"),
    }
}

fn required(value: &str, at: &Path<'_>, faults: &mut Faults) {
    if value.is_empty() {
        faults.required(at, "");
    }
}

fn mode(mode: Option<i32>, at: &Path<'_>, faults: &mut Faults) {
    if let Some(mode) = mode
        && !(0..=0o777).contains(&mode)
    {
        faults.invalid(
            at,
            mode,
            "must be a number between 0 and 0777 (octal), both inclusive",
        );
    }
}

fn keys(items: &[KeyToPath], at: &Path<'_>, faults: &mut Faults) {
    for (i, item) in items.iter().enumerate() {
        let at = at.index(i);
        required(&item.key, &at.field("key"), faults);
        file_path(&item.path, &at.field("path"), faults);
        mode(item.mode, &at.field("mode"), faults);
    }
}

/// A path inside a volume, which must be there.
fn file_path(path: &str, at: &Path<'_>, faults: &mut Faults) {
    if path.is_empty() {
        faults.required(at, "");
    } else {
        local_path(path, at, faults);
        if path.starts_with("..") && !path.starts_with("../") && path != ".." {
            faults.invalid(at, path, "must not start with '..'");
        }
    }
}

/// A path that stays where it is put.
pub(super) fn local_path(path: &str, at: &Path<'_>, faults: &mut Faults) {
    if path.starts_with('/') {
        faults.invalid(at, path, "must be a relative path");
    }
    no_backsteps(path, at, faults);
}

fn no_backsteps(path: &str, at: &Path<'_>, faults: &mut Faults) {
    if path.split('/').any(|part| part == "..") {
        faults.invalid(at, path, "must not contain '..'");
    }
}
