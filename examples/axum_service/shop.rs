//! What the service knows of books: the queries, and which of their results are cached.

use std::path::Path;
use std::sync::{Arc, Once};

use hybridcache::{HybridCache, LoadError, hybrid_cached};
use serde::{Deserialize, Serialize};

use crate::database::{Database, Session};

/// One replica's access to the books. Cheap to clone, since a load takes a clone of it along.
#[derive(Clone)]
pub struct Shop {
    pub db: Database,
    pub cache: HybridCache,
}

/// A missing book is no error here but a `None`, which is cached like any page: nobody can make the service ask the
/// database again and again for a book that does not exist.
#[derive(Debug, thiserror::Error)]
pub enum ShopError {
    #[error("the database failed")]
    Database(#[from] rusqlite::Error),
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl Shop {
    /// The cache is as the environment says: with `HYBRIDCACHE_REDIS_URL` it is shared, else each replica has its own.
    pub async fn open(database: &Path) -> Result<Self, hybridcache::Error> {
        Ok(Self { db: Database::new(database), cache: HybridCache::from_env().await? })
    }

    /// A book's page. The `Arc` makes a hit cheap: nothing of the page is copied.
    ///
    /// `fresh_for` is short so that a run of a few seconds shows refreshes; a shop would say minutes.
    #[hybrid_cached(
        name = "book",
        key = "{id}",
        timeout = 5s,
        fresh_for = 2s,
        ttl = 10m,
        cache = self.cache,
        skip(self) // All replicas show the same books.
    )]
    pub async fn book(&self, id: u64) -> Result<Option<Arc<BookPage>>, ShopError> {
        Ok(self.db.run(move |session| book_page(session, id)).await?.map(Arc::new))
    }

