//! One argument of a cached function: how a load comes to own it, and which cannot be owned.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote_spanned};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, BoundLifetimes, Error, FnArg, Ident, Lifetime, ParenthesizedGenericArguments, Pat, PatIdent, PatType,
    Receiver, ReceiverKind, Result, Type, TypeFnPtr, TypeImplTrait, TypePath, TypeReference, parse_quote,
    parse_quote_spanned,
};

use crate::span::hidden;

/// What a borrowed `self` is called in a load. Not hidden: format strings, which capture by name, must find it too.
pub(crate) const LOCAL_SELF: &str = "__hc_self";

pub(crate) struct Argument {
    attrs: Vec<Attribute>,
    /// Its name in the emitted function.
    pub(crate) outer: Ident,
    /// What a load binds it to: `db`, `mut count`, `(a, b)`.
    pub(crate) inner: Pat,
    pub(crate) ty: Type,
    /// What a mistake with it stands on: the type, or the whole receiver.
    pub(crate) blamed: TokenStream,
    pub(crate) passing: Passing,
    /// The names that `inner` binds; `self` for a receiver.
    pub(crate) names: Vec<Ident>,
}

/// How a load comes to own an argument.
pub(crate) enum Passing {
    /// `&T`: it gets a clone.
    Borrowed(Box<Type>),
    /// It gets the argument.
    Owned,
}

impl Argument {
    pub(crate) fn parse(input: &FnArg) -> Self {
        match input {
            FnArg::Receiver(receiver) => Self::receiver(receiver),
            FnArg::Typed(typed) => Self::typed(typed),
        }
    }

