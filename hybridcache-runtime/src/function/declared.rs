//! Where a function is declared, derived from the compiler's name for a closure in it.
//!
//! `module_path!()` names only the module: it cannot distinguish two associated functions, or two functions that are
//! local to others. [`type_name`](std::any::type_name) of a closure prints everything that encloses it, types with
//! their parameters included:
//!
//! | printed, for a closure in `f` | declared in |
//! |---|---|
//! | `app::user::f` | the module `app::user` |
//! | `app::user::Cats::f`, `app::user::<impl app::Cats>::f` | an `impl` of a type, in its module or in another one |
//! | `<app::Cats as app::Sound>::f`, `app::user::<impl app::Sound for app::Cats>::f` | an implementation of a trait |
//! | `app::user::g::f`, `app::user::g::{{closure}}::f`, `app::user::g::Local::f` | the body of `g` |
//!
//! The compiler guarantees that all of these but the last are unique: in one scope it accepts one item of a name, one
//! inherent function of a name for a type, one implementation of a trait for a type. It prints all blocks of one body
//! alike, so a function that is local to a body has no unique name. Where both readings are possible, the declaration
//! counts as local. A function in a module `user::Cats` is recognised by its module, and an enclosing name that begins
//! with a capital is taken for a type.

/// A path as it is printed, cut at the last `::` that is in no brackets.
fn cut(path: &str) -> Option<(&str, &str)> {
    let bytes = path.as_bytes();
    let mut depth = 0_usize;
    for at in (1..bytes.len()).rev() {
        match bytes[at] {
            // Not that of `fn() -> u8`.
            b'>' if bytes[at - 1] != b'-' => depth += 1,
            b')' | b']' | b'}' => depth += 1,
            b'<' | b'(' | b'[' | b'{' => depth = depth.checked_sub(1)?,
            b':' if depth == 0 && bytes[at - 1] == b':' => return Some((&path[..at - 1], &path[at + 1..])),
            _ => {}
        }
    }
    None
}

/// The path that encloses a function. `printed` is the name of a closure in it, or in its entry handle.
pub(crate) fn enclosing<'a>(printed: &'a str, function: &str) -> Option<&'a str> {
    let mut path = printed;
    loop {
        let (before, last) = cut(path)?;
        path = before;
        // Closures, `async` blocks, constants.
        if last.starts_with('{') {
            continue;
        }
        let name = plain(last.split('<').next().unwrap_or(last));
        let is_it = name == function || name.strip_suffix("_entry") == Some(function);
        return is_it.then_some(before);
    }
}

/// The path before a function's name, and whether it is unique.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Declared {
    pub(crate) enclosing: String,
    pub(crate) is_unique: bool,
}

impl Declared {
    /// The declaration of a function in `module`, as `module_path!()` names it. `in_impl`: it is known to be in an
    /// `impl` or a trait.
    pub(crate) fn new(enclosing: &str, module: &str, in_impl: bool) -> Self {
        Self::find(enclosing, module, in_impl)
            .map(|enclosing| Self { enclosing, is_unique: true })
            .unwrap_or_else(|| Self { enclosing: without_closures(enclosing), is_unique: false })
    }

    /// `None` if it is local to a body, or may be.
    fn find(enclosing: &str, module: &str, in_impl: bool) -> Option<String> {
        if is_path(enclosing, module) {
            return Some(module.to_owned());
        }
        if let Some(implementation) = enclosing.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
            // The compiler leaves out the path before it only if the type or the trait is of the same scope.
            let heads = heads(implementation);
            let is_here = heads.iter().any(|head| parent(head).is_some_and(|parent| is_path(parent, module)));
            let may_be_local = heads.iter().any(|head| is_below(head, module));
            return (is_here && !may_be_local && implementation.contains(" as ")).then(|| enclosing.to_owned());
        }
        let (before, last) = cut(enclosing)?;
        if !is_path(before, module) {
            return None;
        }
        match last.strip_prefix("<impl ").and_then(|rest| rest.strip_suffix('>')) {
            Some(implementation) => Some(match implementation.split_once(" for ") {
                Some((implemented, implementor)) => format!("<{implementor} as {implemented}>"),
                None => implementation.to_owned(),
            }),
            None => (in_impl || plain(last).starts_with(char::is_uppercase)).then(|| enclosing.to_owned()),
        }
    }
}

/// The paths in `Type as Trait` or the like, without their parameters.
fn heads(text: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut shown = String::new();
    let mut last = ' ';
    for char in text.chars() {
        match char {
            '<' => depth += 1,
            '>' if last != '-' => depth = depth.saturating_sub(1),
            _ if depth == 0 => shown.push(char),
            _ => {}
        }
        last = char;
    }
    let is_part = |char: char| char.is_alphanumeric() || matches!(char, '_' | ':' | '#');
    shown.split(|char| !is_part(char)).filter(|part| part.contains("::")).map(str::to_owned).collect()
}

fn parent(path: &str) -> Option<&str> {
    cut(path).map(|(parent, _)| parent)
}

/// Whether the path is inside an item of `module`: another module, or the body of a function.
fn is_below(path: &str, module: &str) -> bool {
    let mut scope = parent(path).and_then(parent);
    while let Some(path) = scope {
        if is_path(path, module) {
            return true;
        }
        scope = parent(path);
    }
    false
}

