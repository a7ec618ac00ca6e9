//! The canonical text of a key. A short text is built without allocating.

use std::fmt::{self, Write as _};
use std::hash::Hasher;

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;
use percent_encoding::{percent_decode_str, percent_encode_byte};

/// The bytes of a value that are not escaped. The bytes that give a key its structure are not among them, so a value
/// cannot imitate the structure. A table, because most of the work is the search for bytes to escape.
static SHOWN: [bool; 256] = shown();

const fn shown() -> [bool; 256] {
    let mut shown = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        shown[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
        byte += 1;
    }
    shown
}

/// Texts up to this length are built without allocating. It is longer than any key that is readable in a shared tier.
pub(super) const ON_STACK: usize = 96;

/// The number of bytes that fit into three words beside a discriminant and the length.
pub(crate) const SHORT: usize = 22;

/// The digits of the largest number.
const LONGEST_NUMBER: usize = 20;

/// How many numbers are recorded.
const NUMBERS: usize = 3;

/// Marks that the text has a part that is not recorded.
const UNNOTED: usize = usize::MAX;

/// `00` to `99`.
static PAIRS: [[u8; 2]; 100] = pairs();

const fn pairs() -> [[u8; 2]; 100] {
    let mut pairs = [[0; 2]; 100];
    let mut pair = 0;
    while pair < 100 {
        pairs[pair as usize] = [b'0' + pair / 10, b'0' + pair % 10];
        pair += 1;
    }
    pairs
}

/// The text of one call's arguments, while it is built and after.
///
/// An implementation of [`CacheKey`](crate::CacheKey) writes to it. All text that is written through the methods shown here is escaped:
/// ASCII letters, digits and `-_.~` stay, any other byte becomes `%XX`.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// use hybridcache::KeyBuf;
///
/// let mut key = KeyBuf::new();
/// key.text("rates.").text("usd:eur");
/// assert_eq!(key.as_str(), "rates.usd%3Aeur");
/// ```
///
/// A text of up to 96 bytes stays on the stack.
#[derive(Clone)]
pub struct KeyBuf {
    /// The bytes used of `stack`; the whole length once the text has outgrown it, so that nothing more is written
    /// there.
    len: usize,
    /// Zeros after the used bytes.
    stack: [u8; ON_STACK],
    /// The whole text once it has outgrown the stack; empty until then.
    pub(super) heap: Vec<u8>,
    /// The numbers that are hashed instead of the text, while the text consists of a template, numbers and strings
    /// only. A string is recorded by its hash.
    numbers: [u64; NUMBERS],
    /// How many are recorded; [`UNNOTED`] once the text has any other part.
    noted: usize,
}

impl KeyBuf {
    /// An empty text.
    #[inline]
    pub const fn new() -> Self {
        Self { len: 0, stack: [0; ON_STACK], heap: Vec::new(), numbers: [0; NUMBERS], noted: 0 }
    }

