//! Misspelt restrictions. They apply: `private; max-age=60` is not a directive, but its author meant `private`.

use http::{HeaderMap, header};

use super::fields;

/// The restrictions that apply as words, and the same words without separators.
const RESTRICTIONS: [(&str, &str); 5] = [
    ("no-store", "nostore"),
    ("private", "private"),
    ("no-cache", "nocache"),
    ("must-revalidate", "mustrevalidate"),
    ("proxy-revalidate", "proxyrevalidate"),
];

/// Reports each restriction that a text contains as a word, in any case: `no-store`, `no_store`, `nostore`. A text that
/// consists of one restriction in pieces (`no store`) counts too.
pub(super) fn named(text: &[u8], mut found: impl FnMut(&str)) {
    let words = text.split(|byte| !byte.is_ascii_alphanumeric() && !b"-_".contains(byte));
    for word in words.chain([text]) {
        let joined: Vec<u8> =
            word.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect();
        if let Some((name, _)) = RESTRICTIONS.iter().find(|(_, restriction)| restriction.as_bytes() == joined) {
            found(name);
        }
    }
}

/// The restriction of a misspelt directive, without its permission: `must-revalidate` also allows storing responses to
/// requests with `Authorization` (RFC 9111, 3.5), and `proxy-revalidate` restricts a shared cache equally.
pub(super) fn without_grant(word: &str) -> &str {
    if word == "must-revalidate" { "proxy-revalidate" } else { word }
}

/// `Pragma: no-cache` in a message without `Cache-Control`.
pub(super) fn is_pragma_no_cache(headers: &HeaderMap) -> bool {
    let mut is_said = false;
    if !headers.contains_key(header::CACHE_CONTROL) {
        fields::members(headers, &header::PRAGMA)
            .for_each(|member| named(member, |word| is_said |= word == "no-cache"));
    }
    is_said
}
