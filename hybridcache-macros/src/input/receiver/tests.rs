use quote::{ToTokens, quote};

use super::*;

fn renamed(tokens: TokenStream) -> String {
    let mut block: Block = syn::parse2(tokens).expect("a block");
    rename_self(&mut block);
    block.to_token_stream().to_string()
}

#[test]
fn self_is_renamed_in_expressions_and_macros() {
    assert_eq!(renamed(quote!({ self.db.get(&self.id) })), "{ __hc_self . db . get (& __hc_self . id) }");
    assert_eq!(renamed(quote!({ f!(self, (self)) })), "{ f ! (__hc_self , (__hc_self)) }");
    assert_eq!(renamed(quote!({ async { self } })), "{ async { __hc_self } }");
}

#[test]
fn what_is_not_the_functions_self_stays() {
    for tokens in [
        quote!({ Self::new() }),
        quote!({ self::helper() }),
        quote!({
            impl A {
                fn b(&self) {
                    self.c()
                }
            }
        }),
        quote!({
            item! {
                fn b(&self) {
                    self.c()
                }
            }
        }),
        quote!({ stringify!(self.c) }),
    ] {
        assert_eq!(renamed(tokens.clone()), tokens.to_string());
    }
}

/// Killed by: no renaming in a macro that has a `fn` anywhere.
#[test]
fn a_macro_can_have_the_functions_self_beside_another_function() {
    assert_eq!(
        renamed(quote!({ vec![(f as fn(u64) -> u64)(self.base)] })),
        "{ vec ! [(f as fn (u64) -> u64) (__hc_self . base)] }"
    );
    assert_eq!(
        renamed(quote!({
            with! { fn b(&self) -> u8 { self.c } self.d }
        })),
        "{ with ! { fn b (& self) -> u8 { self . c } __hc_self . d } }"
    );
}

/// Killed by: the renamed condition in the text.
#[test]
fn a_failed_assertion_shows_what_was_written() {
    assert_eq!(
        renamed(quote!({ assert!(self.ready) })),
        r#"{ assert ! (__hc_self . ready , "assertion failed: self.ready") }"#
    );
    assert_eq!(
        renamed(quote!({
            select! { _ = f() => { assert!(self.ready(S { a })) } }
        })),
        r#"{ select ! { _ = f () => { assert ! (__hc_self . ready (S { a }) , "assertion failed: self.ready(S {{ a }})") } } }"#
    );
    assert_eq!(renamed(quote!({ assert!(ready) })), "{ assert ! (ready) }");
    assert_eq!(renamed(quote!({ assert!(self.a, "{self}") })), r#"{ assert ! (__hc_self . a , "{__hc_self}") }"#);
}

/// Killed by: the renamed name of a field; fields looked for after a message.
#[test]
fn a_field_of_an_event_has_the_name_that_was_written() {
    for (written, renamed_to) in [
        (
            quote!({ info!(self.id, ?self.name, %self.a.b, x = self.x, "loaded {}", self.id) }),
            quote!({
                info!(self.id = __hc_self.id, self.name = ?__hc_self.name, self.a.b = %__hc_self.a.b,
                x = __hc_self.x, "loaded {}", __hc_self.id)
            }),
        ),
        (quote!({ info!(target: "a", ?self) }), quote!({ info!(target: "a", self = ?__hc_self) })),
        (quote!({ info!("{}", self.id) }), quote!({ info!("{}", __hc_self.id) })),
        (quote!({ info!(self.id(), self.0) }), quote!({ info!(__hc_self.id(), __hc_self.0) })),
        (
            quote!({ info_span!("load", self.id).in_scope(f) }),
            quote!({ info_span!("load", self.id = __hc_self.id).in_scope(f) }),
        ),
        (quote!({ vec![info!(self.id)] }), quote!({ vec![info!(self.id = __hc_self.id)] })),
    ] {
        assert_eq!(renamed(written), renamed_to.to_string());
    }
}

/// Killed by: the macro left as it is.
#[test]
fn dbg_shows_what_was_written() {
    let shown = renamed(quote!({
        dbg!(self.a(S { b }), c);
    }));
    assert!(shown.contains("\"self.a(S { b })\"") && shown.contains("match __hc_self . a"), "{shown}");
    assert!(
        renamed(quote!({
            let a = dbg!(self);
        }))
        .contains("\"self\"")
    );
    assert_eq!(renamed(quote!({ dbg!(a) })), "{ dbg ! (a) }");
}

/// Killed by: what is in a macro that formats taken for one that does.
#[test]
fn a_macro_in_one_that_formats_is_a_macro_of_its_own() {
    assert_eq!(
        renamed(quote!({ println!("{}", stringify!(self.a)) })),
        r#"{ println ! ("{}" , stringify ! (self . a)) }"#
    );
    assert_eq!(renamed(quote!({ println!("{}", json!("{self}")) })), r#"{ println ! ("{}" , json ! ("{self}")) }"#);
}

#[test]
fn format_strings_capture_the_local_one() {
    assert_eq!(
        renamed(quote!({ format!("{self} {{self}} {self:?} {id}") })),
        r#"{ format ! ("{__hc_self} {{self}} {__hc_self:?} {id}") }"#
    );
    assert_eq!(renamed(quote!({ vec![format!("{self}")] })), r#"{ vec ! [format ! ("{__hc_self}")] }"#);
    assert_eq!(renamed(quote!({ json!("{self}") })), r#"{ json ! ("{self}") }"#);
}
