#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| orrery_fuzz::json_to_wire(input));
