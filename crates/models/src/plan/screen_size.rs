use serde::Serialize;

/// How large a screen is, for what is read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ScreenSize {
    /// Wells.
    pub num_wells: u64,
    /// Images of all channels per well.
    pub sites_per_well: u64,
    /// Side of a site in pixels.
    pub site_px: u64,
    /// Channels.
    pub in_chans: u64,
    /// Bytes of one pixel of one channel: 1 or 2.
    pub bytes_per_pixel: u64,
    /// What the network sees of a site, one forward pass each.
    pub crops_per_site: u64,
}

impl ScreenSize {
    /// Forward passes to embed it once.
    ///
    /// ```
    /// use morphospace_models::plan::ScreenSize;
    ///
    /// let rxrx3 = ScreenSize {
    ///     num_wells: 2_200_000,
    ///     sites_per_well: 1,
    ///     site_px: 2048,
    ///     in_chans: 6,
    ///     bytes_per_pixel: 1,
    ///     crops_per_site: 36,
    /// };
    /// assert_eq!(rxrx3.num_crops(), 79_200_000);
    /// assert_eq!(rxrx3.pixel_bytes(), 55_364_812_800_000);
    /// assert_eq!(rxrx3.bytes_by_well(1664), 14_643_200_000);
    /// ```
    pub fn num_crops(&self) -> u128 {
        self.num_sites() * u128::from(self.crops_per_site)
    }

    /// Pixels of all channels, uncompressed. Losslessly compressed files are
    /// about half as long.
    pub fn pixel_bytes(&self) -> u128 {
        let side = u128::from(self.site_px);
        let planes = self.num_sites() * u128::from(self.in_chans);
        planes * side * side * u128::from(self.bytes_per_pixel)
    }

    /// Features of one row per well as `f32`, uncompressed, without metadata.
    pub fn bytes_by_well(&self, num_features: usize) -> u128 {
        u128::from(self.num_wells) * num_features as u128 * 4
    }

    /// Features of one row per crop as `f32`.
    pub fn bytes_by_crop(&self, num_features: usize) -> u128 {
        self.num_crops() * num_features as u128 * 4
    }

    fn num_sites(&self) -> u128 {
        u128::from(self.num_wells) * u128::from(self.sites_per_well)
    }
}
