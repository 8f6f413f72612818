//! The order of crates that ARCHITECTURE.md draws, enforced.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Each crate and what it may import of ours, lowest first.
const LAYERS: [(&str, &[&str]); 11] = [
    ("core", &[]),
    ("profiles", &["core"]),
    ("screen", &["core"]),
    ("map", &["core", "profiles"]),
    ("benchmark", &["core", "profiles", "map"]),
    ("report", &["core", "profiles", "benchmark"]),
    ("views", &["core"]),
    ("models", &["core"]),
    ("train", &["core", "screen", "views", "models"]),
    ("embed", &["core", "screen", "profiles", "models"]),
    (
        "morphospace",
        &[
            "core",
            "profiles",
            "screen",
            "map",
            "benchmark",
            "report",
            "models",
            "train",
            "embed",
        ],
    ),
];

/// Crates that may see Burn.
const WITH_BURN: [&str; 4] = ["models", "train", "embed", "morphospace"];

/// Crates that may see the terminal and the command line.
const WITH_TERMINAL: [&str; 1] = ["morphospace"];
const TERMINAL: [&str; 3] = ["clap", "indicatif", "anyhow"];

/// Dependencies of every crate by folder, those of its tests included.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("lies in crates/");
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(crates).expect("crates/ can be listed") {
        let folder = entry.expect("an entry").path();
        let text = fs::read_to_string(folder.join("Cargo.toml")).expect("every crate has one");
        let manifest: toml::Table = toml::from_str(&text).expect("valid TOML");
        let names = ["dependencies", "dev-dependencies", "build-dependencies"]
            .into_iter()
            .filter_map(|section| manifest.get(section)?.as_table())
            .flat_map(|table| table.keys().cloned())
            .collect();
        let name = folder
            .file_name()
            .expect("has a name")
            .to_string_lossy()
            .into_owned();
        found.insert(name, names);
    }
    found
}

#[test]
fn crates_import_downward_only() {
    let allowed: BTreeMap<&str, &[&str]> = LAYERS.into_iter().collect();
    let found = dependencies();
    let names: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        allowed.keys().copied().collect(),
        "crates/ and LAYERS name the same crates"
    );
    for (name, imports) in &found {
        for import in imports
            .iter()
            .filter_map(|import| import.strip_prefix("morphospace-"))
        {
            assert!(
                allowed[name.as_str()].contains(&import),
                "crate '{name}' imports '{import}', which is not below it; if it has to, \
                 ARCHITECTURE.md and this list change with it"
            );
        }
    }
}

#[test]
fn the_list_itself_has_no_circle() {
    let mut below: Vec<&str> = Vec::new();
    for (name, imports) in LAYERS {
        assert!(
            imports.iter().all(|import| below.contains(import)),
            "'{name}' imports upward"
        );
        below.push(name);
    }
}

#[test]
fn burn_and_the_terminal_stay_in_their_crates() {
    for (name, imports) in dependencies() {
        for import in imports {
            if import.starts_with("burn") || import.starts_with("cubecl") {
                assert!(
                    WITH_BURN.contains(&name.as_str()),
                    "crate '{name}' imports '{import}'"
                );
            }
            if TERMINAL.contains(&import.as_str()) {
                assert!(
                    WITH_TERMINAL.contains(&name.as_str()),
                    "crate '{name}' imports '{import}'"
                );
            }
        }
    }
}
