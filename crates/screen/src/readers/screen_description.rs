use std::collections::BTreeMap;
use std::path::Path;

use morphospace_core::{Channel, ControlRole, Stain, parse_config, suggestion};
use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::ScreenError;
use crate::readers::{ScreenFormat, ZSelection};
use crate::store::SharedStore;

/// How to read a screen that has no layout of its own, or whose layout does
/// not say all: where its sites are listed, what its channels show, and what
/// was done to its wells.
///
/// Exactly one of `index` (a table with a row per site), `pattern` (file
/// names that say everything) and `format` (a reader that knows the layout)
/// lists the sites. Paths are relative to the screen's root folder.
///
/// A description with a `format` adds to what its reader finds: channels get
/// names and stains, wells get labels from a joined annotation.
///
/// ```
/// use morphospace_screen::ScreenDescription;
///
/// let description = ScreenDescription::parse("screen.toml", r#"
///     cell_type = "HeLa"
///     experiment = "pilot"
///
///     [[channels]]
///     name = "Hoechst"
///     stain = "DNA"
///
///     [pattern]
///     path = '^(?<plate>\w+)/(?<well>[A-P]\d\d)_s(?<site>\d)_(?<channel>\w+)\.png$'
/// "#)?;
/// assert_eq!(description.channels[0].name, "Hoechst");
/// # Ok::<(), morphospace_screen::ScreenError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScreenDescription {
    /// The screen's name; else that of its root folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The format whose reader finds the images, as `imagexpress`,
    /// `harmony` or `ome-zarr`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// What becomes of z-planes: `max`, `focus` or the index of a plane;
    /// without it each is a site of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub z: Option<ZSelection>,
    /// The time point that is used; without it each is a site of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timepoint: Option<u32>,
    /// The source of all plates, where nothing else tells it; with a
    /// `format`, in place of what its reader says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The experiment of all plates, where nothing else tells it; with a
    /// `format`, in place of what its reader says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    /// The plate, where nothing else tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plate: Option<String>,
    /// The cells, where no column tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell_type: Option<String>,
    /// The treatment all plates share, where no column tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
    /// Words that mean "nothing here" in the tables, beside an empty cell.
    #[serde(default)]
    pub missing_values: Vec<String>,
    /// Channels in file names, or of the format, that are left out on
    /// purpose.
    #[serde(default)]
    pub ignored_channels: Vec<String>,
    /// The channels, in the order the network is to see them. With a
    /// `format`, none means all that its reader finds.
    #[serde(default)]
    pub channels: Vec<ChannelDescription>,
    /// Sites listed by a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Index>,
    /// Sites listed by file names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<FileNamePattern>,
    /// What was done to the wells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotation: Option<Annotation>,
}

/// One channel and where its images are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelDescription {
    /// The channel's name.
    pub name: String,
    /// What it shows: `DNA`, `ER`, `Actin`, `RNA`, `Mito`, `Golgi`, `AGP`,
    /// `Tubulin`, `Brightfield` or a name of your own.
    pub stain: Stain,
    /// What stands for it in file names; else its name. For `pattern`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_file_name: Option<String>,
    /// What the format's reader calls it; else its name. Two channels may be
    /// made of one: JUMP's AGP serves as actin and as Golgi. For `format`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_name: Option<String>,
    /// Which image of its file it is, where files hold several: pages one
    /// after the other, each with its colour components, from 0. Several
    /// channels may then share a file. For `index` and `pattern`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plane: Option<u32>,
    /// The column that holds its path. For `index`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_column: Option<String>,
    /// The column that holds its folder, put before the path. For `index`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder_column: Option<String>,
}

/// A table with one row per site and one path column per channel: CSV, TSV
/// (each also `.gz`) or Parquet. Fields other than the first two are column
/// names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// The table.
    pub file: String,
    /// What separates columns; else a tab for `.tsv` and `.txt`, a comma for
    /// the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// Column of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Column of the experiment (batch).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    /// Column of the plate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plate: Option<String>,
    /// Column of the well, or `row` and `column`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub well: Option<String>,
    /// Column of the well's row: a letter or a number from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    /// Column of the well's column: a number from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Column of the site's number; else every well has one site, 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Column of the z-plane's index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub z: Option<String>,
    /// Column of the time point's index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Column of the plate layout, for joining an annotation by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<String>,
}

