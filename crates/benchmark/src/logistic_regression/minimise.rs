use super::LogisticRegression;
use super::problem::{Precision, Problem};
use crate::entity_map::dot as sum_of_products;

/// Pairs of steps and changes of the gradient that are kept.
const HISTORY: usize = 10;

/// Steps that are tried along a direction.
const MAX_TRIALS: usize = 40;

/// The way to the least objective.
pub(super) struct Descent {
    pub(super) at: Point,
    pairs: Vec<Pair>,
    pub(super) num_iterations: usize,
}

/// Parameters, and the objective there.
pub(super) struct Point {
    pub(super) parameters: Vec<f64>,
    gradient: Vec<f64>,
    pub(super) objective: f64,
}

/// A step, the change of the gradient along it, and 1 over their product.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    inverse: f64,
}

impl Descent {
    /// From weights of 0.
    pub(super) fn new<T: Precision>(problem: &Problem<'_, T>) -> Self {
        Self {
            at: Point::new(problem, vec![0.0; problem.num_parameters()]),
            pairs: Vec::new(),
            num_iterations: 0,
        }
    }

    /// Goes down until no entry of the gradient is larger than the tolerance, or
    /// until differences are rounding.
    pub(super) fn minimise<T: Precision>(
        &mut self,
        problem: &Problem<'_, T>,
        settings: &LogisticRegression,
    ) {
        while self.max_abs_gradient() > settings.gradient_tolerance
            && self.num_iterations < settings.max_iterations
        {
            let mut direction = self.direction();
            if sum_of_products(&direction, &self.at.gradient) >= 0.0 {
                self.pairs.clear();
                direction = self.direction();
            }
            // Without curvature to go by, the first step has length 1.
            let first_step = if self.pairs.is_empty() {
                1.0 / sum_of_products(&direction, &direction).sqrt()
            } else {
                1.0
            };
            let Some(next) = line_search(problem, &self.at, &direction, first_step) else {
                break;
            };
            let step = difference(&next.parameters, &self.at.parameters);
            let change = difference(&next.gradient, &self.at.gradient);
            let product = sum_of_products(&step, &change);
            if product > 0.0 {
                if self.pairs.len() == HISTORY {
                    self.pairs.remove(0);
                }
                let inverse = 1.0 / product;
                self.pairs.push(Pair {
                    step,
                    change,
                    inverse,
                });
            }
            self.at = next;
            self.num_iterations += 1;
        }
    }

    /// The same parameters and steps, with the objective of another precision.
    pub(super) fn with<T: Precision>(self, problem: &Problem<'_, T>) -> Self {
        Self {
            at: Point::new(problem, self.at.parameters),
            ..self
        }
    }

    pub(super) fn max_abs_gradient(&self) -> f64 {
        largest(&self.at.gradient)
    }

    /// Downwards by the two-loop recursion of L-BFGS (Nocedal & Wright,
    /// algorithm 7.4).
    fn direction(&self) -> Vec<f64> {
        let mut direction: Vec<f64> = self.at.gradient.iter().map(|value| -value).collect();
        let mut shares = vec![0.0; self.pairs.len()];
        for (share, pair) in shares.iter_mut().zip(&self.pairs).rev() {
            *share = pair.inverse * sum_of_products(&pair.step, &direction);
            add_scaled(&mut direction, -*share, &pair.change);
        }
        if let Some(last) = self.pairs.last() {
            let scale = 1.0 / (last.inverse * sum_of_products(&last.change, &last.change));
            direction.iter_mut().for_each(|value| *value *= scale);
        }
        for (share, pair) in shares.iter().zip(&self.pairs) {
            let back = pair.inverse * sum_of_products(&pair.change, &direction);
            add_scaled(&mut direction, share - back, &pair.step);
        }
        direction
    }
}

impl Point {
    fn new<T: Precision>(problem: &Problem<'_, T>, parameters: Vec<f64>) -> Self {
        let mut gradient = vec![0.0; parameters.len()];
        let objective = problem.evaluate(&parameters, &mut gradient);
        Self {
            parameters,
            gradient,
            objective,
        }
    }
}

/// One step tried: how far, the objective there and its slope.
#[derive(Clone, Copy)]
struct Trial {
    length: f64,
    objective: f64,
    slope: f64,
}

/// A step that satisfies the weak Wolfe conditions. A rise of the objective
/// within its rounding is no rise: near the optimum only the gradient still
/// tells steps apart.
fn line_search<T: Precision>(
    problem: &Problem<'_, T>,
    start: &Point,
    direction: &[f64],
    first_step: f64,
) -> Option<Point> {
    let rounding = T::ROUNDING * start.objective.abs();
    let mut low = Trial {
        length: 0.0,
        objective: start.objective,
        slope: sum_of_products(&start.gradient, direction),
    };
    let first_slope = low.slope;
    let mut high: Option<Trial> = None;
    let mut length = first_step;
    for _ in 0..MAX_TRIALS {
        let mut parameters = start.parameters.clone();
        add_scaled(&mut parameters, length, direction);
        let found = Point::new(problem, parameters);
        let trial = Trial {
            length,
            objective: found.objective,
            slope: sum_of_products(&found.gradient, direction),
        };
        let most = start.objective + 1e-4 * length * first_slope + rounding;
        // A number that is not one is too high as well.
        if trial.objective.is_nan() || trial.objective > most {
            high = Some(trial);
        } else if trial.slope < 0.9 * first_slope {
            low = trial;
        } else {
            return Some(found);
        }
        length = match high {
            Some(high) => between(low, high),
            None => (low.length * low.slope / (low.slope - first_slope).min(-1e-300))
                .abs()
                .clamp(2.0 * length, 10.0 * length),
        };
    }
    None
}

/// Where the cubic through two trials is least (Nocedal & Wright, equation 3.59),
/// but well within them.
fn between(low: Trial, high: Trial) -> f64 {
    let width = high.length - low.length;
    let d1 = low.slope + high.slope - 3.0 * (low.objective - high.objective) / -width;
    let d2 = (d1 * d1 - low.slope * high.slope).sqrt();
    let least = high.length - width * (high.slope + d2 - d1) / (high.slope - low.slope + 2.0 * d2);
    if least.is_finite() {
        least.clamp(low.length + 0.1 * width, high.length - 0.1 * width)
    } else {
        low.length + 0.5 * width
    }
}

fn largest(values: &[f64]) -> f64 {
    values
        .iter()
        .fold(0.0, |largest, value| largest.max(value.abs()))
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn add_scaled(a: &mut [f64], scale: f64, b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += scale * b);
}
