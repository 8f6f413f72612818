//! Golden tables, read with the Parquet crate alone.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type, UInt32Type};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

pub struct Table {
    pub num_rows: usize,
    /// Empty where there is nothing.
    pub text: BTreeMap<String, Vec<String>>,
    pub numbers: BTreeMap<String, Vec<f64>>,
}

impl Table {
    pub fn read(path: &Path) -> Self {
        let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut table = Self {
            num_rows: 0,
            text: BTreeMap::new(),
            numbers: BTreeMap::new(),
        };
        for batch in ParquetRecordBatchReaderBuilder::try_new(file)
            .unwrap()
            .build()
            .unwrap()
        {
            let batch = batch.unwrap();
            table.num_rows += batch.num_rows();
            for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                let name = field.name().clone();
                let is_text = matches!(column.data_type(), DataType::Utf8 | DataType::LargeUtf8);
                assert!(is_text || column.null_count() == 0, "nulls in {name}");
                let mut numbers = |values: Vec<f64>| {
                    table
                        .numbers
                        .entry(name.clone())
                        .or_default()
                        .extend(values);
                };
                match column.data_type() {
                    DataType::Float64 => {
                        numbers(column.as_primitive::<Float64Type>().values().to_vec());
                    }
                    DataType::Float32 => numbers(
                        column
                            .as_primitive::<Float32Type>()
                            .values()
                            .iter()
                            .map(|&v| v.into())
                            .collect(),
                    ),
                    DataType::Int64 => numbers(
                        column
                            .as_primitive::<Int64Type>()
                            .values()
                            .iter()
                            .map(|&v| v as f64)
                            .collect(),
                    ),
                    DataType::Int32 => numbers(
                        column
                            .as_primitive::<Int32Type>()
                            .values()
                            .iter()
                            .map(|&v| v.into())
                            .collect(),
                    ),
                    DataType::UInt32 => numbers(
                        column
                            .as_primitive::<UInt32Type>()
                            .values()
                            .iter()
                            .map(|&v| v.into())
                            .collect(),
                    ),
                    DataType::Boolean => {
                        let values = column.as_boolean().values().iter();
                        numbers(values.map(|value| f64::from(u8::from(value))).collect());
                    }
                    DataType::Utf8 => table.text.entry(name).or_default().extend(
                        column
                            .as_string::<i32>()
                            .iter()
                            .map(|text| text.unwrap_or_default().to_owned()),
                    ),
                    DataType::LargeUtf8 => table.text.entry(name).or_default().extend(
                        column
                            .as_string::<i64>()
                            .iter()
                            .map(|text| text.unwrap_or_default().to_owned()),
                    ),
                    other => panic!("column {name} of type {other}"),
                }
            }
        }
        table
    }

    /// A column of labels, whether the table stores text or integers.
    pub fn labels(&self, name: &str) -> Vec<String> {
        match self.text.get(name) {
            Some(text) => text.clone(),
            None => self.numbers[name].iter().map(f64::to_string).collect(),
        }
    }

    pub fn indices(&self, name: &str) -> Vec<usize> {
        self.numbers[name]
            .iter()
            .map(|&value| value as usize)
            .collect()
    }

    /// Row-major `feature_0`, `feature_1`, ... and their number.
    pub fn features(&self) -> (Vec<f64>, usize) {
        let num_features = (0..)
            .take_while(|i| self.numbers.contains_key(&format!("feature_{i}")))
            .count();
        let columns: Vec<&Vec<f64>> = (0..num_features)
            .map(|i| &self.numbers[&format!("feature_{i}")])
            .collect();
        let values = (0..self.num_rows)
            .flat_map(|row| columns.iter().map(move |c| c[row]))
            .collect();
        (values, num_features)
    }
}
