use morphospace_core::Seed;
use rand::RngExt;
use rayon::prelude::*;

use super::soft_clusters::inner_products;

/// Most rounds after the first centroids.
const MAX_ROUNDS: usize = 25;

/// Rows that are summed up at a time, at least; tables are cut into at most
/// 64 parts, so that their sums take little memory. Part of the result, as
/// sums depend on their order.
pub(crate) fn rows_per_sum(num_rows: usize) -> usize {
    num_rows.div_ceil(64).max(256)
}

/// Centroids of row-major rows by k-means: the first drawn far apart
/// (k-means++), then moved to the means of their rows until none changes its
/// cluster, at most 25 times. A centroid that loses all rows stays.
///
/// # Shapes
/// - `rows`: `[num_rows, num_features]`
/// - result: `[num_clusters, num_features]`
///
/// # Source
/// Arthur & Vassilvitskii 2007, one candidate per draw.
pub(crate) fn kmeans(
    rows: &[f64],
    num_features: usize,
    num_clusters: usize,
    seed: Seed,
) -> Vec<f64> {
    let (d, k) = (num_features, num_clusters);
    let mut centroids = spread_rows(rows, d, k, seed);
    let mut cluster_of = vec![usize::MAX; rows.len() / d];
    for _ in 0..MAX_ROUNDS {
        let found = nearest(rows, &centroids, d);
        if found == cluster_of {
            break;
        }
        cluster_of = found;
        let chunk_rows = rows_per_sum(cluster_of.len());
        let partial: Vec<(Vec<f64>, Vec<usize>)> = rows
            .par_chunks(chunk_rows * d)
            .zip(cluster_of.par_chunks(chunk_rows))
            .map(|(rows, clusters)| {
                let (mut sums, mut counts) = (vec![0.0; k * d], vec![0; k]);
                for (row, &cluster) in rows.chunks_exact(d).zip(clusters) {
                    counts[cluster] += 1;
                    let sum = &mut sums[cluster * d..(cluster + 1) * d];
                    sum.iter_mut()
                        .zip(row)
                        .for_each(|(sum, value)| *sum += value);
                }
                (sums, counts)
            })
            .collect();
        for (cluster, centroid) in centroids.chunks_exact_mut(d).enumerate() {
            let count: usize = partial.iter().map(|(_, counts)| counts[cluster]).sum();
            if count == 0 {
                continue;
            }
            for (j, value) in centroid.iter_mut().enumerate() {
                let sum: f64 = partial.iter().map(|(sums, _)| sums[cluster * d + j]).sum();
                *value = sum / count as f64;
            }
        }
    }
    centroids
}

/// Rows drawn one after the other, each with a chance in proportion to its
/// squared distance from the nearest one drawn before.
fn spread_rows(rows: &[f64], d: usize, k: usize, seed: Seed) -> Vec<f64> {
    let num_rows = rows.len() / d;
    let mut rng = seed.rng();
    let mut centroids: Vec<f64> = Vec::with_capacity(k * d);
    let mut distances = vec![f64::INFINITY; num_rows];
    let mut next = rng.random_range(0..num_rows);
    loop {
        let centroid = rows[next * d..(next + 1) * d].to_vec();
        distances
            .par_iter_mut()
            .zip(rows.par_chunks_exact(d))
            .for_each(|(distance, row)| {
                let squares = row.iter().zip(&centroid).map(|(a, b)| (a - b) * (a - b));
                *distance = distance.min(squares.sum());
            });
        centroids.extend(centroid);
        if centroids.len() == k * d {
            return centroids;
        }
        let total: f64 = distances.iter().sum();
        let mut left = rng.random_range(0.0..1.0) * total;
        // The last row of any distance, should rounding leave a rest; any row
        // where all have been drawn.
        let last = distances.iter().rposition(|&distance| distance > 0.0);
        next = distances
            .iter()
            .position(|distance| {
                left -= distance;
                left < 0.0
            })
            .or(last)
            .unwrap_or(0);
    }
}

/// The nearest centroid of each row, the first of equal ones.
fn nearest(rows: &[f64], centroids: &[f64], d: usize) -> Vec<usize> {
    let k = centroids.len() / d;
    let squares: Vec<f64> = centroids
        .chunks_exact(d)
        .map(|centroid| centroid.iter().map(|value| value * value).sum())
        .collect();
    rows.par_chunks(256 * d)
        .flat_map_iter(|rows| {
            let mut products = vec![0.0; rows.len() / d * k];
            inner_products(rows, centroids, d, &mut products);
            let nearest: Vec<usize> = products
                .chunks_exact(k)
                .map(|products| {
                    let mut best = (0, f64::INFINITY);
                    for (cluster, (product, square)) in products.iter().zip(&squares).enumerate() {
                        let distance = square - 2.0 * product;
                        if distance < best.1 {
                            best = (cluster, distance);
                        }
                    }
                    best.0
                })
                .collect();
            nearest
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_that_lie_apart_are_found() {
        // Three pairs about 0, 10 and 20; the first three rows drawn are of
        // three pairs, as the others are so near.
        let rows = [0.0, 10.0, 20.0, 1e-3, 10.001, 20.001];
        for seed in 0..20 {
            let mut found = kmeans(&rows, 1, 3, Seed::new(seed));
            found.sort_by(f64::total_cmp);
            for (found, expect) in found.iter().zip([0.0005, 10.0005, 20.0005]) {
                assert!((found - expect).abs() < 1e-12, "{found}");
            }
        }
    }

    #[test]
    fn equal_rows_take_any_number_of_clusters() {
        let found = kmeans(&[3.0; 8], 2, 3, Seed::new(1));
        assert_eq!(found, [3.0; 6]);
    }
}
