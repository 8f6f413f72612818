//! Networks and blocks against tensors of the reference implementations.
//!
//! Reads the case folders of `MORPHOSPACE_GOLDEN` (several separated by `:`),
//! else the ones committed beside this test; takes every case of this crate,
//! builds it from its `config` and compares every listed output.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData, activation};
use morphospace_core::Seed;
use morphospace_models::blocks::adapt_input_conv::adapt_input_conv;
use morphospace_models::blocks::batch_norm::BatchNorm;
use morphospace_models::blocks::domain::forward_domain;
use morphospace_models::blocks::feed_forward::FeedForwardKind;
use morphospace_models::blocks::gelu::gelu;
use morphospace_models::blocks::l2_normalise::l2_normalise;
use morphospace_models::blocks::layer_norm::LayerNorm;
use morphospace_models::blocks::norm_pass::NormPass;
use morphospace_models::blocks::patches::{flatten_images, norm_pix, unflatten_tokens};
use morphospace_models::blocks::pooling::global_avg_pool;
use morphospace_models::blocks::position_interpolation::PositionInterpolation;
use morphospace_models::blocks::sincos::SincosTable;
use morphospace_models::{
    BatchHead, BiasLayout, CaMaeConfig, DenseNet, DenseNetConfig, DinoHeadConfig, Encoder,
    FourierView, GlobalPool, MaeConfig, MaeDecoderConfig, MaeLossConfig, MaeOutput, MapNetwork,
    Masking, MuNet, MuNetConfig, Parameter, PlainVitConfig, Pooling, ResNetBlock, ResNetConfig,
    SupervisedHeadConfig, Unexpected, Vit, VitConfig, WeightsFile, load_weights, mae_loss,
    parameters, self_standardise,
};
use serde_json::Value;

