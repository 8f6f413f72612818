//! Key names of other programs.
//!
//! | written by | what is told apart |
//! |---|---|
//! | timm, torchvision, DINO, DINOv2, maes_microscopy | nothing: their names are ours |
//! | DINOv2 while it trains | blocks in chunks: `blocks.0.3.` |
//! | torchvision before 0.4 | `denselayer1.norm.1.` |
//! | timm's DINOv2 | `reg_token`, `mlp.fc1` of a gated perceptron |
//! | Hugging Face ViT, ViT-MAE | `encoder.layer.0.attention.attention.query.` and so on |
//! | Hugging Face DINOv2 | the same, `layer_scale1.lambda1`, `mlp.weights_in.` |
//! | transformers 5, in memory | `layers.0.attention.q_proj.`, `mlp.gate_proj.` |
//! | Hugging Face ResNet | `encoder.stages.0.layers.0.layer.0.convolution.` |
//!
//! Whatever stands before the network's own names (`model.`, `state_dict.`,
//! `teacher.backbone.`, `encoder.vit_backbone.`) is found out.

use std::collections::BTreeMap;

use super::source::Source;

/// What is written otherwise, and how; `#1` says that it is the second of the
/// tensors that make up one. Dots stand before and behind the names.
const WRITTEN_OTHERWISE: [(&str, &str); 30] = [
    (
        ".embeddings.patch_embeddings.projection.",
        ".patch_embed.proj.",
    ),
    (".embeddings.position_embeddings.", ".pos_embed."),
    (".embeddings.cls_token.", ".cls_token."),
    (".embeddings.mask_token.", ".mask_token."),
    (".embeddings.register_tokens.", ".register_tokens."),
    (".reg_token.", ".register_tokens."),
    (".encoder.layer.", ".blocks."),
    (".attention.q_proj.", ".attn.qkv.#0."),
    (".attention.k_proj.", ".attn.qkv.#1."),
    (".attention.v_proj.", ".attn.qkv.#2."),
    (".attention.o_proj.", ".attn.proj."),
    (".mlp.gate_proj.", ".mlp.w12.#0."),
    (".mlp.up_proj.", ".mlp.w12.#1."),
    (".mlp.down_proj.", ".mlp.w3."),
    (".attention.attention.query.", ".attn.qkv.#0."),
    (".attention.attention.key.", ".attn.qkv.#1."),
    (".attention.attention.value.", ".attn.qkv.#2."),
    (".attention.output.dense.", ".attn.proj."),
    (".layernorm_before.", ".norm1."),
    (".layernorm_after.", ".norm2."),
    (".layernorm.", ".norm."),
    (".intermediate.dense.", ".mlp.fc1."),
    (".output.dense.", ".mlp.fc2."),
    (".layer_scale1.lambda1.", ".ls1.gamma."),
    (".layer_scale2.lambda1.", ".ls2.gamma."),
    (".mlp.weights_in.", ".mlp.w12."),
    (".mlp.weights_out.", ".mlp.w3."),
    (".embedder.embedder.convolution.", ".conv1."),
    (".embedder.embedder.normalization.", ".bn1."),
    (".shortcut.", ".downsample."),
];

/// A key in our names, and which part it is of the tensor of that name.
fn renamed(key: &str) -> (String, usize) {
    let mut name = format!(".{key}.");
    for (theirs, ours) in WRITTEN_OTHERWISE {
        name = name.replace(theirs, ours);
    }
    let parts: Vec<&str> = name.trim_matches('.').split('.').collect();
    let parts = without_chunks(&parts);
    let parts = with_joined_numbers(&parts);
    let parts = with_stages(&parts);
    let (order, parts): (Vec<String>, Vec<String>) =
        parts.into_iter().partition(|part| part.starts_with('#'));
    let order = order.first().and_then(|order| order[1..].parse().ok());
    (parts.join("."), order.unwrap_or(0))
}

