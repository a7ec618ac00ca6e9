//! One argument of a cached function: how a load gets ownership of it, and which arguments it cannot own.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote_spanned};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, Error, FnArg, Generics, Ident, Pat, PatIdent, PatType, Receiver, ReceiverKind, Result, Type,
    TypeParamBound, TypeReference, WherePredicate, parse_quote, parse_quote_spanned,
};

use crate::input::types::{
    TAKE_THE_POOL, first_borrow, first_impl_trait, is_float, is_static, names_a_connection, spelled,
    without_parentheses,
};
use crate::span::hidden;

/// The name of a borrowed `self` in a load. It has the user's hygiene, because format strings capture it by name.
pub(crate) const LOCAL_SELF: &str = "__hc_self";

pub(crate) struct Argument {
    attrs: Vec<Attribute>,
    /// Its name in the emitted function.
    pub(crate) outer: Ident,
    /// The pattern that a load binds it to: `db`, `mut count`, `(a, b)`.
    pub(crate) inner: Pat,
    pub(crate) ty: Type,
    /// The tokens that a message about it points to: the type, or the whole receiver.
    pub(crate) blamed: TokenStream,
    pub(crate) passing: Passing,
    /// The names that `inner` binds; `self` for a receiver.
    pub(crate) names: Vec<Ident>,
}

/// How a load gets ownership of an argument.
pub(crate) enum Passing {
    /// `&T`: the load gets a clone.
    Borrowed(Box<Type>),
    /// The load gets the argument itself.
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
            // A lint forbids the use of names like `_id`. With a hidden span, the macro's use is not reported.
            Pat::Ident(PatIdent { by_ref: None, subpat: None, ident, .. }) if is_underscored(ident) => {
                Ident::new(&ident.to_string(), hidden(ident.span()))
            }
            Pat::Ident(PatIdent { by_ref: None, subpat: None, ident, .. }) => ident.clone(),
            Pat::Wild(wild) => Ident::new("_", wild.underscore_token.span),
            // rustdoc shows this name, so it is made of the names in the pattern.
            pattern => {
                let joined: Vec<_> = names.iter().map(|name| name.to_string().replace("r#", "")).collect();
                format_ident!("__{}", joined.join("_"), span = hidden(pattern.span()))
            }
        };
        let ty = without_parentheses(&typed.ty).clone();
        let blamed = ty.to_token_stream();
        Self { attrs: typed.attrs.clone(), outer, inner, passing: Passing::of(&ty), ty, blamed, names }
    }

    /// The pattern in the signature of the emitted function.
    pub(crate) fn outer_pattern(&self) -> Pat {
        let outer = &self.outer;
        if self.is_ignored() { self.inner.clone() } else { parse_quote!(#outer) }
    }

    /// Its `#[cfg(..)]`s, which decide whether it exists.
    pub(crate) fn cfgs(&self) -> impl Iterator<Item = &Attribute> {
        self.attrs.iter().filter(|attr| attr.path().is_ident("cfg"))
    }

    pub(crate) fn is_self(&self) -> bool {
        self.outer == "self"
    }

    /// `_`: the load cannot use it, so it need not own it.
    pub(crate) fn is_ignored(&self) -> bool {
        self.outer == "_"
    }

    /// A single name, which a load uses without a new binding.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(&self.inner, Pat::Ident(PatIdent { by_ref: None, mutability: None, subpat: None, .. }))
            && !is_underscored(&self.outer)
    }

    /// Whether the type has an `impl Trait` in it, so that it cannot be named elsewhere.
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

    /// For keys, which must not move the argument: the pattern that binds by reference, and the expression that it matches.
    pub(crate) fn pattern_by_reference(&self) -> Option<(Pat, TokenStream)> {
        match &self.inner {
            Pat::Ident(PatIdent { by_ref: None, subpat: None, ident, .. }) if !is_underscored(ident) => return None,
            Pat::Wild(_) => return None,
            _ => {}
        }
        let outer = &self.outer;
        let mut pattern = self.inner.clone();
        // A pattern behind a reference copies or says `ref`, as the signature does.
        let is_reference = matches!(self.ty, Type::Reference(_));
        BindByReference { keep_ref: is_reference }.visit_pat_mut(&mut pattern);
        let span = hidden(outer.span());
        let scrutinee = if is_reference { outer.to_token_stream() } else { quote_spanned!(span=> &#outer) };
        Some((pattern, self.as_taken(scrutinee)))
    }

    /// The value that its pattern matches. A lint reports `let _id = id` as without effect unless there is a call.
    pub(crate) fn as_taken(&self, value: TokenStream) -> TokenStream {
        if !is_underscored(&self.outer) {
            return value;
        }
        let span = hidden(self.outer.span());
        quote_spanned!(span=> ::core::convert::identity(#value))
    }

    /// Reports an argument that a load cannot own, as far as the tokens of its type show.
    pub(crate) fn check(&self) -> Result<()> {
        let Type::Reference(reference) = &self.ty else { return check_owned(&self.ty) };
        let refused = |reason: &str, fix: String| {
            Err(Error::new_spanned(
                &self.blamed,
                format!("a load runs in its own task and cannot {reason}: take {fix}"),
            ))
        };
        if reference.mutability.is_some() {
            if names_a_connection(&reference.elem) {
                return refused_connection(&self.blamed);
            }
            let fix = if self.is_self() {
                "`&self`, with the fields that change in a `Mutex`"
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

/// `_id`. Names with two underscores come from macros.
fn is_underscored(name: &Ident) -> bool {
    let name = name.to_string();
    name.starts_with('_') && !name.starts_with("__") && name.len() > 1
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

fn check_owned(ty: &Type) -> Result<()> {
    match first_borrow(ty) {
        None => Ok(()),
        Some(_) if names_a_connection(ty) => refused_connection(ty),
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

fn refused_connection(blamed: &impl ToTokens) -> Result<()> {
    Err(Error::new_spanned(
        blamed,
        format!("a load runs in its own task and cannot borrow a database connection: {TAKE_THE_POOL}"),
    ))
}

/// A generic `E: Executor<'e>` is a borrowed connection too, which its argument does not show. The compiler would ask for `'static`.
pub(crate) fn check_generics(generics: &Generics) -> Result<()> {
    let bounds = generics.type_params().map(|parameter| &parameter.bounds);
    let predicates = generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    let wheres = predicates.filter_map(|predicate| match predicate {
        WherePredicate::Type(predicate) => Some(&predicate.bounds),
        _ => None,
    });
    for bound in bounds.chain(wheres).flatten() {
        if let TypeParamBound::Trait(_) = bound
            && names_a_connection(bound)
            && first_borrow(&parse_quote!(dyn #bound)).is_some()
        {
            return refused_connection(bound);
        }
    }
    Ok(())
}

/// The names that a pattern binds, in order.
fn names(pattern: &Pat) -> Vec<Ident> {
    struct Names(Vec<Ident>);
    impl<'ast> Visit<'ast> for Names {
        fn visit_pat_ident(&mut self, binding: &'ast PatIdent) {
            // The cases of `A(x) | B(x)` bind the same name.
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

/// Removes `mut`, `ref` and `&` from a pattern that is matched with a reference.
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

#[cfg(test)]
mod tests;