#[test]
fn golden() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let folders: Vec<PathBuf> = match std::env::var("MORPHOSPACE_GOLDEN") {
        Ok(folders) => folders.split(':').map(PathBuf::from).collect(),
        Err(_) => vec![committed],
    };
    let mut cases: Vec<Case> = folders
        .iter()
        .flat_map(|folder| Case::read_all(folder))
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(
        !cases.is_empty(),
        "no case of crate 'models' in {folders:?}"
    );
    let mut failures = Vec::new();
    for case in &cases {
        let outputs = case.run();
        failures.extend(case.differences(&outputs));
    }
    assert!(
        failures.is_empty(),
        "{} differences:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Computed outputs by name.
type Outputs = BTreeMap<String, Vec<f32>>;

struct Case {
    name: String,
    kind: String,
    json: Value,
    file: Option<WeightsFile>,
}

impl Case {
    fn read_all(folder: &Path) -> Vec<Self> {
        let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let folders = entries.map(|entry| entry.unwrap().path());
        folders
            .filter(|folder| folder.join("case.json").is_file())
            .filter_map(Self::read)
            .collect()
    }

    fn read(folder: PathBuf) -> Option<Self> {
        let text = fs::read_to_string(folder.join("case.json")).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        if json["crate"] != "models" {
            return None;
        }
        let tensors = folder.join("tensors.safetensors");
        Some(Self {
            name: json["name"].as_str().unwrap().to_owned(),
            kind: json["kind"].as_str().unwrap().to_owned(),
            file: tensors
                .is_file()
                .then(|| WeightsFile::open(&tensors).unwrap()),
            json,
        })
    }

    fn run(&self) -> Outputs {
        match self.kind.as_str() {
            "adapt_input_conv" => self.adapt_input_conv(),
            "vit" => self.vit(),
            "camae_infer" => self.camae_infer(),
            "mae" => self.mae(),
            "camae" => self.camae(),
            "sincos" => self.sincos(),
            "sincos_he" => self.sincos_he(),
            "flatten" => self.flatten(),
            "masking" => self.masking(),
            "param_counts" => self.param_counts(),
            "densenet" => self.densenet(),
            "resnet" => self.resnet(),
            "munet" => self.munet(),
            "dino_vit" => self.dino_vit(),
            "dinov2_vit" => self.dinov2_vit(),
            "dino_pos_interp" => self.dino_pos_interp(),
            "dino_head" => self.dino_head(),
            "norm_layers" => self.norm_layers(),
            "wsl_neck" => self.wsl_neck(),
            kind => panic!("case '{}' is of unknown kind '{kind}'", self.name),
        }
    }

    /// Every listed output that is missing or too far off.
    fn differences(&self, outputs: &Outputs) -> Vec<String> {
        if self.kind == "param_counts" {
            // Its counts stand in the case itself and have been compared.
            return Vec::new();
        }
        let listed = self.json["outputs"]
            .as_array()
            .unwrap_or_else(|| panic!("case '{}' lists no outputs", self.name));
        let mut failures = Vec::new();
        for output in listed {
            let name = output["name"].as_str().unwrap();
            let Some(found) = outputs.get(name) else {
                failures.push(format!("{}: '{name}' is not computed", self.name));
                continue;
            };
            let expected = self.tensor(&format!("output.{name}")).0;
            let tolerance = &output["tolerance"];
            let (rtol, atol) = match tolerance.as_str() {
                Some("exact") => (0.0, 0.0),
                _ => (
                    tolerance["rtol"].as_f64().unwrap(),
                    tolerance["atol"].as_f64().unwrap(),
                ),
            };
            if found.len() != expected.len() {
                failures.push(format!(
                    "{}: '{name}' has {} values, expected {}",
                    self.name,
                    found.len(),
                    expected.len()
                ));
                continue;
            }
            let worst = found
                .iter()
                .zip(&expected)
                .map(|(a, b)| {
                    let (a, b) = (f64::from(*a), f64::from(*b));
                    let difference = (a - b).abs();
                    let allowed = atol + rtol * b.abs();
                    // NaN must not pass.
                    if difference <= allowed {
                        0.0
                    } else {
                        difference - allowed
                    }
                })
                .fold(
                    0.0,
                    |a: f64, b| if b.is_nan() { f64::INFINITY } else { a.max(b) },
                );
            if worst > 0.0 {
                failures.push(format!(
                    "{}: '{name}' is {worst:e} beyond its tolerance",
                    self.name
                ));
            }
        }
        failures
    }

    fn config(&self) -> &Value {
        &self.json["config"]
    }

    fn count(&self, key: &str) -> usize {
        count(&self.config()[key])
    }

    fn number(&self, key: &str, default: f64) -> f64 {
        self.config()[key].as_f64().unwrap_or(default)
    }

    fn file(&self) -> &WeightsFile {
        self.file.as_ref().expect("the case has tensors")
    }

    fn tensor(&self, name: &str) -> (Vec<f32>, Vec<usize>) {
        let values = self.file().read(name).unwrap();
        let values = values.unwrap_or_else(|| panic!("{}: no tensor '{name}'", self.name));
        (values, self.file().shape(name).unwrap().to_vec())
    }

    fn input<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let (values, shape) = self.tensor(&format!("input.{name}"));
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    fn vit_config(&self) -> VitConfig {
        let config = self.config();
        let channel_agnostic = config["channel_agnostic"].as_bool().unwrap_or(false);
        let in_chans = ["max_in_chans", "in_chans", "channels"]
            .into_iter()
            .find_map(|key| config[key].as_u64())
            .unwrap() as usize;
        VitConfig {
            img_size: self.count("img_size"),
            patch_size: self.count("patch_size"),
            in_chans,
            channel_agnostic,
            embed_dim: self.count("embed_dim"),
            depth: self.count("depth"),
            num_heads: self.count("num_heads"),
            mlp_ratio: self.number("mlp_ratio", 4.0),
            global_pool: match config["global_pool"].as_str().unwrap() {
                "token" => GlobalPool::Token,
                "avg" => GlobalPool::Avg,
                other => panic!("{}: global_pool '{other}'", self.name),
            },
            norm_eps: self.number("enc_norm_eps", self.number("norm_eps", 1e-6)),
            bias_layout: match config["bias_layout"].as_str().unwrap() {
                "aligned" => BiasLayout::Aligned,
                "timm097" => BiasLayout::Timm097,
                other => panic!("{}: bias_layout '{other}'", self.name),
            },
            // As the published training: it must not act in evaluation.
            drop_path_rate: self.number("drop_path_rate", 0.1),
            ..VitConfig::default()
        }
    }

    fn vit(&self) -> Outputs {
        let device = Device::default();
        let vit = self.vit_config().init(&device, Seed::new(1)).unwrap();
        let vit = self.load(&vit, "weight.");
        let image: Tensor<4> = self.input("image", &device);
        let mut outputs = Outputs::new();
        let embedded = vit.embed_tokens(image.clone());
        insert(
            &mut outputs,
            "block0_in_norm",
            vit.blocks[0].in_norm.forward(embedded.clone()),
        );
        insert(&mut outputs, "tokens_embedded", embedded);
        for (index, tokens) in vit
            .tokens_after_blocks(image.clone())
            .into_iter()
            .enumerate()
        {
            insert(&mut outputs, &format!("tokens_block{index}"), tokens);
        }
        let features = vit.forward_features(image.clone());
        insert(
            &mut outputs,
            "forward_head",
            vit.forward_head(features.clone()),
        );
        insert(&mut outputs, "features", features);
        insert(
            &mut outputs,
            "patch_mean",
            vit.forward_pooled(image.clone(), Pooling::PatchMean),
        );
        insert(
            &mut outputs,
            "cls",
            vit.forward_pooled(image.clone(), Pooling::Cls),
        );
        self.check_forward_blocks(&vit, image);
        outputs
    }

    /// The pooled outputs of one pass agree with the tokens behind each block.
    fn check_forward_blocks(&self, vit: &Vit, image: Tensor<4>) {
        let blocks: Vec<usize> = (0..vit.num_blocks()).rev().collect();
        let pooled = vit.forward_blocks(image.clone(), &blocks, Pooling::PatchMean);
        let tokens = vit.tokens_after_blocks(image);
        for (block, pooled) in blocks.into_iter().zip(pooled) {
            let [batch, num_tokens, dim] = tokens[block].dims();
            let mean = tokens[block]
                .clone()
                .narrow(1, 1, num_tokens - 1)
                .mean_dim(1);
            assert_eq!(
                pooled.into_data(),
                mean.reshape([batch, dim]).into_data(),
                "{}, block {block}",
                self.name
            );
        }
    }

    fn load<M: Module>(&self, network: &M, prefix: &str) -> M {
        let (network, report) =
            load_weights(network, self.file(), prefix, Unexpected::Refuse).unwrap();
        assert_eq!(report.loaded.len(), parameters(&network).len());
        network
    }

    fn camae_infer(&self) -> Outputs {
        let device = Device::default();
        let vit = self.vit_config().init(&device, Seed::new(1)).unwrap();
        let vit = self.load(&vit, "weight.encoder.vit_backbone.");
        let mut outputs = Outputs::new();
        for chans in self.config()["channels_tested"].as_array().unwrap() {
            let chans = count(chans);
            let name = |output: &str| format!("{output}_{chans}ch");
            let image = self_standardise(self.input(&format!("image_{chans}ch_u8"), &device));
            vit.check(chans, Pooling::PerChannel).unwrap();
            let features = vit.forward_features(image.clone());
            let head = vit.forward_head(features.clone());
            insert(&mut outputs, &name("encoder_forward"), head);
            insert(&mut outputs, &name("features"), features);
            let pooled = |pooling| vit.forward_pooled(image.clone(), pooling);
            insert(&mut outputs, &name("pooled"), pooled(Pooling::PatchMean));
            insert(
                &mut outputs,
                &name("channelwise"),
                pooled(Pooling::PerChannel),
            );
            insert(&mut outputs, &name("standardised"), image);
        }
        outputs
    }

    fn decoder_config(&self) -> MaeDecoderConfig {
        MaeDecoderConfig {
            embed_dim: self.count("dec_dim"),
            depth: self.count("dec_depth"),
            num_heads: self.count("dec_heads"),
            mlp_ratio: self.number("dec_mlp_ratio", 4.0),
            norm_eps: self.number("dec_norm_eps", 1e-6),
        }
    }

    fn mae(&self) -> Outputs {
        let device = Device::default().autodiff();
        let config = MaeConfig {
            encoder: self.vit_config(),
            decoder: self.decoder_config(),
            mask_ratio: self.number("mask_ratio", 0.75),
            loss: MaeLossConfig::default(),
        };
        let mae = self.load(&config.init(&device, Seed::new(1)).unwrap(), "weight.");
        self.autoencoder(&device, &mae, mae.num_tokens(), |images, masking| {
            mae.forward(images, masking, None)
        })
    }

    fn camae(&self) -> Outputs {
        let device = Device::default().autodiff();
        let config = CaMaeConfig {
            encoder: self.vit_config(),
            channels: self.count("channels"),
            decoder: self.decoder_config(),
            mask_ratio: self.number("mask_ratio", 0.75),
            loss: MaeLossConfig::default(),
        };
        let camae = self.load(&config.init(&device, Seed::new(1)).unwrap(), "weight.");
        self.autoencoder(&device, &camae, camae.num_tokens(), |images, masking| {
            camae.forward(images, masking, None)
        })
    }

    /// The outputs both autoencoders list: every stage, all losses, gradients.
    fn autoencoder<M: Module>(
        &self,
        device: &Device,
        network: &M,
        num_tokens: usize,
        forward: impl Fn(Tensor<4>, &Masking) -> MaeOutput,
    ) -> Outputs {
        let channel_agnostic = self.config()["channel_agnostic"].as_bool().unwrap();
        let patch_size = self.count("patch_size");
        let images = self_standardise(self.input("image_u8", device));
        let (noise, noise_shape) = self.tensor("input.noise");
        assert_eq!(noise_shape[1], num_tokens);
        let ratio = self.number("mask_ratio", 0.75);
        let masking = Masking::from_noise(&noise, noise_shape[0], num_tokens, ratio).unwrap();
        let output = forward(images.clone(), &masking);

        let mut outputs = Outputs::new();
        insert(&mut outputs, "standardised", images.clone());
        insert(&mut outputs, "latent", output.latent.clone());
        insert(&mut outputs, "mask", output.mask.clone());
        let restore = masking.ids_restore().into_iter().map(|place| place as f32);
        outputs.insert("ids_restore".to_owned(), restore.collect());
        insert(
            &mut outputs,
            "decoder_tokens",
            output.decoder_tokens.clone(),
        );
        insert(
            &mut outputs,
            "reconstruction",
            output.reconstruction.clone(),
        );
        let target = flatten_images(images.clone(), patch_size, channel_agnostic);
        insert(&mut outputs, "target", target.clone());

        let weight = self.number("fourier_weight", 0.01);
        let all = Tensor::ones(noise_shape.try_into_dims(), device);
        let loss = |config: &MaeLossConfig, mask: &Tensor<2>| {
            mae_loss(
                config,
                images.clone(),
                output.reconstruction.clone(),
                mask.clone(),
                patch_size,
                channel_agnostic,
            )
        };
        let fourier = |fourier_view| MaeLossConfig {
            fourier_weight: weight,
            fourier_view,
            ..MaeLossConfig::default()
        };
        let plain = MaeLossConfig::default();
        let norm_pix = MaeLossConfig {
            norm_pix_loss: true,
            ..plain.clone()
        };
        let asis = loss(&fourier(FourierView::Asis), &output.mask);
        let fixed = loss(&fourier(FourierView::Fixed), &output.mask);
        let unmasked = loss(&fourier(FourierView::Asis), &all);
        let all_tokens = loss(&plain, &all).mse;
        insert(&mut outputs, "loss_mse", asis.mse.clone());
        insert(&mut outputs, "loss_fourier_asis", asis.fourier.unwrap());
        insert(&mut outputs, "loss_total_asis", asis.total.clone());
        insert(
            &mut outputs,
            "loss_fourier_asis_unmasked",
            unmasked.fourier.unwrap(),
        );
        let fourier_fixed = fixed.fourier.unwrap();
        insert(&mut outputs, "loss_fourier_fixed", fourier_fixed.clone());
        insert(&mut outputs, "loss_total_fixed", fixed.total.clone());
        insert(
            &mut outputs,
            "loss_mse_normpix",
            loss(&norm_pix, &output.mask).mse,
        );
        insert(
            &mut outputs,
            "loss_unmasked_additive",
            all_tokens.clone() + fourier_fixed * weight,
        );
        insert(&mut outputs, "loss_mse_all_tokens", all_tokens);
        let chans = images.dims()[1];
        let modalities = if channel_agnostic { chans } else { 1 };
        let spectra = |tokens| morphospace_models::fourier_magnitudes(tokens, modalities);
        let difference = spectra(output.reconstruction.clone()) - spectra(target.clone());
        let per_token = difference.clone().abs().mean_dim(2).squeeze_dim::<2>(2);
        insert(&mut outputs, "fourier_asis_per_token", per_token);
        let squares = difference.square().mean_dim(2).squeeze_dim::<2>(2);
        let l2 = (squares * output.mask.clone()).sum() / output.mask.clone().sum();
        insert(&mut outputs, "loss_fourier_asis_l2", l2);
        let image = unflatten_tokens(target, patch_size, chans, channel_agnostic);
        image
            .into_data()
            .assert_eq(&images.clone().into_data(), true);

        // A graph serves one backward pass.
        let gradients = [
            ("grad_total_asis", fourier(FourierView::Asis)),
            ("grad_total_fixed", fourier(FourierView::Fixed)),
            ("grad_mse", plain),
        ];
        for (group, config) in gradients {
            let output = forward(images.clone(), &masking);
            let loss = mae_loss(
                &config,
                images.clone(),
                output.reconstruction,
                output.mask,
                patch_size,
                channel_agnostic,
            );
            insert_gradients(&mut outputs, group, network, &loss.total);
        }
        outputs
    }

    fn sincos(&self) -> Outputs {
        let mut outputs = Outputs::new();
        for item in self.config()["tables"].as_array().unwrap() {
            let table = SincosTable {
                dim: count(&item["D"]),
                grid: count(&item["grid"]),
                modalities: count(&item["modalities"]),
                cls_token: item["cls"].as_bool().unwrap(),
                scale: item["scale"].as_f64().unwrap(),
            };
            let SincosTable {
                dim,
                grid,
                modalities,
                ..
            } = table;
            let cls = u8::from(table.cls_token);
            let scale = table.scale;
            let name = format!("table_D{dim}_n{grid}_M{modalities}_cls{cls}_scale{scale}");
            outputs.insert(name, table.values());
        }
        outputs
    }

    fn sincos_he(&self) -> Outputs {
        let mut outputs = Outputs::new();
        for item in self.config()["items"].as_array().unwrap() {
            let (dim, grid) = (count(&item["D"]), count(&item["grid"]));
            let cls_token = item["cls"].as_bool().unwrap();
            let table = SincosTable {
                cls_token,
                ..SincosTable::new(dim, grid)
            };
            let name = format!("table_D{dim}_n{grid}_cls{}", u8::from(cls_token));
            outputs.insert(name, table.values_he());
        }
        outputs
    }

    fn flatten(&self) -> Outputs {
        let device = Device::default();
        let mut outputs = Outputs::new();
        for (index, item) in self.config()["items"]
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
        {
            let image: Tensor<4> = self.input(&format!("image{index}"), &device);
            let patch_size = count(&item["patch"]);
            let channel_agnostic = item["channel_agnostic"].as_bool().unwrap();
            let chans = image.dims()[1];
            let tokens = flatten_images(image.clone(), patch_size, channel_agnostic);
            let back = unflatten_tokens(tokens.clone(), patch_size, chans, channel_agnostic);
            assert_eq!(back.into_data(), image.into_data(), "{} {index}", self.name);
            insert(
                &mut outputs,
                &format!("normpix{index}"),
                norm_pix(tokens.clone()),
            );
            insert(&mut outputs, &format!("tokens{index}"), tokens);
        }
        outputs
    }

    fn masking(&self) -> Outputs {
        let device = Device::default();
        let mut outputs = Outputs::new();
        for (index, item) in self.config()["items"]
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
        {
            let (noise, shape) = self.tensor(&format!("input.noise{index}"));
            let ratio = item["mask_ratio"].as_f64().unwrap();
            let masking = Masking::from_noise(&noise, shape[0], shape[1], ratio).unwrap();
            assert_eq!(masking.num_kept(), count(&item["len_keep"]));
            let tokens: Tensor<3> = self.input(&format!("x{index}"), &device);
            insert(
                &mut outputs,
                &format!("kept{index}"),
                masking.keep_tokens(tokens),
            );
            insert(&mut outputs, &format!("mask{index}"), masking.mask(&device));
            let restore = masking.ids_restore().into_iter().map(|place| place as f32);
            outputs.insert(format!("ids_restore{index}"), restore.collect());
        }
        outputs
    }

    fn adapt_input_conv(&self) -> Outputs {
        let kernel: Tensor<4> = self.input("weight3", &Device::default());
        let mut outputs = Outputs::new();
        for chans in self.config()["channels"].as_array().unwrap() {
            let adapted = adapt_input_conv(kernel.clone(), count(chans));
            insert(&mut outputs, &format!("weight{chans}"), adapted);
        }
        outputs
    }

    /// Counts of full-size networks by the names in use.
    fn param_counts(&self) -> Outputs {
        for (name, expected) in self.json["counts"].as_object().unwrap() {
            let found = parameter_count(name)
                .unwrap_or_else(|| panic!("{}: '{name}' is no network that is known", self.name));
            match expected {
                Value::Object(parts) => {
                    for (part, expected) in parts {
                        assert_eq!(found[part.as_str()], count(expected), "{name} {part}");
                    }
                }
                expected => assert_eq!(found["total"], count(expected), "{}: {name}", self.name),
            }
        }
        Outputs::new()
    }

    /// Sizes of images that the case asks for, `[height, width]`.
    fn sizes(&self) -> Vec<[usize; 2]> {
        let sizes = self.config()["sizes"].as_array().unwrap();
        let sides = |size: &Value| [count(&size[0]), count(&size[1])];
        sizes.iter().map(sides).collect()
    }

    fn flag(&self, key: &str, default: bool) -> bool {
        self.config()[key].as_bool().unwrap_or(default)
    }

    fn counts(&self, key: &str) -> Vec<usize> {
        let values = self.config()[key].as_array().unwrap();
        values.iter().map(count).collect()
    }

    fn labels(&self, name: &str, device: &Device) -> Tensor<1, Int> {
        let (values, _) = self.tensor(&format!("input.{name}"));
        let values: Vec<i32> = values.into_iter().map(|value| value as i32).collect();
        Tensor::from_data(values.as_slice(), device)
    }

    fn densenet(&self) -> Outputs {
        let config = DenseNetConfig {
            img_size: self.count("img"),
            in_chans: self.count("in_chans"),
            growth_rate: self.count("growth"),
            block_config: self.counts("blocks"),
            num_init_features: self.count("init"),
            bn_size: self.count("bn_size"),
            num_classes: self.count("classes"),
        };
        let device = Device::default().autodiff();
        let net = self.load(&config.init(&device, Seed::new(1)).unwrap(), "weight.");
        let features = |net: &DenseNet, images, pass: &mut NormPass| {
            let maps = net.forward_features(images, pass);
            let embedding = global_avg_pool(activation::relu(maps.clone()));
            let logits = net.classify(embedding.clone());
            (maps, embedding, logits)
        };
        let forwarded =
            net.forward_embedding(self.input("image", &device), &mut NormPass::running());
        let outputs = self.convolutional(&net, &device, features);
        assert_eq!(
            forwarded.into_data().iter::<f32>().collect::<Vec<_>>(),
            outputs["embedding_eval"]
        );
        outputs
    }

    fn resnet(&self) -> Outputs {
        let config = ResNetConfig {
            img_size: self.count("img"),
            in_chans: self.count("in_chans"),
            block: match self.config()["block"].as_str().unwrap() {
                "basic" => ResNetBlock::Basic,
                "bottleneck" => ResNetBlock::Bottleneck,
                other => panic!("{}: block '{other}'", self.name),
            },
            layers: self.counts("layers").try_into().unwrap(),
            width: self.count("width"),
            num_classes: self.count("classes"),
        };
        let device = Device::default().autodiff();
        let net = self.load(&config.init(&device, Seed::new(1)).unwrap(), "weight.");
        self.convolutional(&net, &device, |net, images, pass| {
            let maps = net.forward_features(images, pass);
            let embedding = global_avg_pool(maps.clone());
            let logits = net.classify(embedding.clone());
            (maps, embedding, logits)
        })
    }

    /// The outputs DenseNet and ResNet list: in evaluation, in training with
    /// gradients and running averages, and with ghost batches.
    fn convolutional<M: Module + Sync>(
        &self,
        net: &M,
        device: &Device,
        forward: impl Fn(&M, Tensor<4>, &mut NormPass) -> (Tensor<4>, Tensor<2>, Tensor<2>) + Sync,
    ) -> Outputs {
        let images: Tensor<4> = self.input("image", device);
        let mut outputs = Outputs::new();
        let (maps, embedding, logits) = forward(net, images.clone(), &mut NormPass::running());
        insert(&mut outputs, "features_eval", maps);
        insert(&mut outputs, "embedding_eval", embedding);
        insert(&mut outputs, "logits_eval", logits);

        let mut pass = NormPass::batch();
        let (_, _, logits) = forward(net, images.clone(), &mut pass);
        insert(&mut outputs, "logits_train", logits.clone());
        let loss = cross_entropy(logits, self.labels("labels", device));
        insert(&mut outputs, "loss_train", loss.clone());
        insert_gradients(&mut outputs, "grad", net, &loss);
        insert_averages(&mut outputs, &pass.update_running(net.clone()));

        let mut pass = NormPass::ghost_batches(self.count("ghost"));
        let (_, _, logits) = forward(net, images.clone(), &mut pass);
        insert(&mut outputs, "logits_ghost", logits);

        // A domain in two batches is a domain in one.
        let net = net.valid();
        let images = images.inner();
        let half = images.dims()[0] / 2;
        let batches = images.split(half, 0);
        let parts = forward_domain(batches, |batch, pass| forward(&net, batch, pass).2);
        let logits: Vec<f32> = Tensor::cat(parts, 0).into_data().iter::<f32>().collect();
        for (found, expected) in logits.iter().zip(&outputs["logits_train"]) {
            assert!((found - expected).abs() < 1e-4, "{}: domain", self.name);
        }
        outputs
    }

    fn munet(&self) -> Outputs {
        let config = MuNetConfig {
            img_size: self.count("img"),
            in_chans: self.count("in_chans"),
            depths: self.counts("depths"),
            kernel: self.count("kernel"),
            residual: self.flag("residual", true),
        };
        let device = Device::default().autodiff();
        let net = self.load(&config.init(&device, Seed::new(1)).unwrap(), "weight.");
        let images: Tensor<4> = self.input("image", &device);
        let mut outputs = Outputs::new();
        let mut reconstruction = images.clone();
        for (mode, mut pass) in [("eval", NormPass::running()), ("train", NormPass::batch())] {
            let maps = net.forward_block_maps(images.clone(), &mut pass);
            let pooled = global_avg_pool(maps.last().unwrap().clone());
            insert(
                &mut outputs,
                &format!("{mode}_style"),
                MuNet::style(pooled.clone()),
            );
            insert(&mut outputs, &format!("{mode}_pooled"), pooled);
            for (level, map) in maps.iter().enumerate() {
                insert(&mut outputs, &format!("{mode}_level{level}"), map.clone());
            }
            reconstruction = net.reconstruct(maps, &mut pass);
            let name = format!("{mode}_reconstruction");
            insert(&mut outputs, &name, reconstruction.clone());
        }
        let mask: Tensor<4> = self.input("mask", &device);
        let target = self.input("target", &device);
        let squares = (reconstruction - target).square() * mask.clone();
        let loss = squares.sum() / mask.sum();
        insert(&mut outputs, "loss", loss.clone());
        insert_gradients(&mut outputs, "grad", &net, &loss);
        outputs
    }

    fn plain_vit_config(&self) -> PlainVitConfig {
        PlainVitConfig {
            img_size: self.count("img_size"),
            patch_size: self.count("patch_size"),
            in_chans: self.count("in_chans"),
            embed_dim: self.count("embed_dim"),
            depth: self.count("depth"),
            num_heads: self.count("num_heads"),
            mlp_ratio: self.number("mlp_ratio", 4.0),
            qkv_bias: self.flag("qkv_bias", true),
            norm_eps: self.number("norm_eps", 1e-6),
            ..PlainVitConfig::default()
        }
    }

    fn dino_vit(&self) -> Outputs {
        let device = Device::default();
        let vit = self.plain_vit_config().init(&device, Seed::new(1)).unwrap();
        let vit = self.load(&vit, "weight.");
        let patch_size = self.count("patch_size");
        let mut outputs = Outputs::new();
        for (place, [height, width]) in self.sizes().into_iter().enumerate() {
            let size = format!("{height}x{width}");
            let images: Tensor<4> = self.input(&format!("image_{size}"), &device);
            let positions = vit.positions(height / patch_size, width / patch_size);
            insert(&mut outputs, &format!("pos_{size}"), positions);
            let embedded = vit.embed_tokens(images.clone(), None);
            insert(&mut outputs, &format!("tokens_embedded_{size}"), embedded);
            let blocks = vit.tokens_after_blocks(images.clone());
            for (block, tokens) in blocks.into_iter().enumerate() {
                insert(&mut outputs, &format!("tokens_block{block}_{size}"), tokens);
            }
            let pooled = |pooling| vit.forward_pooled(images.clone(), pooling);
            insert(&mut outputs, &format!("cls_{size}"), pooled(Pooling::Cls));
            let mean = pooled(Pooling::PatchMean);
            insert(&mut outputs, &format!("patch_mean_{size}"), mean);
            let is_native = self.config()["native"]
                .as_str()
                .map_or(place == 0, |it| it == size);
            if is_native {
                insert(&mut outputs, "last_attention", vit.last_attention(images));
            }
        }
        outputs
    }

    fn dinov2_vit(&self) -> Outputs {
        let device = Device::default();
        let num_registers = self.count("registers");
        let config = PlainVitConfig {
            feed_forward: match self.config()["ffn_layer"].as_str().unwrap() {
                "mlp" => FeedForwardKind::Mlp,
                "swiglu" | "swiglufused" => FeedForwardKind::SwiGlu,
                other => panic!("{}: ffn_layer '{other}'", self.name),
            },
            init_values: Some(1e-5),
            num_registers,
            mask_token: true,
            interpolation: PositionInterpolation {
                offset: self.number("interpolate_offset", 0.0),
                antialias: self.flag("interpolate_antialias", false),
            },
            ..self.plain_vit_config()
        };
        let vit = self.load(&config.init(&device, Seed::new(1)).unwrap(), "weight.");
        let patch_size = self.count("patch_size");
        let mut outputs = Outputs::new();
        for (place, [height, width]) in self.sizes().into_iter().enumerate() {
            let size = format!("{height}x{width}");
            let images: Tensor<4> = self.input(&format!("image_{size}"), &device);
            let positions = vit.positions(height / patch_size, width / patch_size);
            insert(&mut outputs, &format!("pos_{size}"), positions);
            let blocks = vit.tokens_after_blocks(images.clone());
            let last = blocks.last().unwrap().clone();
            insert(&mut outputs, &format!("prenorm_{size}"), last);
            let features = vit.forward_features(images.clone());
            let num_patches = features.dims()[1] - 1 - num_registers;
            let patches = features.clone().narrow(1, 1 + num_registers, num_patches);
            insert(&mut outputs, &format!("patches_{size}"), patches);
            if num_registers > 0 {
                let registers = features.clone().narrow(1, 1, num_registers);
                insert(&mut outputs, &format!("registers_{size}"), registers);
            }
            let cls = vit.forward_pooled(images.clone(), Pooling::Cls);
            insert(&mut outputs, &format!("cls_{size}"), cls);
            if place > 0 {
                continue;
            }
            for (block, tokens) in blocks.into_iter().enumerate() {
                insert(&mut outputs, &format!("tokens_block{block}"), tokens);
            }
            let mask = self.input("mask", &device);
            let tokens = vit.embed_tokens(images, Some(mask));
            let masked = vit.normalise(vit.forward_tokens(tokens, None));
            let patches = masked.clone().narrow(1, 1 + num_registers, num_patches);
            insert(&mut outputs, "masked_patches", patches);
            insert(&mut outputs, "masked_cls", masked.narrow(1, 0, 1));
        }
        outputs
    }

    fn dino_pos_interp(&self) -> Outputs {
        let device = Device::default();
        let (values, shape) = self.tensor("weight.pos_embed");
        let table: Tensor<3> = Tensor::from_data(TensorData::new(values, shape), &device);
        let num_rows = table.dims()[1];
        let cls = table.clone().narrow(1, 0, 1);
        let patches = table.narrow(1, 1, num_rows - 1);
        let patch_size = self.count("patch_size");
        let mut outputs = Outputs::new();
        for [height, width] in self.sizes() {
            let (rows, cols) = (height / patch_size, width / patch_size);
            let resized = PositionInterpolation::DINO.resize(patches.clone(), rows, cols);
            let table = Tensor::cat(vec![cls.clone(), resized], 1);
            insert(&mut outputs, &format!("pos_{height}x{width}"), table);
        }
        outputs
    }

    fn dino_head(&self) -> Outputs {
        let config = DinoHeadConfig {
            in_dim: self.count("in_dim"),
            out_dim: self.count("out_dim"),
            use_bn: self.flag("use_bn", false),
            norm_last_layer: self.flag("norm_last_layer", true),
            nlayers: self.count("nlayers"),
            hidden_dim: self.count("hidden_dim"),
            bottleneck_dim: self.count("bottleneck_dim"),
        };
        let device = Device::default().autodiff();
        let head = self.load(&config.init(&device, Seed::new(1)).unwrap(), "weight.");
        let features: Tensor<2> = self.input("features", &device);
        let features = features.require_grad();
        let mut outputs = Outputs::new();
        let bottleneck = head.bottleneck(features.clone(), &mut NormPass::batch());
        insert(&mut outputs, "bottleneck_normalised", bottleneck);
        let output = head.forward(features.clone(), &mut NormPass::batch());
        insert(&mut outputs, "output", output.clone());
        let loss = (output * self.input("cotangent", &device)).sum();
        let gradients = loss.backward();
        insert(
            &mut outputs,
            "grad_features",
            features.grad(&gradients).unwrap(),
        );
        let mut named = Outputs::new();
        let loss = head.forward(self.input("features", &device), &mut NormPass::batch());
        let loss = (loss * self.input("cotangent", &device)).sum();
        insert_gradients(&mut named, "grad", &head, &loss);
        for (name, key) in [
            ("grad_mlp0", "grad.mlp.0.weight"),
            ("grad_mlp0", "grad.mlp.weight"),
            ("grad_weight_v", "grad.last_layer.weight_v"),
            ("grad_weight_g", "grad.last_layer.weight_g"),
        ] {
            if let Some(gradient) = named.remove(key) {
                outputs.insert(name.to_owned(), gradient);
            }
        }
        outputs
    }

    fn norm_layers(&self) -> Outputs {
        let device = Device::default().autodiff();
        let rows = || -> Tensor<2> { self.input::<2>("rows", &device).require_grad() };
        let zero: Tensor<2> = self.input("rows_zero", &device);
        let cot: Tensor<2> = self.input("cot", &device);
        let gradient = |y: Tensor<2>, x: &Tensor<2>| {
            let gradients = (y * cot.clone()).sum().backward();
            x.grad(&gradients).unwrap()
        };
        let param = |name: &str| Param::from_tensor(self.input::<1>(name, &device));
        let dim = self.count("d");
        let mut outputs = Outputs::new();
        for (eps, name) in [(1e-6, "1e-06"), (1e-5, "1e-05")] {
            let mut norm = LayerNorm::init(dim, eps, &device);
            (norm.weight, norm.bias) = (param("weight"), param("bias"));
            let x = rows();
            let y = norm.forward(x.clone());
            insert(&mut outputs, &format!("layernorm_{name}"), y.clone());
            insert(
                &mut outputs,
                &format!("layernorm_grad_{name}"),
                gradient(y, &x),
            );
        }
        let mut norm = BatchNorm::init(dim, &device);
        (norm.weight, norm.bias) = (param("weight"), param("bias"));
        let x = rows();
        let y = norm.forward(x.clone(), &mut NormPass::batch());
        insert(&mut outputs, "batchnorm1d", y.clone());
        insert(&mut outputs, "batchnorm1d_grad", gradient(y, &x));

        let image: Tensor<4> = self.input("image", &device);
        let norm = BatchNorm::init(image.dims()[1], &device);
        let mut pass = NormPass::batch();
        insert(
            &mut outputs,
            "batchnorm2d",
            norm.forward(image.clone(), &mut pass),
        );
        let norm = pass.update_running(norm);
        insert(
            &mut outputs,
            "batchnorm2d_running_mean",
            norm.running_mean.val(),
        );
        insert(
            &mut outputs,
            "batchnorm2d_running_var",
            norm.running_var.val(),
        );
        // Of values that are divided by 255 first.
        let standardised = self_standardise(image * 255.0);
        insert(&mut outputs, "instancenorm", standardised);

        let x = rows();
        for (eps, name) in [(1e-12, "1e-12"), (1e-8, "1e-8")] {
            let of = |x: &Tensor<2>| l2_normalise(x.clone(), eps);
            insert(&mut outputs, &format!("l2_rows_{name}"), of(&x));
            insert(&mut outputs, &format!("l2_rows_zero_{name}"), of(&zero));
        }
        insert(&mut outputs, "gelu_erf", gelu(x.clone()));
        insert(&mut outputs, "silu", activation::silu(x.clone()));
        insert(
            &mut outputs,
            "softmax",
            activation::softmax(x.clone() * 5.0, 1),
        );
        insert(
            &mut outputs,
            "log_softmax",
            activation::log_softmax(x * 50.0, 1),
        );
        outputs
    }

    fn wsl_neck(&self) -> Outputs {
        let device = Device::default().autodiff();
        let weight = self.number("w", 1.0);
        let lambdas = self.config()["lambdas"].as_array().unwrap();
        let reversed = lambdas.iter().map(|lambda| {
            let lambda = lambda.as_f64().unwrap();
            (
                format!("grl{lambda:?}"),
                BatchHead::GradientReversal { lambda },
            )
        });
        let detached = ("detach".to_owned(), BatchHead::Detached);
        let mut outputs = Outputs::new();
        for (mode, batch_head) in std::iter::once(detached).chain(reversed) {
            let config = SupervisedHeadConfig {
                in_dim: self.count("f"),
                embed_dim: self.count("e"),
                num_classes: self.count("k"),
                num_batches: self.count("nb"),
                batch_head,
            };
            let mut head = config.init(&device, Seed::new(1)).unwrap();
            // The case names the neck's layers without it.
            let file = self.file();
            let neck = load_weights(&head.neck, file, "weight.", Unexpected::Ignore);
            head.neck = neck.unwrap().0;
            head.pert = load_weights(&head.pert, file, "weight.pert.", Unexpected::Refuse)
                .unwrap()
                .0;
            head.batch = load_weights(&head.batch, file, "weight.batch.", Unexpected::Refuse)
                .unwrap()
                .0;
            let features: Tensor<2> = self.input::<2>("features", &device).require_grad();
            let losses = |features: Tensor<2>, pass: &mut NormPass| {
                let embedding = head.neck.forward(features, pass);
                let pert = head.classify(embedding.clone());
                let batch = head.classify_batches(embedding.clone(), 1.0);
                let pert = cross_entropy(pert, self.labels("labels", &device));
                let batch = cross_entropy(batch, self.labels("batches", &device));
                (embedding, pert, batch)
            };
            let mut pass = NormPass::batch();
            let (embedding, pert, batch) = losses(features.clone(), &mut pass);
            insert(&mut outputs, "embedding", embedding);
            insert(&mut outputs, "loss_pert", pert.clone());
            insert(&mut outputs, "loss_batch", batch.clone());
            let gradients = (pert + batch * weight).backward();
            let gradient = features.grad(&gradients).unwrap();
            insert(&mut outputs, &format!("grad_{mode}.features"), gradient);
            let (_, pert, batch) = losses(features, &mut NormPass::batch());
            let mut named = Outputs::new();
            insert_gradients(&mut named, "grad", &head, &(pert + batch * weight));
            for (name, gradient) in named {
                let name = name.replacen("grad.", &format!("grad_{mode}."), 1);
                outputs.insert(name.replace(".neck.", "."), gradient);
            }
            let eval = head
                .neck
                .forward(self.input("features", &device), &mut NormPass::running());
            insert(&mut outputs, "embedding_eval", eval);
            insert_averages(&mut outputs, &pass.update_running(head.neck.clone()));
        }
        outputs
    }
}

/// Mean cross entropy.
fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let log_shares = activation::log_softmax(logits, 1);
    -log_shares.gather(1, labels.unsqueeze_dim(1)).mean()
}

