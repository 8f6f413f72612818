use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::tensor::{Device, Tensor, TensorData};
use morphospace_core::{Seed, parse_config};
use morphospace_models::{
    ModelError, Network, Unexpected, WeightsFile, load_weights, read_checkpoint_config,
};
use morphospace_report::{ImageChannel, ImagePanel, Page, Section, write_page};
use morphospace_screen::{
    NormalisationChoice, OnIncomplete, ReadSite, Screen, Tile, read_site_crop,
};
use morphospace_train::{
    MaskedModellingConfig, ObjectiveConfig, Reconstruction, TrainConfig, latest_checkpoint,
    reconstruct,
};

use crate::cli::ReconstructArgs;
use crate::failure::{Failure, Outcome, Phase};

/// Standardised levels that are drawn as black and white: the same in all
/// three pictures of a channel.
const LEVELS: std::ops::Range<f32> = -2.0..4.0;

pub(crate) fn run(args: &ReconstructArgs) -> Result<Outcome, Failure> {
    if args
        .output
        .extension()
        .is_none_or(|ending| ending != "html")
    {
        return Err(Failure::Refused(anyhow::anyhow!(
            "'{}' does not end in .html\nhint: pictures are written as one page, e.g. '{}'",
            args.output.display(),
            args.output.with_extension("html").display()
        )));
    }
    super::refuse_unwritable(&args.output)?;
    let device = args.device.device.open().or_refuse()?;
    let trained = Trained::open(&args.network, &device).or_refuse()?;
    let screen = super::open(&args.screen).or_refuse()?;
    let sites = spread(&*screen, usize::from(args.sites)).or_refuse()?;
    let mut section = Section::new("Reconstructions").with_intro(format!(
        "Of each channel the image, the part that the network sees, and the image with the \
         network's pixels where they were hidden. Levels are standardised; {} is black and {} is \
         white.",
        LEVELS.start, LEVELS.end
    ));
    let mut errors = Vec::new();
    for (place, site) in sites.into_iter().enumerate() {
        let seed = Seed::new(args.seed).split_index(place as u64);
        let images = trained.images(&*screen, site, &device).or_stop()?;
        let found = reconstruct(
            &trained.network,
            trained.masked,
            images.clone(),
            args.mask_ratio,
            seed,
        );
        let found = found.or_refuse()?;
        errors.push(found.error);
        for panel in panels(&*screen, site, images, found) {
            section = section.with(panel);
        }
    }
    let mean = errors.iter().sum::<f32>() / errors.len() as f32;
    let page = Page::new("What a masked autoencoder fills in").with_lead(format!(
        "{} on {}: mean squared error of hidden pixels {mean:.3}, where 1 is that of an image \
         filled with its mean.",
        args.network.display(),
        screen.name()
    ));
    write_page(&args.output, &page.with_section(section)).or_stop()?;
    crate::say!("mean squared error of hidden pixels: {mean:.4}");
    crate::print_line!("{}", args.output.display());
    Ok(Outcome::Done)
}

/// A network with its decoder, and how its images were made.
struct Trained {
    network: Network,
    masked: MaskedModellingConfig,
    normalisation: NormalisationChoice,
}

impl Trained {
    fn open(path: &Path, device: &Device) -> Result<Self> {
        let folder = match latest_checkpoint(path)? {
            Some(last) => last.folder,
            None => path.to_owned(),
        };
        let config = read_checkpoint_config(&folder)?;
        // Every weight is loaded, so nothing is ever drawn from the seed.
        let network = config.network.init(device, Seed::new(0))?;
        let file =
            WeightsFile::open(&folder.join("model.safetensors")).map_err(ModelError::from)?;
        let loaded = load_weights(&network, &file, "", Unexpected::Refuse);
        let (network, _) = loaded.map_err(ModelError::from)?;
        let run_config = path.join("config.toml");
        let run: Option<TrainConfig> = match std::fs::read_to_string(&run_config) {
            Ok(text) => Some(parse_config(&run_config.display().to_string(), &text, &[])?),
            Err(_) => None,
        };
        let masked = match run.as_ref().map(|run| &run.objective) {
            Some(ObjectiveConfig::MaskedModelling(masked)) => *masked,
            _ => MaskedModellingConfig::default(),
        };
        Ok(Self {
            network,
            masked,
            normalisation: run.map(|run| run.normalisation).unwrap_or_default(),
        })
    }

    /// The middle of a site, as in training.
    fn images(&self, screen: &dyn Screen, site: usize, device: &Device) -> Result<Tensor<4>> {
        let crop_px = self.network.config().img_size();
        let middle = |width: usize, height: usize| Tile {
            top: height.saturating_sub(crop_px) / 2,
            left: width.saturating_sub(crop_px) / 2,
            crop_px,
        };
        let ReadSite::Image(image) = read_site_crop(screen, site, OnIncomplete::Fail, middle)?
        else {
            bail!("{} cannot be read", screen.sites()[site].key);
        };
        let whole = Tile {
            top: 0,
            left: 0,
            crop_px,
        };
        let normalisation = self.normalisation.open()?.check(screen)?;
        let levels = normalisation.crop(&image, whole);
        let shape = [1, screen.channels().len(), crop_px, crop_px];
        Ok(Tensor::from_data(TensorData::new(levels, shape), device))
    }
}

/// Complete sites, spread evenly over the screen.
fn spread(screen: &dyn Screen, count: usize) -> Result<Vec<usize>> {
    let num_channels = screen.channels().len();
    let is_complete =
        |site: &usize| (0..num_channels).all(|channel| screen.is_present(*site, channel));
    let complete: Vec<usize> = (0..screen.sites().len()).filter(is_complete).collect();
    complete
        .first()
        .with_context(|| format!("no site of '{}' has all images", screen.name()))?;
    let count = count.min(complete.len());
    Ok((0..count)
        .map(|index| complete[index * complete.len() / count])
        .collect())
}

/// The image, what is seen of it, and what is made of that.
fn panels(
    screen: &dyn Screen,
    site: usize,
    images: Tensor<4>,
    found: Reconstruction,
) -> [ImagePanel; 3] {
    let [_, num_channels, height, width] = images.dims();
    let seen = found.hidden * -1.0 + 1.0;
    // What is hidden is black.
    let black = f64::from(LEVELS.start);
    let masked = images.clone() * seen.clone() + (seen * -1.0 + 1.0) * black;
    let key = &screen.sites()[site].key;
    let panel = |what: &str, images: Tensor<4>| {
        let levels: Vec<f32> = images.into_data().iter().collect();
        let grey = |level: &f32| {
            let share = (level - LEVELS.start) / (LEVELS.end - LEVELS.start);
            (share.clamp(0.0, 1.0) * 255.0) as u8
        };
        let planes = levels.chunks_exact(width * height).take(num_channels);
        let panel = ImagePanel::new(format!("{key}: {what}"));
        planes
            .zip(screen.channels())
            .fold(panel, |panel, (plane, channel)| {
                let pixels: Vec<u8> = plane.iter().map(grey).collect();
                let image = ImageChannel::from_u8(channel.to_string(), width, height, &pixels);
                panel.with_channel(ImageChannel {
                    range: Some((0, 255)),
                    ..image
                })
            })
    };
    [
        panel("original", images),
        panel("what the network sees", masked),
        panel("reconstruction", found.images),
    ]
}
