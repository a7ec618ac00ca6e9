//! Targeted fields (RFC 9213): which field controls this cache.

use http::{HeaderMap, HeaderName};

use super::directives::{ResponseDirectives, Scope, Seconds};
use super::fields;
use super::rules::Rules;
use super::structured::{self, Item};

/// The directives that control this cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) directives: ResponseDirectives,
    /// The directives come from a targeted field: `Expires` does not count.
    pub(crate) targeted: bool,
}

impl Control {
    /// The first targeted field of the configuration that is present, valid and not empty; otherwise `Cache-Control`.
    /// Restrictions in invalid targeted fields before it apply in addition.
    pub(crate) fn of(headers: &HeaderMap, rules: &Rules) -> Self {
        let mut passed_over = Vec::new();
        let found = rules.targeted.iter().filter(|name| headers.contains_key(*name)).find_map(|name| {
            let found = read(headers, name);
            passed_over.extend(found.is_none().then_some(name));
            found
        });
        let mut control = match found {
            Some(directives) => Control { directives, targeted: true },
            None => Control { directives: ResponseDirectives::of(headers), targeted: false },
        };
        for line in passed_over.into_iter().flat_map(|name| headers.get_all(name)) {
            fields::split(line.as_bytes()).for_each(|member| control.directives.restrict(member));
        }
        control
    }
}

fn read(headers: &HeaderMap, name: &HeaderName) -> Option<ResponseDirectives> {
    let mut said = ResponseDirectives::default();
    let mut parameters = Vec::new();
    let members = structured::dictionary(&structured::joined(headers, name)?, |name| parameters.push(name.to_owned()))?;
    if members.is_empty() {
        return None;
    }
    for (name, item) in &members {
        add(&mut said, name, item);
    }
    // `max-age=60; private` is a valid dictionary whose `private` is a mere parameter: a misspelt restriction.
    parameters.iter().for_each(|name| said.restrict(name.as_bytes()));
    Some(said)
}

/// A restriction applies whatever its value is, except `false`. A time that is not an Integer is invalid.
fn add(said: &mut ResponseDirectives, name: &str, item: &Item) {
    let on = *item != Item::Boolean(false);
    match name {
        "no-store" => said.no_store = on,
        "private" => said.private = scope(item),
        "no-cache" => said.no_cache = scope(item),
        "public" => said.public = on,
        "must-revalidate" => said.must_revalidate = on,
        "proxy-revalidate" => said.proxy_revalidate = on,
        "must-understand" => said.must_understand = on,
        "max-age" => said.max_age = seconds(item),
        "s-maxage" => said.s_maxage = seconds(item),
        "stale-while-revalidate" => said.stale_while_revalidate = seconds(item),
        "stale-if-error" => said.stale_if_error = seconds(item),
        _ => {}
    }
}

fn seconds(item: &Item) -> Seconds {
    match item {
        Item::Integer(number) => {
            u64::try_from(*number).map_or(Seconds::Invalid, |number| Seconds::Is(number.min(fields::MOST_SECONDS)))
        }
        _ => Seconds::Invalid,
    }
}

