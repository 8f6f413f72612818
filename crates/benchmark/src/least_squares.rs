/// Slope and intercept of the line that is nearest upwards to some points; `None`
/// where all lie above each other, or there are none.
///
/// # Panics
/// The lists differ in length.
///
/// # Example
/// ```
/// use morphospace_benchmark::least_squares_line;
///
/// assert_eq!(least_squares_line(&[0.0, 1.0, 2.0], &[1.0, 3.0, 5.0]), Some((2.0, 1.0)));
/// assert_eq!(least_squares_line(&[1.0, 1.0], &[0.0, 2.0]), None);
/// ```
pub fn least_squares_line(x: &[f64], y: &[f64]) -> Option<(f64, f64)> {
    assert_eq!(x.len(), y.len(), "a value for each");
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_x, mean_y) = (mean(x), mean(y));
    let squares: f64 = x.iter().map(|x| (x - mean_x).powi(2)).sum();
    let products = x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y));
    let slope = products.sum::<f64>() / squares;
    slope
        .is_finite()
        .then_some((slope, mean_y - slope * mean_x))
}
