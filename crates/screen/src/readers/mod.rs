//! One reader per layout of screens, and what finds out which one a place
//! needs.

mod channel_choice;
mod index_screen;
mod kaggle;
mod ome_zarr;
mod open;
mod rxrx1;
pub(crate) mod screen_description;
mod selected;

pub use channel_choice::{ChannelChoice, UnknownChannelChoice, choose_channels};
pub use index_screen::IndexScreen;
pub use ome_zarr::OmeZarrScreen;
pub use open::{ScreenFormat, open_screen};
pub use rxrx1::Rxrx1Screen;
pub use screen_description::{
    Annotation, ChannelDescription, ControlRoleColumn, FileNamePattern, Index, PerturbationColumns,
    PerturbationKind, ScreenDescription,
};
pub use selected::{SelectedScreen, Selection, UnknownZSelection, ZSelection};
