//! A file that is believed only if this user wrote it, whole, for the same adapter: anything else is ignored.

use crate::files::checksum;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// First bytes of a file. Another format has another number.
const MAGIC: &[u8; 8] = b"excite\x00\x01";
/// Size of the largest file that is read or written: drivers never forget a pipeline, this does.
const MOST_BYTES: u64 = 256 << 20;

#[derive(Debug)]
pub(super) struct CacheFile {
    path: PathBuf,
    /// What a file must begin with.
    header: Vec<u8>,
    /// Who owns what this process writes.
    user: u32,
}

impl CacheFile {
    /// A file in `folder`, which is made if it isn't there, for whatever `identity` says.
    ///
    /// # Errors
    /// The folder can't be made or written, or it is not this user's alone.
    pub(super) fn new(folder: &Path, name: &str, identity: &str) -> Result<Self, String> {
        make_folder(folder).map_err(|error| format!("it can't be made: {error}"))?;
        let path = folder.join(name);
        // There is no safe way to ask who this user is but to look at what they own.
        let (probe, file) = temporary(&path).map_err(|error| format!("it can't be written: {error}"))?;
        let user = file.metadata().map(|metadata| owner(&metadata));
        drop(file);
        let _ = fs::remove_file(probe);
        let user = user.map_err(|error| error.to_string())?;
        let metadata = fs::metadata(folder).map_err(|error| error.to_string())?;
        check_rights(&metadata, user)?;
        let length = u32::try_from(identity.len()).map_err(|_| "the adapter's name is too long")?;
        let header = [MAGIC.as_slice(), &length.to_le_bytes(), identity.as_bytes()].concat();
        Ok(Self { path, header, user })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What was written last; `None` if nothing was.
    ///
    /// # Errors
    /// Why the file is not believed.
    pub(super) fn read(&self) -> Result<Option<Vec<u8>>, String> {
        match fs::symlink_metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
            // Links lead elsewhere, and pipes would be waited for.
            Ok(metadata) if !metadata.is_file() => return Err("it is not a plain file".into()),
            Ok(_) => {}
        }
        let file = File::open(&self.path).map_err(|error| error.to_string())?;
        let metadata = file.metadata().map_err(|error| error.to_string())?;
        check_rights(&metadata, self.user)?;
        if metadata.len() > MOST_BYTES {
            return Err(format!("it has more than {MOST_BYTES} bytes"));
        }
        let mut bytes = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        self.unwrap(&bytes).map(|data| Some(data.to_vec()))
    }

    /// What stands behind the header, the length and the checksum.
    fn unwrap<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], String> {
        let rest = bytes.strip_prefix(self.header.as_slice());
        let rest = rest.ok_or("it is of another adapter, driver or version")?;
        let (length, rest) = rest.split_first_chunk().ok_or("it is cut off")?;
        let (sum, data) = rest.split_first_chunk().ok_or("it is cut off")?;
        if u64::from_le_bytes(*length) != data.len() as u64 {
            return Err("it is not as long as it says".into());
        }
        if u64::from_le_bytes(*sum) != checksum(data) {
            return Err("it is damaged".into());
        }
        Ok(data)
    }

    /// Puts a new file in the old one's place: readers find the one or the other, and of two writers the later wins.
    pub(super) fn write(&self, data: &[u8]) -> io::Result<()> {
        let size = (self.header.len() + 16 + data.len()) as u64;
        if size > MOST_BYTES {
            // The next process begins anew.
            fs::remove_file(&self.path)?;
            return Err(io::Error::other(format!("it would have {size} bytes")));
        }
        let (part, mut file) = temporary(&self.path)?;
        let sum = checksum(data).to_le_bytes();
        let pieces = [self.header.as_slice(), &(data.len() as u64).to_le_bytes(), &sum, data];
        let written = pieces.iter().try_for_each(|piece| file.write_all(piece));
        drop(file);
        let written = written.and_then(|()| fs::rename(&part, &self.path));
        if written.is_err() {
            let _ = fs::remove_file(part);
        }
        written
    }
}

/// A new file beside `path` that nothing else has or may read.
fn temporary(path: &Path) -> io::Result<(PathBuf, File)> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut tries = 0;
    loop {
        let part = path.with_extension(format!("{}-{tries}.part", std::process::id()));
        match options.open(&part) {
            // Another thread has it, or a process that is no more has left it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < 100 => tries += 1,
            opened => return opened.map(|file| (part, file)),
        }
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(unix)]
fn owner(metadata: &fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::uid(metadata)
}

#[cfg(unix)]
fn check_rights(metadata: &fs::Metadata, user: u32) -> Result<(), String> {
    const WRITABLE_BY_OTHERS: u32 = 0o022;
    if owner(metadata) != user {
        return Err("it is another user's".into());
    }
    if std::os::unix::fs::MetadataExt::mode(metadata) & WRITABLE_BY_OTHERS != 0 {
        return Err("others may write it".into());
    }
    Ok(())
}