/// Running averages under their file keys.
fn insert_averages<M: Module>(outputs: &mut Outputs, network: &M) {
    struct Collector<'a> {
        outputs: &'a mut Outputs,
        names: BTreeMap<String, String>,
    }
    impl ModuleVisitor for Collector<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let name = &self.names[&param.id.to_string()];
            if name.contains(".running_") {
                insert(self.outputs, &format!("running.{name}"), param.val());
            }
        }
    }
    let names = parameters(network)
        .into_iter()
        .map(|p| (p.id.to_string(), p.name));
    network.visit(&mut Collector {
        outputs,
        names: names.collect(),
    });
}

/// Trained parameters of a network by its name in the cases, in all (`total`)
/// and by the first part of their keys.
fn parameter_count(name: &str) -> Option<BTreeMap<String, usize>> {
    let (device, seed) = (Device::default(), Seed::new(1));
    if let Some(short) = name.strip_prefix("vit_parallel_") {
        let vit = parallel_vit(short)?.init(&device, seed).unwrap();
        // Its fixed table does not count.
        return Some(counted(&[parameters(&vit)], &["pos_embed"]));
    }
    if let Some(rest) = name.strip_prefix("dino_vit_") {
        let (size, rest) = rest.split_once('_')?;
        let (chans, img_size) = rest.split_once("ch_")?;
        let patch = size.trim_start_matches(char::is_alphabetic);
        let size = size.trim_end_matches(patch);
        let config =
            PlainVitConfig::decode_variant(&format!("dino_vit_{size}_patch{patch}")).ok()?;
        let config = PlainVitConfig {
            img_size: img_size.parse().ok()?,
            in_chans: chans.parse().ok()?,
            ..config
        };
        return Some(counted(
            &[parameters(&config.init(&device, seed).unwrap())],
            &[],
        ));
    }
    if let Some(rest) = name.strip_prefix("camae_") {
        let (short, decoder) = rest.strip_suffix("_incl_pos")?.split_once("_dec")?;
        let (embed_dim, depth) = decoder.split_once("_depth")?;
        let config = CaMaeConfig::default();
        let in_chans = config.encoder.in_chans;
        let config = CaMaeConfig {
            encoder: VitConfig {
                channel_agnostic: true,
                in_chans,
                ..parallel_vit(short)?
            },
            decoder: MaeDecoderConfig {
                embed_dim: embed_dim.parse().ok()?,
                depth: depth.parse().ok()?,
                ..config.decoder
            },
            ..config
        };
        return Some(counted(
            &[parameters(&config.init(&device, seed).unwrap())],
            &[],
        ));
    }
    if let Some(rest) = name.strip_prefix("densenet161_") {
        let (in_chans, rest) = rest.split_once("ch_")?;
        let num_classes = match rest.strip_suffix("classes") {
            Some(classes) => classes.parse().ok()?,
            None => 0,
        };
        let config = DenseNetConfig {
            in_chans: in_chans.parse().ok()?,
            num_classes,
            ..DenseNetConfig::default()
        };
        let mut lists = vec![parameters(&config.init(&device, seed).unwrap())];
        if let Some(widths) = rest.strip_prefix("plus_neck") {
            let widths = widths.strip_suffix("_bias0")?.split('_');
            let widths: Vec<usize> = widths.map(|width| width.parse().unwrap()).collect();
            assert_eq!(
                widths[1], widths[2],
                "both layers have the embedding's size"
            );
            let config = SupervisedHeadConfig {
                in_dim: widths[0],
                embed_dim: widths[1],
                ..SupervisedHeadConfig::default()
            };
            lists.push(parameters(&config.init(&device, seed).unwrap().neck));
        }
        return Some(counted(&lists, &[]));
    }
    if let Some(rest) = name.strip_prefix("resnet") {
        let (depth, rest) = rest.split_once('_')?;
        let config = ResNetConfig {
            in_chans: rest.strip_suffix("ch_no_head")?.parse().ok()?,
            ..ResNetConfig::of_depth(depth.parse().ok()?).ok()?
        };
        return Some(counted(
            &[parameters(&config.init(&device, seed).unwrap())],
            &[],
        ));
    }
    let (size, rest) = name.split_once("_k")?;
    let (kernel, blocks) = rest.split_once('_')?;
    let config = MuNetConfig {
        kernel: kernel.parse().ok()?,
        residual: blocks == "residual",
        ..match size {
            "M" => MuNetConfig::default(),
            "L" => MuNetConfig::large(),
            _ => return None,
        }
    };
    Some(counted(
        &[parameters(&config.init(&device, seed).unwrap())],
        &[],
    ))
}

