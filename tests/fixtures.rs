//! The computed files of `data/` are what the generator makes, and every file there is accounted for.

#![allow(clippy::unwrap_used)]

mod common;
mod made;

use common::data;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Every file under `dir`, by its path from there.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(
                    path.strip_prefix(dir).unwrap().to_path_buf(),
                    fs::read(&path).unwrap(),
                );
            }
        }
    }
    found
}

#[test]
fn the_generator_makes_the_same_bytes_again() {
    let fresh = tempfile::tempdir().unwrap();
    made::make(fresh.path()).unwrap();
    for folder in made::FOLDERS {
        let (made, kept) = (files(&fresh.path().join(folder)), files(&data(folder)));
        assert_eq!(made.keys().collect::<Vec<_>>(), kept.keys().collect::<Vec<_>>(), "{folder}");
        for (name, bytes) in &made {
            assert!(bytes == &kept[name], "data/{folder}/{} differs", name.display());
        }
    }
}

#[test]
fn fixtures_are_small_and_named_in_the_readme() {
    let readme = fs::read_to_string(data("README.md")).unwrap();
    let mut names = Vec::new();
    for (path, bytes) in files(&data("")) {
        assert!(bytes.len() < 5 << 20, "{} has {} bytes", path.display(), bytes.len());
        let damaged = path.starts_with("damaged");
        assert!(!damaged || bytes.len() < 50_000, "{} has {} bytes", path.display(), bytes.len());
        names.push(path);
    }
    for path in names.iter().filter(|path| path.components().count() > 1) {
        // A recording is named once for its two files, a collection by its folder.
        let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
        let name = match parts.as_slice() {
            [_, name] => name.trim_end_matches(".sigmf-meta").trim_end_matches(".sigmf-data"),
            parts => &parts[1],
        };
        assert!(readme.contains(&format!("`{name}")), "data/README.md does not name {name}");
    }
}
