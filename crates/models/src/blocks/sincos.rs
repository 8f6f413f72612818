//! Fixed 2-d sine-cosine tables of positions.

/// What a table is made for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SincosTable {
    /// Features of a token; a multiple of 4.
    pub dim: usize,
    /// Patches along one side of the image.
    pub grid: usize,
    /// How often the grid is repeated: 1, or the channels of a
    /// channel-agnostic network.
    pub modalities: usize,
    /// Whether a row of zeros for the class token comes first.
    pub cls_token: bool,
    /// Base of the wavelengths, usually 10000.
    pub scale: f64,
}

impl SincosTable {
    /// A table for one grid behind a class token, wavelengths up to 10000.
    pub fn new(dim: usize, grid: usize) -> Self {
        Self {
            dim,
            grid,
            modalities: 1,
            cls_token: true,
            scale: 10_000.0,
        }
    }

    /// Rows of the table.
    pub fn num_rows(&self) -> usize {
        usize::from(self.cls_token) + self.modalities * self.grid * self.grid
    }

    /// The table in the order of the microscopy code: a position's features are
    /// `[sin(row ω), cos(row ω), sin(col ω), cos(col ω)]` with
    /// `ω_i = scale^(-i / (D/4))`, row-major positions.
    ///
    /// # Shapes
    /// row-major `[num_rows, dim]`
    ///
    /// # Source
    /// maes_microscopy `vit.generate_2d_sincos_pos_embeddings`
    ///
    /// # Example
    /// ```
    /// use morphospace_models::blocks::sincos::SincosTable;
    ///
    /// let table = SincosTable::new(4, 2);
    /// // Class token, then (0,0), (0,1), (1,0), (1,1) at ω = 1.
    /// assert_eq!(table.values()[..8], [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0]);
    /// assert_ne!(table.values(), table.values_he());
    /// ```
    pub fn values(&self) -> Vec<f32> {
        self.fill(|row, col| [row, col])
    }

    /// The table in the order of the original MAE code, whose first half holds
    /// the column and whose second the row ("here w goes first").
    ///
    /// # Source
    /// facebookresearch/mae `util.pos_embed.get_2d_sincos_pos_embed`
    pub fn values_he(&self) -> Vec<f32> {
        self.fill(|row, col| [col, row])
    }

    fn fill(&self, halves: impl Fn(usize, usize) -> [usize; 2]) -> Vec<f32> {
        let quarter = self.dim / 4;
        let omega: Vec<f64> = (0..quarter)
            .map(|i| self.scale.powf(-(i as f64) / quarter as f64))
            .collect();
        let mut values = Vec::with_capacity(self.num_rows() * self.dim);
        if self.cls_token {
            values.resize(self.dim, 0.0);
        }
        let first = values.len();
        for row in 0..self.grid {
            for col in 0..self.grid {
                for position in halves(row, col) {
                    let angles = omega.iter().map(|omega| position as f64 * omega);
                    values.extend(angles.clone().map(|angle| angle.sin() as f32));
                    values.extend(angles.map(|angle| angle.cos() as f32));
                }
            }
        }
        let last = values.len();
        for _ in 1..self.modalities {
            values.extend_from_within(first..last);
        }
        values
    }
}
