//! The files below a folder, and nothing else: no path leads out of it, be it by `..` or by a
//! symbolic link, and hidden files stay hidden, whatever links lead to them.
//!
//! A file is first opened without any access (`O_PATH`), then the kernel is asked where that file
//! really is, and only then it is opened for reading, through that same descriptor; so nothing can
//! change between the check and the use. openat2(2) with `RESOLVE_BENEATH` would do it in one
//! call, but `RestrictSUIDSGID=` of systemd forbids that call altogether.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::future::{Future, ready};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{self, Context, Poll};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, fstatfs};
use rustix::io::{Errno, ReadWriteFlags};
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
use tokio::task::{JoinHandle, spawn_blocking};
use tower_http::services::fs::{Backend, File};

use super::activity::lock;
use super::bounds::SMALL_ANSWER;

/// The one hidden name that is meant for the public (RFC 8615).
const WELL_KNOWN: &str = ".well-known";

/// How long what was opened counts as known: the kernel lets go of it only where memory is short.
const MOMENT: Duration = Duration::from_secs(10);

/// How many paths are known at the most: those that are asked for again and again.
const KNOWN_MOST: usize = 1024;

/// The longest path that is known, in bytes: what is known takes a few hundred KiB at the most.
const KNOWN_LENGTH: usize = 256;

/// File systems that wait for no other machine and no other process, by their numbers (statfs(2)): ext2 to ext4, XFS,
/// Btrfs, tmpfs, overlayfs, F2FS, ZFS, EROFS.
const LOCAL: [rustix::fs::FsWord; 8] = [
    0xef53,
    0x5846_5342,
    0x9123_683e,
    0x0102_1994,
    0x794c_7630,
    0xf2f5_2010,
    0x2fc1_2fc1,
    0xe0f5_e1e2,
];

/// What answers for a folder.
const INDEX: &str = "index.html";

/// A folder whose files may be served, for one request: of whatever is looked at, what is asked for next is
/// opened with it, so that there is one way to a thread and not two.
#[derive(Debug)]
pub(super) struct Folder {
    root: Root,
    ahead: Arc<Mutex<Option<(PathBuf, OpenFile)>>>,
}

impl Folder {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: Root { path: root.into(), known: Arc::default() }, ahead: Arc::default() }
    }
}

impl Clone for Folder {
    /// For another request.
    fn clone(&self) -> Self {
        Self { root: self.root.clone(), ahead: Arc::default() }
    }
}

/// The folder itself.
#[derive(Debug, Clone)]
struct Root {
    path: Arc<Path>,
    known: Arc<Mutex<Known>>,
}

/// What was opened a moment ago on a file system of this machine: to open it again blocks nobody, as the kernel has
/// all of it in memory, and needs no thread.
#[derive(Debug, Default)]
struct Known(HashMap<PathBuf, Instant>);

impl Known {
    fn has(&self, path: &Path) -> bool {
        self.0.get(path).is_some_and(|at| at.elapsed() < MOMENT)
    }

    fn note(&mut self, path: &Path, file: &fs::File) {
        let is_local = || fstatfs(file).is_ok_and(|found| LOCAL.contains(&found.f_type));
        if self.0.len() >= KNOWN_MOST {
            self.0.retain(|_, at| at.elapsed() < MOMENT);
        }
        let is_short = path.as_os_str().len() <= KNOWN_LENGTH;
        if self.0.len() < KNOWN_MOST && is_short && is_local() {
            self.0.insert(path.to_path_buf(), Instant::now());
        }
    }
}