/// `S16` and the like.
fn parallel_vit(short: &str) -> Option<VitConfig> {
    let patch = short.trim_start_matches(char::is_alphabetic);
    let size = match short.trim_end_matches(patch) {
        "Ti" => "tiny",
        "S" => "small",
        "B" => "base",
        "L" => "large",
        "G" => "gigantic",
        _ => return None,
    };
    VitConfig::decode_variant(&format!("vit_{size}_patch{patch}")).ok()
}

/// Without running averages, and what does not count.
fn counted(lists: &[Vec<Parameter>], left_out: &[&str]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for parameter in lists.iter().flatten() {
        let name = &parameter.name;
        if name.contains("running_") || left_out.contains(&name.as_str()) {
            continue;
        }
        let part = name.split('.').next().unwrap();
        let len = parameter.shape.iter().product::<usize>();
        for part in ["total", part] {
            *counts.entry(part.to_owned()).or_default() += len;
        }
    }
    counts
}

fn count(value: &Value) -> usize {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is not a count")) as usize
}

fn insert<const D: usize>(outputs: &mut Outputs, name: &str, tensor: Tensor<D>) {
    outputs.insert(name.to_owned(), tensor.into_data().iter::<f32>().collect());
}

trait TryIntoDims {
    fn try_into_dims(self) -> [usize; 2];
}

impl TryIntoDims for Vec<usize> {
    fn try_into_dims(self) -> [usize; 2] {
        self.try_into().expect("two axes")
    }
}

/// Gradients of every parameter under its file key, in the file's layout.
fn insert_gradients<M: Module>(outputs: &mut Outputs, group: &str, network: &M, loss: &Tensor<1>) {
    struct Collector<'a> {
        outputs: &'a mut Outputs,
        group: &'a str,
        gradients: Gradients,
        names: BTreeMap<String, (String, bool)>,
    }
    impl ModuleVisitor for Collector<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let Some(gradient) = param.grad(&self.gradients) else {
                return;
            };
            let (name, is_turned) = &self.names[&param.id.to_string()];
            let gradient = match is_turned {
                true => gradient.transpose(),
                false => gradient,
            };
            insert(self.outputs, &format!("{}.{name}", self.group), gradient);
        }
    }
    let names = parameters(network)
        .into_iter()
        .map(|p| (p.id.to_string(), (p.name, p.is_turned)));
    let gradients = loss.backward();
    network.visit(&mut Collector {
        outputs,
        group,
        gradients,
        names: names.collect(),
    });
}
