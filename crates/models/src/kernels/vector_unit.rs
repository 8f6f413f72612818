use pulp::{Arch, Simd, WithSimd};

/// Runs a loop with the widest vector instructions this processor has: what is
/// inlined into it is compiled once for each kind of processor. Closures given
/// to iterators often are not inlined, so the loops in it are `for` loops and
/// its closures `#[inline(always)]`.
pub(super) fn vectorised(body: impl FnOnce()) {
    struct Body<F>(F);

    impl<F: FnOnce()> WithSimd for Body<F> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, _simd: S) {
            (self.0)();
        }
    }

    Arch::new().dispatch(Body(body));
}
