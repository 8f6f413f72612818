use crate::GradientSet;

/// How the gradients of several processes become one: the only place where
/// training in several processes touches the loop.
///
/// Every process computes its own share of a step's images. What
/// [`GradientReduction::reduce`] leaves behind must be the same in all of them,
/// bit for bit, since each moves its own copy of the weights by it.
pub trait GradientReduction {
    /// Replaces a process's gradients by the mean over all processes.
    fn reduce(&mut self, gradients: &mut GradientSet);
}

/// One process: its gradients are all there are.
#[derive(Clone, Copy, Debug, Default)]
pub struct SingleProcess;

impl GradientReduction for SingleProcess {
    fn reduce(&mut self, _gradients: &mut GradientSet) {}
}
