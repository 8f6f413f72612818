//! Networks and blocks against tensors of the reference implementations.
//!
//! Reads the case folders of `MORPHOSPACE_GOLDEN` (several separated by `:`),
//! else the ones committed beside this test; takes every case of this crate,
//! builds it from its `config` and compares every listed output.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use morphospace_core::Seed;
use morphospace_models::blocks::adapt_input_conv::adapt_input_conv;
use morphospace_models::blocks::patches::{flatten_images, norm_pix, unflatten_tokens};
use morphospace_models::blocks::sincos::SincosTable;
use morphospace_models::{
    BiasLayout, CaMaeConfig, Encoder, FourierView, GlobalPool, MaeConfig, MaeDecoderConfig,
    MaeLossConfig, MaeOutput, Masking, Pooling, Unexpected, Vit, VitConfig, WeightsFile,
    load_weights, mae_loss, parameters, self_standardise,
};
use serde_json::Value;

/// Kinds of this crate whose networks are not built yet.
const NOT_BUILT_YET: [&str; 9] = [
    "densenet",
    "dino_head",
    "dino_pos_interp",
    "dino_vit",
    "dinov2_vit",
    "munet",
    "norm_layers",
    "resnet",
    "wsl_neck",
];

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
        if NOT_BUILT_YET.contains(&case.kind.as_str()) {
            eprintln!("NOT BUILT YET: {} ({})", case.name, case.kind);
            continue;
        }
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

    /// Counts of full-size networks by the names in use; those of networks
    /// that have not been built yet are printed.
    fn param_counts(&self) -> Outputs {
        for (name, expected) in self.json["counts"].as_object().unwrap() {
            match parameter_count(name) {
                Some(found) => assert_eq!(found, count(expected), "{}: {name}", self.name),
                None => eprintln!("NOT BUILT YET: {} ({name})", self.name),
            }
        }
        Outputs::new()
    }
}

/// Parameters of `vit_parallel_<size><patch>` (its fixed table does not count)
/// or `camae_<size><patch>_dec<features>_depth<blocks>_incl_pos`.
fn parameter_count(name: &str) -> Option<usize> {
    let vit = |short: &str| {
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
    };
    let (device, seed) = (Device::default(), Seed::new(1));
    if let Some(short) = name.strip_prefix("vit_parallel_") {
        let vit = vit(short)?.init(&device, seed).unwrap();
        let table = parameters(&vit).into_iter().find(|p| p.name == "pos_embed");
        return Some(vit.num_params() - table.unwrap().shape.iter().product::<usize>());
    }
    let camae = name.strip_prefix("camae_")?.strip_suffix("_incl_pos")?;
    let (short, decoder) = camae.split_once("_dec")?;
    let (embed_dim, depth) = decoder.split_once("_depth")?;
    let config = CaMaeConfig::default();
    let in_chans = config.encoder.in_chans;
    let config = CaMaeConfig {
        encoder: VitConfig {
            channel_agnostic: true,
            in_chans,
            ..vit(short)?
        },
        decoder: MaeDecoderConfig {
            embed_dim: embed_dim.parse().ok()?,
            depth: depth.parse().ok()?,
            ..config.decoder
        },
        ..config
    };
    Some(config.init(&device, seed).unwrap().num_params())
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
        names: BTreeMap<String, (String, Vec<usize>)>,
    }
    impl ModuleVisitor for Collector<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let Some(gradient) = param.grad(&self.gradients) else {
                return;
            };
            let (name, file_shape) = &self.names[&param.id.to_string()];
            let turned = file_shape.as_slice() != gradient.dims().as_slice();
            // A square weight is turned too: only linear maps have two axes.
            let gradient = if turned || D == 2 {
                gradient.transpose()
            } else {
                gradient
            };
            insert(self.outputs, &format!("{}.{name}", self.group), gradient);
        }
    }
    let names = parameters(network)
        .into_iter()
        .map(|p| (p.id.to_string(), (p.name, p.shape)));
    let gradients = loss.backward();
    network.visit(&mut Collector {
        outputs,
        group,
        gradients,
        names: names.collect(),
    });
}