/// Whether a printed path is the path of a module. Only `module_path!()` prints `r#`.
fn is_path(path: &str, module: &str) -> bool {
    let (mut path, mut module) = (path.split("::"), module.split("::"));
    path.by_ref().map(plain).eq(module.by_ref().map(plain))
}

fn plain(name: &str) -> &str {
    name.strip_prefix("r#").unwrap_or(name)
}

fn without_closures(path: &str) -> String {
    let parts: Vec<_> = path.split("::").filter(|part| !part.starts_with('{')).collect();
    parts.join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `None`: not unique.
    fn found(printed: &str, module: &str, in_impl: bool) -> Option<String> {
        let enclosing = enclosing(printed, "f").expect(printed);
        let declared = Declared::new(enclosing, module, in_impl);
        declared.is_unique.then_some(declared.enclosing)
    }

    #[test]
    fn what_encloses_a_function_and_its_handle() {
        for (printed, expected) in [
            ("a::f::{{closure}}::{{constant}}::{{closure}}", Some("a")),
            ("a::f_entry::{{constant}}::{{closure}}", Some("a")),
            ("a::r#f::{{closure}}", Some("a")),
            ("a::f<u8, alloc::vec::Vec<b::C>>::{{closure}}", Some("a")),
            ("a::f<fn(u8) -> b::C>::{{closure}}", Some("a")),
            ("<dyn Fn(u8) -> u8 as a::T>::f::{{closure}}", Some("<dyn Fn(u8) -> u8 as a::T>")),
            ("a::<impl b::C<u8>>::f::{{closure}}", Some("a::<impl b::C<u8>>")),
            ("a::g::{{closure}}::f::{{closure}}", Some("a::g::{{closure}}")),
            // A function around it, made by another attribute.
            ("a::f::inner::{{closure}}", None),
            ("a::ff::{{closure}}", None),
            ("f::{{closure}}", None),
            ("a::>>f::{{closure}}", None),
            ("", None),
        ] {
            assert_eq!(enclosing(printed, "f"), expected, "{printed}");
        }
    }

    /// Killed by: any of these taken for local.
    #[test]
    fn what_only_one_function_can_be() {
        for (printed, module, in_impl, expected) in [
            ("a::b::f", "a::b", false, "a::b"),
            ("a::fn::f", "a::r#fn", false, "a::r#fn"),
            ("a::b::Cats::f", "a::b", false, "a::b::Cats"),
            ("a::b::Cats<u8>::f", "a::b", false, "a::b::Cats<u8>"),
            ("a::b::cats::f", "a::b", true, "a::b::cats"),
            ("a::<impl a::b::Cats>::f", "a", false, "a::b::Cats"),
            ("a::<impl a::b::Cats<a::b::c::D>>::f", "a", true, "a::b::Cats<a::b::c::D>"),
            ("<a::Cats as a::Cry>::f", "a", false, "<a::Cats as a::Cry>"),
            ("<a::b::Cats as a::Cry>::f", "a::b", false, "<a::b::Cats as a::Cry>"),
            ("<a::Cats as a::b::Cry>::f", "a::b", true, "<a::Cats as a::b::Cry>"),
            ("<&a::Cats as b::Cry<a::c::D>>::f", "a", false, "<&a::Cats as b::Cry<a::c::D>>"),
            ("<[u8; 3] as a::Cry>::f", "a", false, "<[u8; 3] as a::Cry>"),
            (
                "a::<impl b::Cry for alloc::boxed::Box<a::Cats>>::f",
                "a",
                false,
                "<alloc::boxed::Box<a::Cats> as b::Cry>",
            ),
        ] {
            assert_eq!(found(printed, module, in_impl).as_deref(), Some(expected), "{printed}");
        }
    }

    /// Killed by: any of these taken for a name of its own.
    #[test]
    fn what_several_functions_can_be() {
        for (printed, module, in_impl) in [
            ("a::g::f", "a", false),
            ("a::g::f", "a::g::h", false),
            ("a::g::{{closure}}::f", "a", false),
            ("a::_::f", "a", false),
            ("a::g::Local::f", "a", true),
            ("a::_::<impl a::Cats>::f", "a", true),
            ("a::g::<impl a::Cats>::f", "a", true),
            ("a::g::<impl a::Cry for alloc::boxed::Box<a::g::Local>>::f", "a", true),
            // A trait or a type in a module, or in a function, of that name.
            ("<a::g::Local as a::Cry>::f", "a", true),
            ("<a::Cats as a::g::Local>::f", "a", true),
            ("<&a::g::Local as a::Cry>::f", "a", true),
            // `mod inner` in a function, which `module_path!()` leaves out.
            ("<a::g::inner::Local as a::Cry>::f", "a::inner", true),
            ("a::g::inner::f", "a::inner", false),
        ] {
            assert_eq!(found(printed, module, in_impl), None, "{printed}");
        }
    }

    #[test]
    fn a_local_function_is_called_after_what_it_is_in() {
        let declared = Declared::new("a::g::{{closure}}", "a", false);
        assert_eq!(declared, Declared { enclosing: "a::g".to_owned(), is_unique: false });
    }
}
