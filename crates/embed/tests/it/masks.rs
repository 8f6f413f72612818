//! Patches that no mask shows are left out.

use std::fs;
use std::path::Path;

use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;
use morphospace_embed::{EmbedConfig, EmbedError, Embedded, SiteMasks, embed};
use morphospace_models::{
    DenseNetConfig, Encoder, PlainVitConfig, Pooling, Representation, VitConfig,
};
use morphospace_screen::{Pixels, Plane, Screen, encode_tiff};

use crate::support::{config, simulated, tiny_vit};

fn masked(screen: &dyn Screen, folder: &Path) -> Result<Embedded, EmbedError> {
    let pattern = folder.join("{batch}_{plate}_{well}_{site}.tif");
    let config = EmbedConfig {
        masks: Some(SiteMasks::new(pattern.to_str().unwrap())?),
        ..config()
    };
    embed(
        screen,
        &tiny_vit(6),
        &Device::default(),
        &config,
        &mut |_| {},
    )
}

/// A mask of every site, inside where `is_inside` says so of site, row and column.
fn write_masks(
    screen: &dyn Screen,
    folder: &Path,
    is_inside: impl Fn(usize, usize, usize) -> bool,
) {
    fs::create_dir_all(folder).unwrap();
    for (index, site) in screen.sites().iter().enumerate() {
        let pixels = (0..48 * 48).map(|pixel| u16::from(is_inside(index, pixel / 48, pixel % 48)));
        let mask = Plane {
            width: 48,
            height: 48,
            // Labels of cells go beyond 255.
            pixels: Pixels::U16(pixels.map(|inside| inside * 300).collect()),
        };
        let key = &site.key;
        let plate = &key.plate;
        let name = format!(
            "{}_{}_{}_{}.tif",
            plate.experiment, plate.plate, key.well, key.site
        );
        fs::write(folder.join(name), encode_tiff(&mask)).unwrap();
    }
}

#[test]
fn masks_that_show_all_change_nothing_and_those_that_show_nothing_leave_out() {
    let folder = tempfile::tempdir().unwrap();
    let screen = simulated(&folder.path().join("screen"));
    let masks = folder.path().join("masks");
    // Site 3, the second of the second well, has nothing.
    write_masks(&*screen, &masks, |site, _, _| site != 3);
    let found = masked(&*screen, &masks).unwrap();
    assert_eq!(found.outside, [screen.sites()[3].key.to_string()]);
    assert_eq!(found.num_tiles, 15 * 4);
    let device = Device::default();
    let whole = embed(&*screen, &tiny_vit(6), &device, &config(), &mut |_| {}).unwrap();
    for row in 0..8 {
        let pairs = found
            .profiles
            .row(row)
            .into_iter()
            .zip(whole.profiles.row(row));
        let most = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert_eq!(most < 1e-5, row != 1, "row {row}: {most}");
    }
    assert!(
        found
            .profiles
            .provenance()
            .unwrap()
            .settings
            .contains_key("masks")
    );
}

#[test]
fn what_is_outside_has_no_part_in_a_profile() {
    let folder = tempfile::tempdir().unwrap();
    let screen = simulated(&folder.path().join("screen"));
    let masks = folder.path().join("masks");
    // A corner of one patch in each tile, of which there are four.
    write_masks(&*screen, &masks, |_, row, column| (row, column) == (17, 17));
    let found = masked(&*screen, &masks).unwrap();
    assert_eq!(found.num_tiles, 16 * 4);

    let missing = screen.sites()[5].key.clone();
    let pattern = masks.join("{batch}_{plate}_{well}_{site}.tif");
    let of_site = SiteMasks::new(pattern.to_str().unwrap())
        .unwrap()
        .path(&missing);
    fs::write(&of_site, b"II*\0 cut").unwrap();
    let error = masked(&*screen, &masks).unwrap_err().to_string();
    assert!(
        error.contains(&missing.to_string()) && error.contains("mask"),
        "{error}"
    );
    fs::remove_file(&of_site).unwrap();
    let error = masked(&*screen, &masks).unwrap_err();
    assert!(
        matches!(error, EmbedError::NoMask { num_more: 0, .. }),
        "{error}"
    );
    let small = Plane {
        width: 4,
        height: 4,
        pixels: Pixels::U8(vec![1; 16]),
    };
    fs::write(&of_site, encode_tiff(&small)).unwrap();
    let error = masked(&*screen, &masks).unwrap_err().to_string();
    assert!(error.contains("4 x 4 pixels"), "{error}");
}

