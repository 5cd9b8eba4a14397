//! Random cases: as many as asked for, from one seed that a failure prints.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// The seed: `EXCITE_TEST_SEED`, or 1.
pub fn seed() -> Result<u64, String> {
    match std::env::var("EXCITE_TEST_SEED") {
        Err(_) => Ok(1),
        Ok(text) => text.parse().map_err(|_| format!("EXCITE_TEST_SEED must be a number, is \"{text}\"")),
    }
}

/// Tries `cases` values of `strategy`. A failure comes with the seed and the smallest value found that fails.
pub fn random<S: Strategy>(
    name: &str,
    cases: u32,
    strategy: S,
    test: impl Fn(S::Value) -> Result<(), String>,
) -> Result<(), String> {
    let seed = seed()?;
    // Tests draw different numbers from one seed.
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    for (i, byte) in name.bytes().enumerate() {
        bytes[8 + i % 24] ^= byte.rotate_left((i / 24) as u32);
    }
    // Every step of shrinking compiles pipelines: a few are worth it.
    let config = Config { cases, max_shrink_iters: 60, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let result = runner.run(&strategy, |value| test(value).map_err(TestCaseError::fail));
    result.map_err(|error| format!("EXCITE_TEST_SEED={seed}: {error}"))
}
