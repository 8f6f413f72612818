use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::{BenchmarkError, Distances};

/// Whether neighbourhoods have the batches of the whole, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Kbet {
    /// Share of the rows whose neighbourhood does not differ (`p >= alpha`),
    /// from 0 (apart) to 1 (mixed).
    pub acceptance_rate: f64,
    /// Pearson's chi-squared of each row.
    pub statistics: Vec<f64>,
    /// The chance of as large a one, with one degree of freedom less than
    /// there are batches.
    pub p_values: Vec<f64>,
}

impl Distances {
    /// The k-nearest-neighbour batch-effect test: of each row the batches of
    /// the row itself and its `num_neighbours - 1` nearest are compared with
    /// those of all rows.
    ///
    /// # Errors
    /// [`BenchmarkError::WrongNumberOfValues`]: not as many batches as rows;
    /// [`BenchmarkError::TooFewValues`]: fewer rows than neighbours, or one
    /// batch.
    ///
    /// # Source
    /// Büttner et al. 2019, <https://doi.org/10.1038/s41592-018-0254-1>, on all
    /// rows and with a given number of neighbours; scib-metrics 0.5.10 `kbet`
    /// on neighbours that begin with the row itself, with which it agrees to
    /// 1e-9. (scib's own splits rows by label and takes diffusion distances.)
    ///
    /// # Example
    /// ```
    /// use morphospace_benchmark::{Distances, Metric};
    ///
    /// let rows: Vec<f64> = (0..40).map(f64::from).collect();
    /// let distances = Distances::new(&rows, 1, Metric::Euclidean)?;
    /// let mixed: Vec<String> = (0..40).map(|i| format!("b{}", i % 2)).collect();
    /// assert_eq!(distances.kbet(&mixed, 10, 0.05)?.acceptance_rate, 1.0);
    /// let apart: Vec<String> = (0..40).map(|i| format!("b{}", i / 20)).collect();
    /// assert!(distances.kbet(&apart, 10, 0.05)?.acceptance_rate < 0.3);
    /// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
    /// ```
    pub fn kbet(
        &self,
        batches: &[String],
        num_neighbours: usize,
        alpha: f64,
    ) -> Result<Kbet, BenchmarkError> {
        self.check_labels(batches)?;
        let too_few = |what, needed, found| BenchmarkError::TooFewValues {
            what,
            needed,
            found,
        };
        if num_neighbours < 2 || num_neighbours > self.num_rows {
            let needed = num_neighbours.max(2);
            return Err(too_few("kBET, for its neighbours,", needed, self.num_rows));
        }
        let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
        for batch in batches {
            *counts.entry(batch).or_default() += 1;
        }
        if counts.len() < 2 {
            return Err(too_few("kBET, of batches,", 2, counts.len()));
        }
        let places = counts.keys().enumerate();
        let place_of: BTreeMap<&String, usize> = places.map(|(i, &name)| (name, i)).collect();
        let batch_of: Vec<usize> = batches.iter().map(|batch| place_of[batch]).collect();
        let scale = num_neighbours as f64 / self.num_rows as f64;
        let expected: Vec<f64> = counts.values().map(|&count| count as f64 * scale).collect();
        let statistic = |row: usize| {
            let mut observed = vec![0.0; expected.len()];
            observed[batch_of[row]] += 1.0;
            for neighbour in self.nearest(row, 0..self.num_rows, num_neighbours - 1) {
                observed[batch_of[neighbour]] += 1.0;
            }
            let pairs = observed.iter().zip(&expected);
            pairs.map(|(o, e)| (o - e) * (o - e) / e).sum()
        };
        let statistics: Vec<f64> = (0..self.num_rows).into_par_iter().map(statistic).collect();
        let degrees = expected.len() - 1;
        let p_values: Vec<f64> = statistics
            .iter()
            .map(|&statistic| chi_squared_above(statistic, degrees))
            .collect();
        let accepted = p_values.iter().filter(|&&p| p >= alpha).count();
        Ok(Kbet {
            acceptance_rate: accepted as f64 / self.num_rows as f64,
            statistics,
            p_values,
        })
    }
}

