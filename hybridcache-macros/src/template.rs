//! Templates of keys and tags: `"user:{id}"`.
//!
//! The text of a template must be told from the values in it, and the values from each other. A value shows ASCII letters,
//! digits and `-_.~/+=` as they are and every other byte as `%XX`. So any other printable character in the text between
//! two placeholders ends the first value; where there is none, a comma is added.

/// A template, ready to be emitted.
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
            push_text(&mut pieces, &text, true);
            text.clear();
            pieces.push(Piece::Placeholder(placeholder(inside)?));
            rest = after;
        } else {
            return Err("unmatched `}`: write `}}` for a brace that is part of the text".to_owned());
        }
    }
    text.push_str(rest);
    push_text(&mut pieces, &text, false);
    Ok(pieces)
}

/// Printable ASCII as it is, but for what gives keys their structure elsewhere: `{ } @ % #`, the space.
pub(crate) fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'{' | b'}' | b'@' | b'%' | b'#' => format!("%{byte:02X}"),
            byte if byte.is_ascii_graphic() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

fn push_text(pieces: &mut Vec<Piece>, text: &str, before_a_placeholder: bool) {
    let mut text = escape(text);
    if before_a_placeholder && !pieces.is_empty() && !text.bytes().any(ends_a_value) {
        text.push(',');
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
}

/// Whether no value shows this byte. `%` does not count: `é` is `%C3%A9` in a value as it is in the text.
fn ends_a_value(byte: u8) -> bool {
    !byte.is_ascii_alphanumeric() && !b"-_.~/+=%".contains(&byte)
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
            "`{{{inside}}}`: a placeholder takes no format, here `:{format}`; write `{{{path}}}`, or use an expression, as in \
             `key = format!(..)`"
        ));
    }
    Ok(Placeholder { name: name.to_owned(), fields })
}

fn is_field(text: &str) -> bool {
    is_identifier(text) && text != "self" || !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    // Rust's own rule is wider only for characters nobody names an argument by.
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
    fn templates_are_taken_apart() {
        assert_eq!(parse("all"), Ok(vec![text("all")]));
        assert_eq!(parse(""), Ok(vec![]));
        assert_eq!(parse("user:{id}"), Ok(vec![text("user:"), field("id")]));
        assert_eq!(parse("{order.user_id}:{pair.0}!"), Ok(vec![field("order.user_id"), text(":"), field("pair.0"), text("!")]));
        assert_eq!(parse("{r#type}:{self.tenant}"), Ok(vec![field("type"), text(":"), field("self.tenant")]));
        assert_eq!(parse("{{{id}}}"), Ok(vec![text("%7B"), field("id"), text("%7D")]));
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("user:[a] (b)|é\n"), "user:[a]%20(b)|%C3%A9%0A");
        assert_eq!(escape("{}@%#"), "%7B%7D%40%25%23");
    }

    #[test]
    fn a_comma_stands_where_nothing_would_end_a_value() {
        let separated = |template| match &parse(template).expect(template)[..] {
            [_, Piece::Text(text), _] => text.clone(),
            pieces => panic!("{pieces:?}"),
        };
        assert_eq!(separated("{a}{b}"), ",");
        assert_eq!(separated("{a}-{b}"), "-,");
        assert_eq!(separated("{a}/x_{b}"), "/x_,");
        assert_eq!(separated("{a}:{b}"), ":");
        assert_eq!(separated("{a}-to:{b}"), "-to:");
        // These are escaped in values too.
        assert_eq!(separated("{a} {b}"), "%20,");
        assert_eq!(separated("{a}é{b}"), "%C3%A9,");
        assert_eq!(separated("{a}@{b}"), "%40,");
        // Only what stands between two values needs one.
        assert_eq!(parse("x{a}y"), Ok(vec![text("x"), field("a"), text("y")]));
    }

    /// As the runtime writes a value.
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
        let values = ["", "x", ":", "x:", ",", "-", "é", " ", "@", "%", "%40", "-,", "x-"];
        for template in ["{a}{b}", "{a}:{b}", "{a}-{b}", "{a}é{b}", "{a} {b}", "{a}@{b}", "{a},{b}", "p{a}/{b}s", "{a}:-:{b}"] {
            let pieces = parse(template).expect(template);
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