    /// Writes a value, escaped.
    ///
    /// Nothing marks where one value ends and the next begins: `text("a").text("bc")` and `text("ab").text("c")`
    /// write the same. Where a key has several variable parts, write a tuple of them.
    #[inline]
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.noted = UNNOTED;
        self.escaped(text);
        self
    }

    /// Writes the text that `value` displays, escaped.
    ///
    /// # Panics
    ///
    /// As [`ToString::to_string`] does, if the value's `Display` reports an error that no writer gave it: an incomplete
    /// text would be the key of other values too.
    pub fn display<T: fmt::Display + ?Sized>(&mut self, value: &T) -> &mut Self {
        write!(Escaping(self), "{value}").expect("a `Display` of a cache key's part returned an error unexpectedly");
        self
    }

    /// Writes the name of a variant, or a mark between values. It is not escaped.
    #[doc(hidden)]
    #[inline]
    pub fn literal(&mut self, text: &'static str) {
        debug_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?} is not escaped");
        self.push(text.as_bytes());
    }

    /// Writes text of a template, which the macro has escaped. Each call of the function writes the same text.
    #[doc(hidden)]
    #[inline]
    pub fn template(&mut self, text: &'static str) {
        debug_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?} is not escaped");
        self.append(text.as_bytes());
    }

    /// The text as bytes. All of them are printable ASCII.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        if self.heap.is_empty() { &self.stack[..self.len] } else { &self.heap }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Values add only ASCII, and literals are whole strings. A panic is better than a substitute, which other keys
        // would share.
        str::from_utf8(self.as_bytes()).expect("only ASCII is written")
    }

    /// The text before it was escaped: the name of a tag, which does not depend on how its text was built.
    #[doc(hidden)]
    pub fn unescaped(&self) -> String {
        percent_decode_str(self.as_str()).decode_utf8_lossy().into_owned()
    }

    /// The beginning of the text, followed by zeros if the text is shorter. (Texts contain no zeros.)
    #[inline]
    pub(crate) fn padded<const LEN: usize>(&self) -> &[u8; LEN] {
        const { assert!(LEN <= ON_STACK) };
        self.stack.first_chunk().unwrap_or(&[0; LEN])
    }

    /// The bytes of the text while it stays on the stack.
    #[inline]
    pub(crate) fn len_on_stack(&self) -> usize {
        self.len
    }

    /// The numbers that can be hashed instead of the text. They are ready: reading a text that was written a moment ago
    /// takes half as long as the rest of a hit.
    #[inline]
    pub(crate) fn numbers(&self) -> Option<&[u64]> {
        self.numbers.get(..self.noted)
    }

    #[inline]
    fn note(&mut self, number: u64) {
        match self.numbers.get_mut(self.noted) {
            Some(room) => {
                *room = number;
                self.noted += 1;
            }
            None => self.noted = UNNOTED,
        }
    }

    /// Writes a string that is in the same place of each key of the function, and records its hash.
    #[inline]
    pub(super) fn string(&mut self, text: &str) {
        self.note(hash(text));
        self.escaped(text);
    }

    #[inline]
    fn escaped(&mut self, text: &str) {
        let mut rest = text.as_bytes();
        while let Some(at) = rest.iter().position(|byte| !SHOWN[usize::from(*byte)]) {
            self.append(&rest[..at]);
            self.append(percent_encode_byte(rest[at]).as_bytes());
            rest = &rest[at + 1..];
        }
        self.append(rest);
    }

    /// Writes a number that is in the same place of each key of the function, and records it.
    #[inline]
    pub(super) fn number(&mut self, number: u64, is_negative: bool) {
        self.note(number);
        if is_negative {
            self.append(b"-");
        }
        self.digits(if is_negative { number.wrapping_neg() } else { number });
    }

    #[inline]
    fn digits(&mut self, mut number: u64) {
        // The digits end in the middle and zeros follow, so that the same number of bytes is copied for every number: a
        // copy of a known size is no call.
        let mut digits = [0; 2 * LONGEST_NUMBER];
        let mut at = LONGEST_NUMBER;
        while number >= 10 {
            at -= 2;
            digits[at..at + 2].copy_from_slice(&PAIRS[(number % 100) as usize]);
            number /= 100;
        }
        if number > 0 || at == LONGEST_NUMBER {
            at -= 1;
            digits[at] = b'0' + number as u8;
        }
        match (self.stack.get_mut(self.len..self.len + LONGEST_NUMBER), digits[at..].first_chunk::<LONGEST_NUMBER>()) {
            (Some(room), Some(digits)) => {
                room.copy_from_slice(digits);
                self.len += LONGEST_NUMBER - at;
            }
            _ => self.append(&digits[at..LONGEST_NUMBER]),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, ascii: &[u8]) {
        self.noted = UNNOTED;
        self.append(ascii);
    }

    #[inline]
    fn append(&mut self, ascii: &[u8]) {
        let end = self.len + ascii.len();
        match self.stack.get_mut(self.len..end) {
            Some(free) => {
                free.copy_from_slice(ascii);
                self.len = end;
            }
            None => self.push_to_heap(ascii),
        }
    }

    #[cold]
    fn push_to_heap(&mut self, ascii: &[u8]) {
        if self.heap.is_empty() {
            self.heap.extend_from_slice(&self.stack[..self.len]);
            self.len = ON_STACK;
        }
        self.heap.extend_from_slice(ascii);
    }
}

/// Seeded, so that nobody outside the process can compute it. The hasher covers a text's length by its seed alone.
#[inline]
pub(super) fn hash(text: &str) -> u64 {
    let secret = SharedSeed::global_random();
    let mut seed = FoldHasher::with_seed(!0, secret);
    seed.write_usize(text.len());
    let mut hasher = FoldHasher::with_seed(seed.finish(), secret);
    hasher.write(text.as_bytes());
    hasher.finish()
}

impl Default for KeyBuf {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for KeyBuf {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for KeyBuf {}

impl fmt::Debug for KeyBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A writer that escapes.
struct Escaping<'a>(&'a mut KeyBuf);

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.text(text);
        Ok(())
    }
}
