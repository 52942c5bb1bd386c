//! The files below a folder, and nothing else: no path leads out of it, be it by `..` or by a
//! symbolic link, and hidden files stay hidden.
//!
//! What is checked is the file that was opened, by the path that the kernel has for it, so nothing
//! can change between the check and the use. (openat2(2) with `RESOLVE_BENEATH` would be the plain
//! way, but systemd denies it to a service with `RestrictSUIDSGID=`, which DynamicUser= implies.)

use std::fs::Metadata;
use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustix::fs::{Mode, OFlags, open, openat};
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

    /// Opens the file at `path`, relative to the folder. The folder itself is looked up each time:
    /// a build that puts a new one in its place is served from then on.
    fn open_beneath(&self, path: &Path, flags: OFlags) -> io::Result<std::fs::File> {
        if path.components().any(is_hidden) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let folder =
            open(&*self.0, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        // Not blocking, or a named pipe in the folder would hold a thread for ever.
        let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat(&folder, path, flags, Mode::empty()).map_err(|errno| match errno {
            // A link in a circle, or a name that no file can have: there is no such file.
            Errno::LOOP | Errno::NAMETOOLONG => io::ErrorKind::NotFound.into(),
            other => io::Error::from(other),
        })?;
        if real_path(&file)?.starts_with(real_path(&folder)?) {
            Ok(file.into())
        } else {
            // The path leads out: there is no such file.
            Err(io::ErrorKind::NotFound.into())
        }
    }
}

/// The path of an open file, without links (proc_pid_fd(5)).
fn real_path(file: &OwnedFd) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
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
            // Not blocking, or a named pipe in the folder would hold the thread for ever.
            let file = folder.open_beneath(&path, OFlags::RDONLY | OFlags::NONBLOCK)?;
            let metadata = file.metadata()?;
            // Devices, pipes and sockets are no files of a site.
            if !metadata.is_file() && !metadata.is_dir() {
                return Err(io::ErrorKind::NotFound.into());
            }
            Ok(OpenFile { file: tokio::fs::File::from_std(file), metadata })
        })
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        let folder = self.clone();
        blocking(move || folder.open_beneath(&path, OFlags::PATH)?.metadata())
    }
}

/// A file of the site that is being sent.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: tokio::fs::File,
    metadata: Metadata,
}

impl File for OpenFile {
    type Metadata = Metadata;
    type MetadataFuture<'a> = std::future::Ready<io::Result<Metadata>>;

    /// Of the moment it was opened: length and ETag belong to the bytes that follow.
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
        Pin::new(&mut self.file).poll_read(cx, buffer)
    }
}

impl AsyncSeek for OpenFile {
    fn start_seek(mut self: Pin<&mut Self>, position: io::SeekFrom) -> io::Result<()> {
        Pin::new(&mut self.file).start_seek(position)
    }

    fn poll_complete(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Pin::new(&mut self.file).poll_complete(cx)
    }
}