/// File names that say which site and channel they show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileNamePattern {
    /// A regular expression over the path relative to the root, with `/`
    /// between folders. Its named groups are `plate`, `well` (or `row` and
    /// `column`), `channel`, and where they occur `source`, `experiment`,
    /// `site`, `z`, `time` and `layout`. Groups may lie within each other.
    /// Files it does not match are none of the screen's.
    pub path: String,
}

impl FileNamePattern {
    const GROUPS: [&str; 11] = [
        "source",
        "experiment",
        "plate",
        "well",
        "row",
        "column",
        "site",
        "channel",
        "z",
        "time",
        "layout",
    ];
}

/// What was done to the wells: a table joined to the sites or, without
/// `file`, more columns of the index.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Annotation {
    /// The table; without it the columns are those of the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What separates columns; see [`Index::delimiter`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// What is joined: of `source`, `experiment`, `plate`, `layout` and
    /// `well`, each with the table's column for it. Wells that the table
    /// lacks have an unknown label.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub join: BTreeMap<String, String>,
    /// The perturbations of a well; a well may hold several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub perturbations: Vec<PerturbationColumns>,
    /// What the well is for; else all wells are treatments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_role: Option<ControlRoleColumn>,
    /// Column of the cell type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell_type: Option<String>,
    /// Column of the background treatment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
}

impl Annotation {
    const JOINS: [&str; 5] = ["source", "experiment", "plate", "layout", "well"];
}

/// What kind of perturbation some columns describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PerturbationKind {
    /// A small interfering RNA.
    Sirna,
    /// A CRISPR guide.
    Crispr,
    /// An over-expressed open reading frame.
    Orf,
    /// A compound.
    Compound,
}

/// Columns that describe one perturbation of a well. A row without a name
/// and a gene has no such perturbation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerturbationColumns {
    /// What kind.
    pub kind: PerturbationKind,
    /// Column of the reagent, guide or compound. Where a row has none, the
    /// gene stands for it.
    pub name: String,
    /// Column of the gene.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gene: Option<String>,
    /// Column of the dose in micromolar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concentration_micromolar: Option<String>,
}

/// The column that says what a well is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlRoleColumn {
    /// The column.
    pub column: String,
    /// What its values mean. A value not listed is read as the name of a
    /// role (`treatment`, `negative_control`, `positive_control`,
    /// `untreated`; `trt`, `negcon`, `poscon`, `empty`).
    #[serde(default)]
    pub values: BTreeMap<String, ControlRole>,
    /// What any other value means; without it such a value is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<ControlRole>,
    /// What no value means.
    #[serde(default)]
    pub missing: ControlRole,
}

impl ChannelDescription {
    pub(super) fn word_in_file_name(&self) -> &str {
        self.in_file_name.as_deref().unwrap_or(&self.name)
    }

    pub(super) fn original_name(&self) -> &str {
        self.original_name.as_deref().unwrap_or(&self.name)
    }
}

