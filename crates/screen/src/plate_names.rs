use std::collections::{BTreeSet, HashMap, HashSet};

use morphospace_core::PlateKey;

/// What the plates of a screen are called in file names: source, experiment
/// and plate, `HUVEC-01_1`, with anything but letters, digits, `-` and `.`
/// replaced. No two plates of the screen share a name, whatever the case: the
/// later in order gets a number.
///
/// ```
/// use morphospace_core::PlateKey;
/// use morphospace_screen::plate_names;
///
/// let keys = [PlateKey::new("HUVEC-01", "1"), PlateKey::new("my batch", "1")];
/// let names = plate_names(&keys);
/// assert_eq!(names[&keys[0]], "HUVEC-01_1");
/// assert_eq!(names[&keys[1]], "my-batch_1");
/// ```
pub fn plate_names<'a>(
    plates: impl IntoIterator<Item = &'a PlateKey>,
) -> HashMap<&'a PlateKey, String> {
    let keys: BTreeSet<&PlateKey> = plates.into_iter().collect();
    let mut taken = HashSet::new();
    let mut names = HashMap::new();
    for key in keys {
        let parts = [
            key.source.as_deref().unwrap_or_default(),
            key.experiment.as_str(),
            &key.plate,
        ];
        let parts: Vec<String> = parts
            .into_iter()
            .filter(|part| !part.is_empty())
            .map(safe_in_file_names)
            .collect();
        let name = parts.join("_");
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let name = std::iter::once(name.clone())
            .chain(numbered)
            .find(|name| taken.insert(name.to_ascii_lowercase()))
            .expect("there is always another number");
        names.insert(key, name);
    }
    names
}

/// Text with `-` for every character that could mean something in a path.
pub(crate) fn safe_in_file_names(text: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    let safe = |c: char| if is_safe(c) { c } else { '-' };
    text.chars().map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_plates_share_a_name() {
        let keys = [
            PlateKey::new("a b", "1"),
            PlateKey::new("A/B", "1"),
            PlateKey::new("a-b", "1_2"),
            PlateKey::new("..", "1"),
            PlateKey {
                source: Some("source_4".into()),
                ..PlateKey::new("b", "1")
            },
        ];
        let names = plate_names(&keys);
        let different: HashSet<String> = names.values().map(|n| n.to_ascii_lowercase()).collect();
        assert_eq!(different.len(), keys.len());
        assert_eq!(names[&keys[3]], ".._1");
        assert_eq!(names[&keys[4]], "source-4_b_1");
        assert!(different.iter().all(|name| !name.contains('/')));
    }
}
