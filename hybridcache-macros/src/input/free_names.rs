//! The variables that tokens name. Macros are included, of which only the tokens are known.

use std::collections::HashSet;

use proc_macro2::{Delimiter, Literal, TokenStream, TokenTree};
use syn::LitStr;
use syn::ext::IdentExt;

/// The names that may be variables in `tokens`. Extra names are harmless: the callers look for names of arguments only.
pub(crate) fn free_names(tokens: TokenStream) -> HashSet<String> {
    let mut names = HashSet::new();
    collect(tokens, false, &mut names);
    names
}

fn collect(tokens: TokenStream, in_macro: bool, names: &mut HashSet<String>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(ident) if is_variable(&tokens, at) => {
                names.insert(ident.unraw().to_string());
            }
            TokenTree::Group(group) => {
                let is_macro =
                    at >= 2 && is_punct(&tokens, at - 1, '!') && matches!(tokens[at - 2], TokenTree::Ident(_));
                collect(group.stream(), in_macro || is_macro, names);
            }
            TokenTree::Literal(literal) if in_macro => names.extend(captures(literal)),
            _ => {}
        }
    }
}

/// Whether the identifier at `at` is not a field, a method, part of a path, a lifetime or the name of a macro.
fn is_variable(tokens: &[TokenTree], at: usize) -> bool {
    let before = |distance: usize, punct| at >= distance && is_punct(tokens, at - distance, punct);
    let member = before(1, '.') && !before(2, '.');
    let inside_path = before(1, ':') && before(2, ':');
    let names_field = is_punct(tokens, at + 1, ':');
    let names_macro = is_punct(tokens, at + 1, '!') && matches!(tokens.get(at + 2), Some(TokenTree::Group(_)));
    !(member || inside_path || names_field || names_macro || before(1, '\''))
}

pub(crate) fn is_punct(tokens: &[TokenTree], at: usize, expected: char) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == expected)
}

/// The names that a format string captures: `{id}`, `{id:?}`, `{:width$}`.
fn captures(literal: &Literal) -> Vec<String> {
    let Ok(text) = syn::parse2::<LitStr>(TokenTree::Literal(literal.clone()).into()) else { return Vec::new() };
    let text = text.value().replace("{{", "").replace("}}", "");
    let arguments = text.split('{').skip(1).map(|rest| rest.split_once('}').map_or(rest, |(inside, _)| inside));
    arguments
        .flat_map(|argument| {
            let (name, format) = argument.split_once(':').unwrap_or((argument, ""));
            // A format can capture `width$` and `.precision$` only.
            let counts = format
                .match_indices('$')
                .map(|(end, _)| format[..end].rsplit(|c: char| !c.is_alphanumeric() && c != '_').next());
            std::iter::once(Some(name.trim())).chain(counts).flatten().map(str::to_owned).collect::<Vec<_>>()
        })
        .filter(|name| !name.is_empty())
        .collect()
}

/// Whether the name occurs anywhere in `tokens`, strings included.
pub(crate) fn contains_name(tokens: TokenStream, name: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident.unraw() == name,
        TokenTree::Group(group) => contains_name(group.stream(), name),
        TokenTree::Literal(literal) => literal.to_string().contains(name),
        TokenTree::Punct(_) => false,
    })
}

/// The first place in the tokens of a macro where `name` is called, or passed as a function. The patterns `name(_)` and `name(..)`
/// are not calls.
pub(crate) fn find_call(tokens: TokenStream, name: &str) -> Option<proc_macro2::Ident> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    tokens.iter().enumerate().find_map(|(at, token)| match token {
        TokenTree::Ident(ident) if ident == name && is_called_or_passed(&tokens[at + 1..]) => Some(ident.clone()),
        TokenTree::Group(group) => find_call(group.stream(), name),
        _ => None,
    })
}

fn is_called_or_passed(after: &[TokenTree]) -> bool {
    match after.first() {
        None => true,
        Some(TokenTree::Punct(punct)) if punct.as_char() == ',' => true,
        // A turbofish, `NoCache::<T>(..)`, is a call. A type, `NoCache<T>`, has no colons.
        Some(TokenTree::Punct(punct)) => punct.as_char() == ':' && is_punct(after, 2, '<'),
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => {
            !matches!(group.stream().to_string().as_str(), "_" | "..")
        }
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let mut names: Vec<_> = free_names(text.parse().expect(text)).into_iter().collect();
        names.sort();
        names
    }

    #[test]
    fn variables_are_told_from_members_paths_and_macros() {
        assert_eq!(names("id"), ["id"]);
        assert_eq!(names("(a, b.c.d(), e[f])"), ["a", "b", "e", "f"]);
        assert_eq!(names("self.tenant"), ["self"]);
        assert_eq!(names("Key { id: other, short }"), ["Key", "other", "short"]);
        assert_eq!(names("a..b"), ["a", "b"]);
        assert_eq!(names("a != b"), ["a", "b"]);
        assert_eq!(names("ids::first(x)"), ["x"]);
        assert_eq!(names("r#type"), ["type"]);
        assert_eq!(names("x::<'id>()"), Vec::<String>::new());
    }

    #[test]
    fn macros_and_their_format_strings_are_read() {
        assert_eq!(names(r#"format!("{id}-{name:?}-{}", other)"#), ["id", "name", "other"]);
        assert_eq!(names(r#"format!("{{no}} {n:>width$.precision$}")"#), ["n", "precision", "width"]);
        assert_eq!(names(r#"concat("{id}")"#), ["concat"]);
        assert_eq!(names("matches!(kind, Kind::A)"), ["kind"]);
    }

    #[test]
    fn calls_are_told_from_types_and_patterns() {
        let found = |text: &str| find_call(text.parse().expect(text), "NoCache").is_some();
        assert!(found("Err(NoCache(user))"));
        assert!(found("x.map_err(NoCache)"));
        assert!(found("x.map_err(NoCache, 1)"));
        assert!(found("NoCache::<User>(user)"));
        assert!(!found("r, Err(NoCache(_))"));
        assert!(!found("Result<User, NoCache<User>>"));
    }
}