/// Patches that are not seen may hold anything, and all of them is the image.
#[test]
fn networks_of_tokens_see_what_is_seen() {
    let device = Device::default();
    let agnostic = VitConfig {
        img_size: 32,
        patch_size: 8,
        in_chans: 3,
        embed_dim: 16,
        depth: 2,
        num_heads: 2,
        init_values: 0.1,
        channel_agnostic: true,
        ..VitConfig::default()
    };
    let plain = PlainVitConfig {
        img_size: 32,
        patch_size: 8,
        in_chans: 3,
        embed_dim: 16,
        depth: 2,
        num_heads: 2,
        ..PlainVitConfig::default()
    };
    let encoders: [Box<dyn Encoder>; 2] = [
        Box::new(agnostic.init(&device, Seed::new(1)).unwrap()),
        Box::new(plain.init(&device, Seed::new(1)).unwrap()),
    ];
    let pixel = |index: usize| ((index * 37) % 11) as f32 - 5.0;
    let image = |other: f32| -> Tensor<4> {
        let values: Vec<f32> = (0..3 * 32 * 32)
            .map(|index| {
                let (row, column) = (index / 32 % 32, index % 32);
                // Patches 5 and 6 are seen.
                let is_seen = (8..16).contains(&row) && (8..24).contains(&column);
                if is_seen {
                    pixel(index)
                } else {
                    other * pixel(index)
                }
            })
            .collect();
        Tensor::from_data(
            burn::tensor::TensorData::new(values, [1, 3, 32, 32]),
            &device,
        )
    };
    let values = |vectors: &[Tensor<2>]| -> Vec<f32> {
        let each = vectors.iter().map(|one| one.clone().into_data());
        each.flat_map(|data| data.iter::<f32>().collect::<Vec<_>>())
            .collect()
    };
    for (index, encoder) in encoders.iter().enumerate() {
        let mut wanted = vec![
            Representation::output(Pooling::PatchMean),
            Representation::behind(0, Pooling::Cls),
        ];
        if index == 0 {
            wanted.push(Representation::output(Pooling::PerChannel));
        }
        let seen = |image, seen: &[usize]| values(&encoder.forward_seen(image, seen, &wanted));
        let one = seen(image(1.0), &[5, 6]);
        assert_eq!(one, seen(image(-3.0), &[5, 6]));
        assert_ne!(one, seen(image(1.0), &[5]));
        let all: Vec<usize> = (0..16).collect();
        let whole = values(&encoder.forward_representations(image(1.0), &wanted));
        for (a, b) in seen(image(1.0), &all).iter().zip(&whole) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }
}

#[test]
fn networks_of_maps_take_no_masks() {
    let folder = tempfile::tempdir().unwrap();
    let screen = simulated(&folder.path().join("screen"));
    let network = DenseNetConfig {
        img_size: 32,
        in_chans: 6,
        growth_rate: 4,
        block_config: vec![1, 1],
        num_init_features: 8,
        ..DenseNetConfig::default()
    };
    let network = network.init(&Device::default(), Seed::new(1)).unwrap();
    let config = EmbedConfig {
        masks: Some(SiteMasks::new("{well}.png").unwrap()),
        ..config()
    };
    let error = embed(&*screen, &network, &Device::default(), &config, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("it has maps"), "{error}");
}
