use std::ops::Range;
use std::sync::Arc;

use morphospace_core::Provenance;

use super::element::{ElementStore, Numbers, ValueKind, encoding, unreadable};
use super::matrix::Matrix;
use super::obs_column::{ObsColumn, one_dimension};
use super::{INDEX, OBS_NAMES, PROVENANCE};
use crate::column::ColumnKind;
use crate::parquet_file::parse_provenance;
use crate::profiles::check_names;
use crate::read::check_read;
use crate::roles::{FoundColumn, Role, roles_by_name};
use crate::table_file::{PartialTable, RowReader, TableFile, TableLayout};
use crate::{Column, ColumnRoles, Features, ProfilesError, ReadOptions};

/// Rows of metadata that are read together, if they are not packed in larger
/// chunks: unpacking costs more than holding some.
const OBS_BLOCK_ROWS: u64 = 1 << 16;

/// AnnData whose columns are settled.
pub(super) struct AnnDataTable {
    contents: Arc<Contents>,
    layout: TableLayout,
}

struct Contents {
    store: Box<dyn ElementStore>,
    /// The columns of `obs`, in the order of the table's metadata.
    obs: Vec<ObsColumn>,
    /// Rows of `obs` that are read together.
    obs_block_rows: u64,
    x: Matrix,
    /// What each column of `X` is; those that are metadata follow `obs`.
    x_roles: Vec<Role>,
}

/// Opens AnnData and settles what its columns are.
pub(super) fn open(
    store: Box<dyn ElementStore>,
    options: &ReadOptions,
) -> Result<AnnDataTable, ProfilesError> {
    check_root(&*store)?;
    let mut roles = ColumnRoles::default();
    let obs_frame = Frame::open(&*store, "obs")?;
    let var_frame = Frame::open(&*store, "var")?;
    let x = Matrix::open(&*store)?;
    for (path, frame, expected) in [
        ("obs", &obs_frame, x.num_rows),
        ("var", &var_frame, x.num_columns),
    ] {
        let found = frame.num_rows;
        if found != expected {
            return Err(unreadable(
                path,
                format!("it has {found} rows, the matrix X asks for {expected}"),
            ));
        }
    }
    let num_rows = usize::try_from(x.num_rows).unwrap_or(0);
    if num_rows == 0 {
        return Err(ProfilesError::Empty {
            what: "it has columns and no rows",
        });
    }
    let feature_names = store.strings(&var_frame.index, 0..x.num_columns)?;

    let mut obs: Vec<(String, ObsColumn)> = Vec::new();
    if !has_running_numbers(&*store, &obs_frame)? {
        let name = match obs_frame.columns.iter().any(|column| column == OBS_NAMES) {
            true => INDEX,
            false => OBS_NAMES,
        };
        match ObsColumn::open(&*store, &obs_frame.index, num_rows)? {
            Ok(column) => obs.push((name.to_owned(), column)),
            Err(reason) => roles.skipped.push((name.to_owned(), reason)),
        }
    }
    for name in obs_frame.columns {
        match ObsColumn::open(&*store, &format!("obs/{name}"), num_rows)? {
            Ok(column) => obs.push((name, column)),
            Err(reason) => roles.skipped.push((name, reason)),
        }
    }

    let from_obs = obs.iter().map(|(name, _)| FoundColumn {
        name: name.clone(),
        is_number: None,
        written: Some(Role::Metadata),
    });
    let is_ours = store.attributes("X")?.contains_key(ROLE_KEY);
    let from_x = feature_names.iter().map(|name| FoundColumn {
        name: name.clone(),
        is_number: Some(true),
        written: is_ours.then_some(Role::Feature),
    });
    let found: Vec<FoundColumn> = from_obs.chain(from_x).collect();
    check_names(found.iter().map(|column| column.name.as_str()))?;
    let mut kinds: Vec<ColumnKind> = obs.iter().map(|(_, column)| column.kind).collect();
    let mut x_roles = Vec::with_capacity(feature_names.len());
    for (index, (column, role)) in found
        .iter()
        .zip(roles_by_name(&found, options)?)
        .enumerate()
    {
        let (role, reason) = role.expect("whether a column is in X is known");
        if index >= obs.len() {
            x_roles.push(role);
            if role == Role::Metadata {
                kinds.push(match x.kind {
                    ValueKind::Integer => ColumnKind::Integer,
                    _ => ColumnKind::Float,
                });
            }
        } else if role == Role::Feature {
            return Err(ProfilesError::UnreadableColumn {
                column: column.name.clone(),
                message: "is asked for as a feature but stands in obs of AnnData, not in X"
                    .to_owned(),
            });
        }
        roles.take(&column.name, role, reason);
    }
    check_read(found.len(), &roles, options)?;
    skip_the_rest(&*store, &var_frame.columns, &mut roles);

    let obs: Vec<ObsColumn> = obs.into_iter().map(|(_, column)| column).collect();
    let obs_block_rows = obs
        .iter()
        .map(|column| column.chunk_rows)
        .max()
        .unwrap_or(0);
    let obs_block_rows = obs_block_rows.max(OBS_BLOCK_ROWS).min(x.num_rows);
    let value_bytes = if x.kind == ValueKind::Single { 4 } else { 8 };
    // A chunk is held packed, unpacked and as the rows that are given from it.
    let chunk_values = x.chunk_rows().min(x.num_rows).saturating_mul(x.num_columns);
    let chunk_bytes = usize::try_from(chunk_values).unwrap_or(usize::MAX);
    let chunk_bytes = chunk_bytes.saturating_mul(3 * value_bytes);
    // Texts are held as they were unpacked and as they are given.
    let obs_bytes = kinds
        .iter()
        .map(|kind| 4 * kind.value_bytes())
        .sum::<usize>();
    let obs_bytes = obs_bytes.saturating_mul(usize::try_from(obs_block_rows).unwrap_or(usize::MAX));
    let categories: usize = obs.iter().map(ObsColumn::num_bytes).sum();
    let layout = TableLayout {
        roles,
        kinds,
        is_single: x.kind == ValueKind::Single,
        num_rows,
        provenance: provenance(&*store)?,
        reader_bytes: [chunk_bytes, obs_bytes, categories, x.num_bytes()]
            .into_iter()
            .fold(0, usize::saturating_add),
    };
    Ok(AnnDataTable {
        contents: Arc::new(Contents {
            store,
            obs,
            obs_block_rows,
            x,
            x_roles,
        }),
        layout,
    })
}

