//! Self-distillation: a student that sees a crop tells what its teacher tells
//! of another view.

use burn::tensor::{Tensor, activation};

/// Views of the teacher: DINO's two global crops, which are the student's
/// first two crops as well.
const NUM_VIEWS: usize = 2;

/// Which of the student's crops are compared with which of the teacher's two
/// views.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CropPairs {
    num_crops: usize,
    pairs: Vec<(usize, usize)>,
}

impl CropPairs {
    /// The images that eight crops are of in cross-domain learning: a global
    /// and three local ones of each (cfredinh/CDCL).
    pub const CDCL_IMAGES: [usize; 8] = [0, 1, 0, 0, 0, 1, 1, 1];

    /// Each view with all crops but itself.
    ///
    /// ```
    /// use morphospace_train::losses::CropPairs;
    ///
    /// // Two global and eight local crops.
    /// assert_eq!(CropPairs::all(10).pairs().len(), 18);
    /// ```
    ///
    /// # Panics
    /// There are fewer than two crops.
    pub fn all(num_crops: usize) -> Self {
        Self::of(num_crops, |_, _| true)
    }

    /// Each view with the crops of other images: views of one image are no
    /// pairs. `images` has the image of every crop.
    ///
    /// ```
    /// use morphospace_train::losses::CropPairs;
    ///
    /// let pairs = CropPairs::across_images(&CropPairs::CDCL_IMAGES);
    /// assert_eq!(pairs.pairs()[..4], [(0, 1), (0, 5), (0, 6), (0, 7)]);
    /// ```
    ///
    /// # Panics
    /// There are fewer than two crops, or all of one image.
    pub fn across_images(images: &[usize]) -> Self {
        Self::of(images.len(), |view, crop| images[view] != images[crop])
    }

    fn of(num_crops: usize, is_pair: impl Fn(usize, usize) -> bool) -> Self {
        assert!(
            num_crops >= NUM_VIEWS,
            "{num_crops} crops have no two views"
        );
        let pairs: Vec<(usize, usize)> = (0..NUM_VIEWS)
            .flat_map(|view| (0..num_crops).map(move |crop| (view, crop)))
            .filter(|(view, crop)| view != crop && is_pair(*view, *crop))
            .collect();
        assert!(!pairs.is_empty(), "there are crops to compare");
        Self { num_crops, pairs }
    }

    /// The student's crops.
    pub fn num_crops(&self) -> usize {
        self.num_crops
    }

    /// View of the teacher and crop of the student, counted from 0.
    pub fn pairs(&self) -> &[(usize, usize)] {
        &self.pairs
    }
}

/// A teacher's outputs less their centres, over its temperature. The soft-max
/// of it is what the student learns to tell. It is a constant: no gradient
/// goes back.
///
/// # Shapes
/// `teacher`: `[N, K]`; `centers`: `[1, K]` or, of
/// [several domains](super::centers_of_views), `[N, K]`; result `[N, K]`
pub fn centered_teacher(teacher: Tensor<2>, centers: Tensor<2>, temperature: f64) -> Tensor<2> {
    (teacher.inner() - centers.inner()) / temperature
}

/// The mean cross entropy over pairs of views and crops, and over images.
///
/// Every crop is compared once, with the sum of all that the teacher tells of
/// the views it is paired with: nothing is copied for each pair.
///
/// # Shapes
/// `student`: `[S·B, K]`, outputs of all images in the first crop, then in the
/// next; `teacher`: `[2·B, K]`, shares that sum to 1; result `[1]`
///
/// # Panics
/// The outputs do not have these shapes.
///
/// # Source
/// Caron et al. 2021, <https://arxiv.org/abs/2104.14294>, equation 3;
/// facebookresearch/dino `main_dino.DINOLoss`
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor, activation};
/// use morphospace_train::losses::{CropPairs, dino_loss};
///
/// // Two crops of one image; the teacher is undecided between four outputs.
/// let outputs = Tensor::<2>::zeros([2, 4], &Device::default());
/// let teacher = activation::softmax(outputs.clone(), 1);
/// let loss = dino_loss(&CropPairs::all(2), outputs, teacher, 0.1);
/// assert!((loss.into_scalar::<f32>() - 4f32.ln()).abs() < 1e-6);
/// ```
pub fn dino_loss(
    pairs: &CropPairs,
    student: Tensor<2>,
    teacher: Tensor<2>,
    student_temp: f64,
) -> Tensor<1> {
    let [num_rows, num_outputs] = student.dims();
    let batch = num_rows / pairs.num_crops;
    assert_eq!(
        num_rows,
        batch * pairs.num_crops,
        "all crops are of one batch"
    );
    let views = teacher.inner().reshape([NUM_VIEWS, batch, num_outputs]);
    let view = |index: usize| views.clone().narrow(0, index, 1).squeeze_dim::<2>(0);
    let none = || Tensor::<2>::zeros([batch, num_outputs], &views.device());
    let targets = (0..pairs.num_crops).map(|crop| {
        let partners = pairs.pairs.iter().filter(|pair| pair.1 == crop);
        let partners = partners.map(|pair| view(pair.0));
        partners.reduce(|sum, next| sum + next).unwrap_or_else(none)
    });
    let targets = Tensor::cat(targets.collect(), 0);
    let cross_entropy = summed_cross_entropy(student, targets, student_temp).sum();
    cross_entropy / (pairs.pairs.len() * batch) as f64
}

