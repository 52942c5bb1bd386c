//! Looking into the sources of an app, and where it answers for its health.

use std::fs;
use std::path::{Path, PathBuf};

use super::draft::Draft;

/// How deep folders are looked into.
const DEPTH_MAX: usize = 5;

/// How many files are read: more than a service has sources, far less than a disk.
pub(super) const FILES_MAX: usize = 2000;

/// Largest source that is read, in bytes.
const SOURCE_MAX: u64 = 256 << 10;

/// Folders that hold no sources of the app.
const FOREIGN: [&str; 14] = [
    "node_modules",
    "dist",
    "build",
    "vendor",
    "venv",
    "target",
    "__pycache__",
    "coverage",
    "test",
    "tests",
    "spec",
    "bower_components",
    "site-packages",
    "public",
];

/// Ends of the names of sources.
const SOURCES: [&str; 11] = ["js", "mjs", "cjs", "ts", "tsx", "jsx", "py", "rb", "php", "go", "rs"];

/// Paths that apps answer for their health on, the commonest first.
const HEALTH: [&str; 16] = [
    "/health",
    "/healthz",
    "/api/health",
    "/api/healthz",
    "/health-check",
    "/healthcheck",
    "/_health",
    "/api/v1/health",
    "/readyz",
    "/ready",
    "/livez",
    "/live",
    "/up",
    "/ping",
    "/api/ping",
    "/status",
];

/// Words of lines that ask another service instead of answering.
const ASKS: [&str; 7] = ["fetch(", "axios", "http://", "https://", "requests.", "curl", "import "];

/// Where an app answers for its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Health {
    /// On this path, which this file has.
    Found(&'static str, PathBuf),
    /// No source says so.
    Unknown,
}

impl Health {
    /// Writes `health.path`.
    pub(super) fn write(&self, draft: &mut Draft) {
        match self {
            Self::Found(path, file) => {
                let comment = format!("Found in {}.", file.display());
                draft.set("health.path", *path, comment);
            }
            Self::Unknown => draft.set(
                "health.path",
                "/",
                "Each instance is asked for this until it answers with 200 to 399. Better a path of \
                 its own, which answers fast and only when the app can work.",
            ),
        }
    }
}

/// Looks for a route in the sources below `directory`.
pub(super) fn health(directory: &Path) -> Health {
    let mut best: Option<(usize, PathBuf)> = None;
    for file in sources(directory) {
        let shown = file.strip_prefix(directory).unwrap_or(&file).to_owned();
        let found = route_of_file(&shown).or_else(|| route_in(&read(&file)?, is_entry(&shown)));
        if let Some(found) = found
            && best.as_ref().is_none_or(|(known, _)| found < *known)
        {
            best = Some((found, shown));
        }
    }
    best.map_or(Health::Unknown, |(at, file)| Health::Found(HEALTH[at], file))
}

/// Frameworks whose routes are files: `app/api/health/route.ts`, `pages/api/health.js`.
fn route_of_file(file: &Path) -> Option<usize> {
    let text = file.with_extension("");
    let text = text.to_str()?;
    let text = text.strip_prefix("src/").unwrap_or(text);
    let route = match text.strip_prefix("app/") {
        Some(rest) => rest.strip_suffix("/route").or_else(|| rest.strip_suffix("/+server"))?,
        None => text.strip_prefix("pages/")?,
    };
    HEALTH.iter().position(|known| known[1..] == *route)
}

/// Names of files that an app is entered by, or that hold the routes of all of it, without their ends.
const ENTRIES: [&str; 11] =
    ["app", "asgi", "index", "main", "routes", "server", "urls", "web", "worker", "wsgi", "www"];

/// Folders whose files hold routes that are mounted somewhere.
const MOUNTED: [&str; 6] = ["api", "controllers", "handlers", "router", "routers", "routes"];

/// What a route is added to where its path is the whole one.
const APPS: [&str; 9] =
    ["app", "application", "express", "fastify", "hono", "http", "koa", "mux", "server"];

/// Whether the routes of a file have their whole paths in it, as far as can be told: those of a router are
/// mounted below another path, which stands elsewhere.
fn is_entry(file: &Path) -> bool {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let folders: Vec<_> = file.parent().into_iter().flat_map(Path::components).collect();
    let mounted = folders
        .last()
        .is_some_and(|folder| MOUNTED.iter().any(|known| folder.as_os_str() == *known));
    let is_near = folders.len() < 2 || stem == "main" && folders.len() < 3;
    ENTRIES.contains(&stem) && is_near && (!mounted || stem == "web")
}

