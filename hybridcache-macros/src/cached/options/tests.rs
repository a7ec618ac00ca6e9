use super::*;

fn parse(text: &str) -> (Options, Vec<String>) {
    let mut errors = Errors::default();
    let options = Options::parse(text.parse().expect(text), &mut errors);
    (options, errors.messages())
}

#[test]
fn every_option_is_understood() {
    let (options, mistakes) = parse(
        r#"ttl = 1h, fresh_for = Duration::from_secs(5), timeout = config.timeout, key = "user:{id}",
        skip(self, db), name = "user", version = 3, tags = ["org:{org}", "all"], cache = &self.cache,
        weigh = |user: &User| user.len(), compress = true, max_value = LIMIT, crate = my::cache, entry = false"#,
    );
    assert_eq!(mistakes, Vec::<String>::new());
    assert!(matches!(options.ttl, Some(Time::Literal(_))));
    assert!(matches!(options.fresh_for, Some(Part::Time(Time::Constant(_)))));
    assert!(matches!(options.timeout, Some(Time::Computed(_))));
    assert!(matches!(options.key, Some(Key::Template(_))));
    assert_eq!(options.skip, ["self", "db"]);
    assert_eq!(options.name.map(|name| name.value()).as_deref(), Some("user"));
    assert_eq!(options.version, 3);
    assert_eq!(options.tags.iter().map(LitStr::value).collect::<Vec<_>>(), ["org:{org}", "all"]);
    assert!(options.compress && matches!(options.max_value, Some(Bytes::Computed(_))));
    assert!(options.cache.is_some() && options.weigh.is_some() && !options.entry);
    assert!(options.facade.segments.last().is_some_and(|last| last.ident == "cache"));
}

#[test]
fn options_of_one_value() {
    let (options, mistakes) = parse("ttl = 1h, compress = false, max_value = 64kb");
    assert_eq!(mistakes, Vec::<String>::new());
    assert!(!options.compress && matches!(options.max_value, Some(Bytes::Literal(65_536, _))));
    assert_eq!(parse("ttl = 1h, tier = memory").0.tier, Tier::Memory);
}

#[test]
fn each_form_of_refresh_ahead() {
    let form = |text: &str| match parse(&format!("ttl = 1h, refresh_ahead = {text}")) {
        (Options { refresh_ahead: Some(form), .. }, mistakes) if mistakes.is_empty() => form,
        (_, mistakes) => panic!("{text}: {mistakes:?}"),
    };
    assert!(matches!((form("auto"), form("xfetch")), (RefreshAhead::Auto(_), RefreshAhead::XFetch(_))));
    assert!(matches!(form("20%"), RefreshAhead::Part(Part::Percent(_))));
    for text in ["5s", "AHEAD", "auto()", "auto.lead"] {
        assert!(matches!(form(text), RefreshAhead::Part(Part::Time(_))), "{text}");
    }
}

