use std::cmp::Ordering;
use std::collections::HashSet;
use std::path::Path;

use rayon::prelude::*;

use crate::{BenchmarkError, read_clusters};

/// Known relationships between entities (genes, compounds) from one
/// annotation source, undirected and without repeats.
///
/// # Source
/// EFAAR_benchmarking 1.0 `benchmarking.filter_relationships` and
/// `get_benchmark_relationships`: each pair is sorted, self relationships
/// are dropped, repeats too; the first occurrence keeps its place.
///
/// # Example
/// ```
/// use morphospace_benchmark::Relationships;
///
/// let pairs = [("B", "A"), ("A", "B"), ("A", "A"), ("C", "D")];
/// let relationships = Relationships::new("made up", pairs);
/// assert_eq!(relationships.num_raw_rows(), 4);
/// assert_eq!(relationships.pairs(), [("A".into(), "B".into()), ("C".into(), "D".into())]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relationships {
    source: String,
    num_raw_rows: usize,
    pairs: Vec<(String, String)>,
}

impl Relationships {
    /// Filters raw pairs; `source` is the name scores carry.
    pub fn new<A: Into<String>, B: Into<String>>(
        source: impl Into<String>,
        raw: impl IntoIterator<Item = (A, B)>,
    ) -> Self {
        let raw: Vec<(String, String)> =
            raw.into_iter().map(|(a, b)| (a.into(), b.into())).collect();
        Self {
            source: source.into(),
            num_raw_rows: raw.len(),
            pairs: filter_relationships(raw),
        }
    }

    /// The source's name, e.g. `CORUM`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Rows before filtering.
    pub fn num_raw_rows(&self) -> usize {
        self.num_raw_rows
    }

    /// The pairs; in each the first entity sorts before the second.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }
}

/// Sorts each pair, drops self relationships and repeats; the order of first
/// occurrence is kept.
///
/// # Source
/// EFAAR_benchmarking 1.0 `benchmarking.filter_relationships`.
pub fn filter_relationships(raw: Vec<(String, String)>) -> Vec<(String, String)> {
    let sorted = raw.into_iter().filter_map(|(a, b)| match a.cmp(&b) {
        Ordering::Less => Some((a, b)),
        Ordering::Equal => None,
        Ordering::Greater => Some((b, a)),
    });
    let mut pairs: Vec<(String, String)> = sorted.collect();
    let mut seen = HashSet::with_capacity(pairs.len());
    let is_first: Vec<bool> = pairs.iter().map(|pair| seen.insert(pair)).collect();
    let mut is_first = is_first.into_iter();
    pairs.retain(|_| is_first.next() == Some(true));
    pairs
}

/// Reads an annotation file. The file's stem becomes the source's name
/// (`CORUM.txt` is `CORUM`).
///
/// - A header with the columns `entity1` and `entity2`, then one relationship per
///   line, comma- or tab-separated. Further columns are ignored.
/// - Clusters, whose members are all related to each other: `.gmt`, or lines of
///   `name<TAB>member member ...` ([`read_clusters`](crate::read_clusters)).
///
/// # Errors
/// [`BenchmarkError`] names the file and the line or column: it cannot be
/// read, a column is missing, a field is missing or empty, there is no pair.
pub fn read_relationships(path: &Path) -> Result<Relationships, BenchmarkError> {
    let bytes = std::fs::read(path).map_err(|source| BenchmarkError::CannotRead {
        path: path.to_owned(),
        source,
    })?;
    let source = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if !is_clusters(path, &bytes) {
        return parse_relationships(path, source, &bytes);
    }
    let clusters = read_clusters(path)?;
    let pairs = clusters.iter().flat_map(|cluster| {
        let members = cluster.members.iter().enumerate();
        members.flat_map(|(place, first)| {
            let others = cluster.members[place + 1..].iter();
            others.map(|second| (first.clone(), second.clone()))
        })
    });
    let relationships = Relationships::new(source, pairs);
    match relationships.pairs().is_empty() {
        true => Err(BenchmarkError::NoRelationships {
            path: path.to_owned(),
        }),
        false => Ok(relationships),
    }
}

/// Reads several annotation files, each as [`read_relationships`], in their order.
///
/// # Errors
/// As [`read_relationships`], of the first file that cannot be read.
pub fn read_sources<P: AsRef<Path> + Sync>(
    paths: &[P],
) -> Result<Vec<Relationships>, BenchmarkError> {
    let found: Vec<Result<Relationships, BenchmarkError>> = paths
        .par_iter()
        .map(|path| read_relationships(path.as_ref()))
        .collect();
    found.into_iter().collect()
}

/// Whether a file holds clusters: by its name, or because its first line is a name,
/// a tab and several members.
fn is_clusters(path: &Path, bytes: &[u8]) -> bool {
    if path.extension().is_some_and(|extension| extension == "gmt") {
        return true;
    }
    let first_line = bytes.split(|&byte| byte == b'\n').next();
    let first_line = String::from_utf8_lossy(first_line.unwrap_or_default());
    let fields: Vec<&str> = first_line.split('\t').map(str::trim).collect();
    let [_, members] = fields.as_slice() else {
        return false;
    };
    members.split_whitespace().count() > 1
}

