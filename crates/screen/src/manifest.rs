use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, ListArray, RecordBatch, StringArray, StructArray,
    UInt32Array,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Fields, Schema};
use morphospace_core::{
    Channel, Experiment, Perturbation, PlateKey, Provenance, Site, SiteKey, Stain, Well,
};

use crate::ScreenError;
use crate::inspect::{QualityFlag, QualityFlags, SiteQuality};
use crate::parquet_file::{BATCH_LEN, ParquetFile, WriteError, batch_column, write_parquet};
use crate::readers::IndexScreen;
use crate::screen::Screen;
use crate::site_list::{Wells, site_key_text, sorted_unique};
use crate::store::{FolderStore, LinkedStore, SharedStore};

/// Key of the channels (names and stains, as JSON) in a manifest's metadata.
const CHANNELS_KEY: &str = "morphospace.channels";

/// The table of a screen's sites, as one Parquet file that later stages and
/// other programs read: `manifest.parquet`.
///
/// One row per site with `site_key`, `source`, `batch`, `plate`, `well`,
/// `original_well`, `site`, `z`, `timepoint`, `perturbations` (a list of
/// structs with `kind`, `name`, `gene`, `guide`, `dose_micromolar`),
/// `background`, `control_role`, `cell_type`, and `path_<channel>` for each
/// channel. A manifest of an inspected screen has one true-or-false column
/// `qc_<flag>` for each [`QualityFlag`] that was looked for. Names and stains
/// of the channels, in order, and the provenance stand in the file's
/// key-value metadata. Unknown columns are ignored.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The channels.
    pub channels: Vec<Channel>,
    /// The sites, sorted.
    pub sites: Vec<Site>,
    /// For each site, the image of each channel, `None` where there is none.
    pub paths: Vec<Vec<Option<String>>>,
    /// What an inspection found; `None` where none has been made.
    pub quality: Option<SiteQuality>,
    /// Where the table comes from.
    pub provenance: Option<Provenance>,
}

impl Manifest {
    /// The manifest of an opened screen.
    pub fn of(screen: &dyn Screen) -> Self {
        let num_channels = screen.channels().len();
        let paths_of = |site| {
            (0..num_channels)
                .map(|channel| screen.plane_location(site, channel))
                .collect()
        };
        Self {
            channels: screen.channels().to_vec(),
            sites: screen.sites().to_vec(),
            paths: (0..screen.sites().len()).map(paths_of).collect(),
            quality: None,
            provenance: None,
        }
    }

    /// The screen that the manifest lists. Relative paths are taken from
    /// `root`.
    ///
    /// # Errors
    /// [`ScreenError::EmptyScreen`]: there is no site.
    /// [`ScreenError::SharedImage`]: two images are the same file.
    pub fn into_screen(self, name: &str, root: PathBuf) -> Result<IndexScreen, ScreenError> {
        if self.sites.is_empty() {
            return Err(ScreenError::EmptyScreen {
                name: name.to_owned(),
                reason: "the manifest has no row".to_owned(),
            });
        }
        IndexScreen::from_sites(
            name.to_owned(),
            Arc::new(LinkedStore::new(Arc::new(FolderStore::new(root)))),
            self.channels,
            self.sites,
            self.paths,
        )
    }
}

static PERTURBATION_FIELDS: LazyLock<Fields> = LazyLock::new(|| {
    Fields::from(vec![
        Field::new("kind", DataType::Utf8, false),
        Field::new("name", DataType::Utf8, false),
        Field::new("gene", DataType::Utf8, true),
        Field::new("guide", DataType::Utf8, true),
        Field::new("dose_micromolar", DataType::Float64, true),
    ])
});

fn perturbation_item() -> Arc<Field> {
    Arc::new(Field::new(
        "item",
        DataType::Struct(PERTURBATION_FIELDS.clone()),
        false,
    ))
}

fn manifest_schema(channels: &[Channel], looked_for: QualityFlags, further: Vec<Field>) -> Schema {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let number = |name: &str, nullable| Field::new(name, DataType::UInt32, nullable);
    let mut fields = vec![
        text("site_key", false),
        text("source", true),
        text("batch", false),
        text("plate", false),
        text("well", false),
        text("original_well", false),
        number("site", false),
        number("z", true),
        number("timepoint", true),
        Field::new("perturbations", DataType::List(perturbation_item()), false),
        text("background", true),
        text("control_role", false),
        text("cell_type", true),
    ];
    fields.extend(
        channels
            .iter()
            .map(|channel| text(&path_column(channel), true)),
    );
    fields.extend(
        looked_for
            .iter()
            .map(|flag| Field::new(flag.column(), DataType::Boolean, false)),
    );
    fields.extend(further);
    Schema::new(fields)
}