/// The chance that chi-squared of so many degrees of freedom is above `x`: the
/// regularised upper incomplete gamma function of half of both.
///
/// # Source
/// Press et al., Numerical Recipes, 6.2: a series below `a + 1`, a continued
/// fraction (Lentz) above.
fn chi_squared_above(x: f64, degrees: usize) -> f64 {
    let (a, x) = (degrees as f64 / 2.0, x / 2.0);
    if x <= 0.0 {
        return 1.0;
    }
    // ln Gamma(a) of a whole or half number.
    let mut log_gamma = if degrees.is_multiple_of(2) {
        0.0
    } else {
        0.5 * std::f64::consts::PI.ln()
    };
    let mut factor = if degrees.is_multiple_of(2) { 1.0 } else { 0.5 };
    while factor < a {
        log_gamma += f64::ln(factor);
        factor += 1.0;
    }
    let front = (a * x.ln() - x - log_gamma).exp();
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        while term > sum * f64::EPSILON {
            n += 1.0;
            term *= x / n;
            sum += term;
        }
        return (1.0 - front * sum).max(0.0);
    }
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / f64::MIN_POSITIVE;
    let mut d = 1.0 / b;
    let mut fraction = d;
    for i in 1..10_000 {
        let i = f64::from(i);
        let step = -i * (i - a);
        b += 2.0;
        d = 1.0 / (step * d + b);
        c = b + step / c;
        fraction *= c * d;
        if (c * d - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    front * fraction
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Metric;
    use crate::batch_mixing::tests::{mixed_rows, names};

    /// scipy 1.17: `chi2.sf(x, degrees)`.
    #[test]
    fn chances_are_those_of_scipy() {
        for (x, degrees, expect) in [
            (0.5, 1, 0.47950012218695337),
            (3.84, 1, 0.05004352124870519),
            (10.0, 2, 0.006737946999085468),
            (7.3, 3, 0.06292623645904312),
            (30.0, 50, 0.9888352197284497),
            (120.0, 50, 1.0958807112599678e-07),
            (1e-3, 4, 0.9999998750416589),
            (500.0, 9, 5.7494139030446954e-102),
        ] {
            let found = chi_squared_above(x, degrees);
            assert!(
                (found / expect - 1.0).abs() < 1e-12,
                "{x} {degrees}: {found}"
            );
        }
        assert_eq!(chi_squared_above(0.0, 3), 1.0);
    }

    #[test]
    fn a_neighbourhood_by_hand() {
        // Of three neighbours 1.5 of either batch are expected. The first row
        // sees a, a, a: (1.5^2 + 1.5^2) / 1.5 = 3; the third a, a, b: 1/3.
        let rows = [0.0, 1.0, 2.1, 3.1, 4.2, 5.0];
        let distances = Distances::new(&rows, 1, Metric::Euclidean).expect("whole");
        let found = distances
            .kbet(&names(&["a", "a", "a", "b", "b", "b"]), 3, 0.1)
            .expect("fits");
        assert_eq!(found.statistics[0], 3.0);
        assert!((found.statistics[2] - 1.0 / 3.0).abs() < 1e-15);
        // p of 3 is 0.083, of 1/3 is 0.56.
        assert!((found.acceptance_rate - 2.0 / 6.0).abs() < 1e-15);
        assert!(distances.kbet(&names(&["a"; 6]), 3, 0.1).is_err());
        assert!(distances.kbet(&names(&["a"; 5]), 3, 0.1).is_err());
        let two = names(&["a", "b", "a", "b", "a", "b"]);
        assert!(distances.kbet(&two, 7, 0.1).is_err());
        assert!(distances.kbet(&two, 1, 0.1).is_err());
    }

    /// scib-metrics 0.5.10 on jax in double precision: `kbet` of the rows that
    /// `mixed_rows` makes, on 15 neighbours that begin with the row itself.
    #[test]
    fn rates_are_those_of_scib_metrics() {
        let (rows, batches, labels) = mixed_rows();
        let distances = Distances::new(&rows, 3, Metric::Euclidean).expect("whole");
        let mean = |values: &[f64]| values.iter().sum::<f64>() / 60.0;
        let found = distances.kbet(&batches, 15, 0.05).expect("fits");
        assert!((found.acceptance_rate - 59.0 / 60.0).abs() < 1e-12);
        assert!((mean(&found.statistics) - 1.58).abs() < 1e-9);
        assert!((mean(&found.p_values) - 0.5359126710401786).abs() < 1e-9);
        for (found, expect) in found.statistics.iter().zip([0.4, 2.8, 2.8, 5.2, 1.6]) {
            assert!((found - expect).abs() < 1e-9);
        }
        let found = distances.kbet(&labels, 15, 0.05).expect("fits");
        assert!((found.acceptance_rate - 0.2).abs() < 1e-12);
        assert!((mean(&found.statistics) - 9.460511679644048).abs() < 1e-9);
        assert!((mean(&found.p_values) - 0.07366822545729486).abs() < 1e-9);
    }
}
