//! The documentation against the sources: what it names exists.
#![allow(clippy::unwrap_used, reason = "a test panics to fail")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Killed by: a misspelt name in docs/semantics.md; a renamed test; a guarantee without a test.
#[test]
fn the_tests_that_semantics_names_exist() {
    let tests = tests();
    assert!(tests.len() > 1_000, "only {} tests were found", tests.len());
    let page = read("docs/semantics.md");
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| guarantee")).collect();
    assert!(rows.len() > 30, "only {} guarantees were found", rows.len());
    for row in rows {
        let held_by = row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        let names: Vec<_> = held_by.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test: {row}");
        for name in names {
            assert!(tests.contains(name), "docs/semantics.md names `{name}`, and there is no such test");
        }
    }
}

/// A link by reference leads to a file on GitHub and to a module on docs.rs. Killed by: a page without a module, or a module
/// without a link; a file that moved.
#[test]
fn links_lead_somewhere() {
    let guide = read("src/guide.rs");
    let links = read("src/links.md");
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for (name, target) in definitions(&text) {
            if target.starts_with('#') || target.contains("://") {
                continue;
            }
            let file = page.parent().unwrap().join(target.split('#').next().unwrap());
            assert!(file.exists(), "{}: [{name}] leads to {target}", page.display());
            assert!(links.contains(&format!("[{name}]: ")), "{}: src/links.md has no [{name}]", page.display());
        }
        if page.parent() != Some(root()) {
            let name = page.file_stem().unwrap().to_str().unwrap();
            assert!(guide.contains(&format!("page!({name}, \"../docs/{name}.md\");")), "src/guide.rs has no {name}");
            assert!(links.contains(&format!("[{name}]: crate::guide::{name}\n")), "src/links.md has no {name}");
        }
    }
}

/// Killed by: a front page that grows; a page that begins without saying what it is about.
#[test]
fn pages_begin_with_a_summary_and_the_front_page_is_short() {
    let readme = read("README.md");
    assert!(readme.lines().count() <= 200, "README.md has {} lines", readme.lines().count());
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let summary = text.split("\n\n").nth(1).unwrap_or_default();
        assert!(!["#", "|", "```", "- "].iter().any(|it| summary.starts_with(it)), "{} has no summary", page.display());
        assert!((1..=4).contains(&summary.lines().count()), "{}: the summary is too long", page.display());
    }
}

/// Killed by: an option that only the attribute has, or that only the table of the attribute names.
#[test]
fn without_the_attribute_each_option_has_its_row() {
    let options = read("docs/options.md");
    let without = read("docs/without_the_macro.md");
    let (_, rows) = without.split_once("| attribute | `Cached` |").unwrap();
    let rows: Vec<&str> = rows.lines().filter_map(|line| line.split('|').nth(1)).collect();
    for line in options.lines().filter(|line| line.starts_with("| `")) {
        let option = line.split('`').nth(1).unwrap();
        let is_named = |row: &&str| row.split('`').any(|name| name.split(' ').next() == Some(option));
        assert!(rows.iter().any(is_named), "docs/without_the_macro.md does not say what `{option}` is there");
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The front page, and the guide.
fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|file| file.unwrap().path());
    docs.chain([root().join("README.md")]).filter(|path| path.extension().is_some_and(|it| it == "md")).collect()
}

/// Lines such as `[keys]: keys.md`.
fn definitions(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "))
}

/// The names of all functions with a `test` attribute.
fn tests() -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for room in ["tests", "hybridcache-runtime/src", "hybridcache-macros/src"] {
        collect(&root().join(room), &mut tests);
    }
    tests
}

fn collect(folder: &Path, tests: &mut BTreeSet<String>) {
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            collect(&path, tests);
        } else if path.extension().is_some_and(|it| it == "rs") {
            tests.extend(tests_of(&fs::read_to_string(&path).unwrap()));
        }
    }
}

fn tests_of(source: &str) -> Vec<String> {
    let mut lines = source.lines().map(str::trim);
    let mut tests = Vec::new();
    while let Some(line) = lines.next() {
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            let declared = lines.find(|line| !line.starts_with("#[")).unwrap_or_default();
            let name = declared.split("fn ").nth(1).and_then(|rest| rest.split('(').next());
            tests.extend(name.map(str::to_owned));
        }
    }
    tests
}
