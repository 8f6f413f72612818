use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use morphospace_core::{SiteKey, write_atomically};
use rayon::prelude::*;

use super::{
    CheckedSimulator, Morphology, Parameter, ScreenLayout, SimulatedSite, SimulatorError, draw_site,
};
use crate::encode::{encode_tiff, write_png};
use crate::screen::Plane;

/// What [`simulate`] wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedScreen {
    /// The screen's folder.
    pub folder: PathBuf,
    /// Experiments.
    pub num_experiments: usize,
    /// Plates of all experiments.
    pub num_plates: usize,
    /// Wells of all plates.
    pub num_wells: usize,
    /// Sites of all wells, each with an image per channel.
    pub num_sites: usize,
    /// Reagents under study, controls not counted.
    pub num_treatments: usize,
    /// Pairs in `relationships.csv`.
    pub num_relationships: usize,
}

/// Draws a screen and writes it in the layout of its settings.
///
/// | file | holds |
/// |---|---|
/// | `truth.csv` | per well: `well_id`, its perturbation and `param_*`, the mean of each parameter over its cells (empty if it has none) |
/// | `perturbations.csv` | each perturbation's name, number or gene, and `group` (empty for controls) |
/// | `relationships.csv` | `entity1`, `entity2`: all pairs of genes, or of reagents without one, within groups |
/// | `simulator.toml` | the configuration with every default filled in |
///
/// | layout | images | tables |
/// |---|---|---|
/// | `rxrx1` | `images/{experiment}/Plate{p}/{well}_s{site}_w{c}.png`, 8 bit | `metadata.csv`: one row per site, RxRx1's eleven columns |
/// | `rxrx3` | `{experiment}/Plate{p}/{well}_s1_w{c}.png`, 8 bit | `metadata_rxrx3.csv`: one row per well, RxRx3's ten columns |
/// | `jump` | `{source}/images/{batch}/images/{plate}/Images/r01c01f01p01-ch1sk1fk1fl1.tiff`, 16 bit | `{source}/workspace/load_data_csv/{batch}/{plate}/load_data_with_illum.csv`, `metadata/*.csv`; functions in `{source}/images/{batch}/illum/{plate}/{plate}_Illum{channel}.npy` |
///
/// Perturbations are named in the columns `sirna`, `sirna_id` of RxRx1,
/// `treatment`, `gene` of RxRx3 and `Metadata_JCP2022`, `Metadata_Symbol` of
/// JUMP.
///
/// Every file appears whole or not at all, and the table by which a reader
/// knows the screen comes last (JUMP's: one per plate): a simulation that was
/// killed while drawing leaves a folder that no reader takes for a screen. Wells are drawn in parallel; the bytes do not depend on the number
/// of threads. `progress(done, total)` is called after each well, from any
/// thread, in sites.
///
/// # Errors
/// [`SimulatorError::FolderNotEmpty`] before anything is drawn;
/// [`SimulatorError::CannotWrite`] names the file.
///
/// ```
/// use morphospace_screen::simulator::{SimulatorConfig, simulate};
///
/// let config = SimulatorConfig {
///     experiments: vec!["RPE-01".into()],
///     num_plates: 1,
///     num_replicates: 1,
///     num_groups: 1,
///     num_negative_controls: 1,
///     image_px: 32,
///     ..SimulatorConfig::default()
/// };
/// let folder = tempfile::tempdir()?;
/// let screen = simulate(&config.check()?, folder.path(), &|_done, _total| {})?;
/// assert_eq!(screen.num_sites, 3 + 1 + 2);
/// assert!(folder.path().join("metadata.csv").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn simulate(
    screen: &CheckedSimulator,
    folder: &Path,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<SimulatedScreen, SimulatorError> {
    refuse_non_empty(folder)?;
    let num_sites = screen.config().num_sites;
    let total = screen.wells().len() * num_sites;
    for images in image_folders(screen) {
        create_folder(&folder.join(images))?;
    }

    let done = AtomicUsize::new(0);
    let truth: Vec<WellTruth> = (0..screen.wells().len())
        .into_par_iter()
        .map(|well_index| {
            let mut sites = Vec::with_capacity(num_sites);
            for number in 1..=num_sites {
                let number = u32::try_from(number).expect("the check allows at most 99 sites");
                let site = draw_site(screen, well_index, number);
                write_images(&site, screen.config().layout, folder)?;
                sites.push(site.cells);
            }
            progress(
                done.fetch_add(num_sites, Ordering::Relaxed) + num_sites,
                total,
            );
            Ok(WellTruth::of(&sites))
        })
        .collect::<Result<_, SimulatorError>>()?;

    let config = toml::to_string(screen.config()).expect("a configuration is a plain table");
    write_file(folder, "simulator.toml", config.as_bytes())?;
    write_table(folder, "perturbations.csv", perturbation_rows(screen))?;
    write_table(folder, "relationships.csv", relationship_rows(screen))?;
    write_table(folder, "truth.csv", truth_rows(screen, &truth))?;
    screen.config().layout.write_tables(screen, folder)?;
    Ok(SimulatedScreen {
        folder: folder.to_owned(),
        num_experiments: screen.config().experiments.len(),
        num_plates: screen.config().experiments.len() * screen.config().num_plates,
        num_wells: screen.wells().len(),
        num_sites: total,
        num_treatments: screen.config().num_treatments(),
        num_relationships: screen.relationships().len(),
    })
}

