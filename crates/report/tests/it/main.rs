//! Pages as a reader meets them: snapshots of small figures, hostile input,
//! and the file on disk.

mod hostile;
mod images;
mod inspection;
mod snapshots;
mod well_formed;
mod write;

use morphospace_report::{Block, Page, Section};

/// The HTML of one block, without the page around it.
fn block_html(block: impl Into<Block>) -> String {
    let html = Page::new("page")
        .with_section(Section::new("section").with(block))
        .to_html();
    let (_, main) = html.split_once("</h2>\n").expect("a page has its section");
    let (block, _) = main.split_once("</section>").expect("a section ends");
    block.to_owned()
}
