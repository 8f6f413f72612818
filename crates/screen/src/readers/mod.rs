//! One reader per layout of screens, and what finds out which one a place
//! needs.

mod index_screen;
mod kaggle;
mod open;
mod rxrx1;
pub(crate) mod screen_description;

pub use index_screen::IndexScreen;
pub use open::{ScreenFormat, open_screen};
pub use rxrx1::Rxrx1Screen;
pub use screen_description::{
    Annotation, ChannelDescription, ControlRoleColumn, FileNamePattern, Index, PerturbationColumns,
    PerturbationKind, ScreenDescription,
};