pub(super) fn cannot_write(path: &Path, source: io::Error) -> SimulatorError {
    SimulatorError::CannotWrite {
        path: path.to_owned(),
        source,
    }
}

fn refuse_non_empty(folder: &Path) -> Result<(), SimulatorError> {
    match fs::read_dir(folder).map(|mut entries| entries.next()) {
        Ok(Some(_)) => Err(SimulatorError::FolderNotEmpty {
            folder: folder.to_owned(),
        }),
        Ok(None) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(cannot_write(folder, source)),
    }
}

pub(super) fn create_folder(folder: &Path) -> Result<(), SimulatorError> {
    fs::create_dir_all(folder).map_err(|source| cannot_write(folder, source))
}

/// Folders of images, relative to the screen's.
fn image_folders(screen: &CheckedSimulator) -> BTreeSet<PathBuf> {
    let layout = screen.config().layout;
    let channel = &layout.channels()[0];
    let wells = screen.wells().iter().map(|planned| &planned.well);
    let image = wells.map(|well| {
        let site = SiteKey::new(well.plate.clone(), well.address, 1);
        PathBuf::from(layout.image_path(&site, channel))
    });
    image
        .filter_map(|path| path.parent().map(Path::to_owned))
        .collect()
}

/// Writes the images of a site under a temporary name each and renames them.
/// They are not flushed to disk one by one, which would take longer than
/// drawing them; the table that makes them a screen is.
fn write_images(
    site: &SimulatedSite,
    layout: ScreenLayout,
    folder: &Path,
) -> Result<(), SimulatorError> {
    for (plane, channel) in site.planes.iter().zip(layout.channels()) {
        let path = folder.join(layout.image_path(&site.key, &channel));
        let name = path.file_name().expect("images have names");
        let temporary = path.with_file_name(format!(".{}.tmp", name.display()));
        write_image(&temporary, plane, layout)
            .and_then(|()| fs::rename(&temporary, &path))
            .map_err(|source| cannot_write(&path, source))?;
    }
    Ok(())
}

fn write_image(path: &Path, plane: &Plane, layout: ScreenLayout) -> io::Result<()> {
    match layout {
        ScreenLayout::Rxrx1 | ScreenLayout::Rxrx3 => {
            write_png(BufWriter::new(File::create(path)?), plane)
        }
        ScreenLayout::Jump => fs::write(path, encode_tiff(plane)),
    }
}

/// The means of the parameters over the cells of a well, and how many cells
/// there are.
struct WellTruth {
    cell_count: f64,
    mean: Option<Morphology>,
}

