//! Memory of training steps.

/// `mi_option_purge_delay` of mimalloc 3, which its Rust headers leave out.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
/// Longer than a step of any network here, with room.
const MILLISECONDS: std::ffi::c_long = 10_000;

/// Keeps pages that are given back for the next step, which asks for as many:
/// fresh ones must be cleared by the system, which cost a training step up to a
/// quarter of its time.
pub(crate) fn keep_pages() {
    // SAFETY: the function writes a number into the allocator's options, which
    // are made for being set at any time.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, MILLISECONDS) }
}
