//! The structured fields (RFC 9651) that this cache reads: dictionaries and lists. A field with any violation of the
//! grammar is ignored as a whole.

use http::{HeaderMap, HeaderName};

/// A value, without its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Integer(i64),
    Boolean(bool),
    String(String),
    /// A type that no field of this cache uses: tokens, decimals, bytes, dates, display strings, inner lists.
    Other,
}

/// All lines of a field, joined. `None` if a line is not ASCII.
pub(crate) fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    let lines: Option<Vec<_>> = headers.get_all(name).iter().map(|line| line.to_str().ok()).collect();
    Some(lines?.join(", ").into_bytes())
}

/// The members of a dictionary. Of several members with one key, the last counts. `parameter` gets the name of each
/// parameter of a member.
pub(crate) fn dictionary(text: &[u8], mut parameter: impl FnMut(&str)) -> Option<Vec<(String, Item)>> {
    let mut members: Vec<(String, Item)> = Vec::new();
    each(text, |reader| {
        let key = reader.key()?;
        let item = if reader.eat(b'=') { reader.member()? } else { Item::Boolean(true) };
        reader.parameters(&mut parameter)?;
        members.retain(|(other, _)| *other != key);
        members.push((key, item));
        Some(())
    })?;
    Some(members)
}

/// The members of a list.
pub(crate) fn list(text: &[u8]) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    each(text, |reader| {
        items.push(reader.member()?);
        reader.parameters(|_| {})
    })?;
    Some(items)
}