/// The cross entropy of every row.
///
/// # Shapes
/// both `[N, K]`; result `[N, 1]`
pub(super) fn summed_cross_entropy(
    student: Tensor<2>,
    targets: Tensor<2>,
    student_temp: f64,
) -> Tensor<2> {
    let log_shares = activation::log_softmax(student / student_temp, 1);
    -(log_shares * targets.inner()).sum_dim(1)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::drawn;
    use super::*;

    fn values(tensor: Tensor<2>) -> Vec<Vec<f64>> {
        let [_, dim] = tensor.dims();
        let values: Vec<f64> = tensor.into_data().iter::<f64>().collect();
        values.chunks(dim).map(<[f64]>::to_vec).collect()
    }

    #[test]
    fn the_mean_over_pairs() {
        let device = Device::default();
        let draw = |rows| drawn([rows, 3], rows as u64, &device);
        let batch = 2;
        for pairs in [
            CropPairs::all(2),
            CropPairs::all(5),
            CropPairs::across_images(&CropPairs::CDCL_IMAGES),
            // The third crop has no pair.
            CropPairs::across_images(&[0, 1, 2]),
        ] {
            let student = draw(pairs.num_crops() * batch);
            let teacher = activation::softmax(draw(2 * batch) * 5.0, 1);
            let loss = dino_loss(&pairs, student.clone(), teacher.clone(), 0.1);
            let log_shares = values(activation::log_softmax(student / 0.1, 1));
            let teacher = values(teacher);
            let mut expected = 0.0;
            for (view, crop) in pairs.pairs() {
                for image in 0..batch {
                    let told = &teacher[view * batch + image];
                    let found = &log_shares[crop * batch + image];
                    let products = told.iter().zip(found).map(|(p, log)| p * log);
                    expected -= products.sum::<f64>() / (pairs.pairs().len() * batch) as f64;
                }
            }
            let loss: f32 = loss.into_scalar();
            assert!(
                (f64::from(loss) - expected).abs() < 1e-5 * expected,
                "{pairs:?}"
            );
        }
    }

    #[test]
    fn least_where_the_student_tells_the_same() {
        let device = Device::default();
        // Both views alike, so that they can be told from each other.
        let logits = drawn([3, 6], 1, &device).repeat_dim(0, 2);
        let teacher = centered_teacher(logits.clone(), Tensor::zeros([1, 6], &device), 0.04);
        let told = activation::softmax(teacher.clone(), 1);
        let logs = activation::log_softmax(teacher, 1);
        let entropy: f32 = -(told.clone() * logs).sum().into_scalar::<f32>() / 6.0;
        let pairs = CropPairs::all(2);
        let same = logits.clone() * (0.1 / 0.04);
        let same: f32 = dino_loss(&pairs, same, told.clone(), 0.1).into_scalar();
        assert!((same - entropy).abs() < 1e-5, "{same}, {entropy}");
        for (seed, noise) in [(2, 0.1), (3, 1.0), (4, 10.0)] {
            let other = drawn([6, 6], seed, &device) * noise;
            let other: f32 = dino_loss(&pairs, other, told.clone(), 0.1).into_scalar();
            assert!(other > entropy - 1e-5);
        }
    }

    #[test]
    fn teachers_get_no_gradient_and_huge_outputs_are_finite() {
        let device = Device::default().autodiff();
        let student = Tensor::<2>::from_floats([[1e6, -1e6], [0.0, 1e6]], &device).require_grad();
        let teacher = Tensor::<2>::from_floats([[1e6, 0.0], [-1e6, 1e6]], &device).require_grad();
        let center = Tensor::<2>::zeros([1, 2], &device).require_grad();
        let told = centered_teacher(teacher.clone(), center.clone(), 0.04);
        let told = activation::softmax(told, 1);
        let loss = dino_loss(&CropPairs::all(2), student.clone(), told, 0.1);
        let gradients = loss.backward();
        assert!(teacher.grad(&gradients).is_none() && center.grad(&gradients).is_none());
        let gradient = student.grad(&gradients).expect("a leaf").abs().sum();
        assert!(gradient.into_scalar::<f32>().is_finite());
        assert!(loss.into_scalar::<f32>().is_finite());
    }
}
