//! Reads keys: the inverse of `CacheKey`. If a text can be read back, it is injective for all values, not only for the
//! pairs that a test tries. Also used by the fuzz target `key`.

use std::str::FromStr;

use data_encoding::HEXLOWER;
use percent_encoding::percent_decode_str;

/// The rest of a key.
pub struct ReadBack<'a>(pub &'a str);

impl ReadBack<'_> {
    /// Reads a value, which ends where the structure around it continues.
    pub fn text(&mut self) -> Option<String> {
        let text = self.up_to(['(', ')', '[', ']', ',']);
        Some(percent_decode_str(text).decode_utf8().ok()?.into_owned())
    }

    pub fn number<T: FromStr>(&mut self) -> Option<T> {
        self.up_to(['(', ')', '[', ']', ',', 'x']).parse().ok()
    }

    pub fn option<T>(&mut self, value: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.is("-") {
            true => Some(None),
            false => self.mark("+").and_then(|()| value(self)).map(Some),
        }
    }

    pub fn list<T>(&mut self, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count: usize = self.number()?;
        self.mark("[")?;
        let mut items = Vec::new();
        for nth in 0..count {
            if nth > 0 {
                self.mark(",")?;
            }
            items.push(item(self)?);
        }
        self.mark("]")?;
        Some(items)
    }

    pub fn bytes(&mut self) -> Option<Vec<u8>> {
        let count: usize = self.number()?;
        self.mark("x")?;
        let digits = self.0.get(..2 * count)?;
        self.0 = &self.0[2 * count..];
        HEXLOWER.decode(digits.as_bytes()).ok()
    }

    /// Reads a part of the structure, which must be there.
    pub fn mark(&mut self, mark: &str) -> Option<()> {
        self.is(mark).then_some(())
    }

    /// Removes a part of the structure from the front, if it is there.
    pub fn is(&mut self, mark: &str) -> bool {
        let behind = self.0.strip_prefix(mark);
        self.0 = behind.unwrap_or(self.0);
        behind.is_some()
    }

    fn up_to<const N: usize>(&mut self, ends: [char; N]) -> &str {
        let (taken, rest) = self.0.split_at(self.0.find(ends).unwrap_or(self.0.len()));
        self.0 = rest;
        taken
    }
}