impl ScreenDescription {
    /// Reads and checks a description.
    ///
    /// # Errors
    /// [`ScreenError`] names the file, the key and the fix.
    pub fn read(path: &Path) -> Result<Self, ScreenError> {
        let text = std::fs::read_to_string(path).map_err(|source| ScreenError::CannotRead {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// [`ScreenDescription::read`] for a file of a store.
    pub(crate) fn read_in(store: &SharedStore, path: &str) -> Result<Self, ScreenError> {
        let name = store.file_location(path);
        let bytes = store
            .read(path)
            .map_err(|error| ScreenError::cannot_read(name.clone(), &error))?;
        Self::parse(&name, &String::from_utf8_lossy(&bytes))
    }

    /// [`ScreenDescription::read`] for text at hand; `name` stands in
    /// messages.
    ///
    /// # Errors
    /// [`ScreenError`] names the key and the fix.
    pub fn parse(name: &str, text: &str) -> Result<Self, ScreenError> {
        let description: Self = parse_config(name, text, &[])?;
        description.check(name)?;
        Ok(description)
    }

    /// The channels as the rest of the program knows them.
    pub fn channels(&self) -> Vec<Channel> {
        self.channels
            .iter()
            .map(|channel| Channel::new(channel.name.clone(), channel.stain.clone()))
            .collect()
    }

    /// Checks what the TOML types cannot.
    ///
    /// # Errors
    /// [`ScreenError::InvalidDescription`] says what contradicts what.
    pub fn check(&self, name: &str) -> Result<(), ScreenError> {
        let fail = |message: String| {
            Err(ScreenError::InvalidDescription {
                name: name.to_owned(),
                message,
            })
        };
        if self.channels.is_empty() && self.format.is_none() {
            return fail("there is no channel\nhint: add [[channels]] with name and stain".into());
        }
        for (index, channel) in self.channels.iter().enumerate() {
            if self.channels[..index]
                .iter()
                .any(|other| other.name == channel.name)
            {
                return fail(format!("channel '{}' is listed twice", channel.name));
            }
        }
        match (&self.index, &self.pattern, &self.format) {
            (None, None, None) => {
                return fail(
                    "nothing lists the sites\nhint: add [index] with a table, [pattern] with a \
                     regular expression over file names, or the 'format' of the folder"
                        .into(),
                );
            }
            (Some(index), None, None) => self.check_index(index).or_else(fail)?,
            (None, Some(pattern), None) => self.check_pattern(pattern).or_else(fail)?,
            (None, None, Some(format)) => self.check_format(format).or_else(fail)?,
            _ => {
                return fail(
                    "more than one of [index], [pattern] and 'format' lists the sites\nhint: \
                     keep one"
                        .into(),
                );
            }
        }
        if self.format.is_none()
            && let Some(channel) = self.channels.iter().find(|c| c.original_name.is_some())
        {
            return fail(format!(
                "channel '{}' has an original_name, but no 'format' gives it one\nhint: \
                 in_file_name is for [pattern], path_column for [index]",
                channel.name
            ));
        }
        if let Some(annotation) = &self.annotation {
            self.check_annotation(annotation).or_else(fail)?;
        }
        Ok(())
    }

    fn check_index(&self, index: &Index) -> Result<(), String> {
        if let Some(channel) = self
            .channels
            .iter()
            .find(|channel| channel.path_column.is_none())
        {
            return Err(format!(
                "channel '{}' has no path_column\nhint: name the column of '{}' with its paths",
                channel.name, index.file
            ));
        }
        let by_well = index.well.is_some();
        let by_row = index.row.is_some() && index.column.is_some();
        if by_well == by_row || (by_well && (index.row.is_some() || index.column.is_some())) {
            return Err(
                "[index] needs the column of the well: either 'well', or 'row' and \
                        'column'"
                    .into(),
            );
        }
        if index.plate.is_none() && self.plate.is_none() {
            return Err(
                "nothing tells the plate\nhint: name its column as 'plate' under [index], \
                        or give the plate at the top"
                    .into(),
            );
        }
        Ok(())
    }

    fn check_format(&self, format: &str) -> Result<(), String> {
        match format.parse() {
            Err(error) => return Err(format!("format: {error}")),
            Ok(ScreenFormat::Described(_)) => {
                return Err(format!(
                    "format '{format}' is another description\nhint: give the name of a reader, as \
                     'imagexpress'"
                ));
            }
            Ok(_) => {}
        }
        if self.plate.is_some() {
            return Err(format!(
                "the reader of '{format}' tells the plates\nhint: remove 'plate'"
            ));
        }
        for channel in &self.channels {
            let unused = [
                ("in_file_name", channel.in_file_name.is_some()),
                ("path_column", channel.path_column.is_some()),
                ("folder_column", channel.folder_column.is_some()),
                ("plane", channel.plane.is_some()),
            ];
            if let Some((key, _)) = unused.into_iter().find(|(_, is_given)| *is_given) {
                return Err(format!(
                    "channel '{}' has '{key}', but the reader of '{format}' finds its \
                     images\nhint: 'original_name' is what that reader calls the channel",
                    channel.name
                ));
            }
        }
        Ok(())
    }

    fn check_pattern(&self, pattern: &FileNamePattern) -> Result<(), String> {
        let regex = Regex::new(&pattern.path).map_err(|error| format!("pattern.path: {error}"))?;
        let groups: Vec<&str> = regex.capture_names().flatten().collect();
        for group in &groups {
            if !FileNamePattern::GROUPS.contains(group) {
                let near = suggestion(group, FileNamePattern::GROUPS).map_or_else(
                    || format!("the groups are {}", FileNamePattern::GROUPS.join(", ")),
                    |near| format!("did you mean '{near}'?"),
                );
                return Err(format!(
                    "pattern.path: unknown group '{group}'\nhint: {near}"
                ));
            }
        }
        let has = |group| groups.contains(&group);
        if !has("plate") && self.plate.is_none() {
            return Err(
                "nothing tells the plate\nhint: add (?<plate>...) to pattern.path, or \
                        give the plate at the top"
                    .into(),
            );
        }
        if !(has("well") || has("row") && has("column")) {
            return Err(
                "nothing tells the well\nhint: add (?<well>...), or (?<row>...) and \
                        (?<column>...), to pattern.path"
                    .into(),
            );
        }
        for (index, channel) in self.channels.iter().enumerate() {
            let shares_file = |other: &&ChannelDescription| {
                !has("channel") || other.word_in_file_name() == channel.word_in_file_name()
            };
            let Some(other) = self.channels[..index].iter().find(shares_file) else {
                continue;
            };
            if channel.plane.is_none() || other.plane.is_none() {
                return Err(format!(
                    "nothing tells the channels '{}' and '{}' apart\nhint: add (?<channel>...) to \
                     pattern.path and 'in_file_name' to the channels, or 'plane' where files hold \
                     several images",
                    other.name, channel.name
                ));
            }
            let mut earlier = self.channels[..index].iter().filter(shares_file);
            if let Some(same) = earlier.find(|other| other.plane == channel.plane) {
                return Err(format!(
                    "channels '{}' and '{}' are the same plane of the same files",
                    same.name, channel.name
                ));
            }
        }
        Ok(())
    }

    fn check_annotation(&self, annotation: &Annotation) -> Result<(), String> {
        for join in annotation.join.keys() {
            if !Annotation::JOINS.contains(&join.as_str()) {
                let near = suggestion(join, Annotation::JOINS)
                    .map(|near| format!("; did you mean '{near}'?"))
                    .unwrap_or_default();
                return Err(format!(
                    "annotation.join: unknown key '{join}' (source, experiment, plate, layout, \
                     well){near}"
                ));
            }
        }
        match (&annotation.file, annotation.join.is_empty()) {
            (Some(file), true) => {
                return Err(format!(
                    "annotation '{file}' is not joined to the sites\nhint: add join = {{ well = \
                     \"its well column\" }}"
                ));
            }
            (None, false) => {
                return Err("annotation.join is given without annotation.file".into());
            }
            (None, true) if self.index.is_none() => {
                return Err(
                    "[annotation] needs a file, as only an [index] has columns of its own".into(),
                );
            }
            _ => {}
        }
        for perturbation in &annotation.perturbations {
            let reagents = match perturbation.kind {
                PerturbationKind::Crispr => Some("guides"),
                PerturbationKind::Orf => Some("constructs"),
                PerturbationKind::Sirna | PerturbationKind::Compound => None,
            };
            if let (Some(reagents), None) = (reagents, &perturbation.gene) {
                return Err(format!(
                    "the {reagents} of column '{}' have no gene\nhint: name its column as 'gene'",
                    perturbation.name
                ));
            }
            if perturbation.kind != PerturbationKind::Compound
                && perturbation.concentration_micromolar.is_some()
            {
                return Err(format!(
                    "column '{}' is no compound and has no concentration",
                    perturbation.name
                ));
            }
        }
        Ok(())
    }
}
