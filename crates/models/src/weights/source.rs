use burn::tensor::{Device, Tensor, TensorData};

use super::weights_file::TensorInfo;
use crate::blocks::adapt_input_conv::adapt_input_conv;

/// Which tensors of a file make up a parameter.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Source {
    /// One, or several that follow each other on the first axis: queries, keys
    /// and values.
    pub(super) keys: Vec<String>,
    /// What is done to it.
    pub(super) adaptation: Option<Adaptation>,
    /// The parameter's shape, if no tensor makes it up.
    pub(super) absent: Vec<usize>,
}

/// What an imported tensor needed to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adaptation {
    /// The first convolution, trained on so many channels, now takes others
    /// ([`adapt_input_conv`](crate::blocks::adapt_input_conv::adapt_input_conv)).
    InputChannels {
        /// Channels in the file.
        from: usize,
        /// Channels of the network.
        to: usize,
    },
    /// The token for masked patches is not there, as in timm's DINOv2, and is
    /// zeros: embedding does without it.
    NoMaskToken,
    /// A table of positions without a row for the class token got one of
    /// zeros: timm adds the row to the token itself.
    ClassRow,
}

impl Source {
    pub(super) fn of(key: String) -> Self {
        Self {
            keys: vec![key],
            ..Self::default()
        }
    }

    /// Zeros in place of a token for masked patches.
    pub(super) fn no_mask_token(shape: &[usize]) -> Self {
        Self {
            keys: Vec::new(),
            adaptation: Some(Adaptation::NoMaskToken),
            absent: shape.to_vec(),
        }
    }

    /// The parameter's shape in a file; `None` if its tensors do not go
    /// together.
    pub(super) fn shape(&self, infos: &[&TensorInfo]) -> Option<Vec<usize>> {
        if self.adaptation == Some(Adaptation::NoMaskToken) {
            return Some(self.absent.clone());
        }
        let mut shape = infos.first()?.shape.clone();
        for info in &infos[1..] {
            if info.shape.get(1..) != shape.get(1..) {
                return None;
            }
            *shape.first_mut()? += info.shape.first()?;
        }
        match self.adaptation {
            Some(Adaptation::InputChannels { to, .. }) => *shape.get_mut(1)? = to,
            Some(Adaptation::ClassRow) => *shape.get_mut(1)? += 1,
            Some(Adaptation::NoMaskToken) | None => {}
        }
        Some(shape)
    }

    /// The values of the parameter, in the file's layout.
    pub(super) fn assemble(
        &self,
        parts: &[Vec<f32>],
        shape: &[usize],
        device: &Device,
    ) -> Vec<f32> {
        let values = parts.concat();
        match self.adaptation {
            None => values,
            Some(Adaptation::NoMaskToken) => vec![0.0; shape.iter().product()],
            Some(Adaptation::InputChannels { from, to }) => {
                let shape: [usize; 4] = [shape[0], from, shape[2], shape[3]];
                let kernel = Tensor::from_data(TensorData::new(values, shape), device);
                adapt_input_conv(kernel, to).into_data().iter().collect()
            }
            Some(Adaptation::ClassRow) => {
                let mut with_row = vec![0.0; shape.last().copied().unwrap_or(0)];
                with_row.extend(values);
                with_row
            }
        }
    }
}