    /// The best rated books of a category.
    #[hybrid_cached(
        name = "category",
        key = "{name}",
        timeout = 5s,
        fresh_for = 2s,
        ttl = 10m,
        cache = self.cache,
        skip(self)
    )]
    pub async fn category(&self, name: &str) -> Result<Option<Arc<CategoryPage>>, ShopError> {
        let name = name.to_owned();
        Ok(self.db.run(move |session| category_page(session, &name)).await?.map(Arc::new))
    }

    /// Sells a copy: the stock changes, so the page in the cache is wrong from now on. Returns how many copies were sold
    /// in all; `None` where there is none left, or no such book.
    pub async fn sell(&self, id: u64) -> Result<Option<u64>, ShopError> {
        static FIRST: Once = Once::new();
        let sold = self.db.run(move |session| sell(session, id)).await?;
        // After the commit, never before: a load in between would bring the old page back.
        if sold.is_some()
            && let Err(error) = self.book_entry(id).invalidate().await
        {
            // The copy is sold whatever the cache says. Replicas that did not get the invalidation show the old page until it is
            // no longer fresh. A service would log every one of these.
            FIRST.call_once(|| eprintln!("book {id}, and perhaps more: {error}"));
        }
        Ok(sold)
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub struct BookPage {
    pub id: u64,
    pub isbn: String,
    pub title: String,
    pub year: u32,
    pub cents: u32,
    pub category: String,
    /// Copies sold so far.
    pub sold: u64,
    pub authors: Vec<Author>,
    pub stock: Vec<Stock>,
    pub reviews: u32,
    /// From 1 to 5.
    pub average_stars: Option<f64>,
    pub most_helpful: Vec<Review>,
    pub by_the_same_authors: Vec<BookLink>,
    pub popular_in_category: Vec<BookLink>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Author {
    pub name: String,
    pub country: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Stock {
    pub warehouse: String,
    pub copies: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Review {
    pub stars: u32,
    pub text: String,
    pub helpful: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct BookLink {
    pub id: u64,
    pub title: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct CategoryPage {
    pub name: String,
    pub best_rated: Vec<RatedBook>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct RatedBook {
    pub id: u64,
    pub title: String,
    pub authors: String,
    pub cents: u32,
    pub reviews: u32,
    pub average_stars: f64,
}

fn book_page(session: &Session, id: u64) -> rusqlite::Result<Option<BookPage>> {
    let page = session.row(
        "SELECT b.isbn, b.title, b.year, b.cents, c.name, b.sold FROM books b JOIN categories c ON c.id = b.category
         WHERE b.id = ?",
        [id],
        |row| {
            Ok(BookPage {
                id,
                isbn: row.get(0)?,
                title: row.get(1)?,
                year: row.get(2)?,
                cents: row.get(3)?,
                category: row.get(4)?,
                sold: row.get(5)?,
                authors: Vec::new(),
                stock: Vec::new(),
                reviews: 0,
                average_stars: None,
                most_helpful: Vec::new(),
                by_the_same_authors: Vec::new(),
                popular_in_category: Vec::new(),
            })
        },
    )?;
    let Some(mut page) = page else { return Ok(None) };
    page.authors = session.rows(
        "SELECT a.name, a.country FROM authorship w JOIN authors a ON a.id = w.author WHERE w.book = ?",
        [id],
        |row| Ok(Author { name: row.get(0)?, country: row.get(1)? }),
    )?;
    page.stock = session.rows(
        "SELECT w.city, s.copies FROM stock s JOIN warehouses w ON w.id = s.warehouse WHERE s.book = ?",
        [id],
        |row| Ok(Stock { warehouse: row.get(0)?, copies: row.get(1)? }),
    )?;
    let ratings = session
        .row("SELECT count(*), avg(stars) FROM reviews WHERE book = ?", [id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    (page.reviews, page.average_stars) = ratings.unwrap_or_default();
    page.most_helpful = session.rows(
        "SELECT stars, text, helpful FROM reviews WHERE book = ? ORDER BY helpful DESC LIMIT 3",
        [id],
        |row| Ok(Review { stars: row.get(0)?, text: row.get(1)?, helpful: row.get(2)? }),
    )?;
    page.by_the_same_authors = session.rows(
        "SELECT DISTINCT b.id, b.title FROM authorship mine JOIN authorship w ON w.author = mine.author
         JOIN books b ON b.id = w.book WHERE mine.book = ?1 AND b.id <> ?1 ORDER BY b.sold DESC LIMIT 5",
        [id],
        book_link,
    )?;
    page.popular_in_category = session.rows(
        "SELECT b.id, b.title FROM books mine JOIN books b ON b.category = mine.category
         WHERE mine.id = ?1 AND b.id <> ?1 ORDER BY b.sold DESC LIMIT 5",
        [id],
        book_link,
    )?;
    Ok(Some(page))
}

fn book_link(row: &rusqlite::Row<'_>) -> rusqlite::Result<BookLink> {
    Ok(BookLink { id: row.get(0)?, title: row.get(1)? })
}

fn category_page(session: &Session, name: &str) -> rusqlite::Result<Option<CategoryPage>> {
    let category: Option<u64> = session.row("SELECT id FROM categories WHERE name = ?", [name], |row| row.get(0))?;
    let Some(category) = category else { return Ok(None) };
    let best_rated = session.rows(
        "SELECT b.id, b.title, b.cents, best.reviews, best.stars, group_concat(a.name, ', ')
         FROM (
             SELECT r.book, count(*) AS reviews, avg(r.stars) AS stars FROM books b JOIN reviews r ON r.book = b.id
             WHERE b.category = ? GROUP BY r.book HAVING count(*) >= 5 ORDER BY 3 DESC, 2 DESC LIMIT 20
         ) best
         JOIN books b ON b.id = best.book JOIN authorship w ON w.book = b.id JOIN authors a ON a.id = w.author
         GROUP BY b.id ORDER BY best.stars DESC, best.reviews DESC",
        [category],
        |row| {
            Ok(RatedBook {
                id: row.get(0)?,
                title: row.get(1)?,
                cents: row.get(2)?,
                reviews: row.get(3)?,
                average_stars: row.get(4)?,
                authors: row.get(5)?,
            })
        },
    )?;
    Ok(Some(CategoryPage { name: name.to_owned(), best_rated }))
}

fn sell(session: &Session, id: u64) -> rusqlite::Result<Option<u64>> {
    let sale = session.transaction()?;
    let taken: Option<u64> = session.row(
        "UPDATE stock SET copies = copies - 1
         WHERE book = ?1 AND warehouse = (
             SELECT warehouse FROM stock WHERE book = ?1 AND copies > 0 ORDER BY copies DESC LIMIT 1
         )
         RETURNING copies",
        [id],
        |row| row.get(0),
    )?;
    if taken.is_none() {
        return Ok(None);
    }
    let sold = session.row("UPDATE books SET sold = sold + 1 WHERE id = ? RETURNING sold", [id], |row| row.get(0))?;
    sale.commit()?;
    Ok(sold)
}