/// What the method is called on whose first argument begins behind `before`: `app` in `this.app.get(`.
fn receiver(before: &str) -> &str {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let call = before.trim_end().trim_end_matches('(').trim_end_matches(is_part);
    let of = call.strip_suffix('.').or_else(|| call.strip_suffix("->")).unwrap_or_default();
    &of[of.trim_end_matches(is_part).len()..]
}

/// The best route that a source has, as its place in [`HEALTH`]; `is_entry` says that all of its routes have
/// their whole paths.
fn route_in(text: &str, is_entry: bool) -> Option<usize> {
    let answers = |line: &&str| !ASKS.iter().any(|word| line.contains(word));
    let lines: Vec<&str> = text.lines().filter(answers).collect();
    HEALTH.iter().position(|path| {
        ["'", "\"", "`"].iter().any(|quote| {
            let literal = format!("{quote}{path}{quote}");
            lines.iter().any(|line| {
                let mut places = line.match_indices(&literal);
                places.any(|(at, _)| is_entry || APPS.contains(&receiver(&line[..at])))
            })
        })
    })
}

/// The sources below `directory`, in the order of their names.
pub(super) fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(directory, DEPTH_MAX, &mut { FILES_MAX }, &mut |path| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        if extension.is_some_and(|extension| SOURCES.contains(&extension)) {
            found.push(path.to_owned());
        }
    });
    found
}

/// Calls `each` for the files below `directory`, less what is hidden or foreign.
pub(super) fn walk(directory: &Path, depth: usize, left: &mut usize, each: &mut dyn FnMut(&Path)) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or(".");
        // Links are not followed: they may lead in a circle.
        let Ok(metadata) = path.symlink_metadata() else { continue };
        if name.starts_with('.') || *left == 0 {
            continue;
        }
        if metadata.is_dir() && depth > 1 && !FOREIGN.contains(&name) {
            walk(&path, depth - 1, left, each);
        } else if metadata.is_file() {
            *left -= 1;
            each(&path);
        }
    }
}

/// The text of a source; none: it is too large, or no text.
pub(super) fn read(path: &Path) -> Option<String> {
    let metadata = fs::metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > SOURCE_MAX {
        return None;
    }
    fs::read_to_string(path).ok()
}

/// The plain text that stands behind `key:` in a configuration.
pub(super) fn setting(text: &str, key: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    { lines }.find_map(|line| {
        let mut places = line.match_indices(key);
        places.find_map(|(at, _)| {
            let rest = line[at + key.len()..].trim_start().strip_prefix(':')?.trim_start();
            let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"' | '`'))?;
            let (value, after) = rest[1..].split_once(quote)?;
            // `path.join(a, 'b')` and `'a' + b` are no plain text.
            let ends =
                after.trim_start().is_empty() || after.trim_start().starts_with([',', '}', ';']);
            (ends && !line[..at].ends_with(is_part)).then(|| value.to_owned())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_taken_where_it_is_a_plain_text() {
        for (text, expected) in [
            ("build: { outDir: 'out' }", Some("out")),
            ("outDir: \"../public\",", Some("../public")),
            ("  outDir: 'x'", Some("x")),
            ("outDir: resolve(__dirname, 'x')", None),
            ("outDir: 'a' + b", None),
            ("// outDir: 'x'", None),
            ("myoutDir: 'x'", None),
        ] {
            assert_eq!(setting(text, "outDir").as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_route_counts_where_its_whole_path_is_known() {
        for (file, line, is_taken) in [
            ("server.js", "router.get('/health', h)", true),
            ("src/app.ts", "app.get('/health', h)", true),
            ("cmd/shop/main.go", "r.GET(\"/health\", h)", true),
            ("config/routes.rb", "get '/health', to: 'x#y'", true),
            ("routes/web.php", "Route::get('/health', f);", true),
            ("app/api.py", "@app.get(\"/health\")", true),
            ("lib/Server.js", "this.app.get('/health', h)", true),
            ("web/handlers.go", "http.HandleFunc(\"/health\", h)", true),
            ("server/routers/status.js", "router.get('/health', h)", false),
            ("routes/api/index.js", "router.get('/health', h)", false),
            ("api/index.js", "router.get('/health', h)", false),
            ("lib/ParseServer.js", "api.use('/health', h)", false),
            ("app/api.py", "@router.get(\"/health\")", false),
            ("routes/api.php", "Route::get('/health', f);", false),
        ] {
            assert_eq!(
                route_in(line, is_entry(Path::new(file))).is_some(),
                is_taken,
                "{file} {line}"
            );
        }
    }
}