    fn receiver(receiver: &Receiver) -> Self {
        let span = receiver.self_token.span;
        let own: Type = parse_quote_spanned!(span=> Self);
        let ty = match &receiver.kind {
            ReceiverKind::Reference(and, lifetime, mutability) => Type::Reference(TypeReference {
                attrs: Vec::new(),
                and_token: *and,
                lifetime: lifetime.clone(),
                mutability: *mutability,
                elem: Box::new(own),
            }),
            ReceiverKind::Typed(_, ty) => (**ty).clone(),
            _ => own,
        };
        let outer = Ident::new("self", span);
        let inner = Ident::new(LOCAL_SELF, span);
        Self {
            attrs: receiver.attrs.clone(),
            inner: parse_quote!(#inner),
            passing: Passing::of(&ty),
            ty,
            blamed: receiver.to_token_stream(),
            names: vec![outer.clone()],
            outer,
        }
    }

    fn typed(typed: &PatType) -> Self {
        let inner = (*typed.pat).clone();
        let names = names(&inner);
        let outer = match &inner {
            // To lints that what is called `_id` is not to be used, a use by the macro is none.
            Pat::Ident(PatIdent { by_ref: None, subpat: None, ident, .. }) if is_underscored(ident) => {
                Ident::new(&ident.to_string(), hidden(ident.span()))
            }
            Pat::Ident(PatIdent { by_ref: None, subpat: None, ident, .. }) => ident.clone(),
            Pat::Wild(wild) => Ident::new("_", wild.underscore_token.span),
            // It shows in the documentation, so it says what is in it.
            pattern => {
                let joined: Vec<_> = names.iter().map(|name| name.to_string().replace("r#", "")).collect();
                format_ident!("__{}", joined.join("_"), span = hidden(pattern.span()))
            }
        };
        let ty = without_parentheses(&typed.ty).clone();
        let blamed = ty.to_token_stream();
        Self { attrs: typed.attrs.clone(), outer, inner, passing: Passing::of(&ty), ty, blamed, names }
    }

    /// As which the emitted function has it.
    pub(crate) fn outer_pattern(&self) -> Pat {
        let outer = &self.outer;
        if self.is_ignored() { self.inner.clone() } else { parse_quote!(#outer) }
    }

    /// The attributes that decide whether it is there at all.
    pub(crate) fn cfgs(&self) -> impl Iterator<Item = &Attribute> {
        self.attrs.iter().filter(|attr| attr.path().is_ident("cfg"))
    }

    pub(crate) fn is_self(&self) -> bool {
        self.outer == "self"
    }

    /// `_`: nobody sees it, so nobody needs to own it.
    pub(crate) fn is_ignored(&self) -> bool {
        self.outer == "_"
    }

    /// A name and nothing else, which a load can take over as it is.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(&self.inner, Pat::Ident(PatIdent { by_ref: None, mutability: None, subpat: None, .. }))
            && !is_underscored(&self.outer)
    }

    /// Whether the type is not all spelled out, so that it cannot be repeated.
    pub(crate) fn is_opaque(&self) -> bool {
        first_impl_trait(&self.ty).is_some()
    }

    /// `f32` or `f64`, or a reference to one.
    pub(crate) fn is_float(&self) -> bool {
        let ty = match &self.passing {
            Passing::Borrowed(target) => target,
            Passing::Owned => &self.ty,
        };
        is_float(ty)
    }

    /// For keys, which must leave the argument as it is: the pattern by reference, and what it is matched with.
    pub(crate) fn pattern_by_reference(&self) -> Option<(Pat, TokenStream)> {
        match &self.inner {
            Pat::Ident(PatIdent { by_ref: None, subpat: None, ident, .. }) if !is_underscored(ident) => return None,
            Pat::Wild(_) => return None,
            _ => {}
        }
        let outer = &self.outer;
        let mut pattern = self.inner.clone();
        // Under a reference the pattern copies or says `ref`, as it did in the signature.
        let is_reference = matches!(self.ty, Type::Reference(_));
        BindByReference { keep_ref: is_reference }.visit_pat_mut(&mut pattern);
        let span = hidden(outer.span());
        let scrutinee = if is_reference { outer.to_token_stream() } else { quote_spanned!(span=> &#outer) };
        Some((pattern, self.as_taken(scrutinee)))
    }

    /// A value that its pattern is matched with. To lints, a binding `let _id = id` without a call has no effect.
    pub(crate) fn as_taken(&self, value: TokenStream) -> TokenStream {
        if !is_underscored(&self.outer) {
            return value;
        }
        let span = hidden(self.outer.span());
        quote_spanned!(span=> ::core::convert::identity(#value))
    }

    /// What a load cannot own, by the look of its type.
    pub(crate) fn check(&self) -> Result<()> {
        let Type::Reference(reference) = &self.ty else { return check_owned(&self.ty) };
        let refused = |reason: &str, fix: String| {
            Err(Error::new_spanned(
                &self.blamed,
                format!("a load runs in its own task and cannot {reason}: take {fix}"),
            ))
        };
        if reference.mutability.is_some() {
            let fix = if self.is_self() {
                "`&self`, with what changes in a `Mutex`"
            } else {
                "it by value, or share it as `Arc<Mutex<T>>`"
            };
            return refused("borrow mutably", fix.to_owned());
        }
        if is_static(reference.lifetime.as_ref()) {
            return Ok(());
        }
        match without_parentheses(&reference.elem) {
            Type::TraitObject(object) => refused("clone a trait object", format!("`Arc<{}>`", spelled(object))),
            Type::Reference(inner) => {
                refused("clone what a reference in a reference borrows", format!("`{}`", spelled(inner)))
            }
            target => check_owned(target),
        }
    }
}

/// `_id`; two underscores are a macro's.
fn is_underscored(name: &Ident) -> bool {
    let name = name.to_string();
    name.starts_with('_') && !name.starts_with("__") && name.len() > 1
}

fn without_parentheses(ty: &Type) -> &Type {
    match ty {
        Type::Paren(inner) => without_parentheses(&inner.elem),
        Type::Group(inner) => without_parentheses(&inner.elem),
        ty => ty,
    }
}

impl Passing {
    fn of(ty: &Type) -> Self {
        match ty {
            Type::Reference(TypeReference { lifetime, mutability: None, elem, .. })
                if !is_static(lifetime.as_ref()) =>
            {
                Self::Borrowed(elem.clone())
            }
            _ => Self::Owned,
        }
    }
}

pub(crate) fn is_float(ty: &Type) -> bool {
    matches!(ty, Type::Path(TypePath { qself: None, path, .. }) if path.is_ident("f32") || path.is_ident("f64"))
}

fn is_static(lifetime: Option<&Lifetime>) -> bool {
    lifetime.is_some_and(|lifetime| lifetime.ident == "static")
}

fn check_owned(ty: &Type) -> Result<()> {
    match first_borrow(ty) {
        None => Ok(()),
        Some(borrow) => Err(Error::new_spanned(
            &borrow,
            format!(
                "a load runs in its own task and cannot borrow (`{}`): own it, as `String` for `&str`, \
                 `Vec<T>` for `&[T]`, `Arc<T>` for `&T`, `Cow<'static, T>` for `Cow<'_, T>`",
                spelled(&borrow)
            ),
        )),
    }
}

/// The first reference or lifetime in a type that is not `'static`.
pub(crate) fn first_borrow(ty: &Type) -> Option<TokenStream> {
    let mut finder = FirstBorrow { bound: Vec::new(), found: None };
    finder.visit_type(ty);
    finder.found
}

struct FirstBorrow {
    /// By `for<'a>`, so they are nobody's to own.
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

    // What a function takes is not what its pointer borrows.
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

/// The names a pattern binds, in order.
fn names(pattern: &Pat) -> Vec<Ident> {
    struct Names(Vec<Ident>);
    impl<'ast> Visit<'ast> for Names {
        fn visit_pat_ident(&mut self, binding: &'ast PatIdent) {
            // The cases of `A(x) | B(x)` bind the same.
            if !self.0.contains(&binding.ident) {
                self.0.push(binding.ident.clone());
            }
            visit::visit_pat_ident(self, binding);
        }
    }
    let mut names = Names(Vec::new());
    names.visit_pat(pattern);
    names.0
}

/// Takes `mut`, `ref` and `&` out of a pattern that is matched with a reference.
struct BindByReference {
    keep_ref: bool,
}

impl VisitMut for BindByReference {
    fn visit_pat_mut(&mut self, pattern: &mut Pat) {
        if let Pat::Reference(reference) = pattern
            && !self.keep_ref
        {
            *pattern = (*reference.pat).clone();
        }
        visit_mut::visit_pat_mut(self, pattern);
    }

    fn visit_pat_ident_mut(&mut self, binding: &mut PatIdent) {
        binding.mutability = None;
        if !self.keep_ref {
            binding.by_ref = None;
        }
        visit_mut::visit_pat_ident_mut(self, binding);
    }
}

/// A type as people write it; tokens print with a space between each two.
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

#[cfg(test)]
mod tests;
