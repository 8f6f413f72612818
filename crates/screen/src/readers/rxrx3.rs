use morphospace_core::{
    Channel, ControlRole, Perturbation, PlateKey, Site, SiteKey, Well, excerpt,
};

use crate::ScreenError;
use crate::readers::rxrx1::{Rxrx1Screen, SiteFiles};
use crate::site_list::{Wells, sorted_unique};
use crate::store::SharedStore;
use crate::table::{ColumnIndex, Table};

/// Names of RxRx3's own metadata table. `metadata.csv` with its columns is
/// read as well.
const METADATA_FILES: [&str; 2] = ["metadata_rxrx3.csv", "metadata_rxrx3.csv.gz"];

/// Columns that tell RxRx3's `metadata.csv` from RxRx1's.
const OWN_COLUMNS: [&str; 2] = ["experiment_name", "address"];

/// Every well of RxRx3 was imaged at one site.
const SITE: u32 = 1;

/// Wells to which nothing was added.
pub(crate) const UNTREATED: &str = "EMPTY_control";
/// Wells of compound experiments with a guide that cuts nothing.
pub(crate) const GUIDE_CONTROL: &str = "CRISPR_control";

/// The guides that lie on every plate of every gene experiment, as positive
/// controls: each of these genes with guides 1 to n. Further guides of the
/// same genes are part of the library, and treatments.
pub(crate) const POSITIVE_CONTROLS: [(&str, u32); 6] = [
    ("PLK1", 6),
    ("MTOR", 6),
    ("SRC", 1),
    ("EIF3H", 1),
    ("HCK", 1),
    ("CYP11B1", 1),
];

/// Opens RxRx3: 176 CRISPR experiments (`gene-001` ..) and 4 compound
/// experiments (`compound-001` ..) of 1,536-well plates, six channels, one
/// site per well.
///
/// # Layout
/// `{experiment}/Plate{plate}/{address}_s1_w{channel}.png`, 8 or 16 bit, as in
/// RxRx1 under the root or its folder `images`; a plate may be a `.tar` in the
/// place of its folder. Plates or experiments that were not fetched count as
/// missing images.
///
/// # Columns of `metadata_rxrx3.csv` (also `.csv.gz`, or `metadata.csv`)
///
/// | column | |
/// |---|---|
/// | `experiment_name`, `plate`, `address`, `perturbation_type` | required; the type is `CRISPR` or `COMPOUND` |
/// | `treatment` | required; `{gene}_guide_{n}`, or a compound's name; `EMPTY_control` is an untreated well, `CRISPR_control` a negative control; blank: unknown label |
/// | `concentration` | of compounds, in micromolar |
/// | `gene` | used where a guide's name does not say its gene |
/// | `cell_type` | else unknown |
///
/// Others (`well_id`, `SMILES`) are ignored. Guides that lie on every plate
/// (`PLK1` and `MTOR` 1 to 6; `SRC`, `EIF3H`, `HCK` and `CYP11B1` 1) are
/// positive controls.
///
/// The gene is what stands before `_guide_`. `efaar_benchmarking` takes what
/// stands before the first `_` of any treatment but a control; that is the
/// same for every name in RxRx3, and would cut a compound's name that held
/// an underscore.
///
/// # Errors
/// [`ScreenError`] names the table with line and column.
///
/// # Source
/// Recursion's `rxrx-datasets/rxrx3/README.md`; Fay et al. 2023,
/// <https://doi.org/10.1101/2023.02.07.527350>.
pub fn open_rxrx3(store: SharedStore) -> Result<Rxrx1Screen, ScreenError> {
    let name = metadata_file(&store).ok_or_else(|| ScreenError::UnknownFormat {
        path: store.location().into(),
        found: "it has no table of wells".to_owned(),
        markers: "'metadata_rxrx3.csv', or 'metadata.csv' with the columns 'experiment_name' and \
                  'address'"
            .to_owned(),
    })?;
    let table = Table::read(&store, name, None, &[])?;
    let sites = read_sites(&table)?;
    let channels = Channel::rxrx1();
    Rxrx1Screen::with_sites(store, channels, sites, SiteFiles::PerChannel, Vec::new())
}

pub(super) fn is_rxrx3(store: &SharedStore) -> bool {
    metadata_file(store).is_some()
}

fn metadata_file(store: &SharedStore) -> Option<&'static str> {
    let mut own = METADATA_FILES.into_iter();
    own.find(|name| store.is_present(name)).or_else(|| {
        let name = Rxrx1Screen::metadata_file(store)?;
        let columns = Table::columns_of(store, name);
        let has = |column: &&str| columns.iter().any(|name| name == column);
        OWN_COLUMNS.iter().all(has).then_some(name)
    })
}

