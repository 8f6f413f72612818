//! One reader per layout of screens, and what finds out which one a place
//! needs.

mod channel_choice;
mod described_screen;
mod found_site;
mod harmony;
mod imagexpress;
mod index_screen;
pub(crate) mod jump;
mod jump_tables;
mod kaggle;
mod listed_folders;
mod ome_zarr;
mod open;
mod plate_files;
mod platemaps;
mod row_blocks;
mod rxrx1;
pub(crate) mod rxrx3;
mod rxrx3_core;
pub(crate) mod screen_description;
mod selected;
mod wilds;
mod zarr_array;

pub use channel_choice::{ChannelChoice, UnknownChannelChoice, choose_channels, with_stains};
pub use harmony::open_harmony;
pub use imagexpress::open_imagexpress;
pub use index_screen::IndexScreen;
pub use jump::open_jump;
pub use ome_zarr::OmeZarrScreen;
pub use open::{ScreenFormat, open_screen, open_screen_in};
pub use rxrx1::Rxrx1Screen;
pub use rxrx3::open_rxrx3;
pub use rxrx3_core::Rxrx3CoreScreen;
pub use screen_description::{
    Annotation, ChannelDescription, ControlRoleColumn, FileNamePattern, Index, PerturbationColumns,
    PerturbationKind, ScreenDescription,
};
pub use selected::{SelectedScreen, Selection, UnknownZSelection, ZSelection};
pub use wilds::open_wilds;
