//! The tables of papers, from scores of many runs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use morphospace_benchmark::Score;
use morphospace_report::{
    Page, ResultCell, ResultFigure, ResultGrid, ResultPoint, Section, format_number,
};
use serde::Serialize;

use crate::recipe::Repetition;
use crate::table_spec::{Expected, TableSpec};

/// Scores of a row, repetition by repetition.
#[derive(Clone, Debug)]
pub struct ScoredRow {
    /// The row's name.
    pub title: String,
    /// What stands in it.
    pub spec: TableSpec,
    /// The scores of each repetition.
    pub repetitions: Vec<(Repetition, Vec<Score>)>,
}

/// A table of means over repetitions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResultTable {
    /// What it is.
    pub title: String,
    /// Headings.
    pub columns: Vec<String>,
    /// Rows with one cell for each column.
    pub rows: Vec<ResultRow>,
}

/// A row of a [`ResultTable`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResultRow {
    /// Its name.
    pub title: String,
    /// One for each column.
    pub cells: Vec<Cell>,
}

/// What stands in a row below a column.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cell {
    /// The score of each repetition that has one.
    pub values: Vec<f64>,
    /// Their mean.
    pub mean: Option<f64>,
    /// Their standard deviation (divided by n - 1); of one there is none.
    pub sd: Option<f64>,
    /// What the paper reports.
    pub expected: Option<Expected>,
    /// [`ColumnSpec::decimals`](crate::table_spec::ColumnSpec::decimals).
    #[serde(skip)]
    pub decimals: Option<usize>,
}

impl Cell {
    /// The mean and spread of values.
    pub fn new(values: Vec<f64>, expected: Option<Expected>) -> Self {
        let n = values.len() as f64;
        let mean = (!values.is_empty()).then(|| values.iter().sum::<f64>() / n);
        let sd = mean.filter(|_| values.len() > 1).map(|mean| {
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            (squares / (n - 1.0)).sqrt()
        });
        Self {
            values,
            mean,
            sd,
            expected,
            decimals: None,
        }
    }

    fn number(&self, value: f64) -> String {
        match self.decimals {
            Some(decimals) => format!("{value:.decimals$}"),
            None => format_number(value),
        }
    }

    fn found(&self) -> String {
        match (self.mean, self.sd) {
            (None, _) => "-".to_owned(),
            (Some(mean), None) => self.number(mean),
            (Some(mean), Some(sd)) => with_spread(&self.number(mean), sd),
        }
    }

    fn expected(&self) -> Option<String> {
        self.expected.map(|expected| match expected {
            Expected::Value(value) => self.number(value),
            Expected::MeanAndSpread([mean, sd]) => with_spread(&self.number(mean), sd),
        })
    }
}

/// Mean and spread with as many decimals as the mean has.
fn with_spread(mean: &str, sd: f64) -> String {
    let decimals = mean
        .split_once('.')
        .map_or(0, |(_, decimals)| decimals.len());
    match mean.contains('e') {
        true => format!("{mean} ± {}", format_number(sd)),
        false => format!("{mean} ± {sd:.decimals$}"),
    }
}

impl ResultTable {
    /// Tables by title, in the order in which rows name them; columns as the first row
    /// of each has them, those that later rows add behind.
    ///
    /// # Errors
    /// A column of one number finds several.
    pub fn of_rows(rows: &[ScoredRow]) -> Result<Vec<Self>> {
        let mut tables: Vec<Self> = Vec::new();
        for row in rows {
            let index = tables
                .iter()
                .position(|table| table.title == row.spec.title);
            let index = index.unwrap_or_else(|| {
                tables.push(Self {
                    title: row.spec.title.clone(),
                    columns: Vec::new(),
                    rows: Vec::new(),
                });
                tables.len() - 1
            });
            let table = &mut tables[index];
            for column in &row.spec.columns {
                if !table.columns.contains(&column.name) {
                    table.columns.push(column.name.clone());
                }
            }
            let mut cells = Vec::new();
            for name in &table.columns {
                let column = row.spec.columns.iter().find(|column| column.name == *name);
                let Some(column) = column else {
                    cells.push(Cell::default());
                    continue;
                };
                let mut values = Vec::new();
                for (_, scores) in row.repetitions.iter().filter(|(one, _)| column.is_of(one)) {
                    let value = column.value(scores);
                    let named = || format!("row '{}', column '{name}'", row.title);
                    values.extend(value.with_context(named)?);
                }
                let mut cell = Cell::new(values, row.spec.expected.get(name).copied());
                cell.decimals = column.decimals;
                cells.push(cell);
            }
            table.rows.push(ResultRow {
                title: row.title.clone(),
                cells,
            });
        }
        for table in &mut tables {
            for row in &mut table.rows {
                row.cells.resize(table.columns.len(), Cell::default());
            }
        }
        Ok(tables)
    }

