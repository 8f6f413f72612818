use std::fmt;

/// What a file of weights and a network have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Tensors of both, by file key.
    pub loaded: Vec<String>,
    /// Parameters of the network that the file does not have.
    pub missing: Vec<String>,
    /// Tensors of the file that the network does not have.
    pub unexpected: Vec<String>,
    /// Tensors of both that differ in shape or are of a type that is no float.
    pub mismatched: Vec<TensorMismatch>,
}

/// A tensor that cannot fill its parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorMismatch {
    /// File key.
    pub name: String,
    /// Shape the network needs, in the file's layout.
    pub expected: Vec<usize>,
    /// Shape in the file.
    pub found: Vec<usize>,
    /// Type in the file.
    pub dtype: String,
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let mut part = |what: &str, names: Vec<String>| {
            if !names.is_empty() {
                let shown = names.iter().take(5).map(|name| format!("'{name}'"));
                let shown = shown.collect::<Vec<_>>().join(", ");
                let more = if names.len() > 5 { ", …" } else { "" };
                parts.push(format!("{} {what} ({shown}{more})", names.len()));
            }
        };
        part("missing", self.missing.clone());
        part("unexpected", self.unexpected.clone());
        let mismatch = |m: &TensorMismatch| {
            format!(
                "{}: expected {:?}, found {} {:?}",
                m.name, m.expected, m.dtype, m.found
            )
        };
        part("mismatched", self.mismatched.iter().map(mismatch).collect());
        write!(f, "{} tensors fit", self.loaded.len())?;
        parts.iter().try_for_each(|part| write!(f, "; {part}"))
    }
}
