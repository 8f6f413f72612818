use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema};
use morphospace_core::{Experiment, PlateKey, sha256_hex};
use serde::{Deserialize, Serialize};

use super::error::NormalisationError;
use super::scheme::{NormalisationKey, NormalisationScope};
use super::statistics::{ChannelStatistics, NormalisationOptions, NormalisationStatistics};
use crate::parquet_file::{ParquetFile, WriteError, batch_column, write_parquet};
use crate::pixel_history::PixelHistory;

/// Key of [`Description`] in the file's metadata.
const DESCRIPTION_KEY: &str = "morphospace.normalisation";

/// What the rows do not say.
#[derive(Serialize, Deserialize)]
struct Description {
    options: NormalisationOptions,
    channels: Vec<String>,
    skipped: Vec<String>,
    is_rescaled_to_8_bit_range: bool,
    pixel_history: PixelHistory,
    content_hash: String,
    /// Of the options and all rows: a table that was edited is none.
    values_sha256: String,
}

impl NormalisationStatistics {
    /// Writes `normalisation.parquet`: one row per key and channel with
    /// `scope` (global, experiment, plate), `key` (for people), `source`,
    /// `batch`, `plate` (for joins; nothing where the scope is wider),
    /// `channel`, `mean`, `sd`, `n` (pixels) and `constant` (all pixels are
    /// equal, the standard deviation is 0). Provenance, options and the hash
    /// stand in the file's metadata. The file appears whole or not at all.
    ///
    /// # Errors
    /// [`ScreenError::CannotWrite`](crate::ScreenError::CannotWrite).
    pub fn save(&self, path: &Path) -> Result<(), NormalisationError> {
        let description = Description {
            options: self.options,
            channels: self.channels.clone(),
            skipped: self.skipped.clone(),
            is_rescaled_to_8_bit_range: self.is_rescaled_to_8_bit_range,
            pixel_history: self.pixel_history.clone(),
            content_hash: self.content_hash.clone(),
            values_sha256: self.values_sha256(),
        };
        let description = serde_json::to_string(&description)
            .expect("texts, truth values and names always serialise");
        let schema = schema();
        let batch = self.record_batch(&schema);
        write_parquet(
            path,
            &schema,
            Some(&self.provenance),
            &[(DESCRIPTION_KEY, description)],
            [batch],
        )?;
        Ok(())
    }

    fn record_batch(&self, schema: &Arc<Schema>) -> Result<RecordBatch, WriteError> {
        let rows: Vec<(&NormalisationKey, &str, &ChannelStatistics)> = self
            .keys
            .iter()
            .flat_map(|(key, found)| {
                let names = self.channels.iter().map(String::as_str);
                names
                    .zip(found)
                    .map(move |(channel, found)| (key, channel, found))
            })
            .collect();
        let text = |value: fn(&NormalisationKey) -> Option<String>| -> ArrayRef {
            Arc::new(rows.iter().map(|row| value(row.0)).collect::<StringArray>())
        };
        let number = |value: fn(&ChannelStatistics) -> f64| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(
                rows.iter().map(|row| value(row.2)),
            ))
        };
        let scope = rows.iter().map(|_| Some(self.scope.as_str()));
        let channels = rows.iter().map(|row| Some(row.1));
        let counts = rows.iter().map(|row| row.2.num_pixels);
        let constant = rows.iter().map(|row| Some(row.2.sd == 0.0));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(scope.collect::<StringArray>()),
            text(|key| Some(key.to_string())),
            text(NormalisationKey::source),
            text(NormalisationKey::batch),
            text(NormalisationKey::plate),
            Arc::new(channels.collect::<StringArray>()),
            number(|found| found.mean),
            number(|found| found.sd),
            Arc::new(UInt64Array::from_iter_values(counts)),
            Arc::new(constant.collect::<BooleanArray>()),
        ];
        Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
    }

    /// Reads `normalisation.parquet` and checks it: every key has every
    /// channel once; means are on the 0..255 scale; standard deviations are
    /// finite and positive, or 0 and marked constant; and no standard
    /// deviation is larger than pixels of 0..255 with that mean allow, which
    /// finds most tables whose columns were swapped.
    ///
    /// # Errors
    /// [`NormalisationError`] names the file, the row and the column.
    pub fn load(path: &Path) -> Result<Self, NormalisationError> {
        let mut file = ParquetFile::open(path)?;
        let table = file.table.clone();
        let invalid = |message: String| NormalisationError::InvalidTable {
            table: table.clone(),
            message,
        };
        let json = file.pairs.get(DESCRIPTION_KEY).ok_or_else(|| {
            invalid(format!(
                "the file's metadata has no '{DESCRIPTION_KEY}'\nhint: write the table with \
                 `morphospace normalise`"
            ))
        })?;
        let description: Description = serde_json::from_str(json)
            .map_err(|error| invalid(format!("metadata '{DESCRIPTION_KEY}': {error}")))?;
        let scope = description.options.scheme.scope();
        let scope = scope.ok_or_else(|| invalid("its scheme has no statistics".to_owned()))?;
        let mut rows = Rows {
            table: table.clone(),
            scope,
            channels: &description.channels,
            keys: BTreeMap::new(),
            num_rows: 0,
        };
        while let Some(batch) = file.next_batch()? {
            rows.read(&batch)?;
        }
        let keys = rows.complete()?;
        let provenance = file
            .provenance
            .ok_or_else(|| invalid("the file's metadata has no provenance".to_owned()))?;
        let found = Self {
            options: description.options,
            scope,
            channels: description.channels,
            keys,
            skipped: description.skipped,
            is_rescaled_to_8_bit_range: description.is_rescaled_to_8_bit_range,
            content_hash: description.content_hash,
            pixel_history: description.pixel_history,
            provenance,
        };
        if found.values_sha256() != description.values_sha256 {
            return Err(invalid(
                "its values are not those that were computed\nhint: compute the table again"
                    .to_owned(),
            ));
        }
        Ok(found)
    }

    fn values_sha256(&self) -> String {
        let mut text = serde_json::to_string(&(&self.options, &self.channels))
            .expect("texts and truth values always serialise");
        for (key, found) in &self.keys {
            for of_channel in found {
                let ChannelStatistics {
                    mean,
                    sd,
                    num_pixels,
                } = of_channel;
                let (mean, sd) = (mean.to_bits(), sd.to_bits());
                text.push_str(&format!("\n{key:?} {mean:x} {sd:x} {num_pixels}"));
            }
        }
        sha256_hex(text.as_bytes())
    }
}

