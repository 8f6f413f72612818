//! The page about a run: scores, scatters before and after alignment, a plate,
//! example images.

use anyhow::{Result, bail};
use morphospace_core::{ControlRole, WellAddress};
use morphospace_map::{
    AlignMethod, Aligner, Components, ControlRule, Pca, fit_profiles, transform_profiles,
};
use morphospace_profiles::Profiles;
use morphospace_report::{
    Colouring, HeatMapWell, ImageChannel, ImagePanel, PlateHeatMap, Projection, ScatterFigure,
};
use morphospace_screen::{OnIncomplete, Pixels, ReadSite, Screen, read_site};

/// Profiles on their first two principal components.
///
/// # Errors
/// There are fewer than two rows or features, or a value is not finite.
pub fn principal_components(
    title: impl Into<String>,
    profiles: &Profiles,
    batch_column: &str,
) -> Result<Projection> {
    let pca = AlignMethod::Pca(Pca {
        components: Components::Count(2),
        ..Pca::default()
    });
    let fitted = fit_profiles(profiles, batch_column, &ControlRule::default(), &pca)?;
    let projected = transform_profiles(&fitted, profiles, batch_column)?;
    let sd = &fitted.report().component_sd;
    let total: f64 = sd.iter().map(|sd| sd * sd).sum();
    let label = |component: usize| {
        let share = sd.get(component).map_or(0.0, |sd| sd * sd / total);
        format!(
            "PC {} ({:.0} % of the variance)",
            component + 1,
            100.0 * share
        )
    };
    let width = projected.num_features();
    let coordinates = projected
        .values()
        .chunks_exact(width)
        .map(|row| (row[0], row.get(1).copied().unwrap_or(0.0)))
        .collect();
    Ok(Projection {
        title: title.into(),
        x_label: label(0),
        y_label: label(1),
        coordinates,
    })
}

/// A grid of scatters: tables in columns, colourings in rows.
///
/// # Errors
/// A column is missing or a table cannot be projected.
pub fn scatter_grid(
    caption: &str,
    tables: &[(&str, &Profiles)],
    batch_column: &str,
    colour_columns: &[(&str, Vec<String>)],
) -> Result<ScatterFigure> {
    let projections = tables
        .iter()
        .map(|(title, profiles)| principal_components(*title, profiles, batch_column))
        .collect::<Result<Vec<_>>>()?;
    let colourings: Vec<Colouring> = colour_columns
        .iter()
        .map(|(name, labels)| Colouring {
            name: (*name).to_owned(),
            labels: labels.clone(),
        })
        .collect();
    Ok(ScatterFigure::grid(caption, &projections, &colourings))
}

/// How far each well of a plate lies from the plate's mean profile.
///
/// # Errors
/// A column is missing, or a well has no valid address.
pub fn distance_heat_map(profiles: &Profiles, batch: &str, plate: &str) -> Result<PlateHeatMap> {
    let batches = profiles.keys("Metadata_Batch")?;
    let plates = profiles.keys("Metadata_Plate")?;
    let addresses = profiles.keys("Metadata_Well")?;
    let roles = profiles.text("Metadata_control_role").unwrap_or_default();
    let labels = profiles.text("Metadata_treatment").unwrap_or_default();
    let rows: Vec<usize> = (0..profiles.num_rows())
        .filter(|row| batches[*row] == batch && plates[*row] == plate)
        .collect();
    let values = profiles.values();
    let width = profiles.num_features();
    let row_values = |row: usize| &values[row * width..(row + 1) * width];
    let mean: Vec<f64> = (0..width)
        .map(|column| {
            rows.iter().map(|row| row_values(*row)[column]).sum::<f64>() / rows.len() as f64
        })
        .collect();
    let wells = rows
        .iter()
        .map(|row| {
            let squares: f64 = row_values(*row)
                .iter()
                .zip(&mean)
                .map(|(v, m)| (v - m) * (v - m))
                .sum();
            let address: WellAddress = addresses[*row].parse()?;
            let role = roles.get(*row).cloned().flatten();
            Ok(HeatMapWell {
                address,
                value: Some(squares.sqrt()),
                control_role: role.and_then(|text| text.parse().ok()).unwrap_or_default(),
                label: labels.get(*row).cloned().flatten().unwrap_or_default(),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let title = format!("{batch} plate {plate}");
    Ok(PlateHeatMap::new(title, "distance from the plate's mean profile").with_wells(wells))
}

/// The channels of a site as thumbnails; missing images are shown as such.
///
/// # Errors
/// No image of the site can be read.
pub fn image_panel(screen: &dyn Screen, site_index: usize) -> Result<ImagePanel> {
    let site = &screen.sites()[site_index];
    let label = match (site.well.label(), site.well.control_role) {
        (Some(label), ControlRole::Treatment) => label,
        (Some(label), role) => format!("{label}, {role}"),
        (None, role) => format!("{role}, label unknown"),
    };
    let mut panel = ImagePanel::new(format!("{}: {label}", site.key));
    match read_site(screen, site_index, OnIncomplete::Fill)? {
        ReadSite::Skipped(skipped) => bail!("{skipped}"),
        ReadSite::Image(image) => {
            let parts = screen
                .channels()
                .iter()
                .zip(image.planes())
                .zip(image.is_filled());
            for ((channel, plane), is_filled) in parts {
                let name = channel.to_string();
                panel = panel.with_channel(match &plane.pixels {
                    _ if *is_filled => ImageChannel::missing(name),
                    Pixels::U8(pixels) => {
                        ImageChannel::from_u8(name, plane.width, plane.height, pixels)
                    }
                    Pixels::U16(pixels) => {
                        ImageChannel::from_u16(name, plane.width, plane.height, pixels.clone())
                    }
                });
            }
        }
    }
    Ok(panel)
}
