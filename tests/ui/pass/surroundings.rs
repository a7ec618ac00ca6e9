//! Nothing the expansion names collides with what the user names, wherever the function stands.
#![deny(warnings, missing_docs, unreachable_pub, unused_qualifications)]
#![allow(non_snake_case, clippy::let_and_return, reason = "the names are chosen to collide")]
#![allow(clippy::non_minimal_cfg, reason = "an attribute that is always true")]

use hybridcache::hybrid_cached;

/// Names of the prelude that mean something else here.
mod shadowed {
    #![allow(dead_code)]

    pub(crate) struct Option;
    pub(crate) struct Result;
    pub(crate) struct Some;
    pub(crate) struct None;
    pub(crate) struct Box;
    pub(crate) struct String;
    pub(crate) struct Begin;
    pub(crate) mod core {}
    pub(crate) mod std {}
    pub(crate) mod hybridcache {}
    pub(crate) fn begin() {}

    #[hybrid_cached(ttl = 1h, tags = ["t:{__key}"])]
    pub(crate) async fn shadowing(
        __key: u32,
        __shape: u32,
        key: u32,
        cache: u32,
        __begun: u32,
        __settings: u32,
        __result: &u32,
    ) -> u32 {
        let __cold = __key + __shape + key + cache + __begun + __settings + *__result;
        __cold
    }

    use super::hybrid_cached;
}

/// Made by a macro of the user, with names from both sides.
macro_rules! cached {
    ($name:ident, $argument:ident, $ttl:expr, $value:expr) => {
        #[hybrid_cached(ttl = $ttl, key = ($argument, other))]
        async fn $name($argument: u32, other: &str) -> u32 {
            $value + $argument + other.len() as u32
        }
    };
}

cached!(from_a_macro, id, std::time::Duration::from_secs(60), 1);

macro_rules! from_fragments {
    ($name:ident, $argument:ty, $key:literal, $ttl:tt, $body:block) => {
        #[hybrid_cached(ttl = $ttl, key = $key)]
        async fn $name(id: $argument) -> Option<u8> $body
    };
}

from_fragments!(fragments, &str, "fragments:{id}", 1h30m, { Some(1) });

#[hybrid_cached(ttl = 1h)]
async fn inner_attribute(id: u32, unused: u32) -> u32 {
    #![allow(unused_variables)]
    let unused_too = 1;
    id
}

/// Documented.
///
/// # Panics
/// Never.
#[hybrid_cached(ttl = 1h)]
#[must_use]
#[inline]
#[allow(clippy::too_many_arguments)]
pub async fn attributed(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> u8 {
    a + b + c + d + e + f + g + h
}

#[cfg(any())]
#[hybrid_cached(ttl = 1h)]
async fn configured_out(id: Missing) -> Missing {
    id
}

#[hybrid_cached(ttl = 1h)]
#[cfg(any())]
async fn configured_out_below(id: Missing) -> Missing {
    id
}

#[hybrid_cached(ttl = 1h)]
async fn argument_configured_out(
    #[cfg(all())] there: u32,
    #[cfg(any())] missing: Missing,
    #[cfg(all())] name: &str,
) -> u32 {
    there + name.len() as u32
}

#[hybrid_cached(ttl = 1h)]
async fn r#match(r#type: u32, r#fn: &str) -> u32 {
    r#type + r#fn.len() as u32
}

/// Never ends by returning.
#[hybrid_cached(ttl = 1h)]
async fn diverging(id: u32) -> u32 {
    panic!("{id}")
}

/// An argument that only the key uses is used.
#[hybrid_cached(ttl = 1h)]
async fn only_in_the_key(id: u32, name: &str, (a, b): (u8, u8)) -> u32 {
    1
}

#[tokio::test]
async fn runs() {
    assert_eq!(shadowed::shadowing(1, 2, 3, 4, 5, 6, &7).await, 28);
    assert_eq!(shadowed::shadowing_entry(1, 2, 3, 4, 5, 6, &7).get().await, Some(28));
    assert_eq!(from_a_macro(1, "ab").await, 4);
    assert_eq!(from_a_macro_entry(1, "ab").key(), "(1,ab)");
    assert_eq!((fragments("a").await, fragments_entry("a").key()), (Some(1), "fragments:a"));
    assert_eq!(inner_attribute(1, 2).await, 1);
    assert_eq!(attributed(1, 2, 3, 4, 5, 6, 7, 8).await, 36);
    assert_eq!(argument_configured_out(1, "ab").await, 3);
    assert_eq!(argument_configured_out_entry(1, "ab").key(), "1,,ab");
    assert_eq!(r#match(1, "ab").await, 3);
    assert_eq!(match_entry(1, "ab").get().await, Some(3));
    assert!(tokio::spawn(diverging(1)).await.is_err());
    assert_eq!(only_in_the_key(1, "ab", (1, 2)).await, 1);

    #[hybrid_cached(ttl = 1h)]
    async fn local(id: u32) -> u32 {
        id
    }
    assert_eq!((local(1).await, local_entry(1).get().await), (1, Some(1)));
}