fn scope(item: &Item) -> Scope {
    match item {
        Item::Boolean(false) => Scope::Nothing,
        Item::String(names) => Scope::naming(names.as_bytes()),
        _ => Scope::Everything,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Lines, headers};
    use super::*;

    fn control(lines: Lines<'_>) -> Control {
        let targeted = vec![HeaderName::from_static("app-cache-control"), HeaderName::from_static("cdn-cache-control")];
        Control::of(&headers(lines), &Rules { targeted, ..Rules::default() })
    }

    #[test]
    fn the_most_specific_valid_field_controls() {
        let cases: &[(Lines<'_>, bool, Seconds)] = &[
            (&[("cache-control", "max-age=1")], false, Seconds::Is(1)),
            (&[("cache-control", "max-age=1"), ("cdn-cache-control", "max-age=2")], true, Seconds::Is(2)),
            (&[("app-cache-control", "max-age=3"), ("cdn-cache-control", "max-age=2")], true, Seconds::Is(3)),
            (&[("app-cache-control", "max-age=&"), ("cdn-cache-control", "max-age=2")], true, Seconds::Is(2)),
            (&[("cache-control", "max-age=1"), ("cdn-cache-control", "max-age=2, &&&")], false, Seconds::Is(1)),
            (&[("cache-control", "max-age=1"), ("cdn-cache-control", "")], false, Seconds::Is(1)),
            (&[("cache-control", "max-age=1"), ("cdn-cache-control", "max-age =2")], false, Seconds::Is(1)),
            (&[("cache-control", "max-age=1"), ("cdn-cache-control", "Max-Age=2")], false, Seconds::Is(1)),
            (&[("cache-control", "max-age=1"), ("cdn-cache-control", "no-store")], true, Seconds::Absent),
            (&[("cdn-cache-control", "max-age=\"2\"")], true, Seconds::Invalid),
            (&[("cdn-cache-control", "max-age=2.0")], true, Seconds::Invalid),
            (&[("cdn-cache-control", "max-age=-2")], true, Seconds::Invalid),
            (&[("cdn-cache-control", "max-age=99999999999")], true, Seconds::Is(fields::MOST_SECONDS)),
            (&[("cdn-cache-control", "max-age=1, max-age=2;x=y")], true, Seconds::Is(2)),
            (&[("cdn-cache-control", "max-age=1"), ("cdn-cache-control", "max-age=2")], true, Seconds::Is(2)),
        ];
        for (lines, targeted, max_age) in cases {
            let control = control(lines);
            assert_eq!((control.targeted, control.directives.max_age), (*targeted, *max_age), "{lines:?}");
        }
    }

    #[test]
    fn each_directive() {
        let all = "public, must-revalidate, proxy-revalidate, must-understand, no-store, private=\"a\", no-cache=\"b\", max-age=1, \
                   s-maxage=2, stale-while-revalidate=3, stale-if-error=4, other=5";
        let expected = ResponseDirectives {
            no_store: true,
            private: Scope::Fields(vec![HeaderName::from_static("a")]),
            no_cache: Scope::Fields(vec![HeaderName::from_static("b")]),
            public: true,
            must_revalidate: true,
            proxy_revalidate: true,
            must_understand: true,
            max_age: Seconds::Is(1),
            s_maxage: Seconds::Is(2),
            stale_while_revalidate: Seconds::Is(3),
            stale_if_error: Seconds::Is(4),
        };
        assert_eq!(control(&[("cdn-cache-control", all)]).directives, expected);
    }

    #[test]
    fn restrictions_hold_unless_they_are_false() {
        for (line, no_store, private) in [
            ("no-store, private", true, Scope::Everything),
            ("no-store=1, private=a", true, Scope::Everything),
            ("no-store=?1, private=\"\"", true, Scope::Everything),
            ("no-store=?0, private=?0", false, Scope::Nothing),
        ] {
            let said = control(&[("cdn-cache-control", line)]).directives;
            assert_eq!((said.no_store, said.private), (no_store, private), "{line}");
        }
    }

    /// Killed by: passing over what is not valid without a look; parameters that are not looked at.
    #[test]
    fn restrictions_hold_in_fields_that_are_not_valid() {
        for (line, no_store, private) in [
            ("no-store; no-cache", true, Scope::Nothing),
            ("max-age=60; private", false, Scope::Everything),
            ("max-age=60; x=1;no-store", true, Scope::Nothing),
            ("max-age=60 no-store", true, Scope::Nothing),
            ("max-age=60, No-Store", true, Scope::Nothing),
            ("private; Max-Age=60", false, Scope::Everything),
            ("max-age=60, &&&", false, Scope::Nothing),
            ("max-age=60, x=\"private\"", false, Scope::Nothing),
        ] {
            let control = control(&[("cdn-cache-control", line), ("cache-control", "max-age=1")]);
            assert_eq!((control.directives.no_store, control.directives.private), (no_store, private), "{line}");
        }
        let latin = HeaderMap::from_iter([(
            HeaderName::from_static("cdn-cache-control"),
            http::HeaderValue::from_bytes(b"no-store, \xfc").unwrap(),
        )]);
        assert!(Control::of(&latin, &Rules::default()).directives.no_store);
    }
}
