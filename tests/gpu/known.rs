//! Failures that are not ours, by adapter. A listed test that fails is reported as ignored, with the reason; one that
//! passes fails, so that no row outlives its reason.

/// A part of the adapter's name as tests have it, a part of the rest of the test's name, and the reason with a link.
const KNOWN: &[(&str, &str, &str)] = &[];

/// Why a test may fail, if it may. Its name is `<backend>/<adapter>/<op>/<case>`.
pub fn reason(name: &str) -> Option<&'static str> {
    let mut parts = name.splitn(3, '/');
    let adapter = [parts.next()?, parts.next()?].join("/");
    let test = parts.next()?;
    KNOWN.iter().find(|(on, of, _)| adapter.contains(on) && test.contains(of)).map(|(.., reason)| *reason)
}
