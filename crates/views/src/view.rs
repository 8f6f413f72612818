use morphospace_core::Seed;
use serde::{Deserialize, Serialize};

use crate::transform::{Size, Transform};
use crate::{CropBox, Image, Levels, Operation, ViewsError};

/// Which network a view is for: in self-distillation teachers see only global
/// views, students all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViewKind {
    /// Most of the image, at the larger size.
    Global,
    /// A small part, at the smaller size.
    Local,
}

/// How a view is made: steps with their probabilities and ranges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewRecipe {
    /// What the view is for.
    pub kind: ViewKind,
    /// The steps, in turn. Those after normalisation come last.
    pub transforms: Vec<Transform>,
}

impl ViewRecipe {
    /// Draws a view of a site of the given size. Every step draws from a seed
    /// of its own, so that another number of one does not move the others.
    ///
    /// # Errors
    /// [`ViewsError::SiteTooSmall`]: the site does not hold a crop.
    pub fn draw(
        &self,
        channels: usize,
        height: usize,
        width: usize,
        seed: Seed,
    ) -> Result<View, ViewsError> {
        let mut size = Size {
            channels,
            height,
            width,
        };
        let mut view = View {
            kind: self.kind,
            operations: Vec::new(),
            operations_after: Vec::new(),
        };
        for (index, transform) in (0..).zip(&self.transforms) {
            let operations = transform.draw(&mut size, seed.split_index(index))?;
            if transform.is_after_normalisation() {
                view.operations_after.extend(operations);
            } else {
                view.operations.extend(operations);
            }
        }
        Ok(view)
    }
}

/// A drawn view: what is done to a site before it is normalised, and after.
///
/// ```
/// use morphospace_core::Seed;
/// use morphospace_views::{Image, Transform, ViewKind, ViewRecipe};
///
/// let recipe = ViewRecipe {
///     kind: ViewKind::Global,
///     transforms: vec![Transform::RandomCrop { size_px: 2 }],
/// };
/// let view = recipe.draw(1, 4, 4, Seed::new(7))?;
/// let site = Image::new(1, 4, 4, (0..16).map(|level| level as f32).collect());
/// let crop = view.crop_box().expect("the view begins with a crop");
/// assert_eq!(view.apply(&site).levels()[0], (4 * crop.top + crop.left) as f32);
/// # Ok::<(), morphospace_views::ViewsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// What it is for.
    pub kind: ViewKind,
    /// On grey levels, in turn.
    pub operations: Vec<Operation>,
    /// On normalised levels, in turn.
    #[serde(default)]
    pub operations_after: Vec<Operation>,
}

impl View {
    /// The view of a site, whose grey levels lie in 0..=255; not normalised
    /// yet.
    ///
    /// # Panics
    /// The site is of another size than the view was drawn for.
    pub fn apply(&self, site: &Image) -> Image {
        applied(&self.operations, site)
    }

    /// [`View::apply`] for all views of a site, bringing the site itself to
    /// another size once only, where that is what several begin with.
    ///
    /// # Panics
    /// The site is of another size than the views were drawn for.
    pub fn apply_all(views: &[Self], site: &Image) -> Vec<Image> {
        let mut last_resized: Option<(&Operation, Image)> = None;
        let mut images = Vec::with_capacity(views.len());
        for view in views {
            let Some((resize @ Operation::Resize { .. }, rest)) = view.operations.split_first()
            else {
                images.push(view.apply(site));
                continue;
            };
            let resized = match last_resized.take() {
                Some((last, resized)) if last == resize => resized,
                _ => resize.applied(site, Levels::Grey),
            };
            images.push(applied(rest, &resized));
            last_resized = Some((resize, resized));
        }
        images
    }

    /// What comes after normalisation, in place.
    pub fn apply_after(&self, image: &mut Image) {
        for operation in &self.operations_after {
            operation.apply(image, Levels::Grey);
        }
    }

    /// The part of the site that the view is made of, where its first
    /// operation cuts one out: no other pixels need be decoded.
    pub fn crop_box(&self) -> Option<CropBox> {
        match self.operations.first()? {
            Operation::Crop { crop } | Operation::ResizedCrop { crop, .. } => Some(*crop),
            _ => None,
        }
    }

    /// The same view, to be applied to its [`View::crop_box`] in place of the
    /// whole site; unchanged where it has none.
    pub fn of_crop_box(&self) -> Self {
        let mut view = self.clone();
        if let Some(Operation::Crop { crop } | Operation::ResizedCrop { crop, .. }) =
            view.operations.first_mut()
        {
            *crop = CropBox::whole(crop.height, crop.width);
        }
        view
    }
}

fn applied(operations: &[Operation], site: &Image) -> Image {
    let Some((first, rest)) = operations.split_first() else {
        return site.clone();
    };
    let mut image = first.applied(site, Levels::Grey);
    for operation in rest {
        operation.apply(&mut image, Levels::Grey);
    }
    image
}