impl Root {
    /// Finds the file at `path`, relative to the folder; the descriptor gives no access yet. The
    /// folder itself is looked up each time: a build that puts a new one in its place is served
    /// from then on.
    fn find(&self, path: &Path) -> io::Result<OwnedFd> {
        if path.components().any(is_hidden) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let folder = rustix::fs::open(&*self.path, flags | OFlags::DIRECTORY, Mode::empty())
            .map_err(|error| self.is_gone(error))?;
        let file = rustix::fs::openat(&folder, path, flags, Mode::empty()).map_err(of_path)?;
        let real = fs::read_link(link(&file))?;
        let below = real.strip_prefix(fs::read_link(link(&folder))?);
        if below.is_ok_and(|below| !below.components().any(is_hidden)) {
            Ok(file)
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<OpenFile> {
        let found = fs::File::from(self.find(path)?);
        let metadata = found.metadata()?;
        OpenFile::of(&found, metadata)
    }

    /// Looks at a path, and opens what is asked for next.
    fn look(
        &self,
        path: &Path,
        ahead: &Mutex<Option<(PathBuf, OpenFile)>>,
    ) -> io::Result<Metadata> {
        let found = fs::File::from(self.find(path)?);
        let metadata = found.metadata()?;
        let next = if metadata.is_dir() {
            let index = path.join(INDEX);
            self.open(&index).map(|file| (index, file))
        } else {
            OpenFile::of(&found, metadata.clone()).map(|file| (path.to_path_buf(), file))
        };
        let mut known = lock(&self.known);
        if let Ok((_, file)) = &next
            && !known.has(path)
        {
            known.note(path, &file.file);
        }
        drop(known);
        // What is wrong with it shows when it is asked for.
        *lock(ahead) = next.ok();
        Ok(metadata)
    }

    /// The whole site is not there: that is not the fault of a path.
    fn is_gone(&self, error: Errno) -> io::Error {
        if is_busy(&error.into()) {
            return error.into();
        }
        io::Error::other(format!("the folder {} is not there: {error}", self.path.display()))
    }
}

/// Whether the error says that the machine or the instance has no more room for open files.
pub(super) fn is_busy(error: &io::Error) -> bool {
    let busy = [Errno::MFILE, Errno::NFILE, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|error| busy.contains(&error))
}

/// Errors that only the path has brought about say that there is no such file, and no more: what else
/// could be learned from them is nobody's business. Any other is the server's own.
fn of_path(error: Errno) -> io::Error {
    match error {
        Errno::NOENT
        | Errno::NOTDIR
        | Errno::NAMETOOLONG
        | Errno::LOOP
        | Errno::ACCESS
        | Errno::PERM
        | Errno::INVAL
        | Errno::ILSEQ
        | Errno::ISDIR
        | Errno::NXIO
        | Errno::NODEV
        | Errno::OVERFLOW => io::ErrorKind::NotFound.into(),
        _ => error.into(),
    }
}

/// The kernel's link to the file behind a descriptor (proc(5)).
fn link(file: &impl AsRawFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

fn is_hidden(component: Component<'_>) -> bool {
    match component {
        Component::Normal(name) => name.as_encoded_bytes().starts_with(b".") && name != WELL_KNOWN,
        _ => false,
    }
}

/// Something of the file system on its way, from a thread that may block.
type Opening<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Opening<T> {
    Box::pin(async { spawn_blocking(work).await? })
}

impl Backend for Folder {
    type File = OpenFile;
    type Metadata = Metadata;
    type OpenFuture = Opening<OpenFile>;
    type MetadataFuture = Opening<Metadata>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        let ahead = lock(&self.ahead).take();
        if let Some((_, file)) = ahead.filter(|(ahead, _)| *ahead == path) {
            return Box::pin(ready(Ok(file)));
        }
        let root = self.root.clone();
        blocking(move || root.open(&path))
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        let (root, ahead) = (self.root.clone(), Arc::clone(&self.ahead));
        if lock(&root.known).has(&path) {
            return Box::pin(ready(root.look(&path, &ahead)));
        }
        blocking(move || root.look(&path, &ahead))
    }
}

/// A file of the site that is being sent: as many bytes as it had when it was opened, since that many are
/// promised. What is added later is left out; where some are missing, the response has to break off.
///
/// Between two pieces it holds no buffer: there may be a hundred on one connection.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: Arc<fs::File>,
    metadata: Metadata,
    /// All of it, where it is small.
    begin: Vec<u8>,
    /// Where in the file the next byte is.
    at: u64,
    /// The piece that begins there is on its way.
    reading: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl OpenFile {
    /// Opens what was found, which gives no access yet.
    fn of(found: &fs::File, metadata: Metadata) -> io::Result<Self> {
        // To open a pipe or a device would wait for its other side, or do something to it.
        if !metadata.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::open(link(found), flags, Mode::empty()).map_err(of_path)?;
        let file = fs::File::from(file);
        // A small one as a whole: its answer may take so much, and there is no second way to a thread then.
        let small = usize::try_from(metadata.len()).ok().filter(|_| metadata.len() <= SMALL_ANSWER);
        let begin = small.map_or_else(|| Ok(Vec::new()), |length| piece(&file, 0, length))?;
        Ok(Self { file: Arc::new(file), metadata, begin, at: 0, reading: None })
    }
}

/// So many bytes of a file from there on, or as many as there are.
fn piece(file: &fs::File, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let count = rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut bytes[..], at))?;
    bytes.truncate(count);
    Ok(bytes)
}

