use std::collections::{HashMap, HashSet};
use std::path::Path;

use rayon::prelude::*;

use crate::entity_map::dot;
use crate::{BenchmarkError, EntityMap, kolmogorov_smirnov};

/// A named set of entities, e.g. a protein complex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The name.
    pub name: String,
    /// Its members as the file lists them.
    pub members: Vec<String>,
}

/// Reads clusters: `name<TAB>member member ...` per line, or for a file
/// ending in `.gmt` `name<TAB>description<TAB>member<TAB>...`. A name that
/// repeats keeps its first place and its last members.
///
/// # Errors
/// The file cannot be read, or a line has no members (named by its number).
///
/// # Source
/// EFAAR_benchmarking 1.0 `benchmarking.get_benchmark_clusters`.
pub fn read_clusters(path: &Path) -> Result<Vec<Cluster>, BenchmarkError> {
    let text = std::fs::read_to_string(path).map_err(|source| BenchmarkError::CannotRead {
        path: path.to_owned(),
        source,
    })?;
    let is_gmt = path.extension().is_some_and(|extension| extension == "gmt");
    let mut clusters: Vec<Cluster> = Vec::new();
    let mut place: HashMap<String, usize> = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let mut fields = line.trim().split('\t');
        let name = fields.next().unwrap_or_default().to_owned();
        let members: Vec<String> = if is_gmt {
            fields.skip(1).map(str::to_owned).collect()
        } else {
            fields
                .next()
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned)
                .collect()
        };
        if members.is_empty() {
            return Err(BenchmarkError::InvalidLine {
                path: path.to_owned(),
                line: index as u64 + 1,
                message: format!("cluster '{name}' has no members after a tab"),
            });
        }
        match place.get(&name) {
            Some(&at) => clusters[at].members = members,
            None => {
                place.insert(name.clone(), clusters.len());
                clusters.push(Cluster { name, members });
            }
        }
    }
    Ok(clusters)
}

/// How much more alike the members of a cluster are than they are to others.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterScore {
    /// The cluster's name.
    pub cluster: String,
    /// Mean cosine between members.
    pub within_mean: f64,
    /// Mean cosine between a member and any other entity.
    pub between_mean: f64,
    /// Members in the map.
    pub cluster_size: usize,
    /// Other entities of the map.
    pub not_cluster_size: usize,
    /// Kolmogorov-Smirnov statistic between the two sets of cosines.
    pub ks_statistic: f64,
    /// Its two-sided p-value.
    pub ks_p_value: f64,
}

/// Scores every cluster with at least `min_members` members in the map (and
/// at least one entity outside).
///
/// # Source
/// EFAAR_benchmarking 1.0 `benchmarking.cluster_benchmark` (`min_genes` 10).
///
/// # Example
/// ```
/// use morphospace_benchmark::{Cluster, EntityMap, cluster_benchmark};
///
/// let labels = ["A", "B", "C"].map(str::to_owned).to_vec();
/// let map = EntityMap::new(labels, vec![1.0, 0.0, 1.0, 0.0, 0.0, 1.0], 2)?;
/// let cluster = Cluster { name: "A-B".into(), members: vec!["A".into(), "B".into()] };
/// let scores = cluster_benchmark(&map, &[cluster], 2)?;
/// assert_eq!((scores[0].within_mean, scores[0].between_mean), (1.0, 0.0));
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
///
/// # Errors
/// None for a map of finite values; the statistic's own refusals otherwise.
pub fn cluster_benchmark(
    map: &EntityMap,
    clusters: &[Cluster],
    min_members: usize,
) -> Result<Vec<ClusterScore>, BenchmarkError> {
    let scores: Vec<Option<ClusterScore>> = clusters
        .par_iter()
        .map(|cluster| score_cluster(map, cluster, min_members.max(2)))
        .collect::<Result<_, _>>()?;
    Ok(scores.into_iter().flatten().collect())
}

fn score_cluster(
    map: &EntityMap,
    cluster: &Cluster,
    min_members: usize,
) -> Result<Option<ClusterScore>, BenchmarkError> {
    let members: HashSet<&str> = cluster.members.iter().map(String::as_str).collect();
    let (inside, outside): (Vec<usize>, Vec<usize>) =
        (0..map.num_entities()).partition(|&row| members.contains(map.labels()[row].as_str()));
    let found: HashSet<&str> = inside
        .iter()
        .map(|&row| map.labels()[row].as_str())
        .collect();
    if found.len() < min_members || outside.is_empty() {
        return Ok(None);
    }
    let mut within = Vec::with_capacity(inside.len() * (inside.len() - 1) / 2);
    let mut between = Vec::with_capacity(inside.len() * outside.len());
    for (at, &row) in inside.iter().enumerate() {
        let direction = map.direction(row);
        within.extend(
            inside[at + 1..]
                .iter()
                .map(|&other| dot(direction, map.direction(other))),
        );
        between.extend(
            outside
                .iter()
                .map(|&other| dot(direction, map.direction(other))),
        );
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let ks = kolmogorov_smirnov(&within, &between)?;
    Ok(Some(ClusterScore {
        cluster: cluster.name.clone(),
        within_mean: mean(&within),
        between_mean: mean(&between),
        cluster_size: inside.len(),
        not_cluster_size: outside.len(),
        ks_statistic: ks.statistic,
        ks_p_value: ks.p_value,
    }))
}
