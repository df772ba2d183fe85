//! What a URL's path names. Pure.
//!
//! ```text
//! /api/v1/namespaces/default/pods/web/status      /apis/apps/v1/deployments
//!      │                     │    │   └ subresource       │    │  └ plural
//!      version               │    └ name                  │    version
//!                            └ plural                     group
//! ```
//! In: the path as it was sent. Out: an [`Address`], or `None` for what can name nothing. Each segment is decoded by itself,
//! after the path was taken apart: an encoded slash never separates, and a name that holds one is no name.
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris>

use percent_encoding::percent_decode_str;

/// What a path names: a collection, an object, or a subresource of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Address {
    /// The API group; empty for the core group.
    pub(crate) group: String,
    /// The version.
    pub(crate) version: String,
    /// `None` where the path names none.
    pub(crate) namespace: Option<String>,
    /// The resource: `pods`.
    pub(crate) plural: String,
    /// The object; `None` for the collection.
    pub(crate) name: Option<String>,
    /// The subresource: `status`.
    pub(crate) subresource: Option<String>,
    /// What follows the subresource: the path below `proxy`.
    pub(crate) rest: Vec<String>,
    /// Whether the path asks for a watch, as `/api/v1/watch/pods` does.
    pub(crate) watch: bool,
}

/// The subresources of a Namespace: any other segment after its name is a resource inside of it.
const OF_NAMESPACES: [&str; 2] = ["status", "finalize"];

/// More segments than any path has that we serve; a `proxy` path may be longer, and is refused whatever follows.
const MAX_SEGMENTS: usize = 32;

/// Reads a path below `/api` or `/apis`.
pub(crate) fn parse(path: &str) -> Option<Address> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.split('/').count() > MAX_SEGMENTS {
        return None;
    }
    let mut segments = path
        .split('/')
        .map(segment)
        .collect::<Option<Vec<_>>>()?
        .into_iter();
    let group = match segments.next()?.as_str() {
        "api" => String::new(),
        "apis" => segments.next()?,
        _ => return None,
    };
    let mut address = Address {
        group,
        version: segments.next()?,
        ..Address::default()
    };
    let mut segments: Vec<String> = segments.collect();
    if segments.len() > 1 && segments[0] == "watch" {
        segments.remove(0);
        address.watch = true;
    }
    if segments.len() > 2 && segments[0] == "namespaces" && !OF_NAMESPACES.contains(&segments[2].as_str()) {
        address.namespace = Some(segments.remove(1));
        segments.remove(0);
    }
    let mut segments = segments.into_iter();
    address.plural = segments.next()?;
    address.name = segments.next();
    address.subresource = segments.next();
    address.rest = segments.collect();
    Some(address)
}

/// One segment, decoded; `None` for one that can be part of no name and could mislead whoever reads it as a path.
fn segment(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    let misleads = text.contains(|c: char| c == '/' || c == '\\' || c.is_control());
    (!text.is_empty() && !misleads && text != "." && text != "..").then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(path: &str) -> Option<(String, String, Option<String>, Option<String>)> {
        let address = parse(path)?;
        let place = format!("{}/{}", address.group, address.version);
        let namespace = address.namespace.unwrap_or_default();
        Some((
            place,
            format!("{namespace}/{}", address.plural),
            address.name,
            address.subresource,
        ))
    }

    #[test]
    fn paths_name_collections_objects_and_subresources() {
        let some = |text: &str| Some(text.to_owned());
        for (path, place, resource, name, subresource) in [
            ("/api/v1/pods", "/v1", "/pods", None, None),
            ("/api/v1/pods/", "/v1", "/pods", None, None),
            ("/api/v1/nodes/n1", "/v1", "/nodes", some("n1"), None),
            (
                "/api/v1/nodes/n1/status",
                "/v1",
                "/nodes",
                some("n1"),
                some("status"),
            ),
            ("/api/v1/namespaces", "/v1", "/namespaces", None, None),
            ("/api/v1/namespaces/a", "/v1", "/namespaces", some("a"), None),
            (
                "/api/v1/namespaces/a/finalize",
                "/v1",
                "/namespaces",
                some("a"),
                some("finalize"),
            ),
            ("/api/v1/namespaces/a/pods", "/v1", "a/pods", None, None),
            (
                "/api/v1/namespaces/a/pods/web",
                "/v1",
                "a/pods",
                some("web"),
                None,
            ),
            (
                "/api/v1/namespaces/a/pods/web/log",
                "/v1",
                "a/pods",
                some("web"),
                some("log"),
            ),
            (
                "/apis/apps/v1/namespaces/a/deployments/web",
                "apps/v1",
                "a/deployments",
                some("web"),
                None,
            ),
            ("/apis/apps/v1/deployments", "apps/v1", "/deployments", None, None),
            ("/api/v1/nodes/a%3Ab", "/v1", "/nodes", some("a:b"), None),
        ] {
            let expected = (place.to_owned(), resource.to_owned(), name, subresource);
            assert_eq!(read(path), Some(expected), "{path}");
        }
    }

    #[test]
    fn the_old_watch_paths_ask_for_a_watch() {
        let address = parse("/api/v1/watch/namespaces/a/pods").unwrap();
        assert_eq!(
            (
                address.watch,
                address.namespace.as_deref(),
                address.plural.as_str()
            ),
            (true, Some("a"), "pods")
        );
        assert!(!parse("/api/v1/pods").unwrap().watch);
    }

    #[test]
    fn tricks_name_nothing() {
        for path in [
            "",
            "/",
            "/api",
            "/api/v1",
            "/apis/apps",
            "/apis/apps/v1",
            "/healthz",
            "/api/v1//pods",
            "//api/v1/pods",
            "/api/v1/../v1/pods",
            "/api/v1/pods/%2e%2e",
            "/api/v1/namespaces/a%2Fb/pods",
            "/api/v1/pods/%00",
            "/api/v1/pods/a%0ab",
            "/api/v1/pods/%ff",
            "/api/v1/pods/a%5Cb",
            &format!("/api/v1/pods/web/proxy{}", "/a".repeat(100)),
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_panics_and_no_name_holds_a_slash(path in "(/(api|apis|v1|namespaces|pods|watch|%2[eEfF]|%00|[.%/a\\PC]{0,4})){0,9}") {
            if let Some(address) = parse(&path) {
                let optional = [address.name, address.namespace, address.subresource];
                for name in optional.into_iter().flatten().chain([address.plural]) {
                    prop_assert!(!name.is_empty() && !name.contains('/') && !name.contains('\0'), "{:?}", name);
                }
            }
        }
    }
}