fn schema() -> Arc<Schema> {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        text("scope", false),
        text("key", false),
        text("source", true),
        text("batch", true),
        text("plate", true),
        text("channel", false),
        Field::new("mean", DataType::Float64, false),
        Field::new("sd", DataType::Float64, false),
        Field::new("n", DataType::UInt64, false),
        Field::new("constant", DataType::Boolean, false),
    ]))
}

impl NormalisationKey {
    fn source(&self) -> Option<String> {
        match self {
            Self::Global => None,
            Self::Experiment { source, .. } => source.clone(),
            Self::Plate(plate) => plate.source.clone(),
        }
    }

    fn batch(&self) -> Option<String> {
        match self {
            Self::Global => None,
            Self::Experiment { experiment, .. } => Some(experiment.to_string()),
            Self::Plate(plate) => Some(plate.experiment.to_string()),
        }
    }

    fn plate(&self) -> Option<String> {
        match self {
            Self::Global | Self::Experiment { .. } => None,
            Self::Plate(plate) => Some(plate.plate.clone()),
        }
    }
}

/// Rows of a table as they come in.
struct Rows<'a> {
    table: String,
    scope: NormalisationScope,
    channels: &'a [String],
    keys: BTreeMap<NormalisationKey, Vec<Option<ChannelStatistics>>>,
    num_rows: usize,
}

