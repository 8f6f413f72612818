use std::io::{self, Write};

use morphospace_core::Site;
use sha2::{Digest, Sha256};

/// Under which name [`sites_sha256`] stands among the inputs of a
/// [`Provenance`](morphospace_core::Provenance).
pub const SITES_INPUT: &str = "sites of the screen";

/// SHA-256, in hexadecimal, of what a screen says of its sites, from whichever
/// tables: key, perturbations, background, control role and cell type, each
/// site a line of JSON.
pub fn sites_sha256(sites: &[Site]) -> String {
    let mut hasher = HashWriter(Sha256::new());
    for Site { key, well } in sites {
        let known = (
            key,
            &well.perturbations,
            &well.background,
            well.control_role,
            &well.cell_type,
        );
        serde_json::to_writer(&mut hasher, &known).expect("keys and labels are JSON");
        hasher.0.update(b"\n");
    }
    let digest = hasher.0.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hashes what is written to it.
struct HashWriter(Sha256);

impl Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
