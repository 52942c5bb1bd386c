//! The files below a folder, and nothing else: no path leads out of it, be it by `..` or by a
//! symbolic link, and hidden files stay hidden, whatever links lead to them.
//!
//! A file is first opened without any access (`O_PATH`), then the kernel is asked where that file
//! really is, and only then it is opened for reading, through that same descriptor; so nothing can
//! change between the check and the use. openat2(2) with `RESOLVE_BENEATH` would do it in one
//! call, but `RestrictSUIDSGID=` of systemd forbids that call altogether.

use std::fs::{self, Metadata};
use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
use tower_http::services::fs::{Backend, File};

/// The one hidden name that is meant for the public (RFC 8615).
const WELL_KNOWN: &str = ".well-known";

/// A folder whose files may be served.
#[derive(Debug, Clone)]
pub(super) struct Folder(Arc<Path>);

impl Folder {
    pub(super) fn new(root: &Path) -> Self {
        Self(root.into())
    }

    /// Finds the file at `path`, relative to the folder; the descriptor gives no access yet. The
    /// folder itself is looked up each time: a build that puts a new one in its place is served
    /// from then on.
    fn find(&self, path: &Path) -> io::Result<OwnedFd> {
        if path.components().any(is_hidden) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let folder = rustix::fs::open(&*self.0, flags | OFlags::DIRECTORY, Mode::empty())
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

    /// The whole site is not there: that is not the fault of a path.
    fn is_gone(&self, error: Errno) -> io::Error {
        if is_busy(&error.into()) {
            return error.into();
        }
        io::Error::other(format!("the folder {} is not there: {error}", self.0.display()))
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
    Box::pin(async { tokio::task::spawn_blocking(work).await? })
}

impl Backend for Folder {
    type File = OpenFile;
    type Metadata = Metadata;
    type OpenFuture = Opening<OpenFile>;
    type MetadataFuture = Opening<Metadata>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        let folder = self.clone();
        blocking(move || {
            let found = fs::File::from(folder.find(&path)?);
            let metadata = found.metadata()?;
            // To open a pipe or a device would wait for its other side, or do something to it.
            if !metadata.is_file() {
                return Err(io::ErrorKind::NotFound.into());
            }
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let file = rustix::fs::open(link(&found), flags, Mode::empty()).map_err(of_path)?;
            let file = tokio::fs::File::from_std(file.into());
            Ok(OpenFile { file, metadata, read: 0 })
        })
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        let folder = self.clone();
        blocking(move || fs::File::from(folder.find(&path)?).metadata())
    }
}

/// A file of the site that is being sent: as many bytes as it had when it was opened, since that many are
/// promised. What is added later is left out; where some are missing, the response has to break off.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: tokio::fs::File,
    metadata: Metadata,
    /// Where in the file the next byte is.
    read: u64,
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
        let left = self.metadata.len().saturating_sub(self.read);
        if left == 0 || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.file).poll_read(cx, buffer))?;
        let count = buffer.filled().len() - before;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        buffer.set_filled(before + count.min(usize::try_from(left).unwrap_or(usize::MAX)));
        self.read += count as u64;
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for OpenFile {
    fn start_seek(mut self: Pin<&mut Self>, position: io::SeekFrom) -> io::Result<()> {
        Pin::new(&mut self.file).start_seek(position)
    }

    fn poll_complete(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let at = ready!(Pin::new(&mut self.file).poll_complete(cx))?;
        self.read = at;
        Poll::Ready(Ok(at))
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
        let site = Folder::new(&folder.path().join("site"));
        let gone = site.find(Path::new("x")).unwrap_err();
        assert_ne!(gone.kind(), io::ErrorKind::NotFound);
        fs::create_dir(folder.path().join("site")).unwrap();
        assert_eq!(site.find(Path::new("x")).unwrap_err().kind(), io::ErrorKind::NotFound);
        // A folder above it may be hidden.
        fs::create_dir_all(folder.path().join(".releases/1")).unwrap();
        fs::write(folder.path().join(".releases/1/x"), "x").unwrap();
        assert!(Folder::new(&folder.path().join(".releases/1")).find(Path::new("x")).is_ok());
        std::os::unix::fs::symlink(".releases/1", folder.path().join("current")).unwrap();
        assert!(Folder::new(&folder.path().join("current")).find(Path::new("x")).is_ok());
    }
}
