use std::sync::Arc;

use morphospace_core::Provenance;

use super::element::{ElementStore, Numbers, ValueKind, check_room, encoding, unreadable};
use super::matrix::Matrix;
use super::{INDEX, OBS_NAMES, PROVENANCE, obs_column};
use crate::column::ColumnKind;
use crate::parquet_file::parse_provenance;
use crate::profiles::check_names;
use crate::read::check_read;
use crate::roles::{FoundColumn, Role, roles_by_name};
use crate::table_file::{PartialTable, RowReader, TableFile, TableLayout};
use crate::{Column, ColumnRoles, Features, ProfilesError, ReadOptions};

/// AnnData whose columns are settled: `obs` in memory, `X` where it lies.
pub(super) struct AnnDataTable {
    contents: Arc<Contents>,
    layout: TableLayout,
}

struct Contents {
    store: Box<dyn ElementStore>,
    /// The columns of `obs`, in the order of the table's metadata.
    obs: Vec<Column>,
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
    let Frame {
        names: obs_names,
        columns: order,
    } = Frame::open(&*store, "obs")?;
    let var = Frame::open(&*store, "var")?;
    let x = Matrix::open(&*store)?;
    for (frame, found, expected) in [
        ("obs", obs_names.len(), x.num_rows),
        ("var", var.names.len(), x.num_columns),
    ] {
        if found as u64 != expected {
            return Err(unreadable(
                frame,
                format!("it has {found} rows, the matrix X asks for {expected}"),
            ));
        }
    }
    let num_rows = obs_names.len();
    if num_rows == 0 {
        return Err(ProfilesError::Empty {
            what: "it has columns and no rows",
        });
    }
    check_room(x.num_columns, size_of::<Role>() as u64)
        .map_err(|error| unreadable("var", error))?;

    let mut obs: Vec<(String, Column)> = Vec::new();
    if !is_running_number(&obs_names) {
        let name = match order.iter().any(|column| column == OBS_NAMES) {
            true => INDEX,
            false => OBS_NAMES,
        };
        obs.push((name.to_owned(), Column::from(obs_names)));
    }
    for name in order {
        match obs_column::read(&*store, &format!("obs/{name}"), num_rows)? {
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
    let from_x = var.names.iter().map(|name| FoundColumn {
        name: name.clone(),
        is_number: Some(true),
        written: is_ours.then_some(Role::Feature),
    });
    let found: Vec<FoundColumn> = from_obs.chain(from_x).collect();
    check_names(found.iter().map(|column| column.name.as_str()))?;
    let mut kinds: Vec<ColumnKind> = obs.iter().map(|(_, column)| kind_of(column)).collect();
    let mut x_roles = Vec::with_capacity(var.names.len());
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
    skip_the_rest(&*store, &var.columns, &mut roles);

    let obs: Vec<Column> = obs.into_iter().map(|(_, column)| column).collect();
    let obs_bytes: usize = obs.iter().map(|column| column.num_bytes(0..num_rows)).sum();
    let value_bytes = if x.kind == ValueKind::Single { 4 } else { 8 };
    // A chunk is held packed, unpacked and as the rows that are given from it.
    let chunk_values = x.chunk_rows().min(x.num_rows).saturating_mul(x.num_columns);
    let chunk_bytes = usize::try_from(chunk_values).unwrap_or(usize::MAX);
    let chunk_bytes = chunk_bytes.saturating_mul(3 * value_bytes);
    let layout = TableLayout {
        roles,
        kinds,
        is_single: x.kind == ValueKind::Single,
        num_rows,
        provenance: provenance(&*store)?,
        reader_bytes: chunk_bytes.saturating_add(obs_bytes + x.num_bytes()),
    };
    Ok(AnnDataTable {
        contents: Arc::new(Contents {
            store,
            obs,
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
    /// The index.
    names: Vec<String>,
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
        let names = match store.array(&index)?.shape[..] {
            [_] => store.strings(&index)?,
            _ => return Err(unreadable(&index, "it has not one dimension")),
        };
        Ok(Self { names, columns })
    }
}

/// The names that pandas gives where there are none.
fn is_running_number(names: &[String]) -> bool {
    names
        .iter()
        .enumerate()
        .all(|(row, name)| *name == row.to_string())
}

fn kind_of(column: &Column) -> ColumnKind {
    match column {
        Column::Text(_) => ColumnKind::Text,
        Column::Integer(_) => ColumnKind::Integer,
        Column::Float(_) => ColumnKind::Float,
        Column::Boolean(_) => ColumnKind::Boolean,
    }
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
    let texts = store.strings(PROVENANCE)?;
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
            block: Numbers::Double(Vec::new()),
            block_start: 0,
            block_end: 0,
        }))
    }
}

struct AnnDataRows {
    contents: Arc<Contents>,
    batch_rows: usize,
    next_row: usize,
    /// Rows of `X` that were unpacked together.
    block: Numbers,
    block_start: usize,
    block_end: usize,
}

impl AnnDataRows {
    /// Unpacks the chunks that the next row is in, as many as a batch has rows of.
    fn unpack(&mut self) -> Result<(), ProfilesError> {
        let x = &self.contents.x;
        let chunk = x.chunk_rows().max(1);
        let num_chunks = (self.batch_rows as u64 / chunk).max(1);
        let start = self.next_row as u64 / chunk * chunk;
        let end = start.saturating_add(num_chunks * chunk).min(x.num_rows);
        self.block = x.rows(&*self.contents.store, start..end)?;
        self.block_start = usize::try_from(start).expect("before a row that is counted");
        self.block_end = usize::try_from(end).expect("rows are counted");
        Ok(())
    }
}

impl RowReader for AnnDataRows {
    fn read_batch(&mut self, table: &mut PartialTable) -> Result<usize, ProfilesError> {
        let num_rows = usize::try_from(self.contents.x.num_rows).expect("obs has as many");
        if self.next_row == num_rows {
            return Ok(0);
        }
        if self.next_row >= self.block_end {
            self.unpack()?;
        }
        let start = self.next_row;
        let end = (start + self.batch_rows).min(self.block_end);
        let Contents { obs, x_roles, .. } = &*self.contents;
        let (of_obs, of_x) = table.columns.split_at_mut(obs.len());
        for (column, from) in of_obs.iter_mut().zip(obs) {
            column.extend(&from.slice(start..end));
        }
        for row in start - self.block_start..end - self.block_start {
            let mut of_x = of_x.iter_mut();
            for (column, role) in x_roles.iter().enumerate() {
                let place = row * x_roles.len() + column;
                match role {
                    Role::Feature => push_feature(&mut table.features, &self.block, place),
                    Role::Metadata => push_metadata(
                        of_x.next().expect("the layout has a kind for each"),
                        &self.block,
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
