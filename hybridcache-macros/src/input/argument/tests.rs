use quote::quote;

use super::*;

fn argument(tokens: TokenStream) -> Argument {
    Argument::parse(&syn::parse2(tokens).expect("an argument"))
}

fn mistake(tokens: TokenStream) -> String {
    argument(tokens).check().expect_err("refused").to_string()
}

#[test]
fn references_are_cloned_and_the_rest_is_moved() {
    let target = |tokens| match argument(tokens).passing {
        Passing::Borrowed(target) => spelled(&target),
        Passing::Owned => "owned".to_owned(),
    };
    assert_eq!(target(quote!(db: &Db)), "Db");
    assert_eq!(target(quote!(name: &'a str)), "str");
    assert_eq!(target(quote!(&self)), "Self");
    assert_eq!(target(quote!(self: &Arc<Self>)), "Arc<Self>");
    for owned in [quote!(id: u64), quote!(name: &'static str), quote!(self), quote!(self: Arc<Self>)] {
        assert_eq!(target(owned), "owned");
    }
}

#[test]
fn what_can_be_owned_is_accepted() {
    for tokens in [
        quote!(db: &Db),
        quote!(ids: &[u64]),
        quote!(name: &'static str),
        quote!(store: &'static dyn Store),
        quote!(f: fn(&str) -> usize),
        quote!(f: Box<dyn Fn(&str) -> bool + Send>),
        quote!(f: Arc<dyn for<'a> Fn(Cow<'a, str>) + Send + Sync>),
        quote!(name: Cow<'static, str>),
        quote!(visitor: Arc<dyn for<'a> Visitor<'a, &'a str>>),
        quote!(mut self: Arc<Self>),
        quote!(f: impl Fn(&str) -> usize),
    ] {
        assert!(argument(tokens.clone()).check().is_ok(), "{tokens}");
    }
}

#[test]
fn what_cannot_be_owned_is_refused_with_a_way_out() {
    assert!(mistake(quote!(db: &mut Db)).contains("`Arc<Mutex<T>>`"));
    assert!(mistake(quote!(&mut self)).contains("`&self`, with the fields that change in a `Mutex`"));
    assert!(mistake(quote!(store: &dyn Store)).contains("take `Arc<dyn Store>`"));
    assert!(mistake(quote!(store: &(dyn Store + Send))).contains("take `Arc<dyn Store + Send>`"));
    assert!(mistake(quote!(name: &&str)).contains("take `&str`"));
    assert!(mistake(quote!(name: Option<&str>)).contains("cannot borrow (`&str`): own it, as `String`"));
    assert!(mistake(quote!(name: Cow<'_, str>)).contains("cannot borrow (`'_`)"));
    assert!(mistake(quote!(names: &[&str])).contains("cannot borrow (`&str`)"));
    assert!(mistake(quote!(self: Pin<&Self>)).contains("cannot borrow (`&Self`)"));
}

#[test]
fn patterns_are_matched_by_reference_for_keys() {
    let by_reference = |tokens| {
        argument(tokens).pattern_by_reference().map(|(pattern, from)| format!("{} = {from}", quote!(#pattern)))
    };
    assert_eq!(by_reference(quote!(id: u64)), None);
    assert_eq!(by_reference(quote!(mut id: u64)), None);
    assert_eq!(by_reference(quote!((mut a, ref b): (u8, u8))).as_deref(), Some("(a , b) = & __a_b"));
    assert_eq!(by_reference(quote!(Path(id): Path<u64>)).as_deref(), Some("Path (id) = & __id"));
    assert_eq!(by_reference(quote!(&(mut a, ref b): &(u8, u8))).as_deref(), Some("& (a , ref b) = __a_b"));
    assert_eq!(by_reference(quote!((&a, b): (&'static u8, u8))).as_deref(), Some("(a , b) = & __a_b"));
}

/// Killed by: the advice for other borrows.
#[test]
fn a_borrowed_connection_is_refused_with_the_pool_as_the_way_out() {
    for tokens in [
        quote!(db: &mut PgConnection),
        quote!(db: &mut sqlx::Transaction<'_, Postgres>),
        quote!(db: Transaction<'_, Postgres>),
        quote!(db: impl Executor<'_, Database = Postgres>),
        quote!(db: impl sqlx::PgExecutor<'e>),
        quote!(db: impl Acquire<'e>),
    ] {
        let text = tokens.to_string();
        assert!(mistake(tokens).contains("take the pool, as `&PgPool`"), "{text}");
    }
    let generics = |tokens| {
        let function: syn::Signature = syn::parse2(tokens).expect("a signature");
        check_generics(&function.generics).map_err(|error| error.to_string())
    };
    for tokens in [quote!(fn f<'e, E: Executor<'e>>(db: E)), quote!(fn f<'e, E>(db: E) where E: sqlx::PgExecutor<'e>)] {
        assert!(generics(tokens).expect_err("refused").contains("take the pool"));
    }
    for tokens in [
        quote!(fn f<E: Executor>(db: E)),
        quote!(fn f<E: for<'e> Executor<'e>>(db: E)),
        quote!(fn f<E: Executor<'static>>(db: E)),
        quote!(fn f<'e, T: Read<'e>>(from: T)),
    ] {
        assert_eq!(generics(tokens), Ok(()));
    }
}