fn number(part: &str) -> Option<usize> {
    part.parse().ok()
}

/// `blocks.0.3.norm1` is `blocks.3.norm1`.
fn without_chunks<'a>(parts: &[&'a str]) -> Vec<&'a str> {
    let mut kept = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        let is_chunk = index > 0
            && parts[index - 1] == "blocks"
            && number(part).is_some()
            && parts
                .get(index + 1)
                .is_some_and(|next| number(next).is_some());
        if !is_chunk {
            kept.push(*part);
        }
    }
    kept
}

/// `denselayer1.norm.1.weight` is `denselayer1.norm1.weight`.
fn with_joined_numbers(parts: &[&str]) -> Vec<String> {
    let mut joined: Vec<String> = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        let is_of_layer = index >= 2 && parts[index - 2].starts_with("denselayer");
        match joined.last_mut() {
            Some(last) if is_of_layer && number(part).is_some() => last.push_str(part),
            _ => joined.push((*part).to_owned()),
        }
    }
    joined
}

/// `encoder.stages.0.layers.1.layer.2.convolution` is `layer1.1.conv3`;
/// `downsample.convolution` is `downsample.0`.
fn with_stages(parts: &[String]) -> Vec<String> {
    let has_stages = parts.iter().any(|part| part == "stages");
    let mut named = Vec::with_capacity(parts.len());
    let mut rest = parts;
    while let Some((part, behind)) = rest.split_first() {
        rest = behind;
        let next = behind.first().and_then(|next| number(next));
        match (part.as_str(), next) {
            ("encoder", None) if behind.first().is_some_and(|next| next == "stages") => {}
            ("stages", Some(stage)) => {
                named.push(format!("layer{}", stage + 1));
                rest = &behind[1..];
            }
            ("layers", Some(index)) => {
                if !has_stages {
                    named.push("blocks".to_owned());
                }
                named.push(index.to_string());
                rest = &behind[1..];
            }
            ("layer", Some(index)) => match behind.get(1).map(String::as_str) {
                Some("convolution") => {
                    named.push(format!("conv{}", index + 1));
                    rest = &behind[2..];
                }
                Some("normalization") => {
                    named.push(format!("bn{}", index + 1));
                    rest = &behind[2..];
                }
                _ => named.push(part.clone()),
            },
            ("convolution", _) => named.push("0".to_owned()),
            ("normalization", _) => named.push("1".to_owned()),
            _ => named.push(part.clone()),
        }
    }
    named
}

/// The tensors of a file by the names of parameters, as far as it has them.
pub(super) fn matched<'a>(
    parameters: impl Iterator<Item = &'a str> + Clone,
    keys: &[String],
) -> Matched {
    let mut by_name: BTreeMap<String, BTreeMap<usize, String>> = BTreeMap::new();
    for key in keys {
        let (name, order) = renamed(key);
        by_name.entry(name).or_default().insert(order, key.clone());
    }
    let mut prefixes = likely_prefixes(parameters.clone(), &by_name).into_iter();
    let prefix = prefixes.next().unwrap_or_default();
    let mut sources = BTreeMap::new();
    for parameter in parameters {
        let named = |name: &str| by_name.get(&format!("{prefix}{name}"));
        // timm packs both maps of a gated perceptron under the names of a plain
        // one.
        let plain = parameter
            .replace(".mlp.w12.", ".mlp.fc1.")
            .replace(".mlp.w3.", ".mlp.fc2.");
        if let Some(keys) = named(parameter).or_else(|| named(&plain)) {
            let source = Source {
                keys: keys.values().cloned().collect(),
                ..Source::default()
            };
            sources.insert(parameter.to_owned(), source);
        }
    }
    Matched {
        sources,
        prefix,
        passed_over: prefixes.collect(),
    }
}

/// What of a file is for which parameter.
pub(super) struct Matched {
    /// By the parameter's name.
    pub(super) sources: BTreeMap<String, Source>,
    /// What stands before those names.
    pub(super) prefix: String,
    /// What stands before as many others.
    pub(super) passed_over: Vec<String>,
}