fn each(text: &[u8], mut member: impl FnMut(&mut Reader<'_>) -> Option<()>) -> Option<()> {
    let mut reader = Reader { text: text.trim_ascii() };
    if reader.text.is_empty() {
        return Some(());
    }
    loop {
        member(&mut reader)?;
        reader.skip(b" \t");
        if reader.text.is_empty() {
            return Some(());
        }
        reader.eat(b',').then_some(())?;
        reader.skip(b" \t");
    }
}

/// The rest of the text. Every step either consumes a part of it or ends.
struct Reader<'a> {
    text: &'a [u8],
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.text.split_first()?;
        self.text = rest;
        Some(first)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.text.first() == Some(&byte);
        if found {
            self.text = &self.text[1..];
        }
        found
    }

    fn skip(&mut self, bytes: &[u8]) {
        self.take(|byte| bytes.contains(&byte));
    }

    fn take(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.text.iter().position(|&byte| !wanted(byte)).unwrap_or(self.text.len());
        let (taken, rest) = self.text.split_at(end);
        self.text = rest;
        taken
    }

    fn key(&mut self) -> Option<String> {
        self.text.first().filter(|first| first.is_ascii_lowercase() || **first == b'*')?;
        let key = self.take(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte));
        String::from_utf8(key.to_vec()).ok()
    }

    fn parameters(&mut self, mut name: impl FnMut(&str)) -> Option<()> {
        while self.eat(b';') {
            self.skip(b" ");
            name(&self.key()?);
            if self.eat(b'=') {
                self.item()?;
            }
        }
        Some(())
    }

    /// An item or an inner list.
    fn member(&mut self) -> Option<Item> {
        if !self.eat(b'(') {
            return self.item();
        }
        loop {
            self.skip(b" ");
            if self.eat(b')') {
                return Some(Item::Other);
            }
            self.item()?;
            self.parameters(|_| {})?;
            self.text.first().filter(|next| b" )".contains(next))?;
        }
    }

    fn item(&mut self) -> Option<Item> {
        match self.text.first()? {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string(),
            b'?' => self.boolean(),
            b':' => self.bytes(),
            b'@' => self.date(),
            b'%' => self.display_string(),
            first if first.is_ascii_alphabetic() || *first == b'*' => {
                self.take(|byte| super::fields::is_token(&[byte]) || b":/".contains(&byte));
                Some(Item::Other)
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Item> {
        let negative = self.eat(b'-');
        let whole = self.take(|byte| byte.is_ascii_digit());
        if self.eat(b'.') {
            let fraction = self.take(|byte| byte.is_ascii_digit());
            return ((1..=12).contains(&whole.len()) && (1..=3).contains(&fraction.len())).then_some(Item::Other);
        }
        (1..=15).contains(&whole.len()).then_some(())?;
        let number = whole.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        Some(Item::Integer(if negative { -number } else { number }))
    }

    fn string(&mut self) -> Option<Item> {
        self.next()?;
        let mut said = String::new();
        loop {
            match self.next()? {
                b'"' => return Some(Item::String(said)),
                b'\\' => said.push(char::from(self.next().filter(|byte| b"\"\\".contains(byte))?)),
                byte @ 0x20..=0x7e => said.push(char::from(byte)),
                _ => return None,
            }
        }
    }

    fn boolean(&mut self) -> Option<Item> {
        self.next()?;
        match self.next()? {
            b'0' => Some(Item::Boolean(false)),
            b'1' => Some(Item::Boolean(true)),
            _ => None,
        }
    }

    fn bytes(&mut self) -> Option<Item> {
        self.next()?;
        self.take(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
        self.eat(b':').then_some(Item::Other)
    }

    fn date(&mut self) -> Option<Item> {
        self.next()?;
        self.number().filter(|number| matches!(number, Item::Integer(_))).map(|_| Item::Other)
    }

    fn display_string(&mut self) -> Option<Item> {
        self.next()?;
        self.eat(b'"').then_some(())?;
        self.take(|byte| (0x20..=0x7e).contains(&byte) && byte != b'"');
        self.eat(b'"').then_some(Item::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionaries() {
        use Item::{Boolean, Integer};
        let check = |text: &str, expected: &[(&str, Item)]| {
            let expected: Vec<_> = expected.iter().map(|(key, item)| ((*key).to_owned(), item.clone())).collect();
            assert_eq!(dictionary(text.as_bytes(), |_| {}), Some(expected), "{text}");
        };
        check("", &[]);
        check("a", &[("a", Boolean(true))]);
        check(" a=1 ,\tb ", &[("a", Integer(1)), ("b", Boolean(true))]);
        check("a=-12, a=?0", &[("a", Boolean(false))]);
        check("a;x=1;y, b=2; z", &[("a", Boolean(true)), ("b", Integer(2))]);
        check("*a-b_c.1=?1", &[("*a-b_c.1", Boolean(true))]);
        check(r#"a="x, \"y\"""#, &[("a", Item::String("x, \"y\"".to_owned()))]);
        check("a=-999999999999999", &[("a", Integer(-999_999_999_999_999))]);
        for other in
            ["1.5", "-123456789012.123", "tok/en:*", "*", ":YQ==:", "@-1", "%\"a%c3\"", "()", "( 1  \"x\";y ?0 );z"]
        {
            check(&format!("a={other}, b"), &[("a", Item::Other), ("b", Boolean(true))]);
        }
    }

    #[test]
    fn what_breaks_the_grammar_anywhere_is_no_field() {
        let broken = [
            "a=1,",
            ",a=1",
            "a=1 b",
            "A=1",
            "1=1",
            "a =1",
            "a= 1",
            "a=",
            "a=&",
            "a;",
            "a;=1",
            "a;x=",
            "a;X",
            "a=1, &&&",
            "a=\u{fc}",
            "a=1234567890123456",
            "a=-",
            "a=1.",
            "a=.5",
            "a=1.2345",
            "a=1234567890123.1",
            "a=\"x",
            "a=\"\\x\"",
            "a=\"\t\"",
            "a=?2",
            "a=?",
            "a=:x",
            "a=:&:",
            "a=@1.5",
            "a=@",
            "a=%x",
            "a=%\"x",
            "a=(",
            "a=(1",
            "a=(1,2)",
            "a=(1\"x\")",
            "a=((1))",
        ];
        for text in broken {
            assert_eq!(dictionary(text.as_bytes(), |_| {}), None, "{text}");
        }
    }

    #[test]
    fn lists() {
        let strings =
            |said: &[&str]| Some(said.iter().map(|said| Item::String((*said).to_owned())).collect::<Vec<_>>());
        assert_eq!(list(b""), strings(&[]));
        assert_eq!(list(br#""a", "b";x , "c""#), strings(&["a", "b", "c"]));
        assert_eq!(list(br#""a" "b""#), None);
        assert_eq!(list(br#""a", "#), None);
    }
}
