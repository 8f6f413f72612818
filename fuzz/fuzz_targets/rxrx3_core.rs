#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| morphospace_fuzz::run("rxrx3_core", bytes));
