//! The tuning that benches and peers plan with.

use excite::gpu::user_cache_dir;
use excite::tuning::Tuning;
use excite::{Gpu, Precision, Result};
use std::path::PathBuf;
use std::sync::Arc;

/// A file's; or of `auto`, as `--tuning auto` of the command line has it: the adapter's own file over what ships with
/// excite.
pub fn tuning(gpu: &Gpu, precision: Precision, source: &str) -> Result<Option<Arc<Tuning>>> {
    if source != "auto" {
        let tuning = Tuning::load(source)?;
        return tuning.check(gpu, precision).map(|()| Some(Arc::new(tuning)));
    }
    let folder = std::env::var_os("EXCITE_CACHE_DIR").map(PathBuf::from).or_else(user_cache_dir);
    let path = folder.map(|folder| folder.join(Tuning::file_name(gpu, precision))).filter(|path| path.exists());
    let mut found = Tuning::shipped(gpu, precision);
    if let Some(path) = path {
        let own = Tuning::load(path)?;
        found.get_or_insert_with(|| Tuning::new(gpu, precision)).merge(own)?;
    }
    Ok(found.map(Arc::new))
}