/// Set on `X` where all its columns are features, whatever their names.
pub(super) const ROLE_KEY: &str = "morphospace.role";

fn check_root(store: &dyn ElementStore) -> Result<(), ProfilesError> {
    let attributes = store.attributes("")?;
    if !attributes.contains_key("encoding-type") {
        return Err(ProfilesError::Malformed {
            format: "AnnData",
            message: "it lacks the attribute encoding-type=anndata: anndata before 0.8 wrote it, \
                      or another program"
                .to_owned(),
        });
    }
    let checked = encoding(&attributes, &[("anndata", "0.1.0")]);
    checked
        .map(drop)
        .map_err(|message| ProfilesError::Malformed {
            format: "AnnData",
            message,
        })
}

/// `obs` or `var`.
struct Frame {
    /// The path of the array that names the rows.
    index: String,
    num_rows: u64,
    columns: Vec<String>,
}

impl Frame {
    fn open(store: &dyn ElementStore, path: &str) -> Result<Self, ProfilesError> {
        let attributes = store.attributes(path)?;
        encoding(&attributes, &[("dataframe", "0.2.0")]).map_err(|m| unreadable(path, m))?;
        let index = attributes.get("_index").and_then(|index| index.as_str());
        let index = index.ok_or_else(|| unreadable(path, "it lacks the attribute '_index'"))?;
        let columns = attributes.get("column-order").and_then(|columns| {
            let columns = columns.as_array()?.iter();
            columns
                .map(|name| name.as_str().map(str::to_owned))
                .collect()
        });
        let columns: Option<Vec<String>> = columns;
        let columns = columns
            .ok_or_else(|| unreadable(path, "its attribute 'column-order' is no list of names"))?;
        let index = format!("{path}/{index}");
        let num_rows = one_dimension(store, &index)?.shape[0];
        Ok(Self {
            index,
            num_rows,
            columns,
        })
    }
}

/// Whether the rows have the names that pandas gives where there are none.
fn has_running_numbers(store: &dyn ElementStore, frame: &Frame) -> Result<bool, ProfilesError> {
    if store.array(&frame.index)?.kind != ValueKind::Text {
        return Ok(false);
    }
    let mut start = 0;
    while start < frame.num_rows {
        let end = (start + OBS_BLOCK_ROWS).min(frame.num_rows);
        let names = store.strings(&frame.index, start..end)?;
        if (start..)
            .zip(&names)
            .any(|(row, name)| *name != row.to_string())
        {
            return Ok(false);
        }
        start = end;
    }
    Ok(true)
}

/// Names what is not read, so that nothing goes missing unsaid.
fn skip_the_rest(store: &dyn ElementStore, var_columns: &[String], roles: &mut ColumnRoles) {
    let var = var_columns.iter().map(|name| {
        let reason = "it describes features, which a table of profiles has no place for";
        (format!("var/{name}"), reason.to_owned())
    });
    roles.skipped.extend(var);
    for group in super::EMPTY_GROUPS {
        let mut names = store.names(group);
        names.sort();
        let skipped = names.into_iter().map(|name| {
            let reason = "of the matrices of AnnData, X alone is read";
            (format!("{group}/{name}"), reason.to_owned())
        });
        roles.skipped.extend(skipped);
    }
}

