use serde::Serialize;

use super::forward_pass::{ForwardPass, Part};
use crate::registry::NetworkConfig;
use crate::vit::VitConfig;

/// A training step computes three forward passes: the backward pass multiplies
/// every matrix twice, once for the gradient of what went in and once for that
/// of the weights.
pub const BACKWARD_AND_FORWARD: u128 = 3;

/// Floating-point operations of one image's forward pass, by part: a
/// multiply-add is two.
///
/// Exact for what is counted: linear maps, the two products of attention, and
/// convolutions (zeros beyond the edge included, as in torchvision's tables).
/// Left out are norms, soft-max, activations, sums, biases and pooling, which
/// grow with the number of values only.
///
/// Many tables count a multiply-add as one and call the unit FLOPs all the
/// same (timm's and torchvision's GFLOPS; Touvron et al. 2021): these are
/// [`Flops::multiply_adds`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Flops {
    /// Patches to tokens.
    pub patch_embedding: u128,
    /// Tokens to queries, keys and values, and back.
    pub attention_projections: u128,
    /// Queries with keys, and weights with values.
    pub attention_matrices: u128,
    /// Perceptrons of the blocks.
    pub perceptron: u128,
    /// Convolutions of networks of maps.
    pub convolutions: u128,
    /// All of a decoder.
    pub decoder: u128,
    /// The neck of weak supervision and classifiers.
    pub head: u128,
}

impl Flops {
    pub(super) fn of_pass(pass: &ForwardPass) -> Self {
        let mut flops = Self::default();
        for operation in pass.operations() {
            let part = match operation.part {
                Part::PatchEmbedding => &mut flops.patch_embedding,
                Part::AttentionProjections => &mut flops.attention_projections,
                Part::AttentionMatrices => &mut flops.attention_matrices,
                Part::Perceptron => &mut flops.perceptron,
                Part::Convolutions => &mut flops.convolutions,
                Part::Decoder => &mut flops.decoder,
                Part::Head => &mut flops.head,
            };
            *part += 2 * operation.multiply_adds;
        }
        flops
    }