#[test]
fn a_key_is_an_expression_unless_it_is_a_literal_alone() {
    for (text, is_template) in [
        (r#"ttl = 1s, key = "a""#, true),
        (r#"ttl = 1s, key = "a", "#, true),
        (r#"ttl = 1s, key = "a".len()"#, false),
        ("ttl = 1s, key = (a, b)", false),
    ] {
        let (options, mistakes) = parse(text);
        assert_eq!(mistakes, Vec::<String>::new(), "{text}");
        assert_eq!(matches!(options.key, Some(Key::Template(_))), is_template, "{text}");
    }
}

#[test]
fn each_mistake_has_one_message_with_the_fix() {
    for (text, expected) in [
        ("ttl = 1h, fresh_fr = 1m", "unknown option `fresh_fr`; did you mean `fresh_for`? Expected one of: `ttl`,"),
        ("ttl = 1h, colour = 5", "unknown option `colour`; expected one of: `ttl`,"),
        ("ttl = 1h, size = 5", "unknown option `size`; the bound is the cache's"),
        ("ttl_secs = 60", "unknown option `ttl_secs`; write `ttl = 60s`"),
        ("ttl = 1h, result = true", "unknown option `result`; leave it out"),
        ("ttl = 1h, sync_writes = true", "callers of one key share one load"),
        ("ttl = 1h, convert = 1", "the key is `key = \"{id}\"`"),
        ("ttl = 1h, key = user:{id}", "write `key = \"user:{id}\"`"),
        ("ttl = 1h, key = user:{id}:x, version = 1", "write `key = \"user:{id}\"`"),
        ("ttl = 1h, ttl = 2h", "`ttl` is given twice"),
        ("ttl = 1h, compress = 1", "expected `compress = false`"),
        ("ttl = 1h, compress", "write `compress = false`"),
        ("ttl = 1h, max_value = 65536", "did you mean `65536b`?"),
        ("ttl = 1h, max_value = \"64kb\"", "write `max_value = 64kb`"),
        ("ttl = 1h, max_value", "write `max_value = 64kb`"),
        ("ttl = 1h, compress = false, tier = memory", "`compress` is about values in Redis"),
        ("ttl = 1h, tier = memory, max_value = 1mb", "`max_value` is about values in Redis"),
        ("", "`ttl` is missing"),
        ("ttl", "write `ttl = 1h`"),
        ("ttl(5s)", "write `ttl = 1h`"),
        ("ttl = 5", "did you mean `5s`?"),
        ("ttl = 1h, refresh_ahead = 0%", "leave it out"),
        ("ttl = 1h, refresh_ahead = 100%", "or `refresh_ahead = auto`"),
        ("ttl = 1h, refresh_ahead", "write `refresh_ahead = auto`"),
        ("ttl = 1h, soft_timeout = 0s", "`soft_timeout` is zero, which is the default"),
        ("ttl = 1h, err_ttl = 0s", "`err_ttl` is zero"),
        ("ttl = 1h, refresh_ahead = 0s", "`refresh_ahead` is zero"),
        ("ttl = 80%", "`ttl` takes a duration, as in `ttl = 20s`"),
        ("ttl = 1h, fresh_for = 0%", "leave it out"),
        ("ttl = 1h, skip = [db]", "write `skip(db, client)`"),
        ("ttl = 1h, skip(db, db)", "`db` is skipped twice"),
        ("ttl = 1h, skip(\"db\")", "the name of an argument"),
        ("ttl = 1h, name = user", "`name = \"user\"`"),
        ("ttl = 1h, name = \"\"", "the name is empty"),
        ("ttl = 1h, version = \"1\"", "expected an integer"),
        ("ttl = 1h, version = 1u8", "expected an integer"),
        ("ttl = 1h, version = 4294967296", "expected an integer"),
        ("ttl = 1h, tags = \"org:{org}\"", "write `tags = ["),
        ("ttl = 1h, tags = [org]", "write a string literal"),
        ("ttl = 1h, tags = [\"\"]", "the tag is empty"),
        ("ttl = 1h, tier = redis", "expected `tier = memory`"),
        ("ttl = 1h, entry = no", "expected `entry = false`"),
        ("ttl = 1h key = \"a\"", "expected a `,` between options"),
        ("ttl = 1h, \"user:{id}\"", "expected an option, one of: `ttl`"),
        ("ttl = 1h, key = ,", "expected an expression"),
    ] {
        let (_, mistakes) = parse(text);
        assert_eq!(mistakes.len(), 1, "{text}: {mistakes:?}");
        assert!(mistakes[0].contains(expected), "{text}: {mistakes:?}");
    }
}

#[test]
fn several_mistakes_are_all_reported() {
    let (options, mistakes) = parse("ttl = 5, fresh_for = 1x, versoin = 1, name = \"user\"");
    assert_eq!(mistakes.len(), 3, "{mistakes:?}");
    assert!(options.name.is_some(), "the rest is still read");
}
