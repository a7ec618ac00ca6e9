//! Normal forms of spellings of one resource (RFC 3986, 6.2.2 and 6.2.3), for comparisons in which a false match costs
//! little.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// A form in which all spellings of one path are equal: decoded, without empty, `.` and `..` segments.
pub(crate) fn path(path: &str) -> Vec<u8> {
    let decoded: Cow<'_, [u8]> = percent_decode_str(path).into();
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in decoded.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    segments.join(&b'/')
}

/// A form in which all spellings of one authority are equal: in lower case, decoded, without the dot at the end of a
/// name, the user, and the port that a scheme implies.
pub(crate) fn authority(authority: &str) -> String {
    let decoded = percent_decode_str(authority).decode_utf8_lossy().to_ascii_lowercase();
    let host = decoded.rsplit('@').next().unwrap_or_default().trim();
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, port),
        _ => (host, ""),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    match port.trim_start_matches('0') {
        "" | "80" | "443" => name.to_owned(),
        port => format!("{name}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Killed by: leaving out any of the steps.
    #[test]
    fn spellings_of_one_path_are_equal() {
        for spellings in [
            &["/u/bob@x", "/u/bob%40x", "/u/bo%62%40x", "//u/bob@x/", "/u/./bob@x", "/u/a/../bob@x", "/u%2fbob@x"][..],
            &["/\u{fc}", "/%c3%bc", "/%C3%BC", "\u{fc}"],
            &["/", "", "//", "/.", "/a/.."],
            &["/a%zz", "/a%25zz"],
        ] {
            for spelling in spellings {
                assert_eq!(path(spelling), path(spellings[0]), "{spelling}");
            }
        }
        for (one, other) in [("/a", "/b"), ("/a/b", "/ab"), ("/a", "/A"), ("/a", "/a/b"), ("/a%20", "/a")] {
            assert_ne!(path(one), path(other), "{one} {other}");
        }
    }

    /// Killed by: the same.
    #[test]
    fn spellings_of_one_authority_are_equal() {
        for spelling in [
            "SHOP.test",
            "shop.test:80",
            "shop.test:443",
            "shop.test.",
            "Shop.Test.:80",
            "u:p@shop.test",
            "shop.test:",
            "sh%6fp.test",
        ] {
            assert_eq!(authority(spelling), "shop.test", "{spelling}");
        }
        assert_eq!(authority("[::1]:80"), "[::1]");
        assert_eq!(authority("[::1]"), "[::1]");
        assert_eq!(authority("shop.test:8080"), "shop.test:8080");
        assert_ne!(authority("other.test"), "shop.test");
    }
}
