//! Templates of keys and tags: `"user:{id}"`.
//!
//! Two different lists of values must give two different keys. A value is written with ASCII letters, digits and `-_.~` as they
//! are, and every other byte as `%XX`. So any other printable character in the text between two placeholders ends the
//! first value; if there is none, a comma is added. Users invalidate a tag by its text, so nothing is added to tags.

/// A part of a template.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece {
    /// Text, escaped.
    Text(String),
    Placeholder(Placeholder),
}

/// `{order.user_id}`: the name of an argument, and fields of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Placeholder {
    pub(crate) name: String,
    pub(crate) fields: Vec<String>,
}

/// The pieces of a template, or what is wrong with it.
pub(crate) fn parse(template: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
            text.push_str(&rest[..1]);
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let (inside, after) = up_to_the_closing_brace(after)?;
            push_text(&mut pieces, &text);
            text.clear();
            pieces.push(Piece::Placeholder(placeholder(inside)?));
            rest = after;
        } else {
            return Err("unmatched `}`: write `}}` for a brace that is part of the text".to_owned());
        }
    }
    text.push_str(rest);
    push_text(&mut pieces, &text);
    Ok(pieces)
}

/// Printable ASCII as it is, except the characters that have a meaning in addresses, `{ } @ % #`, and the space.
pub(crate) fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'{' | b'}' | b'@' | b'%' | b'#' => format!("%{byte:02X}"),
            byte if byte.is_ascii_graphic() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(escape(text)));
    }
}

/// The pieces of a key, with a comma where nothing else ends a value.
pub(crate) fn separated(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut separated = Vec::new();
    let mut value_is_open = false;
    for piece in pieces {
        match &piece {
            Piece::Text(text) => value_is_open &= !text.bytes().any(ends_a_value),
            Piece::Placeholder(_) if value_is_open => separated.push(Piece::Text(",".to_owned())),
            Piece::Placeholder(_) => value_is_open = true,
        }
        separated.push(piece);
    }
    separated
}

/// Whether no value contains this byte. `%` does not end a value: `é` is `%C3%A9` both in a value and in text.
fn ends_a_value(byte: u8) -> bool {
    !byte.is_ascii_alphanumeric() && !b"-_.~%".contains(&byte)
}

fn up_to_the_closing_brace(text: &str) -> Result<(&str, &str), String> {
    match text.split_once('}') {
        Some((inside, after)) if !inside.contains('{') => Ok((inside, after)),
        _ => Err("unclosed `{`: write `{{` for a brace that is part of the text".to_owned()),
    }
}

fn placeholder(inside: &str) -> Result<Placeholder, String> {
    let (path, format) = inside.split_once(':').map_or((inside, None), |(path, format)| (path, Some(format)));
    let path = path.trim();
    if path.is_empty() || path.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("`{{{inside}}}` names nothing: write the name of an argument, as in `{{id}}`"));
    }
    let mut names = path.split('.').map(|name| name.strip_prefix("r#").unwrap_or(name));
    let name = names.next().filter(|name| is_identifier(name));
    let fields: Vec<_> = names.map(str::to_owned).collect();
    let (Some(name), true) = (name, fields.iter().all(|field| is_field(field))) else {
        return Err(format!(
            "`{{{inside}}}` is not a name or a path of fields, as in `{{order.user_id}}`; for anything more use an \
             expression, as in `key = ({path}, ..)`"
        ));
    };
    if let Some(format) = format {
        return Err(format!(
            "`{{{inside}}}`: a placeholder takes no format, here `:{format}`; write `{{{path}}}`, or use an \
             expression, as in `key = format!(..)`"
        ));
    }
    Ok(Placeholder { name: name.to_owned(), fields })
}