/// What stands before the network's names in most keys, the likeliest first. A
/// teacher comes before its student: it is the network that DINO is scored by.
fn likely_prefixes<'a, T>(
    parameters: impl Iterator<Item = &'a str> + Clone,
    by_name: &BTreeMap<String, T>,
) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for parameter in parameters {
        for name in by_name.keys() {
            let Some(prefix) = name.strip_suffix(parameter) else {
                continue;
            };
            if prefix.is_empty() || prefix.ends_with('.') {
                *counts.entry(prefix).or_default() += 1;
            }
        }
    }
    let most = counts.values().copied().max().unwrap_or(0);
    let likely = counts.into_iter().filter(|(_, count)| *count == most);
    let mut likely: Vec<String> = likely.map(|(prefix, _)| prefix.to_owned()).collect();
    likely.sort_by_key(|prefix| (prefix.contains("student"), prefix.len()));
    likely
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_programs_are_ours() {
        for (theirs, ours, order) in [
            ("blocks.0.norm1.weight", "blocks.0.norm1.weight", 0),
            (
                "teacher.backbone.blocks.1.7.ls1.gamma",
                "teacher.backbone.blocks.7.ls1.gamma",
                0,
            ),
            (
                "vit.encoder.layer.11.attention.attention.value.bias",
                "vit.blocks.11.attn.qkv.bias",
                2,
            ),
            (
                "vit.layers.3.attention.k_proj.weight",
                "vit.blocks.3.attn.qkv.weight",
                1,
            ),
            (
                "vit.encoder.layer.0.attention.output.dense.bias",
                "vit.blocks.0.attn.proj.bias",
                0,
            ),
            (
                "encoder.layer.3.output.dense.weight",
                "blocks.3.mlp.fc2.weight",
                0,
            ),
            (
                "encoder.layer.3.intermediate.dense.weight",
                "blocks.3.mlp.fc1.weight",
                0,
            ),
            ("layernorm.weight", "norm.weight", 0),
            ("embeddings.position_embeddings", "pos_embed", 0),
            (
                "dinov2.encoder.layer.0.layer_scale2.lambda1",
                "dinov2.blocks.0.ls2.gamma",
                0,
            ),
            (
                "features.denseblock1.denselayer2.norm.1.running_mean",
                "features.denseblock1.denselayer2.norm1.running_mean",
                0,
            ),
            (
                "resnet.encoder.stages.2.layers.5.layer.1.convolution.weight",
                "resnet.layer3.5.conv2.weight",
                0,
            ),
            (
                "resnet.encoder.stages.1.layers.0.shortcut.normalization.running_var",
                "resnet.layer2.0.downsample.1.running_var",
                0,
            ),
            (
                "resnet.embedder.embedder.convolution.weight",
                "resnet.conv1.weight",
                0,
            ),
            (
                "encoder.vit_backbone.cls_token",
                "encoder.vit_backbone.cls_token",
                0,
            ),
            (
                "decoder.decoders.3.1.mlp.fc1.weight",
                "decoder.decoders.3.1.mlp.fc1.weight",
                0,
            ),
        ] {
            assert_eq!(renamed(theirs), (ours.to_owned(), order), "{theirs}");
        }
    }

    #[test]
    fn the_teacher_comes_before_its_student() {
        let names = [
            "student.a.w",
            "student.b.w",
            "teacher.a.w",
            "teacher.b.w",
            "b.w",
        ];
        let keys = names.map(str::to_owned);
        let found = matched(["a.w", "b.w"].into_iter(), &keys);
        assert_eq!(found.prefix, "teacher.");
        assert_eq!(found.passed_over, ["student."]);
        assert_eq!(found.sources["a.w"].keys, ["teacher.a.w"]);
        assert_eq!(matched(["c.w"].into_iter(), &keys).sources.len(), 0);
    }
}
