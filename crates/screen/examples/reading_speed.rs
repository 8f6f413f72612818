//! Seconds that reading takes, best of some repetitions, as one JSON number:
//! what `benchmarks/reading.py` compares with other packages on the same
//! files.
//!
//! ```sh
//! cargo run --release -p morphospace-screen --example reading_speed -- decode *.png
//! ```

#![allow(clippy::print_stdout, reason = "a number is all it is for")]

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use morphospace_core::Seed;
use morphospace_screen::{
    Loader, LoaderOptions, OnIncomplete, ReadSite, Screen, SelfStandardisation, Tile, Tiling,
    decode_image, open_screen, read_site, read_site_crop,
};
use rand::RngExt;

const USAGE: &str = "reading_speed decode FILE... | standardise SCREEN | crop SCREEN | \
                     open FOLDER | load SCREEN THREADS";
/// Side of random crops in pixels.
const CROP_PX: usize = 256;
/// Crops per repetition.
const NUM_CROPS: u64 = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (work, rest) = args.split_first().ok_or(USAGE)?;
    let seconds = match (work.as_str(), rest) {
        ("decode", files) if !files.is_empty() => decode(files)?,
        ("standardise", [screen]) => standardise(&*open_screen(screen.as_ref(), None)?)?,
        ("crop", [screen]) => crop(&*open_screen(screen.as_ref(), None)?)?,
        ("open", [folder]) => best_of(5, || {
            black_box(open_screen(folder.as_ref(), None)?.sites().len());
            Ok(())
        })?,
        ("load", [screen, threads]) => {
            load(&*open_screen(Path::new(screen), None)?, threads.parse()?)?
        }
        _ => return Err(USAGE.into()),
    };
    println!("{seconds}");
    Ok(())
}

fn best_of(
    repeats: usize,
    mut work: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    work()?;
    let mut best = f64::INFINITY;
    for _ in 0..repeats {
        let started = Instant::now();
        work()?;
        best = best.min(started.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// From the bytes of all files to planes, on one thread.
fn decode(files: &[String]) -> Result<f64, Box<dyn Error>> {
    let files: Vec<Vec<u8>> = files.iter().map(std::fs::read).collect::<Result<_, _>>()?;
    best_of(20, || {
        for bytes in &files {
            black_box(decode_image(bytes)?);
        }
        Ok(())
    })
}

fn image(read: ReadSite) -> Result<morphospace_screen::SiteImage, String> {
    match read {
        ReadSite::Image(image) => Ok(image),
        ReadSite::Skipped(site) => Err(site.to_string()),
    }
}

/// Reads the first site and standardises its 256-pixel tiles, on one thread.
fn standardise(screen: &dyn Screen) -> Result<f64, Box<dyn Error>> {
    let mut output = vec![0.0; screen.channels().len() * CROP_PX * CROP_PX];
    best_of(30, || {
        let site = image(read_site(screen, 0, OnIncomplete::Fail)?)?;
        for &tile in Tiling::default().plan(site.width(), site.height())?.tiles() {
            site.crop_into(tile, SelfStandardisation::InstanceNorm, &mut output);
            black_box(&output);
        }
        Ok(())
    })
}

/// Random crops of all channels of random sites, on one thread; per crop.
fn crop(screen: &dyn Screen) -> Result<f64, Box<dyn Error>> {
    let mut rng = Seed::new(1).rng();
    let seconds = best_of(5, || {
        for _ in 0..NUM_CROPS {
            let (top, left): (f64, f64) = (rng.random(), rng.random());
            let site_index = rng.random_range(0..screen.sites().len());
            let tile = |width: usize, height: usize| Tile {
                top: (top * (height - CROP_PX) as f64) as usize,
                left: (left * (width - CROP_PX) as f64) as usize,
                crop_px: CROP_PX,
            };
            black_box(image(read_site_crop(
                screen,
                site_index,
                OnIncomplete::Fail,
                tile,
            )?)?);
        }
        Ok(())
    })?;
    Ok(seconds / NUM_CROPS as f64)
}

/// All sites through a loader of some threads; per site.
fn load(screen: &dyn Screen, num_threads: usize) -> Result<f64, Box<dyn Error>> {
    let options = LoaderOptions {
        num_threads,
        num_ahead: 2 * num_threads,
    };
    let num_sites = screen.sites().len();
    let seconds = best_of(3, || {
        std::thread::scope(|scope| {
            let loader = Loader::spawn(scope, 0..num_sites as u64, options, || {
                |site| read_site(screen, site as usize, OnIncomplete::Fail)
            });
            for site in loader {
                black_box(image(site?)?);
            }
            Ok(())
        })
    })?;
    Ok(seconds / num_sites as f64)
}
