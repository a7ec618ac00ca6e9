//! Which kinds of fields a request has, found in one pass over their names.
//!
//! A hit has to rule out cookies, conditions, directives, the names of proxies and more. Most requests have few of these fields, and a
//! look-up for each would cost more than the rest of the hit. So the names are classified once, and the rules for a kind run only
//! where a field of that kind is there.

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, COOKIE, IF_MODIFIED_SINCE, IF_NONE_MATCH, PRAGMA, RANGE, UPGRADE,
};
use http::{HeaderMap, HeaderName};

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds(u8);

impl Kinds {
    /// `Cookie`, `Authorization`.
    pub(crate) const CREDENTIALS: Self = Self(1);
    /// Other fields that identify the caller: [`IDENTITY_FIELDS`](crate::http::IDENTITY_FIELDS), or what replaces them.
    pub(crate) const IDENTITY: Self = Self(2);
    /// The handler must not see them, unless its answer is not stored.
    pub(crate) const HIDDEN: Self = Self(4);
    /// They change the method or the path, and the handler sees them.
    pub(crate) const OVERRIDE: Self = Self(8);
    /// `Cache-Control`, `Pragma`, `Upgrade`: what the client asks of the cache.
    pub(crate) const DIRECTIVES: Self = Self(16);
    /// `If-None-Match`, `If-Modified-Since`, `Range`: the answer may be less than the stored page.
    pub(crate) const CONDITIONS: Self = Self(32);
    /// `Content-Type`, by which gRPC is known.
    pub(crate) const CONTENT_TYPE: Self = Self(64);

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any of `other` is in this set.
    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// The kinds of the fields that are in every layer's table.
const COMMON: [(HeaderName, Kinds); 9] = [
    (COOKIE, Kinds::CREDENTIALS),
    (AUTHORIZATION, Kinds::CREDENTIALS),
    (CACHE_CONTROL, Kinds::DIRECTIVES),
    (PRAGMA, Kinds::DIRECTIVES),
    (UPGRADE, Kinds::DIRECTIVES),
    (IF_NONE_MATCH, Kinds::CONDITIONS),
    (IF_MODIFIED_SINCE, Kinds::CONDITIONS),
    (RANGE, Kinds::CONDITIONS),
    (CONTENT_TYPE, Kinds::CONTENT_TYPE),
];

/// Longer names count as this long, less one.
const LENGTHS: usize = 32;

/// The kind of each name that has one. Names are told apart by length and first letter before they are compared.
#[derive(Clone, Debug)]
pub(crate) struct FieldKinds {
    by_length: [Vec<(HeaderName, Kinds)>; LENGTHS],
    /// For each length, a bit for each first letter.
    letters: [u32; LENGTHS],
}

impl FieldKinds {
    pub(crate) fn new(names: impl IntoIterator<Item = (HeaderName, Kinds)>) -> Self {
        let mut kinds = Self { by_length: Default::default(), letters: [0; LENGTHS] };
        for (name, kind) in COMMON.into_iter().chain(names) {
            let (length, letter) = shape(&name);
            kinds.letters[length] |= letter;
            let listed = &mut kinds.by_length[length];
            match listed.iter_mut().find(|(other, _)| *other == name) {
                Some((_, listed)) => *listed = listed.and(kind),
                None => listed.push((name, kind)),
            }
        }
        kinds
    }

    pub(crate) fn of(&self, name: &HeaderName) -> Kinds {
        let (length, letter) = shape(name);
        if self.letters[length] & letter == 0 {
            return Kinds::default();
        }
        let found = self.by_length[length].iter().find(|(listed, _)| listed == name);
        found.map_or(Kinds::default(), |(_, kind)| *kind)
    }

    /// The kinds of all fields together.
    pub(crate) fn of_all(&self, headers: &HeaderMap) -> Kinds {
        headers.keys().fold(Kinds::default(), |found, name| found.and(self.of(name)))
    }

    /// Removes the fields of a kind.
    pub(crate) fn remove(&self, kind: Kinds, headers: &mut HeaderMap) {
        while let Some(name) = headers.keys().find(|name| self.of(name).has(kind)).cloned() {
            headers.remove(name);
        }
    }
}

impl Default for FieldKinds {
    fn default() -> Self {
        Self::new([])
    }
}

fn shape(name: &HeaderName) -> (usize, u32) {
    let name = name.as_str().as_bytes();
    (name.len().min(LENGTHS - 1), 1 << (name.first().copied().unwrap_or_default() & 31))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{HIDDEN_FIELDS, IDENTITY_FIELDS};

    /// Killed by: a shape that leaves out a name; a name of two kinds that keeps one of them.
    #[test]
    fn each_name_has_its_kinds() {
        let listed = [(IDENTITY_FIELDS, Kinds::IDENTITY), (HIDDEN_FIELDS, Kinds::HIDDEN)];
        let names =
            listed.iter().flat_map(|(names, kind)| names.iter().map(|name| (HeaderName::from_static(name), *kind)));
        let kinds = FieldKinds::new(names.chain([(COOKIE, Kinds::OVERRIDE)]));
        for (name, kind) in listed.iter().flat_map(|(names, kind)| names.iter().map(|name| (*name, *kind))) {
            let mut headers = HeaderMap::new();
            headers.insert("accept", "a".parse().expect("a value"));
            assert_eq!(kinds.of_all(&headers), Kinds::default());
            headers.append(name, "1".parse().expect("a value"));
            headers.append(name, "2".parse().expect("a value"));
            assert_eq!(kinds.of_all(&headers), kind, "{name}");
            kinds.remove(Kinds::IDENTITY.and(Kinds::HIDDEN), &mut headers);
            assert_eq!(headers.len(), 1, "{name}");
        }
        assert_eq!(kinds.of(&COOKIE), Kinds::CREDENTIALS.and(Kinds::OVERRIDE));
        for (name, kind) in COMMON {
            assert!(kinds.of(&name).has(kind), "{name}");
        }
    }
}
