//! Suggests a known name for a misspelled one.

/// The end of a message about an unknown name: the nearest known name, if one is near, and all known names.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let all = listed(known.clone());
    match nearest(name, known) {
        Some(meant) => format!("; did you mean `{meant}`? Expected one of: {all}"),
        None => format!("; expected one of: {all}"),
    }
}

/// `` `a`, `b`, `c` ``
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // One wrong letter of three. With more, short words would be near to unrelated ones.
    let near = (name.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&name.to_lowercase(), candidate), candidate))
        .filter(|(distance, _)| *distance <= near)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_name_is_near_and_another_word_is_not() {
        let known = ["ttl", "fresh_for", "timeout"];
        assert_eq!(nearest("refresh_before_seconds", ["refresh_after_seconds"]), None, "however long it is");
        for (name, expected) in [
            ("tll", Some("ttl")),
            ("tlt", Some("ttl")),
            ("TTL", Some("ttl")),
            ("freshfor", Some("fresh_for")),
            ("time_out", Some("timeout")),
            ("max_size", None),
            ("a", None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }

    #[test]
    fn all_that_is_known_is_listed() {
        assert_eq!(did_you_mean("tll", ["ttl", "key"]), "; did you mean `ttl`? Expected one of: `ttl`, `key`");
        assert_eq!(did_you_mean("size", ["ttl", "key"]), "; expected one of: `ttl`, `key`");
    }
}
