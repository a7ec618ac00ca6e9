//! The tags that pages have by default: one for their path, and one for each group that their origin names.
//!
//! Keys distinguish everything that a handler may distinguish, so they are raw. Tags are wider: all spellings of one
//! resource (RFC 3986, 6.2.2 and 6.2.3) have one tag, so that an invalidation misses no spelling. If two resources
//! share a tag, a page is loaded once more.

use http::header::HOST;
use http::{HeaderMap, Uri};

use crate::http::rfc::spelling;
use crate::http::settings::Settings;

/// The key of the hash that distributes the paths of one layer over their tags. Which paths share a tag then depends on
/// the namespace: a client that does not know the namespace cannot write to one path to void another.
pub(crate) fn path_seed(namespace: &str, layer: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("hybridcache 2026 http tags of paths");
    // No name contains a zero byte that counts.
    hasher.update(namespace.as_bytes()).update(b"\0").update(layer.as_bytes());
    *hasher.finalize().as_bytes()
}

/// The tag of all entries of a path, for any host, query and variant.
///
/// Paths share 65,536 tags: a tag costs the shared tier some bytes, and clients choose paths.
pub(crate) fn path_tag(settings: &Settings, path: &str) -> String {
    let hash = blake3::keyed_hash(&settings.path_seed, &spelling::path(path));
    let [high, low, ..] = *hash.as_bytes();
    format!("http:{}:{high:02x}{low:02x}", settings.name)
}

/// The tag of a group of RFC 9875, within one origin. `uri` is the public URI of a request with these fields.
pub(crate) fn group_tag(settings: &Settings, uri: &Uri, headers: &HeaderMap, group: &str) -> String {
    // No host contains a line feed.
    format!("http-group:{}:{}\n{group}", settings.name, origin(uri, headers))
}

/// Host and port, without the port that a scheme implies. The scheme is left out: requests over HTTP/1.1 have none.
fn origin(uri: &Uri, headers: &HeaderMap) -> String {
    let named = uri.authority().map(|authority| authority.as_str().as_bytes());
    let host = named.or_else(|| headers.get(HOST).map(|host| host.as_bytes())).unwrap_or_default();
    spelling::authority(&String::from_utf8_lossy(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Killed by: a seed that is the same everywhere.
    #[test]
    fn which_paths_share_a_tag_depends_on_the_namespace() {
        let seeds = [path_seed("a", "http"), path_seed("b", "http"), path_seed("a", "other"), path_seed("", "ahttp")];
        for (nth, seed) in seeds.iter().enumerate() {
            assert!(!seeds[..nth].contains(seed));
        }
        assert_eq!(seeds[0], path_seed("a", "http"));
    }
}
