//! One argument of a cached function: how a load comes to own it, and which cannot be owned.

use quote::{ToTokens, format_ident};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, BoundLifetimes, Error, FnArg, Ident, Lifetime, ParenthesizedGenericArguments, Pat, PatIdent, PatType, Receiver,
    ReceiverKind, Result, Type, TypeFnPtr, TypeImplTrait, TypeReference, parse_quote, parse_quote_spanned,
};

use crate::site::hidden;

/// What a borrowed `self` is called in a load. Not hidden: format strings, which capture by name, must find it too.
pub(crate) const LOCAL_SELF: &str = "__hc_self";

pub(crate) struct Argument {
    attrs: Vec<Attribute>,
    /// Its name in the emitted function.
    pub(crate) outer: Ident,
    /// What a load binds it to: `db`, `mut count`, `(a, b)`.
    pub(crate) inner: Pat,
    pub(crate) ty: Type,
    pub(crate) passing: Passing,
    /// The names that `inner` binds; `self` for a receiver.
    pub(crate) names: Vec<Ident>,
}

/// How a load comes to own an argument.
pub(crate) enum Passing {
    /// `&T`: it gets a clone.
    Borrowed(Type),
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
            names: vec![outer.clone()],
            outer,
        }
    }

    fn typed(typed: &PatType) -> Self {
        let inner = (*typed.pat).clone();
        let names = names(&inner);
        let outer = match &inner {
            Pat::Ident(PatIdent { by_ref: None, subpat: None, ident, .. }) => ident.clone(),
            Pat::Wild(wild) => Ident::new("_", wild.underscore_token.span),
            // It shows in the documentation, so it says what is in it.
            pattern => {
                let joined: Vec<_> = names.iter().map(|name| name.to_string().replace("r#", "")).collect();
                format_ident!("__{}", joined.join("_"), span = hidden(pattern.span()))
            }
        };
        let ty = (*typed.ty).clone();
        Self { attrs: typed.attrs.clone(), outer, inner, passing: Passing::of(&ty), ty, names }
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
    }

    /// Whether the type is not all spelled out, so that it cannot be repeated.
    pub(crate) fn is_opaque(&self) -> bool {
        first_impl_trait(&self.ty).is_some()
    }

    /// For keys, which must leave the argument as it is: the pattern by reference, and what it is matched with.
    pub(crate) fn pattern_by_reference(&self) -> Option<(Pat, proc_macro2::TokenStream)> {
        if matches!(self.inner, Pat::Ident(PatIdent { by_ref: None, subpat: None, .. }) | Pat::Wild(_)) {
            return None;
        }
        let outer = &self.outer;
        let mut pattern = self.inner.clone();
        // Under a reference the pattern copies or says `ref`, as it did in the signature.
        let is_reference = matches!(self.ty, Type::Reference(_));
        BindByReference { keep_ref: is_reference }.visit_pat_mut(&mut pattern);
        let span = hidden(outer.span());
        let scrutinee = if is_reference { outer.to_token_stream() } else { quote::quote_spanned!(span=> &#outer) };
        Some((pattern, scrutinee))
    }

    /// What a load cannot own, by the look of its type.
    pub(crate) fn check(&self) -> Result<()> {
        let whole: &dyn ToTokens = if self.is_self() { &self.outer } else { &self.ty };
        let Type::Reference(reference) = &self.ty else { return check_owned(&self.ty) };
        if reference.mutability.is_some() {
            let fix = if self.is_self() { "`&self`, with what changes in a `Mutex`" } else { "it by value, or share it as `Arc<Mutex<T>>`" };
            return Err(Error::new_spanned(
                whole.to_token_stream(),
                format!("a load runs in its own task and cannot borrow `&mut`: take {fix}"),
            ));
        }
        if is_static(reference.lifetime.as_ref()) {
            return Ok(());
        }
        match &*reference.elem {
            Type::TraitObject(object) => Err(Error::new_spanned(
                whole.to_token_stream(),
                format!("a load runs in its own task and cannot borrow a trait object: take `Arc<{}>`", spelled(object)),
            )),
            Type::Paren(inner) if matches!(*inner.elem, Type::TraitObject(_)) => Err(Error::new_spanned(
                whole.to_token_stream(),
                format!("a load runs in its own task and cannot borrow a trait object: take `Arc<{}>`", spelled(&inner.elem)),
            )),
            Type::Reference(inner) => Err(Error::new_spanned(
                whole.to_token_stream(),
                format!("a load clones what a reference points to, and a clone of `{0}` still borrows: take `{0}`", spelled(inner)),
            )),
            target => check_owned(target),
        }
    }
}

impl Passing {
    fn of(ty: &Type) -> Self {
        match ty {
            Type::Reference(TypeReference { lifetime, mutability: None, elem, .. }) if !is_static(lifetime.as_ref()) => {
                Self::Borrowed((**elem).clone())
            }
            _ => Self::Owned,
        }
    }
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
                "a load runs in its own task and cannot borrow `{}`: own it, as `String` for `&str`, `Vec<T>` for `&[T]`, `Arc<T>` \
                 for `&T`",
                spelled(&borrow)
            ),
        )),
    }
}

/// The first reference or lifetime in a type that is not `'static`.
pub(crate) fn first_borrow(ty: &Type) -> Option<proc_macro2::TokenStream> {
    let mut finder = FirstBorrow { bound: Vec::new(), found: None };
    finder.visit_type(ty);
    finder.found
}

struct FirstBorrow {
    /// By `for<'a>`, so they are nobody's to own.
    bound: Vec<Ident>,
    found: Option<proc_macro2::TokenStream>,
}

impl<'ast> Visit<'ast> for FirstBorrow {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        if reference.lifetime.is_none() {
            self.found.get_or_insert_with(|| reference.to_token_stream());
        }
        visit::visit_type_reference(self, reference);
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if !is_static(Some(lifetime)) && !self.bound.contains(&lifetime.ident) {
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
fn spelled(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (spaced, tight) in [("& ", "&"), (" <", "<"), ("< ", "<"), (" >", ">"), (" ,", ","), (" :: ", "::"), (" ;", ";")] {
        text = text.replace(spaced, tight);
    }
    text
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn argument(tokens: proc_macro2::TokenStream) -> Argument {
        Argument::parse(&syn::parse2(tokens).expect("an argument"))
    }

    fn mistake(tokens: proc_macro2::TokenStream) -> String {
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
            quote!(mut self: Arc<Self>),
            quote!(f: impl Fn(&str) -> usize),
        ] {
            assert!(argument(tokens.clone()).check().is_ok(), "{tokens}");
        }
    }

    #[test]
    fn what_cannot_be_owned_is_refused_with_a_way_out() {
        assert!(mistake(quote!(db: &mut Db)).contains("`Arc<Mutex<T>>`"));
        assert!(mistake(quote!(&mut self)).contains("`&self`, with what changes in a `Mutex`"));
        assert!(mistake(quote!(store: &dyn Store)).contains("take `Arc<dyn Store>`"));
        assert!(mistake(quote!(store: &(dyn Store + Send))).contains("take `Arc<dyn Store + Send>`"));
        assert!(mistake(quote!(name: &&str)).contains("take `&str`"));
        assert!(mistake(quote!(name: Option<&str>)).contains("cannot borrow `&str`: own it, as `String`"));
        assert!(mistake(quote!(name: Cow<'_, str>)).contains("cannot borrow `'_`"));
        assert!(mistake(quote!(names: &[&str])).contains("cannot borrow `&str`"));
        assert!(mistake(quote!(self: Pin<&Self>)).contains("cannot borrow `&Self`"));
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
}