    /// Every part by its name.
    pub fn parts(&self) -> [(&'static str, u128); 7] {
        [
            ("patch embedding", self.patch_embedding),
            ("attention projections", self.attention_projections),
            ("attention matrices", self.attention_matrices),
            ("perceptron", self.perceptron),
            ("convolutions", self.convolutions),
            ("decoder", self.decoder),
            ("head", self.head),
        ]
    }

    /// All parts.
    pub fn total(&self) -> u128 {
        self.parts().iter().map(|(_, flops)| flops).sum()
    }

    /// All parts where a multiply-add counts as one.
    pub fn multiply_adds(&self) -> u128 {
        self.total() / 2
    }
}

/// Multiply-adds of ViT-S, B and L with patches of 16 on 224 pixels, in
/// thousands of millions, by width, depth and hidden ratio: what Kraus et al.
/// 2023 start from (Touvron et al., table 1). The test against torchvision's
/// table shows that they count a multiply-add as one.
const BASES: [(usize, usize, f64, f64); 3] = [
    (384, 12, 4.0, 4.6),
    (768, 12, 4.0, 17.5),
    (1024, 24, 4.0, 61.6),
];

/// The estimate of Kraus et al. 2023 (<https://arxiv.org/abs/2309.16064>),
/// appendix A.3, of the multiply-adds to embed one image: the published number
/// of the network with patches of 16 on 224 pixels, times `(16 / 14)^4` for
/// the 16 x 16 patches of 256 pixels in place of 14 x 14, times 16 for patches
/// of 8.
///
/// `None` where the paper defines none: other widths than of ViT-S, B and L,
/// other patches or images, channel-agnostic networks, networks of maps.
///
/// The paper prints the factor 1.69 for `(16 / 14)^4 = 1.706`. The fourth
/// power is right of attention alone; linear maps grow by the second power, so
/// this overestimates patches of 16 by a quarter and patches of 8 four to five
/// times. [`ForwardPass`] counts.
///
/// ```
/// use morphospace_models::NetworkConfig;
/// use morphospace_models::plan::approximate_multiply_adds;
///
/// let of = |name| NetworkConfig::decode_variant(name).map(|network| approximate_multiply_adds(&network));
/// let small = of("mae_vit_small_patch16")?.unwrap();
/// assert!((small - 7.848e9).abs() < 1e6);
/// assert_eq!(of("densenet161")?, None);
/// # Ok::<(), morphospace_models::ModelError>(())
/// ```
pub fn approximate_multiply_adds(network: &NetworkConfig) -> Option<f64> {
    let encoder = match network {
        NetworkConfig::Vit(config) => config,
        NetworkConfig::Mae(config) => &config.encoder,
        _ => return None,
    };
    let VitConfig {
        img_size: 256,
        patch_size,
        channel_agnostic: false,
        embed_dim,
        depth,
        mlp_ratio,
        ..
    } = *encoder
    else {
        return None;
    };
    let by_patch = match patch_size {
        16 => 1.0,
        8 => 16.0,
        _ => return None,
    };
    let is_this = |base: &&(usize, usize, f64, f64)| {
        (base.0, base.1) == (embed_dim, depth) && base.2 == mlp_ratio
    };
    let (_, _, _, base) = BASES.iter().find(is_this)?;
    Some(base * 1e9 * (16.0 / 14.0f64).powi(4) * by_patch)
}

impl ForwardPass {
    /// What it computes.
    pub fn flops(&self) -> Flops {
        Flops::of_pass(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::densenet::DenseNetConfig;
    use crate::plain_vit::PlainVitConfig;
    use crate::plan::ImageSize;
    use crate::resnet::ResNetConfig;

    fn giga_multiply_adds(network: &NetworkConfig, side: usize) -> f64 {
        let size = ImageSize {
            side,
            ..ImageSize::of(network)
        };
        let pass = ForwardPass::training(network, size).expect("valid");
        pass.flops().multiply_adds() as f64 / 1e9
    }

    #[test]
    fn a_block_of_four_tokens_is_as_worked_by_hand() {
        // One 8-pixel image, patches of 4, one channel: 4 patches of 16 pixels
        // and the class token; 8 features, hidden 16.
        let network = NetworkConfig::Vit(VitConfig {
            img_size: 8,
            patch_size: 4,
            in_chans: 1,
            embed_dim: 8,
            depth: 1,
            num_heads: 2,
            mlp_ratio: 2.0,
            ..VitConfig::default()
        });
        let pass = ForwardPass::embedding(&network, ImageSize::of(&network)).expect("valid");
        let expected = Flops {
            patch_embedding: 2 * 4 * 16 * 8,
            // q, k, v and the way back, 5 tokens.
            attention_projections: 2 * 5 * (8 * 24 + 8 * 8),
            attention_matrices: 2 * 2 * 5 * 5 * 8,
            perceptron: 2 * 5 * 2 * 8 * 16,
            ..Flops::default()
        };
        assert_eq!(pass.flops(), expected);
    }

    #[test]
    fn torchvisions_tables_are_met() {
        // `_ops` of torchvision's weights at 224 pixels, three channels, 1000
        // classes: multiply-adds in thousands of millions.
        for (depth, published) in [
            (18, 1.814),
            (34, 3.664),
            (50, 4.089),
            (101, 7.801),
            (152, 11.514),
        ] {
            let network = NetworkConfig::ResNet(ResNetConfig {
                in_chans: 3,
                num_classes: 1000,
                ..ResNetConfig::of_depth(depth).expect("a depth")
            });
            let counted = giga_multiply_adds(&network, 224);
            assert!(
                (counted - published).abs() < 1e-3,
                "resnet{depth} {counted}"
            );
        }
        let densenet = NetworkConfig::DenseNet(DenseNetConfig {
            in_chans: 3,
            num_classes: 1000,
            ..DenseNetConfig::default()
        });
        let counted = giga_multiply_adds(&densenet, 224);
        assert!((counted - 7.728).abs() < 1e-3, "densenet161 {counted}");
        // vit_b_16 and vit_l_16, whose heads of 768 and 1024 x 1000 are not
        // here; ViT-S is Touvron et al.'s 4.6.
        for (size, published, without) in [
            ("base", 17.564, 0.000_768),
            ("large", 61.555, 0.001_024),
            ("small", 4.6, 0.0),
        ] {
            let name = format!("dino_vit_{size}_patch16");
            let network = NetworkConfig::PlainVit(PlainVitConfig {
                in_chans: 3,
                ..PlainVitConfig::decode_variant(&name).expect("a variant")
            });
            let counted = giga_multiply_adds(&network, 224) + without;
            let tolerance = if without > 0.0 { 1e-3 } else { 0.05 };
            assert!((counted - published).abs() < tolerance, "{name} {counted}");
        }
    }

    #[test]
    fn the_papers_estimate_exceeds_the_count() {
        // With patches of 16, 1.706 in place of 1.31 for the linear maps;
        // with patches of 8, 16 times that in place of 4.
        for (name, least, most) in [
            ("mae_vit_small_patch16", 1.2, 1.35),
            ("mae_vit_large_patch16", 1.2, 1.35),
            ("mae_vit_large_patch8", 4.6, 4.7),
        ] {
            let network = NetworkConfig::decode_variant(name).expect("a variant");
            let pass = ForwardPass::embedding(&network, ImageSize::of(&network)).expect("valid");
            let estimate = approximate_multiply_adds(&network).expect("a size of the paper");
            let ratio = estimate / pass.flops().multiply_adds() as f64;
            assert!(ratio > least && ratio < most, "{name} {ratio}");
        }
        for name in [
            "mae_vit_gigantic_patch8",
            "camae_vit_small_patch16",
            "resnet50",
        ] {
            let network = NetworkConfig::decode_variant(name).expect("a variant");
            assert_eq!(approximate_multiply_adds(&network), None, "{name}");
        }
    }
}
