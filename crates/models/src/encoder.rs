use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::error::ModelError;
use crate::map_network::MapNetwork;

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

/// One of the vectors that a network makes of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Representation {
    /// The block, from 0, behind which it is taken, without the network's last
    /// norm; `None`: the network's embedding.
    pub block: Option<usize>,
    /// How tokens become one vector.
    pub pooling: Pooling,
}

impl Representation {
    /// The network's embedding.
    pub const fn output(pooling: Pooling) -> Self {
        Self {
            block: None,
            pooling,
        }
    }

    /// What is behind a block, from 0.
    pub const fn behind(block: usize, pooling: Pooling) -> Self {
        Self {
            block: Some(block),
            pooling,
        }
    }

    /// Its name in folders and tables; blocks are counted from 1, so that
    /// `block-07` is what a network trimmed to seven blocks gives.
    ///
    /// ```
    /// use morphospace_models::{Pooling, Representation};
    ///
    /// let name = |representation: Representation| representation.name();
    /// assert_eq!(name(Representation::output(Pooling::PatchMean)), "output");
    /// assert_eq!(name(Representation::behind(6, Pooling::Cls)), "block-07-cls");
    /// ```
    pub fn name(&self) -> String {
        let place = match self.block {
            None => "output".to_owned(),
            Some(block) => format!("block-{:02}", block + 1),
        };
        match self.pooling {
            Pooling::PatchMean => place,
            Pooling::Cls => format!("{place}-cls"),
            Pooling::PerChannel => format!("{place}-per-channel"),
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

    /// Several embeddings from one pass, in evaluation, which stops behind the
    /// last block that is asked for.
    ///
    /// # Shapes
    /// `[B, C, H, W]` to `wanted.len()` times `[B, num_pooled_features]`; of
    /// networks of maps, as many features as the block has channels
    ///
    /// # Panics
    /// A block is not below [`Encoder::num_blocks`].
    fn forward_representations(
        &self,
        images: Tensor<4>,
        wanted: &[Representation],
    ) -> Vec<Tensor<2>>;

    /// Patches along each side of an image, of networks of tokens.
    fn patch_grid(&self) -> Option<usize> {
        None
    }

    /// As [`Encoder::forward_representations`], of one image of which only some
    /// patches are seen, in every channel: the tokens of the others never enter
    /// the network, as in training masked autoencoders, nor its means.
    ///
    /// # Shapes
    /// `[1, C, H, W]` to `wanted.len()` times `[1, num_pooled_features]`; `seen`
    /// are numbers of patches, row by row, rising
    ///
    /// # Panics
    /// There is no [`Encoder::patch_grid`], or nothing is seen.
    fn forward_seen(
        &self,
        _image: Tensor<4>,
        _seen: &[usize],
        _wanted: &[Representation],
    ) -> Vec<Tensor<2>> {
        unreachable!("a network without patches has no grid of them")
    }

    /// The network, if it has batch normalisation, of which a pass can say whose
    /// statistics it takes.
    fn as_map_network(&self) -> Option<&dyn MapNetwork> {
        None
    }

    /// The network's embedding, in evaluation.
    ///
    /// # Shapes
    /// `[B, C, H, W]` to `[B, num_pooled_features]`
    fn forward_pooled(&self, images: Tensor<4>, pooling: Pooling) -> Tensor<2> {
        let mut only = self.forward_representations(images, &[Representation::output(pooling)]);
        only.remove(0)
    }

    /// What is behind each of `blocks`, from 0, pooled alike.
    ///
    /// # Shapes
    /// As [`Encoder::forward_representations`].
    fn forward_blocks(
        &self,
        images: Tensor<4>,
        blocks: &[usize],
        pooling: Pooling,
    ) -> Vec<Tensor<2>> {
        let behind = |block: &usize| Representation::behind(*block, pooling);
        let wanted: Vec<Representation> = blocks.iter().map(behind).collect();
        self.forward_representations(images, &wanted)
    }
}

/// The tokens in front of those of patches, and those of the patches that are seen,
/// which in channel-agnostic networks are those of every channel.
pub(crate) fn only_seen(
    tokens: Tensor<3>,
    seen: &[usize],
    num_prefix: usize,
    num_patches: usize,
) -> Tensor<3> {
    assert!(
        !seen.is_empty(),
        "an image of which nothing is seen has no embedding"
    );
    let num_channels = (tokens.dims()[1] - num_prefix) / num_patches;
    let prefix = 0..num_prefix;
    let of_channel = |channel: usize| {
        let seen = seen.iter();
        seen.map(move |patch| num_prefix + channel * num_patches + patch)
    };
    let kept = prefix.chain((0..num_channels).flat_map(of_channel));
    let kept: Vec<i64> = kept.map(|token| token as i64).collect();
    let device = tokens.device();
    let shape = [kept.len()];
    let kept = Tensor::<1, Int>::from_data(TensorData::new(kept, shape), &device);
    tokens.select(1, kept)
}

/// Pooled tokens behind some blocks and behind the last norm, from one pass that
/// stops where nothing more is asked for.
pub(crate) fn pooled_in_one_pass<B>(
    blocks: &[B],
    wanted: &[Representation],
    mut tokens: Tensor<3>,
    forward: impl Fn(&B, Tensor<3>) -> Tensor<3>,
    normalise: impl FnOnce(Tensor<3>) -> Tensor<3>,
    pool: impl Fn(Tensor<3>, Pooling) -> Tensor<2>,
) -> Vec<Tensor<2>> {
    let mut pooled = vec![None; wanted.len()];
    let mut take = |place: Option<usize>, tokens: &Tensor<3>| {
        for (wanted, slot) in wanted.iter().zip(&mut pooled) {
            if wanted.block == place {
                *slot = Some(pool(tokens.clone(), wanted.pooling));
            }
        }
    };
    let needs_all = wanted.iter().any(|wanted| wanted.block.is_none());
    let last = wanted.iter().filter_map(|wanted| wanted.block).max();
    let num_needed = match needs_all {
        true => blocks.len(),
        false => last.map_or(0, |last| last + 1),
    };
    for (index, block) in blocks.iter().enumerate().take(num_needed) {
        tokens = forward(block, tokens);
        take(Some(index), &tokens);
    }
    if needs_all {
        take(None, &normalise(tokens));
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