fn path_column(channel: &Channel) -> String {
    format!("path_{}", channel.name)
}

/// Writes a manifest; the file appears whole or not at all.
///
/// # Errors
/// [`ScreenError::CannotWrite`].
pub fn write_manifest(path: &Path, manifest: &Manifest) -> Result<(), ScreenError> {
    write_manifest_with(path, manifest, Vec::new(), &|_| Vec::new())
}

/// [`write_manifest`] with further columns, given some rows at a time.
pub(crate) fn write_manifest_with(
    path: &Path,
    manifest: &Manifest,
    further: Vec<Field>,
    columns_of: &dyn Fn(Range<usize>) -> Vec<ArrayRef>,
) -> Result<(), ScreenError> {
    let looked_for = manifest
        .quality
        .as_ref()
        .map_or(QualityFlags::default(), |quality| quality.looked_for);
    let schema = manifest_schema(&manifest.channels, looked_for, further);
    let schema = Arc::new(schema);
    let names_and_stains: Vec<(&str, &str)> = manifest
        .channels
        .iter()
        .map(|channel| (channel.name.as_str(), channel.stain.as_str()))
        .collect();
    let channels =
        serde_json::to_string(&names_and_stains).map_err(|error| ScreenError::CannotWrite {
            path: path.to_owned(),
            message: error.to_string(),
        })?;
    let num_sites = manifest.sites.len();
    let batches = (0..num_sites).step_by(BATCH_LEN).map(|start| {
        let rows = start..(start + BATCH_LEN).min(num_sites);
        record_batch(&schema, manifest, rows.clone(), columns_of(rows))
    });
    write_parquet(
        path,
        &schema,
        manifest.provenance.as_ref(),
        &[(CHANNELS_KEY, channels)],
        batches,
    )
}

fn record_batch(
    schema: &Arc<Schema>,
    manifest: &Manifest,
    rows: Range<usize>,
    further: Vec<ArrayRef>,
) -> Result<RecordBatch, WriteError> {
    let sites = &manifest.sites[rows.clone()];
    let paths = &manifest.paths[rows.clone()];
    let text = |value: &dyn Fn(&Site) -> Option<String>| -> ArrayRef {
        Arc::new(sites.iter().map(value).collect::<StringArray>())
    };
    let number = |value: &dyn Fn(&Site) -> Option<u32>| -> ArrayRef {
        Arc::new(sites.iter().map(value).collect::<UInt32Array>())
    };
    let mut columns = vec![
        text(&|site| Some(site_key_text(&site.key))),
        text(&|site| site.key.plate.source.clone()),
        text(&|site| Some(site.key.plate.experiment.to_string())),
        text(&|site| Some(site.key.plate.plate.clone())),
        text(&|site| Some(site.key.well.to_string())),
        text(&|site| Some(site.well.original_address.clone())),
        number(&|site| Some(site.key.site)),
        number(&|site| site.key.z_index),
        number(&|site| site.key.time_index),
        Arc::new(perturbation_lists(sites)?) as ArrayRef,
        text(&|site| site.well.background.clone()),
        text(&|site| Some(site.well.control_role.to_string())),
        text(&|site| site.well.cell_type.clone()),
    ];
    for channel in 0..manifest.channels.len() {
        let images = paths.iter().map(|paths| paths[channel].as_deref());
        columns.push(Arc::new(images.collect::<StringArray>()));
    }
    if let Some(quality) = &manifest.quality {
        let found = &quality.flags[rows];
        for flag in quality.looked_for.iter() {
            let raised = found.iter().map(|flags| Some(flags.contains(flag)));
            columns.push(Arc::new(raised.collect::<BooleanArray>()));
        }
    }
    columns.extend(further);
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

fn perturbation_lists(sites: &[Site]) -> Result<ListArray, WriteError> {
    let all = || sites.iter().flat_map(|site| &site.well.perturbations);
    let kinds: StringArray = all().map(|p| Some(kind_of(p))).collect();
    let names: StringArray = all().map(|p| Some(name_of(p))).collect();
    let genes: StringArray = all()
        .map(|p| match p {
            Perturbation::Sirna { gene, .. } => gene.as_deref(),
            Perturbation::Crispr { gene, .. } | Perturbation::Orf { gene, .. } => {
                Some(gene.as_str())
            }
            Perturbation::Compound { .. } => None,
        })
        .collect();
    let guides: StringArray = all()
        .map(|p| match p {
            Perturbation::Crispr { guide, .. } => Some(guide.as_str()),
            _ => None,
        })
        .collect();
    let doses: Float64Array = all()
        .map(|p| match p {
            Perturbation::Compound {
                concentration_micromolar,
                ..
            } => *concentration_micromolar,
            _ => None,
        })
        .collect();
    let values = StructArray::try_new(
        PERTURBATION_FIELDS.clone(),
        vec![
            Arc::new(kinds),
            Arc::new(names),
            Arc::new(genes),
            Arc::new(guides),
            Arc::new(doses),
        ],
        None,
    )?;
    let lengths = sites.iter().map(|site| site.well.perturbations.len());
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(ListArray::try_new(
        perturbation_item(),
        offsets,
        Arc::new(values),
        None,
    )?)
}

fn kind_of(perturbation: &Perturbation) -> &'static str {
    match perturbation {
        Perturbation::Sirna { .. } => "sirna",
        Perturbation::Crispr { .. } => "crispr",
        Perturbation::Orf { .. } => "orf",
        Perturbation::Compound { .. } => "compound",
    }
}

