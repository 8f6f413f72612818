use std::collections::HashMap;

use crate::ScreenError;
use crate::store::{SharedStore, joined};

/// Finds the files that a table lists under folders of the computer that
/// wrote it.
pub(super) struct ListedFolders {
    store: SharedStore,
    /// The folder of the store that stands for a listed one, if any.
    found: HashMap<String, Option<String>>,
    /// All files of the store by name, listed when first needed.
    files: Option<HashMap<String, Vec<String>>>,
    /// Listed folders of which some file was not found, with how many.
    missing: HashMap<String, usize>,
}

impl ListedFolders {
    pub(super) fn new(store: SharedStore) -> Self {
        Self {
            store,
            found: HashMap::new(),
            files: None,
            missing: HashMap::new(),
        }
    }

    /// The path of a file of a plate; as it is listed where it is not found.
    ///
    /// # Errors
    /// [`ScreenError::CannotRead`]: the store's files cannot be listed.
    pub(super) fn path(
        &mut self,
        folder: &str,
        name: &str,
        plate: &str,
    ) -> Result<String, ScreenError> {
        if !self.found.contains_key(folder) {
            let found = self.find_folder(folder)?;
            self.found.insert(folder.to_owned(), found);
        }
        if let Some(Some(found)) = self.found.get(folder) {
            return Ok(joined(found, name));
        }
        let files = match &mut self.files {
            Some(files) => files,
            none => none.insert(files_by_name(&self.store)?),
        };
        let candidates = files.get(name).map_or(&[][..], Vec::as_slice);
        let of_plate = candidates.iter().filter(|path| {
            let mut folders = path.split('/');
            folders.any(|folder| folder.starts_with(plate))
        });
        let of_plate: Vec<&String> = of_plate.collect();
        match (candidates, &of_plate[..]) {
            ([only], _) => Ok(only.clone()),
            (_, [only]) => Ok((*only).clone()),
            _ => {
                *self.missing.entry(folder.to_owned()).or_default() += 1;
                Ok(joined(&folder.replace('\\', "/"), name))
            }
        }
    }

    /// The listed folder as it is, or the longest end of it that is a folder
    /// of the store.
    fn find_folder(&self, listed: &str) -> Result<Option<String>, ScreenError> {
        let listed = listed.replace('\\', "/");
        let is_there = |folder: &str| {
            let entries = self.store.entries(folder);
            entries
                .map(|entries| !entries.is_empty())
                .map_err(|error| ScreenError::cannot_read(self.store.file_location(folder), &error))
        };
        if listed.starts_with('/') && !listed.contains("..") && is_there(&listed)? {
            return Ok(Some(listed));
        }
        let parts: Vec<&str> = listed
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .collect();
        // What lies before a step up says nothing about a mirror.
        let first = parts.iter().rposition(|part| *part == "..");
        let parts = &parts[first.map_or(0, |at| at + 1)..];
        for skipped in 0..parts.len() {
            let folder = parts[skipped..].join("/");
            if is_there(&folder)? {
                return Ok(Some(folder));
            }
        }
        Ok(None)
    }

    /// What tells of listed folders that are not here.
    pub(super) fn note(&self) -> Option<String> {
        let first = self.missing.keys().min()?;
        let num_files: usize = self.missing.values().sum();
        Some(format!(
            "{num_files} listed files were not found below '{}': neither an end of their folder \
             nor a single file of their name is there (first folder: '{first}')",
            self.store.location()
        ))
    }
}

fn files_by_name(store: &SharedStore) -> Result<HashMap<String, Vec<String>>, ScreenError> {
    let paths = store
        .files("")
        .map_err(|error| ScreenError::cannot_read(store.location(), &error))?;
    let mut files: HashMap<String, Vec<String>> = HashMap::new();
    for path in paths {
        let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
        files.entry(name).or_default().push(path);
    }
    Ok(files)
}
