use morphospace::device::{GpuBackend, available_devices};
use serde::Serialize;

use crate::cli::DoctorArgs;
use crate::failure::{Failure, Outcome, Phase};

/// What this machine and this binary can do.
#[derive(Debug, Serialize)]
struct Doctor {
    morphospace: &'static str,
    burn: &'static str,
    target: String,
    cpu_features: Vec<&'static str>,
    num_threads: usize,
    backends_compiled_in: Vec<&'static str>,
    backends_left_out: Vec<&'static str>,
    devices: Vec<String>,
}

pub(crate) fn run(args: &DoctorArgs) -> Result<Outcome, Failure> {
    let (compiled_in, left_out): (Vec<GpuBackend>, Vec<GpuBackend>) = GpuBackend::ALL
        .into_iter()
        .partition(|backend| backend.is_compiled_in());
    let names = |backends: Vec<GpuBackend>| backends.into_iter().map(GpuBackend::as_str).collect();
    let mut backends_compiled_in: Vec<&str> = vec!["cpu"];
    backends_compiled_in.extend(compiled_in.iter().map(|backend| backend.as_str()));
    let doctor = Doctor {
        morphospace: env!("CARGO_PKG_VERSION"),
        burn: BURN_VERSION,
        target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        cpu_features: cpu_features(),
        num_threads: rayon::current_num_threads(),
        backends_compiled_in,
        backends_left_out: names(left_out),
        devices: available_devices(),
    };
    if args.json {
        crate::print_line!("{}", serde_json::to_string_pretty(&doctor).or_stop()?);
        return Ok(Outcome::Done);
    }
    crate::print_line!(
        "morphospace   {} (burn {})",
        doctor.morphospace,
        doctor.burn
    );
    crate::print_line!(
        "machine       {}, {} threads",
        doctor.target,
        doctor.num_threads
    );
    crate::print_line!("cpu features  {}", doctor.cpu_features.join(" "));
    crate::print_line!("backends      {}", doctor.backends_compiled_in.join(" "));
    crate::print_line!(
        "not built in  {} (each a cargo feature)",
        doctor.backends_left_out.join(" ")
    );
    crate::print_line!("devices       {}", doctor.devices.join(" "));
    Ok(Outcome::Done)
}

/// Pinned in the workspace's `Cargo.toml`.
const BURN_VERSION: &str = "0.22.1";

/// The vector instructions that kernels are chosen by at run time.
#[cfg(target_arch = "x86_64")]
fn cpu_features() -> Vec<&'static str> {
    let mut found = Vec::new();
    macro_rules! look_for {
        ($($name:tt),*) => {
            $(if std::arch::is_x86_feature_detected!($name) { found.push($name); })*
        };
    }
    look_for!(
        "sse4.2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl"
    );
    look_for!("avx512vnni", "avx512bf16", "avx512fp16");
    found
}

#[cfg(target_arch = "aarch64")]
fn cpu_features() -> Vec<&'static str> {
    let mut found = Vec::new();
    if std::arch::is_aarch64_feature_detected!("neon") {
        found.push("neon");
    }
    found
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn cpu_features() -> Vec<&'static str> {
    Vec::new()
}