fn name_of(perturbation: &Perturbation) -> &str {
    match perturbation {
        Perturbation::Sirna { name, .. } | Perturbation::Compound { name, .. } => name,
        Perturbation::Crispr { guide, .. } => guide,
        Perturbation::Orf { reagent, .. } => reagent,
    }
}

/// Reads a manifest. Columns that other stages added are ignored.
///
/// # Errors
/// [`ScreenError`] names the file and the column or row.
pub fn read_manifest(path: &Path) -> Result<Manifest, ScreenError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let store: SharedStore = Arc::new(FolderStore::new(folder));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    read_manifest_in(&store, &name)
}

/// [`read_manifest`] for a file of a store.
pub(crate) fn read_manifest_in(store: &SharedStore, path: &str) -> Result<Manifest, ScreenError> {
    let mut file = ParquetFile::open_in(store, path)?;
    let table = file.table.clone();
    let channels = match file.pairs.get(CHANNELS_KEY) {
        Some(json) => serde_json::from_str::<Vec<(String, Stain)>>(json)
            .map_err(|error| file.invalid(format!("metadata '{CHANNELS_KEY}': {error}")))?
            .into_iter()
            .map(|(name, stain)| Channel::new(name, stain))
            .collect(),
        // Rewritten by a program that drops metadata: names are in the columns.
        None => file
            .schema
            .fields()
            .iter()
            .filter_map(|field| field.name().strip_prefix("path_"))
            .map(|name| Channel::new(name, Stain::from(name.to_owned())))
            .collect::<Vec<_>>(),
    };
    let looked_for: QualityFlags = QualityFlag::ALL
        .into_iter()
        .filter(|flag| file.schema.column_with_name(&flag.column()).is_some())
        .collect();

    let mut wells = Wells::default();
    let mut items = Vec::new();
    while let Some(batch) = file.next_batch()? {
        let rows = Rows {
            table: &table,
            batch: &batch,
            first_row: items.len(),
        };
        rows.read(&channels, looked_for, &mut wells, &mut items)?;
    }
    let (sites, rest) = sorted_unique(items, |_, rest| format!("'{table}' row {}", rest.row + 1))?;
    let mut paths = Vec::with_capacity(rest.len());
    let mut flags = Vec::with_capacity(rest.len());
    for row in rest {
        paths.push(row.paths);
        flags.push(row.flags);
    }
    Ok(Manifest {
        channels,
        sites,
        paths,
        quality: (!looked_for.is_empty()).then_some(SiteQuality { looked_for, flags }),
        provenance: file.provenance,
    })
}

/// What a row says beside its site.
struct RowRest {
    row: usize,
    paths: Vec<Option<String>>,
    flags: QualityFlags,
}

/// One record batch of a manifest.
struct Rows<'a> {
    table: &'a str,
    batch: &'a RecordBatch,
    first_row: usize,
}

