//! Comparison with the reference implementations' outputs.

use std::path::{Path, PathBuf};
use std::{env, fs};

use morphospace_screen::{PixelStats, SelfStandardisation};
use safetensors::SafeTensors;
use serde_json::Value;

/// Kinds that are known but not compared yet.
const NOT_BUILT_YET: [&str; 0] = [];

#[test]
fn golden_cases_of_this_crate_agree() {
    let mut num_cases = 0;
    let mut failures = Vec::new();
    for folder in case_folders() {
        let text = fs::read_to_string(folder.join("case.json")).expect("case.json is read");
        let case: Value = serde_json::from_str(&text).expect("case.json is JSON");
        if case["crate"] != "screen" {
            continue;
        }
        num_cases += 1;
        let kind = case["kind"].as_str().expect("a kind");
        match kind {
            "self_standardise" => self_standardise(&folder, &case, &mut failures),
            _ if NOT_BUILT_YET.contains(&kind) => eprintln!("NOT BUILT YET: {kind}"),
            _ => failures.push(format!("{}: unknown kind '{kind}'", folder.display())),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(num_cases > 0, "no golden case of crate 'screen' was found");
    eprintln!("{num_cases} golden case(s) agree");
}

/// Folders with a `case.json` below each folder of `MORPHOSPACE_GOLDEN`,
/// else below the committed ones.
fn case_folders() -> Vec<PathBuf> {
    let roots: Vec<PathBuf> = match env::var_os("MORPHOSPACE_GOLDEN") {
        Some(roots) => env::split_paths(&roots).collect(),
        None => vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")],
    };
    let mut folders = Vec::new();
    for root in roots {
        let entries = fs::read_dir(&root)
            .unwrap_or_else(|error| panic!("cannot list '{}': {error}", root.display()));
        folders.extend(
            entries
                .map(|entry| entry.expect("listed").path())
                .filter(|path| path.join("case.json").is_file()),
        );
    }
    folders.sort();
    folders
}

fn self_standardise(folder: &Path, case: &Value, failures: &mut Vec<String>) {
    let bytes = fs::read(folder.join("tensors.safetensors")).expect("tensors are read");
    let tensors = SafeTensors::deserialize(&bytes).expect("valid safetensors");
    let input_name = case["inputs"][0]["name"].as_str().expect("an input");
    let image = tensors
        .tensor(&format!("input.{input_name}"))
        .expect("the input is there");
    let &[num_images, num_channels, height, width] = image.shape() else {
        panic!("the image has four axes")
    };
    let plane_len = height * width;
    for output in case["outputs"].as_array().expect("outputs") {
        let name = output["name"].as_str().expect("an output's name");
        let expected = f32_values(&tensors, &format!("output.{name}"));
        let tolerance = |key: &str| {
            let of_output = &output["tolerance"][key];
            let number = if of_output.is_null() {
                &case["tolerance"][key]
            } else {
                of_output
            };
            number.as_f64().unwrap_or(0.0)
        };
        let (rtol, atol) = (tolerance("rtol"), tolerance("atol"));
        let method: Option<SelfStandardisation> = match name {
            "mean" | "std_ddof1" => None,
            _ => match name.parse() {
                Ok(method) => Some(method),
                Err(error) => {
                    failures.push(format!("{}: output {name}: {error}", folder.display()));
                    continue;
                }
            },
        };
        for index in 0..num_images * num_channels {
            let pixels = plane_u8(&image, index, plane_len);
            let stats = PixelStats::of_u8(&pixels);
            let mut actual = vec![0.0f32; plane_len];
            match method {
                Some(method) => method.standardiser(&stats).apply_u8(&pixels, &mut actual),
                None if name == "mean" => actual = vec![(stats.mean() / 255.0) as f32],
                None => actual = vec![(stats.std(1) / 255.0) as f32],
            }
            // In 32-bit arithmetic the mean of a constant channel is rounded
            // and the difference then divided by almost nothing: the stored
            // values of such channels are rounding errors (1.5e-4 where
            // 1e-4 is the tolerance). Ours are exact and have to be 0.
            if method.is_some() && stats.variance(0) == 0.0 {
                if actual.iter().any(|&value| f64::from(value).abs() > atol) {
                    failures.push(format!("{name}, plane {index}: a constant is not zero"));
                }
                continue;
            }
            if is_listed(case, name, index % num_channels) {
                continue;
            }
            let expected = &expected[index * actual.len()..][..actual.len()];
            let worst = actual
                .iter()
                .zip(expected)
                .map(|(&a, &b)| (f64::from(a) - f64::from(b)).abs() - rtol * f64::from(b).abs())
                .fold(0.0, f64::max);
            if worst > atol || actual.iter().any(|value| !value.is_finite()) {
                failures.push(format!(
                    "{}: {name}, plane {index}: off by {worst:e}, tolerance {atol:e}",
                    folder.display()
                ));
            }
        }
    }
}

fn is_listed(case: &Value, output: &str, channel: usize) -> bool {
    case["skip_channels"][output]
        .as_array()
        .is_some_and(|channels| channels.iter().any(|listed| *listed == channel))
}

fn plane_u8(image: &safetensors::tensor::TensorView<'_>, index: usize, len: usize) -> Vec<u8> {
    assert_eq!(
        image.dtype(),
        safetensors::Dtype::U8,
        "the image has 8 bits"
    );
    image.data()[index * len..][..len].to_vec()
}

fn f32_values(tensors: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let tensor = tensors
        .tensor(name)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(tensor.dtype(), safetensors::Dtype::F32, "{name}");
    let words = tensor.data().chunks_exact(4);
    words
        .map(|word| f32::from_le_bytes(word.try_into().expect("four bytes")))
        .collect()
}