/// The same of what the kernel has in memory, as it has most of what is asked for: that blocks nobody, and needs no
/// thread. None: not there, or the file system does not tell (`RWF_NOWAIT`, preadv2(2)).
fn at_hand(file: &fs::File, at: u64, buffer: &mut [u8]) -> Option<usize> {
    let mut buffers = [io::IoSliceMut::new(buffer)];
    rustix::io::preadv2(file, &mut buffers, at, ReadWriteFlags::NOWAIT).ok()
}

impl File for OpenFile {
    type Metadata = Metadata;
    type MetadataFuture<'a> = std::future::Ready<io::Result<Metadata>>;

    /// Of the moment it was opened: length and `ETag` belong to the bytes that follow.
    fn metadata(&self) -> Self::MetadataFuture<'_> {
        std::future::ready(Ok(self.metadata.clone()))
    }
}

impl AsyncRead for OpenFile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let left = usize::try_from(this.metadata.len().saturating_sub(this.at));
        let length = left.unwrap_or(usize::MAX).min(buffer.remaining());
        if length == 0 {
            return Poll::Ready(Ok(()));
        }
        let begun = usize::try_from(this.at).ok().and_then(|at| this.begin.get(at..));
        if let Some(begun) = begun.filter(|begun| !begun.is_empty()) {
            let count = begun.len().min(length);
            buffer.put_slice(&begun[..count]);
            this.at += count as u64;
            return Poll::Ready(Ok(()));
        }
        if this.reading.is_none()
            && let Some(count) = at_hand(&this.file, this.at, buffer.initialize_unfilled_to(length))
        {
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            buffer.advance(count);
            this.at += count as u64;
            return Poll::Ready(Ok(()));
        }
        let reading = this.reading.get_or_insert_with(|| {
            let (file, at) = (Arc::clone(&this.file), this.at);
            spawn_blocking(move || piece(&file, at, length))
        });
        let bytes = task::ready!(Pin::new(reading).poll(cx));
        this.reading = None;
        let bytes = bytes??;
        if bytes.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        // Whoever asks again after a while may have less room.
        let count = bytes.len().min(buffer.remaining());
        buffer.put_slice(&bytes[..count]);
        this.at += count as u64;
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for OpenFile {
    fn start_seek(mut self: Pin<&mut Self>, position: io::SeekFrom) -> io::Result<()> {
        let at = match position {
            io::SeekFrom::Start(at) => Some(at),
            io::SeekFrom::Current(by) => self.at.checked_add_signed(by),
            io::SeekFrom::End(by) => self.metadata.len().checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        self.reading = None;
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Ok(self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_path_says_no_more_than_that_there_is_no_such_file() {
        for error in [
            Errno::NOENT,
            Errno::NOTDIR,
            Errno::NAMETOOLONG,
            Errno::LOOP,
            Errno::ACCESS,
            Errno::PERM,
            Errno::INVAL,
            Errno::NXIO,
        ] {
            let seen = of_path(error);
            assert_eq!((seen.kind(), seen.raw_os_error()), (io::ErrorKind::NotFound, None));
        }
        for (error, busy) in [
            (Errno::MFILE, true),
            (Errno::NFILE, true),
            (Errno::NOMEM, true),
            (Errno::IO, false),
            (Errno::STALE, false),
        ] {
            let seen = of_path(error);
            assert_eq!(seen.raw_os_error(), Some(error.raw_os_error()));
            assert_eq!(is_busy(&seen), busy, "{error}");
        }
    }

    #[test]
    fn only_a_folder_that_is_gone_is_not_the_fault_of_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let site = Folder::new(&folder.path().join("site")).root;
        let gone = site.find(Path::new("x")).unwrap_err();
        assert_ne!(gone.kind(), io::ErrorKind::NotFound);
        fs::create_dir(folder.path().join("site")).unwrap();
        assert_eq!(site.find(Path::new("x")).unwrap_err().kind(), io::ErrorKind::NotFound);
        // A folder above it may be hidden.
        fs::create_dir_all(folder.path().join(".releases/1")).unwrap();
        fs::write(folder.path().join(".releases/1/x"), "x").unwrap();
        assert!(Folder::new(&folder.path().join(".releases/1")).root.find(Path::new("x")).is_ok());
        std::os::unix::fs::symlink(".releases/1", folder.path().join("current")).unwrap();
        assert!(Folder::new(&folder.path().join("current")).root.find(Path::new("x")).is_ok());
    }
}