    /// Rows are models, columns are scores: of files that no recipe made. Files in
    /// which a model has the same score are repetitions.
    pub fn of_scores(title: &str, files: &[Vec<Score>]) -> Self {
        let mut columns: Vec<String> = Vec::new();
        let mut rows: Vec<(String, BTreeMap<String, Vec<f64>>)> = Vec::new();
        for score in files.iter().flatten() {
            let column = match score.settings.get("source") {
                Some(source) => format!("{}, {source}", score.benchmark),
                None => score.benchmark.clone(),
            };
            let block = score
                .block
                .map_or(String::new(), |block| format!(", block {block}"));
            let alignment = match score.alignment.as_str() {
                "unstated" | "none" => String::new(),
                alignment => format!(", {alignment}"),
            };
            let name = format!("{}{block}{alignment}", score.model);
            if !columns.contains(&column) {
                columns.push(column.clone());
            }
            let index = rows.iter().position(|(row, _)| *row == name);
            let index = index.unwrap_or_else(|| {
                rows.push((name, BTreeMap::new()));
                rows.len() - 1
            });
            rows[index].1.entry(column).or_default().push(score.value);
        }
        let rows = rows.into_iter().map(|(title, mut values)| ResultRow {
            title,
            cells: columns
                .iter()
                .map(|column| Cell::new(values.remove(column).unwrap_or_default(), None))
                .collect(),
        });
        Self {
            title: title.to_owned(),
            rows: rows.collect(),
            columns,
        }
    }

    /// What a reader must know of empty and half-empty cells: columns without a score,
    /// and rows that lack repetitions; the last are of `rows`.
    pub fn gaps(&self, rows: &[ScoredRow]) -> Vec<String> {
        let mut gaps = Vec::new();
        let rows = rows.iter().filter(|row| row.spec.title == self.title);
        for (row, found) in rows.zip(&self.rows) {
            for (name, cell) in self.columns.iter().zip(&found.cells) {
                let Some(column) = row.spec.columns.iter().find(|column| column.name == *name)
                else {
                    continue;
                };
                let of_column = || row.repetitions.iter().filter(|(one, _)| column.is_of(one));
                let (num, all) = (cell.values.len(), of_column().count());
                if num == 0 && of_column().any(|(_, scores)| !scores.is_empty()) {
                    gaps.push(format!(
                        "{}: '{name}' finds no score '{}' among those that there are",
                        row.title, column.benchmark
                    ));
                } else if num < all {
                    gaps.push(format!(
                        "{}: '{name}' is of {num} of {all} repetitions",
                        row.title
                    ));
                }
            }
        }
        gaps
    }

    fn has_expected(&self) -> bool {
        let mut cells = self.rows.iter().flat_map(|row| &row.cells);
        cells.any(|cell| cell.expected.is_some())
    }

    /// As a table of Markdown; what the paper reports in brackets.
    pub fn to_markdown(&self) -> String {
        let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
        let mut text = format!("### {}\n\n", cell(&self.title));
        if self.has_expected() {
            text.push_str("Mean ± standard deviation over repetitions (in the paper).\n\n");
        }
        text.push_str("| |");
        for column in &self.columns {
            let _ = write!(text, " {} |", cell(column));
        }
        let _ = writeln!(text, "\n|---|{}", "--:|".repeat(self.columns.len()));
        for row in &self.rows {
            let _ = write!(text, "| {} |", cell(&row.title));
            for found in &row.cells {
                let expected = found.expected();
                let expected = expected.map_or(String::new(), |text| format!(" ({text})"));
                let _ = write!(text, " {}{expected} |", found.found());
            }
            text.push('\n');
        }
        text
    }

