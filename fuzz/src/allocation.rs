//! How much memory a piece of code holds at once.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Bound for reading a table in Parquet. Its reader reserves what the header
/// of a page claims, 2 GiB at most, and holds a page, its decoded values and
/// the table's rows; zstd and dictionaries expand by a lot.
pub const PARQUET_BOUND: usize = (2 << 30) + (256 << 20);

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, counting per thread. libFuzzer's own limit
/// (`-malloc_limit_mb`) needs a sanitizer, and pages that are claimed but
/// never written do not count towards its limit on resident memory.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(change: isize) {
    // A thread that is ending has nothing to count any more.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + change);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        unsafe { System.realloc(place, layout, size) }
    }
}

/// Runs a function; its result, and the most bytes that it held at once on
/// this thread.
pub fn peak_of<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = run();
    (result, (PEAK.get() - before).max(0) as usize)
}

/// Runs a function that may hold `bound` bytes at once.
///
/// # Panics
/// It held more.
#[track_caller]
pub fn within<T>(bound: usize, run: impl FnOnce() -> T) -> T {
    let (result, peak) = peak_of(run);
    assert!(peak <= bound, "{peak} bytes were held, {bound} are allowed");
    result
}
