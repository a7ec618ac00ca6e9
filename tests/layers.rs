//! A folder imports only from folders of lower layers, and no two files import each other, be it through others.
//!
//! Seen failing: with `use crate::cached;` in `hybridcache-macros/src/input/argument.rs`, with `use crate::evict;` in
//! `cached/signature.rs` (a folder of the same layer), with `use tokens::cache;` in `key/mod.rs` (which `tokens` imports), and
//! with a new folder that has no layer. What is seeded below fails the same way at each run.

#![allow(clippy::unwrap_used, reason = "a test panics to fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A crate's sources, and the layer of each folder or file at their top.
struct Tree {
    sources: &'static str,
    /// Empty: the tree is not checked.
    layers: &'static [(&'static str, u8)],
}

const MACROS: Tree = Tree {
    sources: "hybridcache-macros/src",
    layers: &[
        ("lib", 5),
        ("cached", 4),
        ("evict", 4),
        ("derive", 4),
        ("key", 3),
        ("input", 2),
        ("parse", 1),
        ("errors", 0),
        ("span", 0),
    ],
};

const RUNTIME: Tree = Tree {
    sources: "hybridcache-runtime/src",
    layers: &[
        ("lib", 10),
        ("__private", 10),
        ("http", 9),
        ("inspector", 9),
        ("call", 8),
        ("engine", 7),
        ("cache", 6),
        ("memory", 5),
        ("flight", 5),
        ("entry", 4),
        ("function", 3),
        ("coherence", 2),
        ("shared", 1),
        ("observe", 1),
        ("shared_error", 1),
        ("key", 0),
        ("error", 0),
        ("primitives", 0),
    ],
};

#[test]
fn folders_of_the_macros_import_downwards_only() {
    assert_eq!(upward_imports(&MACROS, &sources_of(&MACROS)), Vec::<String>::new());
}

#[test]
fn files_of_the_macros_import_each_other_in_no_circle() {
    assert_eq!(circles(&sources_of(&MACROS)), Vec::<String>::new());
}

#[test]
fn folders_of_the_runtime_import_downwards_only() {
    assert_eq!(upward_imports(&RUNTIME, &sources_of(&RUNTIME)), Vec::<String>::new());
}

#[test]
fn files_of_the_runtime_import_each_other_in_no_circle() {
    assert_eq!(circles(&sources_of(&RUNTIME)), Vec::<String>::new());
}

/// Killed by: groups in braces, `super` or tests read wrongly; `>` for `>=` between layers.
#[test]
fn seeded_imports_are_found() {
    let tree = Tree { sources: "", layers: &[("high", 2), ("low", 1), ("other", 1), ("folder", 0)] };
    let sources = read(&[
        ("high/mod.rs", "mod part;\nuse crate::low::{self, thing::{A, B}};"),
        ("high/part.rs", "use super::*;\nfn f() -> crate::other::T { self::inner::g() }\n#[cfg(test)]\nmod tests;"),
        ("high/part/tests.rs", "use crate::nothing::T;"),
        ("low/mod.rs", "// use crate::high::T;\nuse crate::{\n    high::{T, U},\n    low::thing,\n};"),
        (
            "low/thing.rs",
            "use super::{\n    U as V,\n    T,\n};\nuse crate::other::T;\n#[cfg(test)]\nmod tests {\n    use crate::high::T;\n}",
        ),
        ("folder/mod.rs", "pub(crate) mod a;\nuse a::T;"),
        ("folder/a.rs", "use super::U;"),
        ("other.rs", "#[cfg(all(test, unix))]\nmod model;\n"),
        ("other/model.rs", "use crate::high::T;"),
        ("new.rs", "use crate::low::T;"),
    ]);
    let expected = [
        "`low` (1) imports `high` (2)",
        "`low::thing` (1) imports `other` (1)",
        "`new` has no layer: add it to this test and to ARCHITECTURE.md",
    ];
    assert_eq!(upward_imports(&tree, &sources), expected);
    assert_eq!(circles(&sources), ["folder -> folder::a", "high -> low", "low -> low::thing"]);
}

/// One source file without its tests.
struct Source {
    /// `input::argument`
    module: Vec<String>,
    /// The files whose items it names.
    imports: BTreeSet<Vec<String>>,
}

fn upward_imports(tree: &Tree, sources: &[Source]) -> Vec<String> {
    let layer = |folder: &str| tree.layers.iter().find(|(name, _)| *name == folder).map(|(_, layer)| *layer);
    let mut found = Vec::new();
    for Source { module, imports } in sources {
        let Some(own) = layer(&module[0]) else {
            found.push(format!("`{}` has no layer: add it to this test and to ARCHITECTURE.md", module[0]));
            continue;
        };
        for import in imports.iter().filter(|import| import[0] != module[0]) {
            if let Some(theirs) = layer(&import[0]).filter(|theirs| *theirs >= own) {
                found.push(format!("`{}` ({own}) imports `{}` ({theirs})", module.join("::"), import.join("::")));
            }
        }
    }
    found
}

/// The shortest circle of each file that is in one. A folder's `mod.rs` declares the files in it; that alone is no import.
fn circles(sources: &[Source]) -> Vec<String> {
    let graph: BTreeMap<_, _> = sources.iter().map(|source| (&source.module, &source.imports)).collect();
    let found: BTreeSet<_> = sources.iter().filter_map(|source| way_back(&graph, &source.module)).map(named).collect();
    found.into_iter().collect()
}

/// From its first file by name, so that a circle is the same from each of its files.
fn named(mut circle: Vec<&Vec<String>>) -> String {
    let first = circle.iter().enumerate().min_by_key(|(_, module)| **module).map_or(0, |(at, _)| at);
    circle.rotate_left(first);
    circle.iter().map(|module| module.join("::")).collect::<Vec<_>>().join(" -> ")
}