#[cfg(not(unix))]
fn owner(_: &fs::Metadata) -> u32 {
    0
}

#[cfg(not(unix))]
fn check_rights(_: &fs::Metadata, _: u32) -> Result<(), String> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const DATA: &[u8] = b"what a driver has compiled";

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn file(folder: &Path) -> CacheFile {
        CacheFile::new(&folder.join("excite"), "key", "this adapter").unwrap()
    }

    fn names(folder: &Path) -> BTreeSet<String> {
        let entries = fs::read_dir(folder.join("excite")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else_is_left() {
        let folder = folder();
        let file = file(folder.path());
        assert_eq!(file.read(), Ok(None));
        for data in [DATA, b"", &[7; 100_000]] {
            file.write(data).unwrap();
            assert_eq!(file.read(), Ok(Some(data.to_vec())));
        }
        assert_eq!(names(folder.path()), BTreeSet::from(["key".to_string()]));
    }

    #[test]
    fn every_damage_is_found() {
        let folder = folder();
        let file = file(folder.path());
        file.write(DATA).unwrap();
        let whole = fs::read(file.path()).unwrap();
        for length in 0..whole.len() {
            fs::write(file.path(), &whole[..length]).unwrap();
            assert!(file.read().is_err(), "cut off after {length} bytes");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(file.path(), bytes).unwrap();
            assert!(file.read().is_err(), "byte {at} flipped");
        }
        fs::write(file.path(), [whole.as_slice(), b"x"].concat()).unwrap();
        assert!(file.read().is_err(), "a byte too many");
        file.write(DATA).unwrap();
        assert_eq!(file.read(), Ok(Some(DATA.to_vec())), "a damaged file is replaced");
    }

    #[test]
    fn another_adapter_is_not_this_one() {
        let folder = folder();
        file(folder.path()).write(DATA).unwrap();
        for identity in ["this adapte", "this adapter ", "another one"] {
            let other = CacheFile::new(&folder.path().join("excite"), "key", identity).unwrap();
            assert_eq!(other.read(), Err("it is of another adapter, driver or version".into()));
        }
    }

    #[test]
    fn writers_at_once_leave_one_whole_file() {
        let folder = folder();
        let files: Vec<CacheFile> = (0..4).map(|_| file(folder.path())).collect();
        std::thread::scope(|scope| {
            for (number, file) in files.iter().enumerate() {
                scope.spawn(move || {
                    for _ in 0..50 {
                        file.write(&[number as u8; 50_000]).unwrap();
                        let read = file.read().unwrap().expect("there is one");
                        assert!(read.len() == 50_000 && read.iter().all(|&byte| byte == read[0]));
                    }
                });
            }
        });
        assert_eq!(names(folder.path()), BTreeSet::from(["key".to_string()]));
    }

    #[cfg(unix)]
    #[test]
    fn what_others_may_write_is_not_believed() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = folder();
        let file = file(folder.path());
        file.write(DATA).unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for bits in [0o620, 0o602, 0o666] {
            mode(file.path(), bits);
            assert_eq!(file.read(), Err("others may write it".into()));
        }
        mode(file.path(), 0o644);
        assert!(file.read().is_ok());
        let others = CacheFile { user: file.user + 1, path: file.path.clone(), header: file.header.clone() };
        assert_eq!(others.read(), Err("it is another user's".into()));

        let elsewhere = folder.path().join("elsewhere");
        fs::rename(file.path(), &elsewhere).unwrap();
        symlink(&elsewhere, file.path()).unwrap();
        assert_eq!(file.read(), Err("it is not a plain file".into()));
        file.write(b"new").unwrap();
        assert_eq!(file.read(), Ok(Some(b"new".to_vec())), "a link is replaced");
        assert!(fs::read(&elsewhere).unwrap().ends_with(DATA), "and what it led to is left alone");

        for bits in [0o770, 0o707, 0o777] {
            mode(&folder.path().join("excite"), bits);
            let refused = CacheFile::new(&folder.path().join("excite"), "key", "this adapter");
            assert_eq!(refused.map(|_| ()), Err("others may write it".into()));
        }
    }

    #[test]
    fn no_folder_is_no_panic() {
        let folder = folder();
        let in_the_way = folder.path().join("file");
        fs::write(&in_the_way, "").unwrap();
        assert!(CacheFile::new(&in_the_way.join("excite"), "key", "").is_err());
        let file = file(folder.path());
        fs::remove_dir_all(folder.path().join("excite")).unwrap();
        assert!(file.write(DATA).is_err());
        assert_eq!(file.read(), Ok(None));
    }
}