    /// A line for each cell: table, row, column, mean, sd, n, and what the paper
    /// reports.
    pub(crate) fn csv_records(&self) -> impl Iterator<Item = [String; 8]> + '_ {
        self.rows.iter().flat_map(move |row| {
            row.cells
                .iter()
                .zip(&self.columns)
                .map(move |(cell, column)| {
                    let number =
                        |value: Option<f64>| value.map_or(String::new(), |v| v.to_string());
                    let spread = cell.expected.and_then(|expected| match expected {
                        Expected::Value(_) => None,
                        Expected::MeanAndSpread([_, sd]) => Some(sd),
                    });
                    [
                        self.title.clone(),
                        row.title.clone(),
                        column.clone(),
                        number(cell.mean),
                        number(cell.sd),
                        cell.values.len().to_string(),
                        number(cell.expected.map(Expected::mean)),
                        number(spread),
                    ]
                })
        })
    }

    /// The heading of [`ResultTable::csv_records`].
    pub(crate) const CSV_HEADER: [&str; 8] = [
        "table",
        "row",
        "column",
        "mean",
        "sd",
        "num_repetitions",
        "paper_mean",
        "paper_sd",
    ];

    /// All tables in one CSV.
    ///
    /// # Errors
    /// None that is not of memory.
    pub fn to_csv(tables: &[Self]) -> Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(Self::CSV_HEADER)?;
        for record in tables.iter().flat_map(Self::csv_records) {
            writer.write_record(record)?;
        }
        Ok(writer.into_inner()?)
    }

    /// The rows in one column beside each other and beside what the paper reports;
    /// `None` if there is nothing to compare.
    pub fn figure(&self, column: usize) -> Option<ResultFigure> {
        let mut figure = ResultFigure::new(&self.columns[column], "score");
        let mut num_points = 0;
        let mut any_found = false;
        for row in &self.rows {
            let cell = &row.cells[column];
            let found = cell.mean.map(|value| ResultPoint { value, sd: cell.sd });
            let reported = cell.expected.map(|expected| match expected {
                Expected::Value(value) => ResultPoint { value, sd: None },
                Expected::MeanAndSpread([value, sd]) => ResultPoint {
                    value,
                    sd: Some(sd),
                },
            });
            any_found |= found.is_some();
            num_points += [found, reported].iter().flatten().count();
            figure = figure.with_row(&row.title, found, reported);
        }
        (any_found && num_points > 1).then_some(figure)
    }

    /// A page of tables and a figure for each of their columns.
    pub fn page(title: &str, tables: &[Self]) -> Page {
        let mut page = Page::new(title);
        for table in tables {
            let caption = match table.has_expected() {
                true => "Mean ± standard deviation over repetitions, above what the paper reports",
                false => "Mean ± standard deviation over repetitions",
            };
            let mut grid = ResultGrid::new(caption, &table.columns);
            for row in &table.rows {
                let cells = row.cells.iter().map(|cell| ResultCell {
                    text: cell.found(),
                    detail: cell.expected().map(|text| format!("paper {text}")),
                });
                grid = grid.with_row(&row.title, cells.collect());
            }
            let mut section = Section::new(&table.title).with(grid);
            let figures = (0..table.columns.len()).filter_map(|column| table.figure(column));
            for figure in figures {
                section = section.with(figure);
            }
            page = page.with_section(section);
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table_spec::{ColumnSpec, Pick};

    fn row(title: &str, values: &[f64]) -> ScoredRow {
        let spec = TableSpec {
            title: "Table 1".to_owned(),
            columns: vec![ColumnSpec {
                name: "CORUM".to_owned(),
                benchmark: "recall".to_owned(),
                source: Some("CORUM".to_owned()),
                model: None,
                setting: None,
                pick: Pick::Only,
                of: BTreeMap::new(),
                factor: 100.0,
                decimals: None,
            }],
            expected: BTreeMap::from([("CORUM".to_owned(), Expected::MeanAndSpread([60.0, 1.5]))]),
        };
        let score = |value: &f64| {
            let score = Score::new("recall", "model", "tvn", *value, 3);
            let other = Score::new("recall", "model", "tvn", 0.9, 3);
            let score = vec![
                score.with_setting("source", "CORUM"),
                other.with_setting("source", "hu.MAP"),
            ];
            (Repetition::default(), score)
        };
        ScoredRow {
            title: title.to_owned(),
            spec,
            repetitions: values.iter().map(score).collect(),
        }
    }

    #[test]
    fn means_and_spreads_stand_beside_those_of_the_paper() {
        let tables = ResultTable::of_rows(&[row("a", &[0.5, 0.6, 0.7]), row("b", &[0.5])]);
        let [table] = &tables.expect("tables")[..] else {
            panic!("one table")
        };
        let text = table.to_markdown();
        assert!(text.contains("| a | 60.0 ± 10.0 (60.0 ± 1.5) |"), "{text}");
        assert!(text.contains("| b | 50.0 (60.0 ± 1.5) |"), "{text}");
        assert!(table.figure(0).is_some());
        let csv = ResultTable::to_csv(std::slice::from_ref(table)).expect("CSV");
        let csv = String::from_utf8(csv).expect("text");
        assert!(csv.contains("Table 1,b,CORUM,50,,1,60,1.5"), "{csv}");
    }

    #[test]
    fn several_scores_need_a_choice() {
        let mut several = row("a", &[0.5]);
        several.spec.columns[0].source = None;
        let error = ResultTable::of_rows(&[several.clone()]).expect_err("two scores");
        assert!(
            format!("{error:#}").contains("pick best or last"),
            "{error:#}"
        );
        several.spec.columns[0].pick = Pick::Best;
        let table = &ResultTable::of_rows(&[several]).expect("tables")[0];
        assert_eq!(table.rows[0].cells[0].mean, Some(90.0));
    }

    #[test]
    fn scores_of_no_recipe_make_a_table_of_models() {
        let score = |model: &str, value| Score::new("recall", model, "tvn", value, 3);
        let files = [
            vec![score("a", 1.0), score("b", 3.0)],
            vec![score("a", 2.0)],
        ];
        let table = ResultTable::of_scores("Scores", &files);
        let names: Vec<&str> = table.rows.iter().map(|row| row.title.as_str()).collect();
        assert_eq!(names, ["a, tvn", "b, tvn"]);
        assert_eq!(table.rows[0].cells[0].mean, Some(1.5));
        assert_eq!(table.rows[1].cells[0].sd, None);
    }
}
