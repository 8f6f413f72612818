use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::error::ModelError;

/// How the tokens of an image become one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The class token.
    Cls,
    /// The mean of the patch tokens over all channels: the embedding of the
    /// microscopy autoencoders. In networks of maps, the mean over pixels.
    #[default]
    PatchMean,
    /// The mean of each channel's patch tokens, concatenated in channel order:
    /// `C·D` features. Channel-agnostic networks only.
    PerChannel,
}

impl Pooling {
    /// The word in configurations and provenance.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cls => "cls",
            Self::PatchMean => "patch_mean",
            Self::PerChannel => "per_channel",
        }
    }
}

/// How many channels an image may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelSupport {
    /// As many as in training, in the same order.
    Exactly(usize),
    /// Any number up to this one.
    UpTo(usize),
}

/// A network that turns images into vectors.
///
/// Images are `[B, C, H, W]` of side [`Encoder::img_size`], self-standardised.
/// Call [`Encoder::check`] once before the first batch; the `forward` methods
/// take for granted what it checked.
pub trait Encoder: Send {
    /// Features of one token, `D`.
    fn num_features(&self) -> usize;

    /// Channels it takes.
    fn in_chans(&self) -> ChannelSupport;

    /// Side of the square image in pixels.
    fn img_size(&self) -> usize;

    /// Blocks whose output [`Encoder::forward_blocks`] can return.
    fn num_blocks(&self) -> usize;

    /// Whether images with `in_chans` channels can be embedded with `pooling`.
    ///
    /// # Errors
    /// [`ModelError::WrongImages`] or [`ModelError::WrongPooling`], with the fix.
    fn check(&self, in_chans: usize, pooling: Pooling) -> Result<(), ModelError>;

    /// Features of one image.
    fn num_pooled_features(&self, in_chans: usize, pooling: Pooling) -> usize {
        match pooling {
            Pooling::Cls | Pooling::PatchMean => self.num_features(),
            Pooling::PerChannel => in_chans * self.num_features(),
        }
    }

    /// The network's embedding, in evaluation.
    ///
    /// # Shapes
    /// `[B, C, H, W]` to `[B, num_pooled_features]`
    fn forward_pooled(&self, images: Tensor<4>, pooling: Pooling) -> Tensor<2>;

    /// The same from what is behind each of `blocks` (from 0), without the
    /// network's last norm, in one pass.
    ///
    /// # Shapes
    /// `[B, C, H, W]` to `blocks.len()` times `[B, num_pooled_features]`; of
    /// networks of maps, as many features as the block has channels
    ///
    /// # Panics
    /// A block is not below [`Encoder::num_blocks`].
    fn forward_blocks(
        &self,
        images: Tensor<4>,
        blocks: &[usize],
        pooling: Pooling,
    ) -> Vec<Tensor<2>>;
}

/// Pooled tokens behind each of some blocks, from one pass that stops behind
/// the last of them.
pub(crate) fn pooled_behind_blocks<B>(
    all: &[B],
    wanted: &[usize],
    mut tokens: Tensor<3>,
    forward: impl Fn(&B, Tensor<3>) -> Tensor<3>,
    pool: impl Fn(Tensor<3>) -> Tensor<2>,
) -> Vec<Tensor<2>> {
    let last = wanted.iter().copied().max().unwrap_or(0);
    let mut pooled = vec![None; wanted.len()];
    for (index, block) in all.iter().enumerate().take(last + 1) {
        tokens = forward(block, tokens);
        for (wanted, slot) in wanted.iter().zip(&mut pooled) {
            if *wanted == index {
                *slot = Some(pool(tokens.clone()));
            }
        }
    }
    let outside = "blocks are below num_blocks, as the caller checked";
    let outputs = pooled.into_iter();
    outputs.map(|output| output.expect(outside)).collect()
}

/// Per-channel pooling needs tokens of single channels.
pub(crate) fn refuse_per_channel(pooling: Pooling) -> Result<(), ModelError> {
    match pooling {
        Pooling::PerChannel => Err(ModelError::WrongPooling(
            "per-channel pooling needs a channel-agnostic network; this one mixes channels in \
             every patch\nhint: pool by patch-mean or cls"
                .to_owned(),
        )),
        Pooling::Cls | Pooling::PatchMean => Ok(()),
    }
}

/// Compares the channels of a screen with those of a network.
pub(crate) fn check_images(
    support: ChannelSupport,
    img_size: usize,
    in_chans: usize,
) -> Result<(), ModelError> {
    let expected = match support {
        ChannelSupport::Exactly(chans) if in_chans != chans => format!("{chans} channels"),
        ChannelSupport::UpTo(chans) if in_chans == 0 || in_chans > chans => {
            format!("1 to {chans} channels")
        }
        _ => return Ok(()),
    };
    Err(ModelError::WrongImages {
        expected: format!("{expected} of {img_size} x {img_size} pixels"),
        got: format!("{in_chans} channels"),
    })
}