fn is_field(text: &str) -> bool {
    is_identifier(text) && text != "self" || !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    // Rust allows a few more characters, which are not used in names of arguments.
    chars.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_')
        && !matches!(text, "_" | "Self" | "super" | "crate")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    fn field(path: &str) -> Piece {
        let mut names = path.split('.').map(str::to_owned);
        Piece::Placeholder(Placeholder { name: names.next().expect("a path"), fields: names.collect() })
    }

    #[test]
    fn templates_are_parsed_into_pieces() {
        assert_eq!(parse("all"), Ok(vec![text("all")]));
        assert_eq!(parse(""), Ok(vec![]));
        assert_eq!(parse("user:{id}"), Ok(vec![text("user:"), field("id")]));
        assert_eq!(
            parse("{order.user_id}:{pair.0}!"),
            Ok(vec![field("order.user_id"), text(":"), field("pair.0"), text("!")])
        );
        assert_eq!(parse("{r#type}:{self.tenant}"), Ok(vec![field("type"), text(":"), field("self.tenant")]));
        assert_eq!(parse("{{{id}}}"), Ok(vec![text("%7B"), field("id"), text("%7D")]));
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("user:[a] (b)|é\n"), "user:[a]%20(b)|%C3%A9%0A");
        assert_eq!(escape("{}@%#"), "%7B%7D%40%25%23");
    }

    #[test]
    fn a_comma_is_added_where_nothing_else_ends_a_value() {
        let between = |template| {
            let pieces = separated(parse(template).expect(template));
            let between = pieces[1..pieces.len() - 1].iter().map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                Piece::Placeholder(_) => panic!("{template}"),
            });
            between.collect::<String>()
        };
        assert_eq!(between("{a}{b}"), ",");
        assert_eq!(between("{a}-{b}"), "-,");
        assert_eq!(between("{a}.x_{b}"), ".x_,");
        assert_eq!(between("{a}:{b}"), ":");
        assert_eq!(between("{a}/{b}"), "/");
        assert_eq!(between("{a}-to:{b}"), "-to:");
        // These are escaped, in values as in text.
        assert_eq!(between("{a} {b}"), "%20,");
        assert_eq!(between("{a}é{b}"), "%C3%A9,");
        assert_eq!(between("{a}@{b}"), "%40,");
        // A comma is added between values only.
        assert_eq!(separated(parse("x{a}y").expect("valid")), [text("x"), field("a"), text("y")]);
        assert_eq!(
            separated(parse("{a}{b}{c}").expect("valid")),
            [field("a"), text(","), field("b"), text(","), field("c")]
        );
    }

    /// Escapes a value as the runtime does.
    fn value(text: &str) -> String {
        text.bytes()
            .map(|byte| match byte {
                byte if !ends_a_value(byte) && byte != b'%' => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect()
    }

    #[test]
    fn no_two_lists_of_values_give_one_key() {
        let values = ["", "x", ":", "x:", ",", "-", "é", " ", "@", "%", "%40", "-,", "x-", "/", "x/", "_"];
        for template in [
            "{a}{b}",
            "{a}:{b}",
            "{a}-{b}",
            "{a}é{b}",
            "{a} {b}",
            "{a}@{b}",
            "{a},{b}",
            "p{a}/{b}s",
            "p{a}_{b}s",
            "{a}:-:{b}",
        ] {
            let pieces = separated(parse(template).expect(template));
            let mut seen = std::collections::HashMap::new();
            for (a, b) in values.iter().flat_map(|a| values.map(|b| (*a, b))) {
                let key: String = pieces
                    .iter()
                    .map(|piece| match piece {
                        Piece::Text(text) => text.clone(),
                        Piece::Placeholder(place) => value(if place.name == "a" { a } else { b }),
                    })
                    .collect();
                if let Some(other) = seen.insert(key.clone(), (a, b)) {
                    panic!("{template}: {other:?} and {:?} are both {key}", (a, b));
                }
            }
        }
    }

    #[test]
    fn mistakes_name_the_placeholder_and_the_fix() {
        for (template, expected) in [
            ("{id", "unclosed `{`"),
            ("{a{b}}", "unclosed `{`"),
            ("id}", "unmatched `}`"),
            ("{}", "`{}` names nothing"),
            ("{0}", "`{0}` names nothing"),
            ("{:?}", "`{:?}` names nothing"),
            ("{id:?}", "takes no format, here `:?`; write `{id}`"),
            ("{id:04}", "takes no format, here `:04`; write `{id}`"),
            ("{id.len()}", "not a name or a path of fields"),
            ("{a b}", "not a name or a path of fields"),
            ("{a..b}", "not a name or a path of fields"),
            ("{a.self}", "not a name or a path of fields"),
            ("{_}", "not a name or a path of fields"),
            ("{a::b}", "takes no format"),
        ] {
            let mistake = parse(template).expect_err(template);
            assert!(mistake.contains(expected), "{template}: {mistake}");
        }
    }
}
