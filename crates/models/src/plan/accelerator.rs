use morphospace_core::suggestion;
use serde::Serialize;

use super::memory::Precision;

/// What a data sheet says of an accelerator: the most it can do, which no
/// program reaches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Accelerator {
    /// Its name here and on the command line.
    pub name: &'static str,
    /// Dense matrix products in bf16 with sums in f32, FLOP/s; in f16 where
    /// there is no bf16 (T4, V100).
    pub half_flops_per_second: f64,
    /// Dense matrix products of f32 numbers, FLOP/s: in TF32 where there is
    /// TF32, which rounds their mantissa to 10 bits.
    pub f32_flops_per_second: f64,
    /// Whether the number before is of TF32.
    pub has_tf32: bool,
    /// Memory in bytes; a GB of the data sheet counted as 10^9.
    pub memory_bytes: u64,
    /// Memory bandwidth, bytes per second.
    pub memory_bytes_per_second: f64,
    /// Where the numbers are from.
    pub source: &'static str,
}

/// No accelerator of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown accelerator '{name}'\nhint: {hint}")]
pub struct UnknownAccelerator {
    /// What was asked for.
    pub name: String,
    /// The nearest name, or all.
    pub hint: String,
}

const fn accelerator(
    name: &'static str,
    [half_tera, f32_tera]: [f64; 2],
    has_tf32: bool,
    memory_gb: u64,
    gb_per_second: f64,
    source: &'static str,
) -> Accelerator {
    Accelerator {
        name,
        half_flops_per_second: half_tera * 1e12,
        f32_flops_per_second: f32_tera * 1e12,
        has_tf32,
        memory_bytes: memory_gb * 1_000_000_000,
        memory_bytes_per_second: gb_per_second * 1e9,
        source,
    }
}

impl Accelerator {
    /// All there are, dense numbers: where a data sheet prints those with
    /// sparsity (L4, L40S, H100, H200), half of them.
    pub const ALL: [Self; 10] = [
        accelerator("T4", [65.0, 8.1], false, 16, 320.0, "NVIDIA T4 data sheet"),
        accelerator(
            "V100",
            [125.0, 15.7],
            false,
            32,
            900.0,
            "NVIDIA V100 data sheet (SXM2, 32 GB)",
        ),
        accelerator(
            "A10G",
            [70.0, 35.0],
            true,
            24,
            600.0,
            "NVIDIA A10G data sheet for AWS G5",
        ),
        accelerator("L4", [121.0, 60.0], true, 24, 300.0, "NVIDIA L4 data sheet"),
        accelerator(
            "L40S",
            [362.0, 183.0],
            true,
            48,
            864.0,
            "NVIDIA L40S data sheet",
        ),
        accelerator(
            "A100-40GB",
            [312.0, 156.0],
            true,
            40,
            1555.0,
            "NVIDIA A100 data sheet (SXM4)",
        ),
        accelerator(
            "A100-80GB",
            [312.0, 156.0],
            true,
            80,
            2039.0,
            "NVIDIA A100 data sheet (SXM4)",
        ),
        accelerator(
            "H100-SXM",
            [989.0, 494.0],
            true,
            80,
            3350.0,
            "NVIDIA H100 data sheet (SXM5)",
        ),
        accelerator(
            "H100-PCIe",
            [756.0, 378.0],
            true,
            80,
            2000.0,
            "NVIDIA H100 data sheet (PCIe)",
        ),
        accelerator(
            "H200",
            [989.0, 494.0],
            true,
            141,
            4800.0,
            "NVIDIA H200 data sheet (SXM)",
        ),
    ];

    /// The share of an accelerator's peak that is taken for granted where
    /// nothing was measured. Transformers of hundreds of features in
    /// well-tuned code reach 30 to 50 %; networks of many small operations
    /// (DenseNet) less.
    pub const UTILISATION: f64 = 0.35;

    /// By name, whatever its case.
    ///
    /// # Errors
    /// [`UnknownAccelerator`] with the nearest name.
    ///
    /// ```
    /// use morphospace_models::plan::Accelerator;
    ///
    /// assert_eq!(Accelerator::find("l4")?.name, "L4");
    /// let error = Accelerator::find("H100").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "unknown accelerator 'H100'\nhint: there are H100-SXM, H100-PCIe"
    /// );
    /// # Ok::<(), morphospace_models::plan::UnknownAccelerator>(())
    /// ```
    pub fn find(name: &str) -> Result<&'static Self, UnknownAccelerator> {
        let all: &'static [Self] = const { &Self::ALL };
        let lower = name.to_lowercase();
        let found = all.iter().find(|one| one.name.to_lowercase() == lower);
        found.ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|one| one.name).collect();
            let is_family = |full: &&&str| full.to_lowercase().starts_with(&lower);
            let family: Vec<&str> = names.iter().filter(is_family).copied().collect();
            let hint = match (&family[..], suggestion(&name.to_uppercase(), names.clone())) {
                ([_, ..], _) if !name.is_empty() => format!("there are {}", family.join(", ")),
                (_, Some(near)) => format!("did you mean '{near}'?"),
                _ => format!("there are {}", names.join(", ")),
            };
            UnknownAccelerator {
                name: name.to_owned(),
                hint,
            }
        })
    }

    /// Its peak for numbers of this precision, FLOP/s.
    pub fn peak(&self, precision: Precision) -> f64 {
        match precision {
            Precision::F32 => self.f32_flops_per_second,
            Precision::Bf16 => self.half_flops_per_second,
        }
    }

    /// Images per second, from the FLOPs of one and the share of the peak that
    /// is reached: no account is taken of reading images or of memory
    /// bandwidth.
    pub fn images_per_second(&self, flops: u128, precision: Precision, utilisation: f64) -> f64 {
        self.peak(precision) * utilisation / flops as f64
    }
}

/// Hours of one accelerator for so many images.
///
/// ```
/// use morphospace_models::plan::gpu_hours;
///
/// assert_eq!(gpu_hours(7_200, 2.0), 1.0);
/// ```
pub fn gpu_hours(num_images: u128, images_per_second: f64) -> f64 {
    num_images as f64 / images_per_second / 3600.0
}
