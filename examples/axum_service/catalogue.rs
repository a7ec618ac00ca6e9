//! The data set: a bookshop's catalogue, the same in every run.

use rusqlite::{Connection, Result, params};

use crate::random::{Random, Zipf};
use crate::words::*;

pub const BOOKS: usize = 20_000;
const AUTHORS: usize = 6_000;
const REVIEWS: usize = 100_000;

const SCHEMA: &str = "
    CREATE TABLE categories (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE warehouses (id INTEGER PRIMARY KEY, city TEXT NOT NULL);
    CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL);
    CREATE TABLE books (
        id INTEGER PRIMARY KEY, isbn TEXT NOT NULL, title TEXT NOT NULL, category INTEGER NOT NULL REFERENCES categories,
        year INTEGER NOT NULL, cents INTEGER NOT NULL, sold INTEGER NOT NULL
    );
    CREATE TABLE authorship (
        book INTEGER NOT NULL REFERENCES books, author INTEGER NOT NULL REFERENCES authors, PRIMARY KEY (book, author)
    ) WITHOUT ROWID;
    CREATE TABLE stock (
        book INTEGER NOT NULL REFERENCES books, warehouse INTEGER NOT NULL REFERENCES warehouses, copies INTEGER NOT NULL,
        PRIMARY KEY (book, warehouse)
    ) WITHOUT ROWID;
    CREATE TABLE reviews (
        id INTEGER PRIMARY KEY, book INTEGER NOT NULL REFERENCES books, stars INTEGER NOT NULL, text TEXT NOT NULL,
        helpful INTEGER NOT NULL
    );";

const INDEXES: &str = "
    CREATE INDEX bestsellers ON books (category, sold);
    CREATE INDEX books_by_author ON authorship (author);
    CREATE INDEX stars_by_book ON reviews (book, stars);
    CREATE INDEX most_helpful ON reviews (book, helpful);
    ANALYZE;";

/// Fills an empty database.
pub fn seed(connection: &mut Connection) -> Result<()> {
    // Readers and a writer at once; what a crash would lose can be made again.
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "off")?;
    connection.execute_batch(SCHEMA)?;
    let rows = connection.transaction()?;
    let random = &mut Random::new(1);
    insert_names(&rows, random)?;
    insert_books(&rows, random)?;
    insert_reviews(&rows, random)?;
    rows.execute_batch(INDEXES)?;
    rows.commit()
}

fn insert_names(rows: &Connection, random: &mut Random) -> Result<()> {
    for (id, name) in (1..).zip(CATEGORIES) {
        rows.execute("INSERT INTO categories VALUES (?, ?)", params![id, name])?;
    }
    for (id, city) in (1..).zip(WAREHOUSES) {
        rows.execute("INSERT INTO warehouses VALUES (?, ?)", params![id, city])?;
    }
    let mut author = rows.prepare("INSERT INTO authors VALUES (?, ?, ?)")?;
    for id in 1..=AUTHORS {
        let name = format!("{} {}", random.pick(&FIRST_NAMES), random.pick(&LAST_NAMES));
        author.execute(params![id, name, random.pick(&COUNTRIES)])?;
    }
    Ok(())
}

fn insert_books(rows: &Connection, random: &mut Random) -> Result<()> {
    let mut book = rows.prepare("INSERT INTO books VALUES (?, ?, ?, ?, ?, ?, ?)")?;
    let mut authorship = rows.prepare("INSERT OR IGNORE INTO authorship VALUES (?, ?)")?;
    let mut stock = rows.prepare("INSERT INTO stock VALUES (?, ?, ?)")?;
    for id in 1..=BOOKS {
        let category = 1 + random.below(CATEGORIES.len());
        let (year, cents, sold) = (1950 + random.below(76), 799 + 100 * random.below(40), random.below(5_000));
        book.execute(params![id, isbn(id), title(random), category, year, cents, sold])?;
        for _ in 0..1 + random.below(10) / 8 {
            // The square: some write more than others.
            let author = 1 + (random.fraction().powi(2) * AUTHORS as f64) as usize;
            authorship.execute(params![id, author])?;
        }
        for warehouse in 1..=WAREHOUSES.len() {
            stock.execute(params![id, warehouse, 40 + random.below(200)])?;
        }
    }
    Ok(())
}

fn insert_reviews(rows: &Connection, random: &mut Random) -> Result<()> {
    let mut review = rows.prepare("INSERT INTO reviews VALUES (?, ?, ?, ?, ?)")?;
    let popular = Zipf::new(BOOKS);
    for id in 1..=REVIEWS {
        let book = book_of_rank(popular.rank(random));
        // Books differ, and readers of one book agree to some degree.
        let stars = (2 + book % 3 + random.below(3)).min(5);
        let text = format!("{} {}", random.pick(&OPINIONS), random.pick(&REASONS));
        review.execute(params![id, book, stars, text, random.below(90)])?;
    }
    Ok(())
}

/// The id of the book that is the `rank`-th in popularity: bestsellers are spread over the catalogue.
pub fn book_of_rank(rank: usize) -> usize {
    1 + rank * 7_919 % BOOKS
}

fn title(random: &mut Random) -> String {
    let (adjective, noun) = (random.pick(&ADJECTIVES), random.pick(&NOUNS));
    match random.below(4) {
        0 => format!("The {adjective} {noun}"),
        1 => format!("{} of the {adjective} {noun}", random.pick(&NOUNS)),
        2 => format!("A {noun} in {}", random.pick(&COUNTRIES)),
        _ => format!("{adjective} {noun}s"),
    }
}

/// With its check digit.
fn isbn(id: usize) -> String {
    let digits = format!("9783{id:08}");
    let sum: u32 =
        digits.bytes().zip([1, 3].into_iter().cycle()).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}