impl Rows<'_> {
    fn column(&self, name: &str, data_type: &DataType) -> Result<ArrayRef, ScreenError> {
        batch_column(self.table, self.batch, name, data_type)
    }

    fn text(&self, name: &str) -> Result<StringArray, ScreenError> {
        Ok(self
            .column(name, &DataType::Utf8)?
            .as_string::<i32>()
            .clone())
    }

    fn number(&self, name: &str) -> Result<UInt32Array, ScreenError> {
        Ok(self
            .column(name, &DataType::UInt32)?
            .as_primitive::<UInt32Type>()
            .clone())
    }

    fn invalid(&self, row: usize, column: &str, message: String) -> ScreenError {
        ScreenError::InvalidTable {
            table: self.table.to_owned(),
            message: format!(
                "row {}, column '{column}': {message}",
                self.first_row + row + 1
            ),
        }
    }

    fn read(
        &self,
        channels: &[Channel],
        looked_for: QualityFlags,
        wells: &mut Wells,
        items: &mut Vec<(Site, RowRest)>,
    ) -> Result<(), ScreenError> {
        let source = self.text("source")?;
        let batch = self.text("batch")?;
        let plate = self.text("plate")?;
        let well = self.text("well")?;
        let original = self.text("original_well")?;
        let site = self.number("site")?;
        let z = self.number("z")?;
        let timepoint = self.number("timepoint")?;
        let lists = self.column("perturbations", &DataType::List(perturbation_item()))?;
        let background = self.text("background")?;
        let role = self.text("control_role")?;
        let cell_type = self.text("cell_type")?;
        let mut images = Vec::new();
        for channel in channels {
            images.push(self.text(&path_column(channel))?);
        }
        let flags = self.flags(looked_for)?;
        for (row, flags) in flags.into_iter().enumerate() {
            let missing = |column: &str| self.invalid(row, column, "there is no value".into());
            let require = |column: &StringArray, name: &str| match value(column, row) {
                Some(text) => Ok(text),
                None => Err(missing(name)),
            };
            let plate_key = PlateKey {
                source: value(&source, row),
                experiment: Experiment::new(require(&batch, "batch")?),
                plate: require(&plate, "plate")?,
            };
            let address_text = require(&well, "well")?;
            let place = |row: usize| format!("'{}' row {}", self.table, row + 1);
            let address = address_text
                .parse()
                .map_err(|source| ScreenError::UnknownWell {
                    place: place(self.first_row + row),
                    source,
                })?;
            let control_role = require(&role, "control_role")?
                .parse()
                .map_err(|error| self.invalid(row, "control_role", format!("{error}")))?;
            let described = Well {
                plate: plate_key.clone(),
                address,
                original_address: value(&original, row).unwrap_or(address_text),
                perturbations: self.perturbations(&lists, row)?,
                background: value(&background, row),
                control_role,
                cell_type: value(&cell_type, row),
            };
            let shared = wells.share(described, self.first_row + row, place)?;
            if site.is_null(row) {
                return Err(missing("site"));
            }
            let key = SiteKey {
                plate: plate_key,
                well: address,
                site: site.value(row),
                z_index: z.is_valid(row).then(|| z.value(row)),
                time_index: timepoint.is_valid(row).then(|| timepoint.value(row)),
            };
            let rest = RowRest {
                row: self.first_row + row,
                paths: images.iter().map(|column| value(column, row)).collect(),
                flags,
            };
            items.push((Site { key, well: shared }, rest));
        }
        Ok(())
    }

    fn flags(&self, looked_for: QualityFlags) -> Result<Vec<QualityFlags>, ScreenError> {
        let mut found = vec![QualityFlags::default(); self.batch.num_rows()];
        for flag in looked_for.iter() {
            let column = self.column(&flag.column(), &DataType::Boolean)?;
            for (row, (flags, raised)) in found.iter_mut().zip(column.as_boolean()).enumerate() {
                match raised {
                    Some(true) => flags.insert(flag),
                    Some(false) => {}
                    None => {
                        let message = "there is no value\nhint: write true or false, or leave \
                                       the column out"
                            .to_owned();
                        return Err(self.invalid(row, &flag.column(), message));
                    }
                }
            }
        }
        Ok(found)
    }

    fn perturbations(
        &self,
        lists: &ArrayRef,
        row: usize,
    ) -> Result<Vec<Perturbation>, ScreenError> {
        let lists = lists.as_list::<i32>();
        if lists.is_null(row) {
            return Ok(Vec::new());
        }
        let items = lists.value(row);
        let items = items.as_struct();
        let text = |column: usize, item| value(items.column(column).as_string::<i32>(), item);
        let doses = items.column(4).as_primitive::<Float64Type>();
        let mut perturbations = Vec::with_capacity(items.len());
        for item in 0..items.len() {
            let invalid = |message: String| self.invalid(row, "perturbations", message);
            let name = text(1, item).ok_or_else(|| invalid("there is no name".into()))?;
            let gene = text(2, item);
            perturbations.push(match text(0, item).as_deref() {
                Some("sirna") => Perturbation::Sirna { name, gene },
                Some("crispr") => Perturbation::Crispr {
                    guide: text(3, item).unwrap_or(name),
                    gene: gene.ok_or_else(|| invalid("a guide has no gene".into()))?,
                },
                Some("orf") => Perturbation::Orf {
                    reagent: name,
                    gene: gene.ok_or_else(|| invalid("a construct has no gene".into()))?,
                },
                Some("compound") => Perturbation::Compound {
                    name,
                    concentration_micromolar: doses.is_valid(item).then(|| doses.value(item)),
                },
                other => {
                    return Err(invalid(format!(
                        "'{}' is not a kind of perturbation (sirna, crispr, orf, compound)",
                        other.unwrap_or_default()
                    )));
                }
            });
        }
        Ok(perturbations)
    }
}

fn value(column: &StringArray, row: usize) -> Option<String> {
    column.is_valid(row).then(|| column.value(row).to_owned())
}
