use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use morphospace_core::{Channel, write_atomically};
use rayon::prelude::*;

use super::{CheckedSimulator, Morphology, Parameter, SimulatedSite, SimulatorError, draw_site};

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
    /// Sites of all wells, six images each.
    pub num_sites: usize,
    /// Treatments, controls not counted.
    pub num_treatments: usize,
    /// Pairs in `relationships.csv`.
    pub num_relationships: usize,
}

/// Draws a screen and writes it in the layout of RxRx1.
///
/// | file | holds |
/// |---|---|
/// | `images/{experiment}/Plate{p}/{well}_s{site}_w{c}.png` | 8-bit grey images |
/// | `metadata.csv` | one row per site, RxRx1's eleven columns |
/// | `truth.csv` | per well: `well_id`, `sirna` and `param_*`, the mean of each parameter over its cells (empty if it has none) |
/// | `perturbations.csv` | `sirna`, `sirna_id`, `group` (empty for controls) |
/// | `relationships.csv` | `entity1`, `entity2`: all pairs within groups |
/// | `simulator.toml` | the configuration with every default filled in |
///
/// Every file appears whole or not at all and `metadata.csv` comes last: a
/// simulation that was killed leaves a folder that no reader takes for a
/// screen. Wells are drawn in parallel; the bytes do not depend on the number
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
    for plate in plate_folders(screen, folder) {
        fs::create_dir_all(&plate).map_err(|source| cannot_write(&plate, source))?;
    }

    let done = AtomicUsize::new(0);
    let truth: Vec<WellTruth> = (0..screen.wells().len())
        .into_par_iter()
        .map(|well_index| {
            let mut sites = Vec::with_capacity(num_sites);
            for number in 1..=num_sites {
                let number = u32::try_from(number).expect("the check allows at most 99 sites");
                let site = draw_site(screen, well_index, number);
                write_images(&site, folder)?;
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
    write_table(folder, "metadata.csv", metadata_rows(screen))?;
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

fn cannot_write(path: &Path, source: io::Error) -> SimulatorError {
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

fn plate_folder(folder: &Path, plate: &morphospace_core::PlateKey) -> PathBuf {
    folder
        .join("images")
        .join(plate.experiment.as_str())
        .join(format!("Plate{}", plate.plate))
}

fn plate_folders(screen: &CheckedSimulator, folder: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = screen
        .wells()
        .iter()
        .map(|planned| plate_folder(folder, &planned.well.plate))
        .collect();
    folders.dedup();
    folders
}

/// Writes the six images under a temporary name each and renames them. They
/// are not flushed to disk one by one, which would take longer than drawing
/// them; `metadata.csv`, which makes them a screen, is.
fn write_images(site: &SimulatedSite, folder: &Path) -> Result<(), SimulatorError> {
    let plate = plate_folder(folder, &site.key.plate);
    for (plane, channel) in site.planes.iter().zip(Channel::rxrx1()) {
        let name = format!("{}_s{}_{}.png", site.key.well, site.key.site, channel.name);
        let path = plate.join(&name);
        let temporary = plate.join(format!(".{name}.tmp"));
        write_png(&temporary, plane, site.image_px)
            .and_then(|()| fs::rename(&temporary, &path))
            .map_err(|source| cannot_write(&path, source))?;
    }
    Ok(())
}

fn write_png(path: &Path, pixels: &[u8], image_px: usize) -> io::Result<()> {
    let side = u32::try_from(image_px).expect("the check allows at most 4,096 pixels");
    let mut file = BufWriter::new(File::create(path)?);
    let mut encoder = png::Encoder::new(&mut file, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    file.flush()
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

fn header(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn metadata_rows(screen: &CheckedSimulator) -> Rows {
    let mut rows = vec![header(&[
        "site_id",
        "well_id",
        "cell_type",
        "dataset",
        "experiment",
        "plate",
        "well",
        "site",
        "well_type",
        "sirna",
        "sirna_id",
    ])];
    for planned in screen.wells() {
        let perturbation = &screen.perturbations()[planned.perturbation_index];
        for site in 1..=screen.config().num_sites {
            rows.push(vec![
                format!("{}_{site}", planned.well_id()),
                planned.well_id(),
                planned.cell_type.as_str().to_owned(),
                if planned.is_test { "test" } else { "train" }.to_owned(),
                planned.well.plate.experiment.to_string(),
                planned.well.plate.plate.clone(),
                planned.well.address.to_string(),
                site.to_string(),
                perturbation.control_role.to_string(),
                perturbation.sirna.clone(),
                perturbation.sirna_id.to_string(),
            ]);
        }
    }
    rows
}

fn truth_rows(screen: &CheckedSimulator, truth: &[WellTruth]) -> Rows {
    let mut rows = vec![header(&["well_id", "sirna"])];
    rows[0].extend(Parameter::ALL.map(|parameter| format!("param_{}", parameter.as_str())));
    for (planned, truth) in screen.wells().iter().zip(truth) {
        let sirna = &screen.perturbations()[planned.perturbation_index].sirna;
        let mut row = vec![planned.well_id(), sirna.clone()];
        row.extend(Parameter::ALL.map(|parameter| truth.value(parameter)));
        rows.push(row);
    }
    rows
}

fn perturbation_rows(screen: &CheckedSimulator) -> Rows {
    let mut rows = vec![header(&["sirna", "sirna_id", "group"])];
    rows.extend(
        screen
            .perturbations()
            .iter()
            .map(|p| vec![p.sirna.clone(), p.sirna_id.to_string(), p.group_name()]),
    );
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

fn write_table(folder: &Path, name: &str, rows: Rows) -> Result<(), SimulatorError> {
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

    use morphospace_core::ControlRole;

    use super::*;
    use crate::simulator::SimulatorConfig;
    use crate::{Pixels, open_screen};

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
        let screen = small();
        let one = simulate_with(1, &screen);
        assert!(
            one == simulate_with(3, &screen),
            "three threads wrote other bytes than one"
        );

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
                assert_eq!((plane.width, plane.height), (64, 64));
                assert_eq!(plane.pixels, Pixels::U8(drawn.planes[channel].clone()));
            }
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