impl WellTruth {
    fn of(sites: &[Vec<Morphology>]) -> Self {
        // Every cell of a site carries the site's count.
        let counts = sites
            .iter()
            .map(|cells| cells.first().map_or(0.0, |c| c.get(Parameter::CellCount)));
        Self {
            cell_count: counts.sum::<f64>() / sites.len() as f64,
            mean: Morphology::mean(sites.iter().flatten()),
        }
    }

    fn value(&self, parameter: Parameter) -> String {
        match (parameter, &self.mean) {
            (Parameter::CellCount, _) => format!("{:.4}", self.cell_count),
            (_, Some(mean)) => format!("{:.6}", mean.get(parameter)),
            (_, None) => String::new(),
        }
    }
}

type Rows = Vec<Vec<String>>;

pub(super) fn header(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn truth_rows(screen: &CheckedSimulator, truth: &[WellTruth]) -> Rows {
    let columns = screen.config().layout.truth_columns();
    let mut rows = vec![header(&["well_id", columns.name])];
    rows[0].extend(Parameter::ALL.map(|parameter| format!("param_{}", parameter.as_str())));
    for (planned, truth) in screen.wells().iter().zip(truth) {
        let name = &screen.perturbations()[planned.perturbation_index].name;
        let mut row = vec![planned.well_id(), name.clone()];
        row.extend(Parameter::ALL.map(|parameter| truth.value(parameter)));
        rows.push(row);
    }
    rows
}

fn perturbation_rows(screen: &CheckedSimulator) -> Rows {
    let layout = screen.config().layout;
    let columns = layout.truth_columns();
    let mut rows = vec![header(&[columns.name, columns.beside, "group"])];
    for perturbation in screen.perturbations() {
        let beside = match layout {
            ScreenLayout::Rxrx1 => perturbation.number.to_string(),
            ScreenLayout::Rxrx3 | ScreenLayout::Jump => {
                perturbation.gene.clone().unwrap_or_default()
            }
        };
        rows.push(vec![
            perturbation.name.clone(),
            beside,
            perturbation.group_name(),
        ]);
    }
    rows
}

fn relationship_rows(screen: &CheckedSimulator) -> Rows {
    let mut rows = vec![header(&["entity1", "entity2"])];
    rows.extend(
        screen
            .relationships()
            .iter()
            .map(|(one, other)| header(&[one, other])),
    );
    rows
}

pub(super) fn write_table(folder: &Path, name: &str, rows: Rows) -> Result<(), SimulatorError> {
    let mut table = csv::Writer::from_writer(Vec::new());
    for row in rows {
        table
            .write_record(row)
            .expect("memory takes rows of equal length");
    }
    let bytes = table.into_inner().expect("memory takes all bytes");
    write_file(folder, name, &bytes)
}

fn write_file(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), SimulatorError> {
    let path = folder.join(name);
    write_atomically(&path, |file| file.write_all(bytes))
        .map_err(|source| cannot_write(&path, source))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use morphospace_core::{Channel, ControlRole};

    use super::*;
    use crate::open_screen;
    use crate::simulator::SimulatorConfig;

    fn small() -> CheckedSimulator {
        let config = SimulatorConfig {
            experiments: vec!["HUVEC-01".into(), "RPE-02".into()],
            test_experiments: vec!["RPE-02".into()],
            num_sites: 2,
            image_px: 64,
            num_groups: 2,
            num_negative_controls: 3,
            num_positive_controls: 1,
            ..SimulatorConfig::default()
        };
        config.check().expect("valid")
    }

    fn all_files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        walkdir::WalkDir::new(folder)
            .into_iter()
            .map(|entry| entry.expect("listed"))
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| {
                let path = entry
                    .path()
                    .strip_prefix(folder)
                    .expect("inside")
                    .to_owned();
                (path, fs::read(entry.path()).expect("read"))
            })
            .collect()
    }

    fn text(files: &BTreeMap<PathBuf, Vec<u8>>, name: &str) -> String {
        String::from_utf8(files[Path::new(name)].clone()).expect("text")
    }

    #[test]
    fn bytes_depend_on_the_seed_and_not_on_the_threads() {
        let simulate_with = |num_threads: usize, screen: &CheckedSimulator| {
            let folder = tempfile::tempdir().expect("a folder");
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(num_threads)
                .build();
            pool.expect("threads")
                .install(|| simulate(screen, folder.path(), &|_, _| {}))
                .expect("written");
            all_files(folder.path())
        };
        let jump = SimulatorConfig {
            num_sites: 2,
            image_px: 32,
            num_groups: 1,
            ..SimulatorConfig::preset(ScreenLayout::Jump)
        };
        let jump = jump.check().expect("valid");
        let screen = small();
        let one = simulate_with(1, &screen);
        for (screen, one) in [(&screen, &one), (&jump, &simulate_with(1, &jump))] {
            assert!(
                *one == simulate_with(3, screen),
                "three threads wrote other bytes than one"
            );
        }

        let other_seed = SimulatorConfig {
            seed: 2,
            ..screen.config().clone()
        };
        let other = simulate_with(2, &other_seed.check().expect("valid"));
        assert_eq!(one.len(), other.len());
        let num_same_images = one
            .iter()
            .filter(|(path, _)| path.extension().is_some_and(|extension| extension == "png"))
            .filter(|(path, bytes)| other.get(*path) == Some(bytes))
            .count();
        assert_eq!(num_same_images, 0);
    }

    #[test]
    fn a_screen_is_read_as_rxrx1_and_holds_what_was_drawn() {
        let planned = small();
        let folder = tempfile::tempdir().expect("a folder");
        let written = simulate(&planned, folder.path(), &|_, _| {}).expect("written");
        assert_eq!(
            (
                written.num_experiments,
                written.num_plates,
                written.num_wells
            ),
            (2, 4, 40)
        );
        assert_eq!((written.num_sites, written.num_treatments), (80, 6));

        let screen = open_screen(folder.path(), None).expect("a screen");
        assert_eq!(screen.channels(), Channel::rxrx1());
        assert_eq!(screen.sites().len(), written.num_sites);
        let mut roles = BTreeMap::new();
        for site in screen.sites() {
            *roles.entry(site.well.control_role).or_insert(0) += 1;
        }
        assert_eq!(roles[&ControlRole::Treatment], 2 * 6 * 2 * 2);
        assert_eq!(roles[&ControlRole::PositiveControl], 4 * 2);
        let num_negative: usize = roles
            .iter()
            .filter(|(role, _)| role.is_negative())
            .map(|(_, count)| count)
            .sum();
        assert_eq!(num_negative, 4 * 3 * 2);

        for well_index in [0, 17, 39] {
            let drawn = draw_site(&planned, well_index, 2);
            let site_index = screen
                .sites()
                .iter()
                .position(|site| site.key == drawn.key)
                .expect("every drawn site is listed");
            for channel in 0..6 {
                let plane = screen.read_plane(site_index, channel).expect("readable");
                assert_eq!(plane, drawn.planes[channel]);
            }
        }
    }

    /// A screen that was simulated once is simulated again by a later version.
    /// Functions of the standard library may differ in their last digit from
    /// one machine to another, so images are compared by their means.
    #[test]
    fn a_seed_gives_the_screen_it_always_gave() {
        let planned = small();
        let folder = tempfile::tempdir().expect("a folder");
        simulate(&planned, folder.path(), &|_, _| {}).expect("written");
        let files = all_files(folder.path());
        let fnv1a = |bytes: &[u8]| {
            bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
            })
        };
        let hash = |name: &str| fnv1a(&files[Path::new(name)]);
        let names = ["metadata.csv", "perturbations.csv", "relationships.csv"];
        let expected = [
            0x2766_eefd_409a_02d6,
            0xf13e_15f2_2c90_a8a9,
            0xbec6_97b3_48f1_7ab4,
        ];
        assert_eq!(names.map(hash), expected);
        let site = draw_site(&planned, 5, 2);
        let means = site.planes.iter().map(|plane| {
            plane.values().into_iter().map(f64::from).sum::<f64>() / plane.num_pixels() as f64
        });
        let means: Vec<f64> = means.collect();
        let expected = [19.945, 30.639, 19.409, 24.830, 18.513, 16.119];
        for (mean, expected) in means.iter().zip(expected) {
            assert!((mean - expected).abs() < 0.01, "{means:.3?}");
        }
    }

    #[test]
    fn tables_agree_with_each_other() {
        let planned = small();
        let folder = tempfile::tempdir().expect("a folder");
        simulate(&planned, folder.path(), &|_, _| {}).expect("written");
        let files = all_files(folder.path());
        let metadata = text(&files, "metadata.csv");
        let mut lines = metadata.lines();
        assert_eq!(
            lines.next(),
            Some(
                "site_id,well_id,cell_type,dataset,experiment,plate,well,site,well_type,sirna,\
                 sirna_id"
            )
        );
        assert!(
            lines
                .clone()
                .all(|line| line.contains(",test,") == line.contains(",RPE-02,"))
        );
        let well_ids: BTreeSet<&str> = lines
            .map(|line| line.split(',').nth(1).expect("a well"))
            .collect();

        let truth = text(&files, "truth.csv");
        let truth_ids: BTreeSet<&str> = truth
            .lines()
            .skip(1)
            .map(|line| line.split(',').next().expect("a well"))
            .collect();
        assert_eq!(truth_ids, well_ids);
        let columns = truth.lines().next().expect("a header").split(',').skip(2);
        assert!(columns.clone().all(|column| column.starts_with("param_")));
        assert_eq!(columns.count(), Parameter::COUNT);

        let perturbations = text(&files, "perturbations.csv");
        assert_eq!(perturbations.lines().count(), 1 + 6 + 1 + 1);
        assert!(perturbations.ends_with("EMPTY,7,\n"), "{perturbations}");
        let relationships = text(&files, "relationships.csv");
        assert!(relationships.starts_with("entity1,entity2\n"));
        assert_eq!(relationships.lines().count(), 1 + 2 * 3);

        let config: SimulatorConfig =
            morphospace_core::parse_config("simulator.toml", &text(&files, "simulator.toml"), &[])
                .expect("valid");
        assert_eq!(&config, planned.config());
    }

    #[test]
    fn progress_counts_up_to_the_total() {
        let folder = tempfile::tempdir().expect("a folder");
        let largest = AtomicUsize::new(0);
        let screen = simulate(&small(), folder.path(), &|done, total| {
            assert_eq!(total, 80);
            largest.fetch_max(done, Ordering::Relaxed);
        })
        .expect("written");
        assert_eq!(largest.into_inner(), screen.num_sites);
    }

    #[test]
    fn a_stopped_simulation_is_no_screen_and_its_folder_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let last_plate = folder.path().join("images/RPE-02/Plate2");
        // Takes the last plate's folder away after the first well.
        let sabotage = |_: usize, _: usize| drop(fs::remove_dir_all(&last_plate));
        let stopped = simulate(&small(), folder.path(), &sabotage).expect_err("sabotaged");
        assert!(stopped.to_string().contains("Plate2"), "{stopped}");
        assert!(!folder.path().join("metadata.csv").exists());
        let error = simulate(&small(), folder.path(), &|_, _| {})
            .expect_err("refused")
            .to_string();
        assert!(
            error.contains("is not empty\nhint: choose another folder"),
            "{error}"
        );
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "in the way").expect("written");
        let inside = file.join("screen");
        let error = simulate(&small(), &inside, &|_, _| {})
            .expect_err("refused")
            .to_string();
        assert!(
            error.starts_with("cannot write") && error.contains("screen"),
            "{error}"
        );
    }
}
