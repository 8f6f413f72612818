//! Memory of training steps and of passes over screens.

/// `mi_option_purge_delay` of mimalloc 3, which its Rust headers leave out.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
/// No delay but none at all.
const NEVER: std::ffi::c_long = -1;

/// Keeps pages that are given back for the next step or batch, which asks for as many:
/// fresh ones must be cleared by the system, which cost a training step up to a
/// quarter of its time. No more is kept than was in use at once.
pub(crate) fn keep_pages() {
    // SAFETY: the function writes a number into the allocator's options, which
    // are made for being set at any time.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, NEVER) }
}