impl Rows<'_> {
    fn invalid(&self, row: usize, column: &str, message: &str) -> NormalisationError {
        NormalisationError::InvalidTable {
            table: self.table.clone(),
            message: format!(
                "row {}, column '{column}': {message}\nhint: compute the table again",
                row + 1
            ),
        }
    }

    fn read(&mut self, batch: &RecordBatch) -> Result<(), NormalisationError> {
        let column = |name: &str, data_type| batch_column(&self.table, batch, name, &data_type);
        let text = |name: &str| -> Result<StringArray, NormalisationError> {
            Ok(column(name, DataType::Utf8)?.as_string::<i32>().clone())
        };
        let number = |name: &str| -> Result<Float64Array, NormalisationError> {
            let column = column(name, DataType::Float64)?;
            Ok(column.as_primitive::<Float64Type>().clone())
        };
        let names = ["scope", "source", "batch", "plate", "channel"];
        let [scope, source, experiment, plate, channel] = names.map(text);
        let (scope, source, experiment) = (scope?, source?, experiment?);
        let (plate, channel) = (plate?, channel?);
        let (mean, sd) = (number("mean")?, number("sd")?);
        let count = column("n", DataType::UInt64)?;
        let count = count.as_primitive::<UInt64Type>().clone();
        let constant = column("constant", DataType::Boolean)?.as_boolean().clone();
        for row in 0..batch.num_rows() {
            let at = self.num_rows + row;
            let is_empty = [
                ("mean", mean.is_null(row)),
                ("sd", sd.is_null(row)),
                ("n", count.is_null(row)),
                ("constant", constant.is_null(row)),
            ];
            if let Some((column, _)) = is_empty.iter().find(|(_, is_null)| *is_null) {
                return Err(self.invalid(at, column, "there is no value"));
            }
            if value(&scope, row) != Some(self.scope.as_str()) {
                let message = format!("the table's scheme is of scope '{}'", self.scope.as_str());
                return Err(self.invalid(at, "scope", &message));
            }
            let key = self.key(at, [&source, &experiment, &plate].map(|c| value(c, row)))?;
            let found = ChannelStatistics {
                mean: mean.value(row),
                sd: sd.value(row),
                num_pixels: count.value(row),
            };
            self.check(at, &found, constant.value(row))?;
            let name = value(&channel, row).unwrap_or_default();
            let index = self.channels.iter().position(|channel| channel == name);
            let index = index
                .ok_or_else(|| self.invalid(at, "channel", &format!("unknown channel '{name}'")))?;
            let num_channels = self.channels.len();
            let of_key = self
                .keys
                .entry(key.clone())
                .or_insert_with(|| vec![None; num_channels]);
            if of_key[index].replace(found).is_some() {
                let message = format!("{key} has channel '{name}' twice");
                return Err(self.invalid(at, "channel", &message));
            }
        }
        self.num_rows += batch.num_rows();
        Ok(())
    }

    fn key(
        &self,
        row: usize,
        [source, experiment, plate]: [Option<&str>; 3],
    ) -> Result<NormalisationKey, NormalisationError> {
        let source = source.map(str::to_owned);
        let missing = |column| self.invalid(row, column, "there is no value");
        if self.scope == NormalisationScope::Global {
            return Ok(NormalisationKey::Global);
        }
        let experiment = Experiment::new(experiment.ok_or_else(|| missing("batch"))?);
        if self.scope == NormalisationScope::Experiment {
            return Ok(NormalisationKey::Experiment { source, experiment });
        }
        Ok(NormalisationKey::Plate(PlateKey {
            source,
            experiment,
            plate: plate.ok_or_else(|| missing("plate"))?.to_owned(),
        }))
    }

    fn check(
        &self,
        row: usize,
        found: &ChannelStatistics,
        is_constant: bool,
    ) -> Result<(), NormalisationError> {
        let ChannelStatistics {
            mean,
            sd,
            num_pixels,
        } = *found;
        if !(0.0..=255.0).contains(&mean) {
            let message = format!("{mean} is not on the 0..255 scale");
            return Err(self.invalid(row, "mean", &message));
        }
        if !sd.is_finite() || sd < 0.0 || (sd == 0.0) != is_constant {
            let message = format!("{sd} is not positive, or 0 and marked as constant");
            return Err(self.invalid(row, "sd", &message));
        }
        if num_pixels == 0 {
            return Err(self.invalid(row, "n", "statistics of no pixel"));
        }
        // Bhatia & Davis 2000: the variance of values between 0 and 255 is at
        // most mean (255 - mean), before it is made unbiased.
        let bias = num_pixels as f64 / (num_pixels - 1).max(1) as f64;
        let most = mean * (255.0 - mean) * bias;
        if sd * sd > most * (1.0 + 1e-9) {
            let message = format!(
                "{sd} is too large for pixels of 0..255 with mean {mean}: were columns swapped?"
            );
            return Err(self.invalid(row, "sd", &message));
        }
        Ok(())
    }

    fn complete(
        self,
    ) -> Result<BTreeMap<NormalisationKey, Vec<ChannelStatistics>>, NormalisationError> {
        let invalid = |message: String| NormalisationError::InvalidTable {
            table: self.table.clone(),
            message: format!("{message}\nhint: compute the table again"),
        };
        if self.keys.is_empty() {
            return Err(invalid("it has no row".to_owned()));
        }
        let mut complete = BTreeMap::new();
        for (key, found) in self.keys {
            let lacks = found.iter().position(Option::is_none);
            if let Some(index) = lacks {
                let channel = &self.channels[index];
                return Err(invalid(format!("{key} lacks channel '{channel}'")));
            }
            complete.insert(key, found.into_iter().flatten().collect());
        }
        Ok(complete)
    }
}

fn value(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}