/// The sites of a table with RxRx3's columns: one per row.
pub(super) fn read_sites(table: &Table) -> Result<Vec<Site>, ScreenError> {
    let experiment = table.column("experiment_name")?;
    let plate = table.column("plate")?;
    let address = table.column("address")?;
    let cell_type = table.optional_column("cell_type")?;
    let labels = LabelColumns {
        treatment: table.column("treatment")?,
        perturbation_type: table.column("perturbation_type")?,
        gene: table.optional_column("gene")?,
        concentration: table.optional_column("concentration")?,
    };
    let mut wells = Wells::default();
    let mut sites = Vec::with_capacity(table.num_rows());
    for row in 0..table.num_rows() {
        let plate_number = table.number(row, plate)?;
        let key = PlateKey::new(table.require(row, experiment)?, plate_number.to_string());
        let original_address = table.require(row, address)?;
        let address = table.well(row, address)?;
        let (control_role, perturbation) = labels.read(table, row)?;
        let described = Well {
            plate: key.clone(),
            address,
            original_address: original_address.to_owned(),
            perturbations: perturbation.into_iter().collect(),
            background: None,
            control_role,
            cell_type: cell_type
                .and_then(|column| table.get(row, column))
                .map(str::to_owned),
        };
        let well = wells.share(described, row, |row| table.place(row))?;
        let key = SiteKey::new(key, address, SITE);
        sites.push((Site { key, well }, row));
    }
    if sites.is_empty() {
        return Err(ScreenError::EmptyScreen {
            name: table.name().to_owned(),
            reason: "the table has no row below its header".to_owned(),
        });
    }
    Ok(sorted_unique(sites, |_, &row| table.place(row))?.0)
}

/// Where a row says what was done to its well.
struct LabelColumns {
    treatment: ColumnIndex,
    perturbation_type: ColumnIndex,
    gene: Option<ColumnIndex>,
    concentration: Option<ColumnIndex>,
}

impl LabelColumns {
    fn read(
        &self,
        table: &Table,
        row: usize,
    ) -> Result<(ControlRole, Option<Perturbation>), ScreenError> {
        let get = |column: Option<ColumnIndex>| column.and_then(|column| table.get(row, column));
        let kind = table.require(row, self.perturbation_type)?;
        let Some(treatment) = table.get(row, self.treatment) else {
            return Ok((ControlRole::Treatment, None));
        };
        match (treatment, kind.to_ascii_uppercase().as_str()) {
            (UNTREATED, _) => Ok((ControlRole::Untreated, None)),
            (GUIDE_CONTROL, _) => {
                let (guide, gene) = (treatment.to_owned(), treatment.to_owned());
                let control = Perturbation::Crispr { guide, gene };
                Ok((ControlRole::NegativeControl, Some(control)))
            }
            (_, "CRISPR") => {
                let by_name = treatment.split_once("_guide_").map(|(gene, _)| gene);
                let gene = by_name.or(get(self.gene)).ok_or_else(|| {
                    table.invalid(
                        row,
                        self.treatment,
                        &format!(
                            "the guide '{}' has no gene\nhint: name it \
                             '<gene>_guide_<number>', or fill the column 'gene'",
                            excerpt(treatment)
                        ),
                    )
                })?;
                let (guide, gene) = (treatment.to_owned(), gene.to_owned());
                let perturbation = Perturbation::Crispr { guide, gene };
                Ok((guide_role(treatment), Some(perturbation)))
            }
            (_, "COMPOUND") => {
                let concentration_micromolar = self
                    .concentration
                    .map(|column| table.concentration(row, column))
                    .transpose()?
                    .flatten();
                let perturbation = Perturbation::Compound {
                    name: treatment.to_owned(),
                    concentration_micromolar,
                };
                Ok((ControlRole::Treatment, Some(perturbation)))
            }
            _ => Err(table.invalid(
                row,
                self.perturbation_type,
                &format!("'{}' is neither CRISPR nor COMPOUND", excerpt(kind)),
            )),
        }
    }
}

fn guide_role(guide: &str) -> ControlRole {
    let is_control = guide.split_once("_guide_").is_some_and(|(gene, number)| {
        let number = number.parse::<u32>();
        POSITIVE_CONTROLS.iter().any(|&(control, num_guides)| {
            control == gene && number.as_ref().is_ok_and(|n| (1..=num_guides).contains(n))
        })
    });
    if is_control {
        ControlRole::PositiveControl
    } else {
        ControlRole::Treatment
    }
}