fn parse_relationships(
    path: &Path,
    source: String,
    bytes: &[u8],
) -> Result<Relationships, BenchmarkError> {
    // A byte-order mark would otherwise become part of the first column's name.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let first_line = bytes
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let delimiter = if first_line.contains(&b'\t') {
        b'\t'
    } else {
        b','
    };
    let invalid = |line: u64, message: String| BenchmarkError::InvalidLine {
        path: path.to_owned(),
        line,
        message,
    };
    let invalid_record = |error: csv::Error| {
        invalid(
            error.position().map_or(1, csv::Position::line),
            describe(&error),
        )
    };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let header = reader.headers().map_err(invalid_record)?.clone();
    if header.is_empty() || header.iter().all(str::is_empty) {
        return Err(BenchmarkError::NoRelationships {
            path: path.to_owned(),
        });
    }
    let column_index = |column: &'static str| {
        header
            .iter()
            .position(|name| name == column)
            .ok_or_else(|| {
                let hint = morphospace_core::suggestion(column, header.iter())
                    .map(|near| format!("; rename column '{near}' to '{column}'"))
                    .unwrap_or_default();
                BenchmarkError::MissingColumn {
                    path: path.to_owned(),
                    column,
                    header: header.iter().collect::<Vec<_>>().join(","),
                    hint,
                }
            })
    };
    let (first, second) = (column_index("entity1")?, column_index("entity2")?);
    let mut raw = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(invalid_record)? {
        let line = record.position().map_or(0, csv::Position::line);
        let entity = |index: usize, column: &str| match record.get(index) {
            Some(text) if !text.is_empty() => Ok(text.to_owned()),
            _ => Err(invalid(line, format!("column '{column}' is empty"))),
        };
        raw.push((entity(first, "entity1")?, entity(second, "entity2")?));
    }
    if raw.is_empty() {
        return Err(BenchmarkError::NoRelationships {
            path: path.to_owned(),
        });
    }
    Ok(Relationships::new(source, raw))
}

/// The reader's message without its position, which the error carries.
fn describe(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!("found {len} fields, the header has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "the text is not UTF-8".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[u8]) -> Result<Relationships, BenchmarkError> {
        parse_relationships(Path::new("made_up.txt"), "made_up".into(), text)
    }

    fn refused(text: &[u8], expect: &str) {
        let error = parse(text).expect_err("hostile input").to_string();
        assert!(error.contains(expect), "'{error}' does not say '{expect}'");
    }

    #[test]
    fn reads_commas_tabs_marks_and_extra_columns() {
        let expected = [("A".to_owned(), "B".to_owned())];
        for text in [
            "entity1,entity2\nB,A\nA,B\n",
            "entity1\tentity2\nB\tA\n",
            "\u{feff}entity1,entity2\r\nA,B\r\n",
            "score,entity2,entity1\n0.9,A,B\n",
            "entity1,entity2\n A , B",
        ] {
            assert_eq!(
                parse(text.as_bytes()).expect(text).pairs(),
                expected,
                "{text:?}"
            );
        }
    }

    #[test]
    fn refuses_hostile_files() {
        refused(b"", "holds no relationship");
        refused(b"entity1,entity2\n", "holds no relationship");
        refused(
            b"entity1,entity\nA,B\n",
            "rename column 'entity' to 'entity2'",
        );
        refused(b"a,b\nA,B\n", "no column 'entity1'; its header is 'a,b'");
        refused(
            b"entity1,entity2\nA,B\nC\n",
            "line 3: found 1 fields, the header has 2",
        );
        refused(
            b"entity1,entity2\nA,\n",
            "line 2: column 'entity2' is empty",
        );
        refused(b"entity1,entity2\nA,\xff\xfe\n", "not UTF-8");
    }

    #[test]
    fn members_of_a_cluster_are_related_to_each_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let written = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            read_relationships(&path)
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let expected = [
            pair("A", "B"),
            pair("A", "C"),
            pair("B", "C"),
            pair("B", "D"),
        ];
        for (name, text) in [
            ("sets.gmt", "one\tsource\tC\tA\tB\ntwo\tsource\tD\tB\n"),
            ("sets.tsv", "one\tC A B\ntwo\tD B\n"),
        ] {
            let found = written(name, text).expect(name);
            assert_eq!(found.source(), "sets");
            let mut pairs = found.pairs().to_vec();
            pairs.sort_unstable();
            assert_eq!(pairs, expected, "{name}");
        }
        let error = written("alone.gmt", "one\tsource\tA\n").expect_err("no pair");
        assert!(
            error.to_string().contains("holds no relationship"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read_relationships(Path::new("no/such/CORUM.txt")).expect_err("not there");
        assert_eq!(error.to_string(), "cannot read 'no/such/CORUM.txt'");
    }
}
