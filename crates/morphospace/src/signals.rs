//! Being asked to end (SIGTERM, SIGINT).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};

static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();
static IS_HEARD: AtomicBool = AtomicBool::new(false);

/// While it lives, being asked to end sets a flag, and being asked again ends the
/// program. Before and after, the program ends at once.
pub(crate) struct StopWhenTold {
    flag: Arc<AtomicBool>,
}

impl StopWhenTold {
    pub(crate) fn listen() -> Result<Self> {
        let flag = match STOP.get() {
            Some(flag) => Arc::clone(flag),
            None => {
                let flag = Arc::clone(STOP.get_or_init(Arc::default));
                let heard = Arc::clone(&flag);
                ctrlc::set_handler(move || {
                    if !IS_HEARD.load(Ordering::Relaxed) || heard.swap(true, Ordering::Relaxed) {
                        std::process::exit(1);
                    }
                })
                .context("listening for signals")?;
                flag
            }
        };
        IS_HEARD.store(true, Ordering::Relaxed);
        Ok(Self { flag })
    }

    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.flag
    }
}

impl Drop for StopWhenTold {
    fn drop(&mut self) {
        IS_HEARD.store(false, Ordering::Relaxed);
    }
}
