use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::ScreenError;
use crate::index_screen::IndexScreen;
use crate::rxrx1::Rxrx1Screen;
use crate::screen::Screen;
use crate::screen_description::ScreenDescription;

/// How to read a screen, where its folder does not say.
///
/// ```
/// use morphospace_screen::ScreenFormat;
///
/// assert_eq!("rxrx1".parse::<ScreenFormat>()?, ScreenFormat::Rxrx1);
/// assert_eq!("my.toml".parse::<ScreenFormat>()?, ScreenFormat::Described("my.toml".into()));
/// assert!("rxrx4".parse::<ScreenFormat>().is_err());
/// # Ok::<(), morphospace_screen::ScreenError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScreenFormat {
    /// [`Rxrx1Screen`].
    Rxrx1,
    /// [`IndexScreen`] with the description in this TOML file.
    Described(PathBuf),
}

impl FromStr for ScreenFormat {
    type Err = ScreenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("rxrx1") {
            Ok(Self::Rxrx1)
        } else if is_toml(Path::new(text)) {
            Ok(Self::Described(PathBuf::from(text)))
        } else {
            Err(ScreenError::UnknownFormatName {
                text: text.to_owned(),
            })
        }
    }
}

/// Opens a screen: its tables and folders are read, its images are not.
///
/// Without `format`, `root` decides: a TOML file describes the screen in its
/// own folder, a folder with `screen.toml` is described by it, and a folder
/// with `metadata.csv` is [`Rxrx1Screen`]'s.
///
/// # Errors
/// [`ScreenError::UnknownFormat`] says what was looked for; else what the
/// reader says.
pub fn open_screen(
    root: &Path,
    format: Option<&ScreenFormat>,
) -> Result<Box<dyn Screen>, ScreenError> {
    let unknown = |found: &str| {
        Err(ScreenError::UnknownFormat {
            path: root.to_owned(),
            found: found.to_owned(),
        })
    };
    if let Some(format) = format {
        if !root.is_dir() {
            return unknown(if root.exists() {
                "it is no folder"
            } else {
                "it does not exist"
            });
        }
        return match format {
            ScreenFormat::Rxrx1 => Ok(Box::new(Rxrx1Screen::open(root)?)),
            ScreenFormat::Described(path) => open_described(root, path),
        };
    }
    if is_toml(root) && root.is_file() {
        let folder = match root.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        return open_described(folder, root);
    }
    if !root.exists() {
        return unknown("it does not exist");
    }
    if !root.is_dir() {
        return unknown("it is a file, and not a TOML file");
    }
    let description = root.join("screen.toml");
    if description.is_file() {
        return open_described(root, &description);
    }
    if Rxrx1Screen::METADATA_FILES
        .iter()
        .any(|name| root.join(name).is_file())
    {
        return Ok(Box::new(Rxrx1Screen::open(root)?));
    }
    unknown("it has neither 'metadata.csv', 'metadata.csv.gz' nor 'screen.toml'")
}

fn open_described(root: &Path, path: &Path) -> Result<Box<dyn Screen>, ScreenError> {
    let description = ScreenDescription::read(path)?;
    Ok(Box::new(IndexScreen::open(root, &description)?))
}

fn is_toml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
}