fn way_back<'a>(
    graph: &BTreeMap<&'a Vec<String>, &'a BTreeSet<Vec<String>>>,
    start: &'a Vec<String>,
) -> Option<Vec<&'a Vec<String>>> {
    let (mut ways, mut seen) = (std::collections::VecDeque::from([vec![start]]), BTreeSet::new());
    while let Some(way) = ways.pop_front() {
        let Some(imports) = graph.get(way[way.len() - 1]) else { continue };
        for import in *imports {
            if import == start {
                return Some(way);
            }
            if seen.insert(import) {
                ways.push_back(way.iter().copied().chain([import]).collect());
            }
        }
    }
    None
}

fn sources_of(tree: &Tree) -> Vec<Source> {
    if tree.layers.is_empty() {
        return Vec::new();
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join(tree.sources);
    let mut files = Vec::new();
    list(&top, &mut files);
    let texts: Vec<_> = files
        .iter()
        .map(|file| (file.strip_prefix(&top).unwrap().display().to_string(), fs::read_to_string(file).unwrap()))
        .collect();
    assert!(!texts.is_empty(), "no sources at {}", top.display());
    read(&texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect::<Vec<_>>())
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            list(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Tests of the inside may look everywhere, so modules that are compiled for tests only are left out.
fn read(files: &[(&str, &str)]) -> Vec<Source> {
    let texts: Vec<_> = files.iter().map(|(path, text)| (module_of(path), without_comments(text))).collect();
    let tests: Vec<_> = texts.iter().flat_map(|(module, text)| test_modules(module, text)).collect();
    let is_test = |module: &[String]| tests.iter().any(|test| module.starts_with(test));
    let modules: BTreeSet<_> = texts.iter().map(|(module, _)| module.clone()).filter(|m| !is_test(m)).collect();
    let sources = texts.iter().filter(|(module, _)| !is_test(module)).map(|(module, text)| {
        let paths = paths_in(without_test_block(text), &declared(text));
        let imports = paths.iter().filter_map(|path| resolve(&modules, module, path));
        Source { module: module.clone(), imports: imports.filter(|import| import != module).collect() }
    });
    sources.collect()
}

fn module_of(path: &str) -> Vec<String> {
    let path = Path::new(path).with_extension("");
    let mut module: Vec<_> = path.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

fn without_comments(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| [line, "\n"]).collect()
}

/// `#[cfg(test)]`, `#[cfg(all(test, ..))]`
fn is_test_cfg(line: &str) -> bool {
    line.starts_with("#[cfg(") && line.contains("test") && !line.contains("not(test")
}

fn test_modules(module: &[String], text: &str) -> Vec<Vec<String>> {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let declared = lines.windows(2).filter(|pair| is_test_cfg(pair[0])).filter_map(|pair| {
        let (_, declared) = pair[1].split_once("mod ")?;
        declared.strip_suffix(';')
    });
    let parent = if module == ["lib"] { &[] } else { module };
    declared.map(|name| [parent, &[name.to_owned()]].concat()).collect()
}

/// The tests of a file are its last module.
fn without_test_block(text: &str) -> &str {
    let tests = text.find("\nmod tests {").and_then(|at| text[..at].rfind("#[cfg("));
    tests.map_or(text, |at| &text[..at])
}

/// The modules that a file declares: `mod name;`
fn declared(text: &str) -> Vec<&str> {
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with("mod ") || line.starts_with("pub"));
    lines.filter_map(|line| line.split_once("mod ")?.1.strip_suffix(';')).collect()
}

/// All paths that begin with `crate`, `super`, `self` or a module that is declared here, groups in braces taken apart.
fn paths_in(text: &str, declared: &[&str]) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for start in ["crate", "super", "self"].iter().chain(declared) {
        for (at, _) in text.match_indices(&format!("{start}::")) {
            let before = text[..at].chars().next_back();
            if !before.is_some_and(|before| is_word(before) || before == ':' || before == '$') {
                read_path(&text[at..], &mut Vec::new(), &mut paths);
            }
        }
    }
    paths
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Reads one path, and behind `::{` each of those in it. Returns what comes after.
fn read_path<'a>(text: &'a str, prefix: &mut Vec<String>, paths: &mut Vec<Vec<String>>) -> &'a str {
    let depth = prefix.len();
    let (word, mut rest) = text.split_at(text.find(|c| !is_word(c)).unwrap_or(text.len()));
    prefix.push(word.to_owned());
    match rest.strip_prefix("::") {
        Some(group) if group.starts_with('{') => {
            rest = &group[1..];
            loop {
                rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
                if let Some(after) = rest.strip_prefix('}') {
                    rest = after;
                    break;
                }
                let after = read_path(rest, prefix, paths);
                // `as other`, `*`
                let skipped = after.find([',', '}']).unwrap_or(after.len());
                rest = &after[skipped..];
                if rest.is_empty() {
                    break;
                }
            }
        }
        Some(after) if after.starts_with(is_word) => rest = read_path(after, prefix, paths),
        _ => paths.push(prefix.clone()),
    }
    prefix.truncate(depth);
    rest
}

/// The file that a path leads to. What is in no other file is in this one.
fn resolve(modules: &BTreeSet<Vec<String>>, from: &[String], path: &[String]) -> Option<Vec<String>> {
    let mut full = if path[0] == "crate" || from == ["lib"] { Vec::new() } else { from.to_vec() };
    for part in path {
        match part.as_str() {
            "crate" | "self" => {}
            "super" => drop(full.pop()),
            _ => full.push(part.clone()),
        }
    }
    while !full.is_empty() && !modules.contains(&full) {
        full.pop();
    }
    (!full.is_empty()).then_some(full)
}
