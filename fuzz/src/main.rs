//! The program that libFuzzer steers: all targets in one, which is linked once.
//! The environment names the one that runs; `fuzz/run` sets it.

#![no_main]

use std::sync::LazyLock;

/// Variable that names the target.
const TARGET_VARIABLE: &str = "MORPHOSPACE_FUZZ_TARGET";

static TARGET: LazyLock<String> = LazyLock::new(|| {
    std::env::var(TARGET_VARIABLE)
        .unwrap_or_else(|_| panic!("{TARGET_VARIABLE} names the target: run `fuzz/run`"))
});

libfuzzer_sys::fuzz_target!(
    init: {
        // libFuzzer's bindings abort at every panic, even one of a library
        // that is caught and reported as damage. Those that leave a target
        // still end the program.
        let _ = std::panic::take_hook();
    },
    |bytes: &[u8]| morphospace_fuzz::run(&TARGET, bytes)
);
