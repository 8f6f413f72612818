//! Training on the CPU in fewer passes than tensor operations take: operations
//! with backward passes of their own, recorded in Burn's graph.
//!
//! As in evaluation ([`crate::kernels`]), [`crate::blocks`] calls these where
//! tensors are `f32` in host memory, and Burn's own operations everywhere else,
//! also where gradients are to be computed from recomputed values (gradient
//! checkpointing); tests compare the two. Sums run in the same order whatever the
//! number of threads.

mod attention;
mod batch_norm;
mod conv2d;
mod gelu;
mod layer_norm;
mod linear;
mod residual;

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::{BackendTypes, Flex};
use burn::tensor::Tensor;
use burn_autodiff::Autodiff;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::NoCheckpointing;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};

use super::host::HostSlice;
use crate::Precision;

pub(crate) use attention::{attention, self_attention};
pub(crate) use batch_norm::{Normalised, batch_norm};
pub(crate) use conv2d::conv2d;
pub(crate) use gelu::gelu;
pub(crate) use layer_norm::{layer_norm, norm_features};
pub(crate) use linear::linear;
pub(crate) use residual::add_scaled;

/// A tensor in host memory that gradients may run through.
type Tracked = <Autodiff<Flex> as BackendTypes>::FloatTensorPrimitive;

/// An operation whose gradients are computed here.
trait Operation<const N: usize>: Clone + Debug + Send + 'static {
    /// Gradients of the inputs, each in its input's shape, from that of the
    /// output; those that are not wanted may be left out.
    fn gradients(self, of_output: &HostSlice, wanted: [bool; N]) -> [Option<HostSlice>; N];
}

/// `None` on another device, out of training, or where products are in another
/// [`Precision`].
fn tracked<const D: usize>(tensor: &Tensor<D>) -> Option<(Tracked, HostSlice)> {
    if !tensor.is_autodiff() || Precision::current() != Precision::F32 {
        return None;
    }
    let primitive = tensor.clone().try_into_primitive::<Autodiff<Flex>>();
    let primitive = primitive.ok()?;
    let values = HostSlice::of_primitive(primitive.primitive())?;
    Some((primitive, values))
}

/// The output as a tensor that remembers how it came about.
fn record<const N: usize, const D: usize>(
    operation: impl Operation<N>,
    inputs: [&Tracked; N],
    output: HostSlice,
) -> Tensor<D> {
    let nodes = inputs.map(Tracked::node);
    let prepared = Step(PhantomData).prepare::<NoCheckpointing>(nodes);
    let output = match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(operation, output.into_primitive()),
        OpsKind::UnTracked(prepared) => prepared.finish(output.into_primitive()),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(output)
}

/// An [`Operation`] for Burn's graph.
struct Step<O>(PhantomData<fn() -> O>);

impl<O> Debug for Step<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(std::any::type_name::<O>())
    }
}

impl<O: Operation<N>, const N: usize> Backward<Flex, N> for Step<O> {
    type State = O;

    fn backward(self, ops: Ops<O, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let of_output = gradients.consume::<Flex>(&ops.node);
        let of_output =
            HostSlice::of_primitive(&of_output).expect("gradients are of the output's type");
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let found = ops.state.gradients(&of_output, wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<Flex>(parent.id, gradient.into_primitive());
            }
        }
    }
}
