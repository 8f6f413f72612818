use std::fs;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use morphospace_embed::{EmbedConfig, EmbedError, embed};
use morphospace_models::{Encoder, Pooling, Representation};
use morphospace_screen::{
    Normalisation, NormalisationOptions, NormalisationScheme, NormalisationStatistics,
    OnIncomplete, ReadSite, Screen, Tiling, open_screen, read_site,
};

use crate::support::{config, remove_image, simulated, tiny_vit};

fn embedded(screen: &dyn Screen, config: &EmbedConfig) -> morphospace_embed::Embedded {
    embed(
        screen,
        &tiny_vit(6),
        &Device::default(),
        config,
        &mut |_| {},
    )
    .unwrap()
}

#[test]
fn a_well_is_the_mean_of_all_tiles_of_its_sites() {
    let folder = tempfile::tempdir().unwrap();
    let screen = simulated(&folder.path().join("screen"));
    let by_crop = embedded_by(&*screen, Normalisation::default());
    let options = NormalisationOptions::new(NormalisationScheme::AllPerPlate);
    let sites: Vec<usize> = (0..screen.sites().len()).collect();
    let statistics = NormalisationStatistics::of(&*screen, &sites, &options, &|_| ()).unwrap();
    let by_plate = embedded_by(&*screen, Normalisation::Statistics(Arc::new(statistics)));
    assert_ne!(by_crop, by_plate);
}

/// Embeds and compares with a well taken apart; that well's profile.
fn embedded_by(screen: &dyn Screen, normalisation: Normalisation) -> Vec<f64> {
    let (config, vit) = (
        EmbedConfig {
            normalisation: normalisation.clone(),
            ..config()
        },
        tiny_vit(6),
    );
    let normalisation = normalisation.check(screen).unwrap();
    let found = embedded(screen, &config);
    assert_eq!(found.num_tiles, 16 * 4);
    assert_eq!(found.profiles.num_rows(), 8);
    assert_eq!(found.profiles.num_features(), 24);

    // The last well, tile by tile.
    let mut sum = [0.0; 24];
    for site_index in [14, 15] {
        let ReadSite::Image(image) = read_site(screen, site_index, OnIncomplete::Fail).unwrap()
        else {
            panic!("the site is whole");
        };
        for top in [0, 16] {
            for left in [0, 16] {
                let tile = morphospace_screen::Tile {
                    top,
                    left,
                    crop_px: 32,
                };
                let input = normalisation.crop(&image, tile);
                let input = TensorData::new(input, [1, 6, 32, 32]);
                let input = Tensor::from_data(input, &Device::default());
                let vector: Vec<f32> = vit
                    .forward_pooled(input, Pooling::PatchMean)
                    .into_data()
                    .try_to_vec()
                    .unwrap();
                sum.iter_mut()
                    .zip(vector)
                    .for_each(|(sum, value)| *sum += f64::from(value));
            }
        }
    }
    for (sum, value) in sum.iter().zip(found.profiles.row(7)) {
        assert!((sum / 8.0 - value).abs() < 1e-5, "{} {value}", sum / 8.0);
    }
    assert_eq!(
        found.profiles.keys("Metadata_Well").unwrap()[7],
        screen.sites()[15].key.well.to_string()
    );
    found.profiles.row(7).to_vec()
}

#[test]
fn batches_do_not_change_a_well() {
    let folder = tempfile::tempdir().unwrap();
    let screen = simulated(&folder.path().join("screen"));
    let by_five = embedded(&*screen, &config()).profiles;
    for batch_size in [1, 7, 100] {
        let found = embedded(
            &*screen,
            &EmbedConfig {
                batch_size,
                ..config()
            },
        );
        for (one, other) in found.profiles.values().iter().zip(by_five.values().iter()) {
            assert!((one - other).abs() < 1e-5, "batches of {batch_size}");
        }
    }
    assert_eq!(
        embedded(&*screen, &config()).profiles.values(),
        by_five.values()
    );
}

#[test]
fn incomplete_sites_fail_are_left_out_or_are_filled() {
    let folder = tempfile::tempdir().unwrap();
    let screen = simulated(&folder.path().join("screen"));
    remove_image(&*screen, 3, 4);
    let screen = open_screen(&folder.path().join("screen"), None).unwrap();
    let site = screen.sites()[3].key.to_string();
    let with = |on_incomplete| EmbedConfig {
        on_incomplete,
        ..config()
    };

    let vit = tiny_vit(6);
    let error = embed(
        &*screen,
        &vit,
        &Device::default(),
        &with(OnIncomplete::Fail),
        &mut |_| {},
    )
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("1 of the 16 sites") && error.contains(&site) && error.contains("w5"),
        "{error}"
    );

    let skipped = embedded(&*screen, &with(OnIncomplete::Skip));
    assert_eq!(skipped.skipped.len(), 1);
    assert_eq!(skipped.skipped[0].site.to_string(), site);
    assert_eq!(skipped.num_tiles, 15 * 4);

    let filled = embedded(&*screen, &with(OnIncomplete::Fill));
    assert_eq!((filled.skipped.len(), filled.filled.len()), (0, 1));
    assert!(
        filled.filled[0].starts_with(&site) && filled.filled[0].contains("w5"),
        "{:?}",
        filled.filled
    );
    assert_eq!(filled.num_tiles, 16 * 4);
    // The other wells are the same either way.
    assert_eq!(filled.profiles.row(0), skipped.profiles.row(0));
    assert_ne!(filled.profiles.row(1), skipped.profiles.row(1));
}

