//! What the tokens of a type show: borrows, `impl Trait`, floats, database connections.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{
    BoundLifetimes, Lifetime, ParenthesizedGenericArguments, Type, TypeFnPtr, TypeImplTrait, TypePath, TypeReference,
};

pub(crate) fn is_float(ty: &Type) -> bool {
    matches!(ty, Type::Path(TypePath { qself: None, path, .. }) if path.is_ident("f32") || path.is_ident("f64"))
}

pub(crate) fn is_static(lifetime: Option<&Lifetime>) -> bool {
    lifetime.is_some_and(|lifetime| lifetime.ident == "static")
}

pub(crate) fn without_parentheses(ty: &Type) -> &Type {
    match ty {
        Type::Paren(inner) => without_parentheses(&inner.elem),
        Type::Group(inner) => without_parentheses(&inner.elem),
        ty => ty,
    }
}

/// The first reference or lifetime in a type that is not `'static`.
pub(crate) fn first_borrow(ty: &Type) -> Option<TokenStream> {
    let mut finder = FirstBorrow { bound: Vec::new(), found: None };
    finder.visit_type(ty);
    finder.found
}

struct FirstBorrow {
    /// The lifetimes that `for<'a>` declares: they are not borrows of the argument.
    bound: Vec<Ident>,
    found: Option<TokenStream>,
}

impl FirstBorrow {
    fn may_stay(&self, lifetime: &Lifetime) -> bool {
        is_static(Some(lifetime)) || self.bound.contains(&lifetime.ident)
    }
}

impl<'ast> Visit<'ast> for FirstBorrow {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        if reference.lifetime.as_ref().is_none_or(|lifetime| !self.may_stay(lifetime)) {
            self.found.get_or_insert_with(|| reference.to_token_stream());
        }
        visit::visit_type_reference(self, reference);
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if !self.may_stay(lifetime) {
            self.found.get_or_insert_with(|| lifetime.to_token_stream());
        }
    }

    fn visit_bound_lifetimes(&mut self, lifetimes: &'ast BoundLifetimes) {
        self.bound.extend(lifetimes.lifetimes.iter().filter_map(|parameter| match parameter {
            syn::GenericParam::Lifetime(parameter) => Some(parameter.lifetime.ident.clone()),
            _ => None,
        }));
    }

    // The argument types of a function pointer are not borrows of the pointer.
    fn visit_type_fn_ptr(&mut self, _: &'ast TypeFnPtr) {}
    fn visit_parenthesized_generic_arguments(&mut self, _: &'ast ParenthesizedGenericArguments) {}
}

/// The first `impl Trait` in a type.
pub(crate) fn first_impl_trait(ty: &Type) -> Option<&TypeImplTrait> {
    struct FirstImpl<'ast>(Option<&'ast TypeImplTrait>);
    impl<'ast> Visit<'ast> for FirstImpl<'ast> {
        fn visit_type_impl_trait(&mut self, found: &'ast TypeImplTrait) {
            self.0.get_or_insert(found);
        }
    }
    let mut finder = FirstImpl(None);
    finder.visit_type(ty);
    finder.0
}

/// The first reference in a type, whatever its lifetime is.
pub(crate) fn first_reference(ty: &Type) -> Option<&TypeReference> {
    struct FirstReference<'ast>(Option<&'ast TypeReference>);
    impl<'ast> Visit<'ast> for FirstReference<'ast> {
        fn visit_type_reference(&mut self, found: &'ast TypeReference) {
            self.0.get_or_insert(found);
        }

        fn visit_type_fn_ptr(&mut self, _: &'ast TypeFnPtr) {}
        fn visit_parenthesized_generic_arguments(&mut self, _: &'ast ParenthesizedGenericArguments) {}
    }
    let mut finder = FirstReference(None);
    finder.visit_type(ty);
    finder.0
}

/// Whether the tokens name a connection to a database, or a type that wraps or provides one: `&mut PgConnection`, `impl Executor<'_>`,
/// `Transaction<'_, Postgres>`. The advice for other borrows does not help there.
pub(crate) fn names_a_connection(tokens: &impl ToTokens) -> bool {
    const SUFFIXES: [&str; 4] = ["Connection", "Transaction", "Executor", "Acquire"];
    tokens.to_token_stream().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => SUFFIXES.iter().any(|suffix| ident.to_string().ends_with(suffix)),
        TokenTree::Group(group) => names_a_connection(&group.stream()),
        _ => false,
    })
}

/// The way out for a connection.
pub(crate) const TAKE_THE_POOL: &str =
    "take the pool, as `&PgPool`, whose clone is cheap, and let the body get a connection from it";

/// Tokens as users write them: `TokenStream` prints a space between each two.
pub(crate) fn spelled(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (spaced, tight) in [
        ("& ", "&"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        (" :: ", "::"),
        (" ;", ";"),
        (" . ", "."),
        (" (", "("),
        ("! ", "!"),
    ] {
        text = text.replace(spaced, tight);
    }
    text
}
