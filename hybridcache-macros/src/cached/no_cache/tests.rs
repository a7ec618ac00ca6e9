use quote::quote;
use syn::parse_quote;

use super::*;

/// The body after the rewriting, with what replaces `Err(NoCache(v))` shortened to `[v]`.
fn rewritten(tokens: TokenStream) -> std::result::Result<String, String> {
    let mut body: Block = syn::parse2(tokens).expect("a block");
    rewrite(&mut body, &parse_quote!(Result<User, AppError>), &Facade(parse_quote!(cache)))
        .map_err(|error| error.to_string())?;
    Ok(shortened(body.to_token_stream()))
}

fn shortened(tokens: TokenStream) -> String {
    let text = tokens.to_string().replace("hybridcache :: NoCache", "NoCache");
    let start = "cache :: __private :: not_stored ({ let _ : cache :: NoCache < () > = NoCache (()) ; ";
    text.replace(start, "[").replace(" })", "]")
}

fn becomes(from: TokenStream, to: &str) {
    // Both are printed by syn. Whether the last arm has a comma does not matter.
    let to: Block = syn::parse_str(to).expect("a block");
    let same = |text: String| text.replace(" , }", " }");
    assert_eq!(same(rewritten(from).expect("accepted")), same(to.to_token_stream().to_string()));
}

fn refused(tokens: TokenStream) {
    let text = tokens.to_string();
    let mistake = rewritten(tokens).expect_err(&text);
    assert!(mistake.contains("`return Err(NoCache(..))`"), "{text}: {mistake}");
}

#[test]
fn what_the_function_returns_is_rewritten() {
    becomes(quote!({ Err(NoCache(u)) }), "{ [u] }");
    becomes(quote!({ (Err(NoCache(u))) }), "{ [u] }");
    becomes(
        quote!({
            a();
            return Err(NoCache(u));
        }),
        "{ a(); return [u]; }",
    );
    becomes(quote!({ Result::Err(hybridcache::NoCache(u)) }), "{ [u] }");
    becomes(quote!({ Err::<_, _>(NoCache::<User>(u)) }), "{ [u] }");
    becomes(
        quote!({
            if a {
                Err(NoCache(u))
            } else if b {
                Ok(u)
            } else {
                Err(NoCache(v))
            }
        }),
        "{ if a { [u] } else if b { Ok(u) } else { [v] } }",
    );
    becomes(
        quote!({
            match a {
                A => Err(NoCache(u)),
                B => {
                    b();
                    Err(NoCache(v))
                }
            }
        }),
        "{ match a { A => [u], B => { b(); [v] } } }",
    );
    becomes(quote!({ unsafe { Err(NoCache(u)) } }), "{ unsafe { [u] } }");
    becomes(quote!({ { { Err(NoCache(u)) } } }), "{ { { [u] } } }");
    becomes(
        quote!({
            let r = Err(NoCache(u));
            r
        }),
        "{ let r = [u]; r }",
    );
    becomes(
        quote!({
            let r: R = match a {
                _ => Err(NoCache(u)),
            };
            #[allow(x)]
            r
        }),
        "{ let r: R = match a { _ => [u] }; #[allow(x)] r }",
    );
}

#[test]
fn a_return_is_found_wherever_it_is_the_functions_own() {
    becomes(
        quote!({
            for x in y {
                if x {
                    return Err(NoCache(x));
                }
            }
            Ok(1)
        }),
        "{ for x in y { if x { return [x]; } } Ok(1) }",
    );
    becomes(
        quote!({
            let Some(x) = y else { return Err(NoCache(z)) };
            Ok(x)
        }),
        "{ let Some(x) = y else { return [z] }; Ok(x) }",
    );
    becomes(
        quote!({
            let v = match x {
                Some(v) => v,
                None => return Err(NoCache(z)),
            };
            Ok(v)
        }),
        "{ let v = match x { Some(v) => v, None => return [z] }; Ok(v) }",
    );
    becomes(
        quote!({
            return if a { Err(NoCache(z)) } else { Ok(v) };
        }),
        "{ return if a { [z] } else { Ok(v) }; }",
    );
}

#[test]
fn a_break_with_a_value_is_followed() {
    becomes(
        quote!({
            loop {
                break Err(NoCache(u));
            }
        }),
        "{ loop { break [u]; } }",
    );
    becomes(
        quote!({
            'a: {
                if b {
                    break 'a Err(NoCache(u));
                }
                Ok(v)
            }
        }),
        "{ 'a: { if b { break 'a [u]; } Ok(v) } }",
    );
    becomes(
        quote!({
            'a: loop {
                loop {
                    break 'a Err(NoCache(u));
                }
            }
        }),
        "{ 'a: loop { loop { break 'a [u]; } } }",
    );
    refused(quote!({
        loop {
            let r = loop {
                break Err(NoCache(u));
            };
            f(r);
        }
    }));
}

#[test]
fn what_the_function_does_not_return_is_refused() {
    refused(quote!({
        let f = |u| {
            return Err(NoCache(u));
        };
        f(u)
    }));
    refused(quote!({
        async {
            return Err(NoCache(u));
        }
        .await
    }));
    refused(quote!({
        let f = |u| Err(NoCache(u));
        f(u)
    }));
    refused(quote!({ async { Err(NoCache(u)) }.await }));
    refused(quote!({
        let r = Err(NoCache(u));
        r?;
        Ok(v)
    }));
    refused(quote!({
        Err(NoCache(u))?;
        Ok(v)
    }));
    refused(quote!({ u.map_err(NoCache) }));
    refused(quote!({ bail!(NoCache(u)) }));
    refused(quote!({ f(Err(NoCache(u))) }));
    refused(quote!({ Some(Err(NoCache(u))) }));
}

#[test]
fn patterns_types_and_other_items_may_name_it() {
    for tokens in [
        quote!({
            match helper() {
                Err(e) => Err(e.into()),
                Ok(v) => Ok(v),
            }
        }),
        quote!({
            let r: Result<User, NoCache<User>> = helper();
            f(r)
        }),
        quote!({
            fn helper(u: User) -> Result<User, NoCache<User>> {
                Err(NoCache(u))
            }
            f(helper(u))
        }),
        quote!({ if matches!(r, Err(NoCache(_))) { a } else { b } }),
    ] {
        becomes(tokens.clone(), &tokens.to_string());
    }
}

#[test]
fn a_declared_no_cache_is_told_by_its_type() {
    let mut body: Block = parse_quote!({ helper(|u| Err(NoCache(u))) });
    let declared = parse_quote!(Result<User, NoCache<User>>);
    assert!(rewrite(&mut body, &declared, &Facade(parse_quote!(cache))).is_ok());
}

#[test]
fn a_body_wrapped_by_instrument_is_looked_into() {
    for future in [
        quote!(async move {
            {
                if false {
                    return loop {};
                }
                { Err(NoCache(u)) }
            }
        }),
        quote!(async move {
            match async move { { { Err(NoCache(u)) } } }.await {
                Ok(x) => Ok(x),
                Err(e) => Err(e),
            }
        }),
        quote!(async move {
            let x = async move {
                {
                    {
                        return Err(NoCache(u));
                    }
                }
            }
            .await;
            x
        }),
    ] {
        let body = quote!({
            let __tracing_attr_span = span();
            let __tracing_instrument_future = #future;
            __tracing_instrument_future.await
        });
        let rewritten = rewritten(body).expect("accepted");
        assert!(rewritten.contains("[u]"), "{rewritten}");
    }
}