#[test]
fn a_damaged_image_is_not_covered_up() {
    let folder = tempfile::tempdir().unwrap();
    let screen = simulated(&folder.path().join("screen"));
    let image = screen.plane_location(5, 0).unwrap();
    let bytes = fs::read(&image).unwrap();
    fs::write(&image, &bytes[..bytes.len() / 2]).unwrap();
    let found = embedded(
        &*screen,
        &EmbedConfig {
            on_incomplete: OnIncomplete::Fill,
            ..config()
        },
    );
    assert_eq!(found.skipped.len(), 1);
    let text = found.skipped[0].to_string();
    assert!(
        text.contains(&screen.sites()[5].key.to_string()) && text.contains("w1"),
        "{text}"
    );
}

#[test]
fn what_does_not_fit_is_refused_before_an_image_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let screen = simulated(&folder.path().join("screen"));
    // A damaged image: reading it would fail.
    fs::write(screen.plane_location(0, 0).unwrap(), b"nothing").unwrap();
    let refuse = |in_chans, config: EmbedConfig| {
        let vit = tiny_vit(in_chans);
        embed(&*screen, &vit, &Device::default(), &config, &mut |_| {
            panic!("nothing is embedded")
        })
        .unwrap_err()
    };
    let error = refuse(3, config());
    assert!(matches!(error, EmbedError::WrongChannels { .. }));
    assert!(
        error.to_string().contains("has 6 channels") && error.to_string().contains("3 channels"),
        "{error}"
    );
    let batch_size = EmbedConfig {
        batch_size: 0,
        ..config()
    };
    assert!(
        refuse(6, batch_size)
            .to_string()
            .contains("batch_size is 0")
    );
    let tiling = EmbedConfig {
        tiling: Tiling::default(),
        ..config()
    };
    assert!(
        refuse(6, tiling)
            .to_string()
            .contains("tiles of 256 pixels do not fit the network, which takes 32")
    );
    let pooling = EmbedConfig {
        representations: vec![Representation::output(Pooling::PerChannel)],
        ..config()
    };
    assert!(refuse(6, pooling).to_string().contains("channel-agnostic"));
}

#[test]
fn images_smaller_than_a_tile_name_their_site() {
    let folder = tempfile::tempdir().unwrap();
    let screen = simulated(&folder.path().join("screen"));
    let vit = morphospace_models::VitConfig {
        img_size: 64,
        ..tiny_vit(6).config().clone()
    }
    .init(&Device::default(), morphospace_core::Seed::new(1))
    .unwrap();
    let config = EmbedConfig {
        tiling: Tiling {
            crop_px: 64,
            ..Tiling::default()
        },
        ..config()
    };
    let error = embed(&*screen, &vit, &Device::default(), &config, &mut |_| {})
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&screen.sites()[0].key.to_string()) && error.contains("48 x 48"),
        "{error}"
    );
}

#[test]
fn planes_and_times_of_a_well_are_not_averaged() {
    let folder = tempfile::tempdir().unwrap();
    let screen = simulated(&folder.path().join("screen"));
    let (one, other) = (
        screen.plane_location(0, 0).unwrap(),
        screen.plane_location(1, 0).unwrap(),
    );
    let index = format!("plate,well,site,z,image\nP1,A01,1,0,{one}\nP1,A01,1,1,{other}\n");
    let indexed = folder.path().join("indexed");
    fs::create_dir(&indexed).unwrap();
    fs::write(indexed.join("index.csv"), index).unwrap();
    let description = "[[channels]]\nname = \"w1\"\nstain = \"DNA\"\npath_column = \"image\"\n\
                       [index]\nfile = \"index.csv\"\nplate = \"plate\"\nwell = \"well\"\n\
                       site = \"site\"\nz = \"z\"\n";
    fs::write(indexed.join("screen.toml"), description).unwrap();
    let screen = open_screen(&indexed, None).unwrap();
    let error = embed(
        &*screen,
        &tiny_vit(1),
        &Device::default(),
        &config(),
        &mut |_| {},
    )
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("well A01") && error.contains("z-planes"),
        "{error}"
    );
}