fn provenance(store: &dyn ElementStore) -> Result<Option<Provenance>, ProfilesError> {
    if !store.is_array(PROVENANCE) || store.array(PROVENANCE)?.kind != ValueKind::Text {
        return Ok(None);
    }
    let texts = store.strings(PROVENANCE, 0..1)?;
    texts.first().map(|json| parse_provenance(json)).transpose()
}

impl TableFile for AnnDataTable {
    fn layout(&self) -> &TableLayout {
        &self.layout
    }

    fn rows(&self, batch_rows: usize) -> Result<Box<dyn RowReader>, ProfilesError> {
        Ok(Box::new(AnnDataRows {
            contents: Arc::clone(&self.contents),
            batch_rows,
            next_row: 0,
            x: Numbers::Double(Vec::new()),
            x_rows: 0..0,
            obs: Vec::new(),
            obs_rows: 0..0,
        }))
    }
}

struct AnnDataRows {
    contents: Arc<Contents>,
    batch_rows: usize,
    next_row: usize,
    /// Rows of `X` that were unpacked together, and which they are.
    x: Numbers,
    x_rows: Range<usize>,
    /// Rows of `obs` that were unpacked together, and which they are.
    obs: Vec<Column>,
    obs_rows: Range<usize>,
}

impl AnnDataRows {
    /// Unpacks the chunks of `X` that the next row is in, as many as a batch has
    /// rows of.
    fn unpack_x(&mut self) -> Result<(), ProfilesError> {
        let Contents { store, x, .. } = &*self.contents;
        let chunk = x.chunk_rows().max(1);
        let num_chunks = (self.batch_rows as u64 / chunk).max(1);
        let start = self.next_row as u64 / chunk * chunk;
        let end = start.saturating_add(num_chunks * chunk).min(x.num_rows);
        // What was unpacked before makes room first.
        self.x = Numbers::Double(Vec::new());
        self.x = x.rows(&**store, start..end)?;
        self.x_rows = counted(start)..counted(end);
        Ok(())
    }

    fn unpack_obs(&mut self) -> Result<(), ProfilesError> {
        let Contents {
            store,
            obs,
            obs_block_rows,
            x,
            ..
        } = &*self.contents;
        let start = self.next_row as u64 / obs_block_rows * obs_block_rows;
        let end = start.saturating_add(*obs_block_rows).min(x.num_rows);
        self.obs.clear();
        for column in obs {
            self.obs.push(column.rows(&**store, start..end)?);
        }
        self.obs_rows = counted(start)..counted(end);
        Ok(())
    }
}

fn counted(row: u64) -> usize {
    usize::try_from(row).expect("a table has as many rows as can be counted")
}

impl RowReader for AnnDataRows {
    fn read_batch(&mut self, table: &mut PartialTable) -> Result<usize, ProfilesError> {
        if self.next_row == counted(self.contents.x.num_rows) {
            return Ok(0);
        }
        if self.next_row >= self.x_rows.end {
            self.unpack_x()?;
        }
        if self.next_row >= self.obs_rows.end {
            self.unpack_obs()?;
        }
        let start = self.next_row;
        let end = (start + self.batch_rows)
            .min(self.x_rows.end)
            .min(self.obs_rows.end);
        let x_roles = &self.contents.x_roles;
        let (of_obs, of_x) = table.columns.split_at_mut(self.obs.len());
        for (column, from) in of_obs.iter_mut().zip(&self.obs) {
            let first = self.obs_rows.start;
            column.extend(&from.slice(start - first..end - first));
        }
        for row in start - self.x_rows.start..end - self.x_rows.start {
            let mut of_x = of_x.iter_mut();
            for (column, role) in x_roles.iter().enumerate() {
                let place = row * x_roles.len() + column;
                match role {
                    Role::Feature => push_feature(&mut table.features, &self.x, place),
                    Role::Metadata => push_metadata(
                        of_x.next().expect("the layout has a kind for each"),
                        &self.x,
                        place,
                    ),
                }
            }
        }
        self.next_row = end;
        table.num_rows += end - start;
        Ok(end - start)
    }
}

fn push_feature(features: &mut Features, block: &Numbers, place: usize) {
    match (features, block) {
        (Features::F32(to), Numbers::Single(from)) => to.push(from[place]),
        (Features::F64(to), from) => to.push(from.at(place)),
        (Features::F32(_), _) => unreachable!("features are single where X is"),
    }
}

fn push_metadata(column: &mut Column, block: &Numbers, place: usize) {
    match column {
        Column::Integer(to) => to.push(block.integer_at(place)),
        Column::Float(to) => {
            let value = block.at(place);
            to.push((!value.is_nan()).then_some(value));
        }
        _ => unreachable!("numbers of X are no text"),
    }
}
