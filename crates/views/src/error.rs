/// Why views cannot be drawn as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewsError {
    /// A setting is out of range, or of no use to the preset.
    #[error("views config: {0}")]
    InvalidConfig(String),
    /// A site, or what it was resized to, does not hold a crop.
    #[error(
        "an image of {height} x {width} px does not hold a crop of {crop_px} x {crop_px} px\n\
         hint: use a smaller crop_px in [views]"
    )]
    SiteTooSmall {
        /// Rows there are.
        height: usize,
        /// Columns there are.
        width: usize,
        /// Edge of the crop.
        crop_px: usize,
    },
}
