use burn::backend::{BackendTypes, Flex};
use burn::tensor::{DType, Tensor, TensorData};

use super::matrix::Matrix;
use super::rows::Rows;
use crate::Precision;

type FlexTensor = <Flex as BackendTypes>::FloatTensorPrimitive;

/// A tensor of `f32` in host memory that no gradient runs through.
pub(crate) struct Host(FlexTensor);

impl Host {
    /// `None` on another device, of another type, in training, or where
    /// products are in another [`Precision`].
    pub(crate) fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        let is_plain = !tensor.is_autodiff() && tensor.dtype() == DType::F32;
        if !is_plain || Precision::current() != Precision::F32 {
            return None;
        }
        let primitive = tensor.clone().try_into_primitive::<Flex>();
        primitive.ok().map(Self)
    }

    /// A tensor of new values.
    ///
    /// # Panics
    /// There are not as many values as the shape says.
    pub(crate) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        let primitive = FlexTensor::from_data(TensorData::new(values, shape));
        Tensor::from_primitive::<Flex>(primitive)
    }

    fn values(&self) -> &[f32] {
        &self.0.storage()[self.0.layout().start_offset()..]
    }

    /// The last axes as rows that lie side by side, at least `cols` long, and
    /// the same step from each to the next; `None` if it cannot be seen so
    /// without a copy.
    pub(crate) fn rows(&self, cols: usize) -> Option<Rows<'_>> {
        let layout = self.0.layout();
        let (shape, strides) = (layout.shape(), layout.strides());
        // An axis of one has no step.
        let axes: Vec<(usize, isize)> = (0..strides.len())
            .map(|axis| (shape[axis], strides[axis]))
            .filter(|(size, _)| *size != 1)
            .collect();
        let mut len = 1;
        for split in (0..=axes.len()).rev() {
            if let Some((size, stride)) = axes.get(split) {
                if *stride != len as isize {
                    return None;
                }
                len *= size;
            }
            let outer = &axes[..split];
            let is_even = outer
                .windows(2)
                .all(|pair| pair[0].1 == pair[1].1 * pair[1].0 as isize);
            if len >= cols && is_even {
                let count = outer.iter().map(|(size, _)| size).product();
                let stride = outer.last().map_or(len as isize, |(_, stride)| *stride);
                let stride = usize::try_from(stride).ok()?;
                return Some(Rows {
                    data: self.values(),
                    count,
                    len,
                    stride,
                });
            }
        }
        None
    }

    /// A tensor of two axes, in whatever order they lie.
    pub(crate) fn matrix(&self) -> Option<Matrix<'_>> {
        let layout = self.0.layout();
        let &[row_step, col_step] = layout.strides() else {
            return None;
        };
        Some(Matrix {
            data: self.values(),
            rows: layout.shape()[0],
            cols: layout.shape()[1],
            row_step: usize::try_from(row_step).ok()?,
            col_step: usize::try_from(col_step).ok()?,
        })
    }
}

/// Values of a tensor side by side: a copy if they do not lie so.
#[derive(Clone, Debug)]
pub(crate) struct HostSlice(FlexTensor);

impl HostSlice {
    /// New values.
    ///
    /// # Panics
    /// There are not as many values as the shape says.
    pub(crate) fn new(values: Vec<f32>, shape: &[usize]) -> Self {
        Self(FlexTensor::from_data(TensorData::new(values, shape)))
    }

    /// What Burn's graph holds; `None` of another type.
    pub(crate) fn of_primitive(primitive: &FlexTensor) -> Option<Self> {
        let is_plain = primitive.dtype() == DType::F32;
        is_plain.then(|| Self(primitive.to_contiguous()))
    }

    /// For Burn's graph.
    pub(crate) fn into_primitive(self) -> FlexTensor {
        self.0
    }

    /// Sizes of the axes.
    pub(crate) fn shape(&self) -> Vec<usize> {
        self.0.layout().shape().to_vec()
    }

    /// As [`Host::of`].
    pub(crate) fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        Some(Self(Host::of(tensor)?.0.to_contiguous()))
    }

    /// All values, row by row.
    pub(crate) fn values(&self) -> &[f32] {
        let values = self.0.as_slice();
        values.expect("values that lie side by side are a slice")
    }
}
