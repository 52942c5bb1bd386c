//! Apps of Python: what their server is, and where their app object lies.

use std::path::Path;

use super::{Seen, Sources, settings};
use crate::adopt::command::Made;
use crate::adopt::scan;

/// Manifests that name packages.
const MANIFESTS: [&str; 6] = [
    "pyproject.toml",
    "requirements.txt",
    "Pipfile",
    "setup.cfg",
    "setup.py",
    "requirements/base.txt",
];

/// Files that a program without a framework may be entered by.
const ENTRIES: [&str; 4] = ["main.py", "app.py", "server.py", "run.py"];

/// Frameworks by the call that makes the app, and whether they speak ASGI.
const FRAMEWORKS: [(&str, &str, bool); 9] = [
    ("FastAPI(", "a FastAPI app", true),
    ("Starlette(", "a Starlette app", true),
    ("Litestar(", "a Litestar app", true),
    ("Quart(", "a Quart app", true),
    ("BlackSheep(", "a BlackSheep app", true),
    ("Flask(", "a Flask app", false),
    ("Bottle(", "a Bottle app", false),
    ("falcon.App(", "a Falcon app", false),
    ("falcon.asgi.App(", "a Falcon app", true),
];

/// An app object.
#[derive(Debug, PartialEq, Eq)]
struct Object {
    what: &'static str,
    /// `package.module:name`
    place: String,
    asgi: bool,
    /// The folder that modules start in, where it is not the app's.
    base: Option<String>,
    factory: bool,
}

/// Looks at a folder with Python in it; none: there is none that serves.
pub(super) fn look(directory: &Path) -> Option<Seen> {
    let manifests: Vec<_> = MANIFESTS
        .iter()
        .filter_map(|name| Some((*name, scan::read(&directory.join(name))?)))
        .collect();
    let entry = ENTRIES.iter().find(|name| directory.join(name).is_file());
    if manifests.is_empty() && entry.is_none() && !directory.join("manage.py").is_file() {
        return None;
    }
    let packages = manifests.iter().map(|(_, text)| text.to_lowercase()).collect::<String>();
    let manifest = manifests.first().map_or("no manifest", |(name, _)| name);
    let is_uv = directory.join("uv.lock").is_file() || packages.contains("[tool.uv");
    let sources = Sources::look(directory);
    let mut seen = Seen {
        name: name(&manifests),
        memory: "300M",
        environment: vec![("PYTHONUNBUFFERED", "1")],
        ..Seen::default()
    };
    seen.build = build(directory, is_uv);
    let project = django(directory);
    if project.is_some() {
        settings::add(directory, &mut seen);
    }
    if packages.contains("flask-socketio") || packages.contains("python-socketio") {
        seen.notes.push(
            "Socket.IO begins with long polling, whose requests have to reach one and the same instance: \
             write `transports: [\"websocket\"]` in its client, or `instances = 1`"
                .into(),
        );
    }
    let object = project.or_else(|| object(directory));
    let streamlit =
        entry.filter(|_| object.is_none()).and_then(|entry| streamlit(directory, entry));
    if let Some(made) = streamlit {
        seen.what = format!("a Streamlit app ({manifest}), served by streamlit");
        seen.made = made;
        seen.port = Some(8501);
        seen.health = Some("/_stcore/health");
    } else if let Some(object) = object {
        let (server, words) = serve(&object, &packages, directory);
        seen.what = format!("{} at {} ({manifest}), served by {server}", object.what, object.place);
        if !brings(&packages, server) && !is_there(directory, server) {
            let how = if is_uv { "uv add" } else { "pip install" };
            seen.notes.push(format!("{server} has to be installed: `{how} {server}`"));
        }
        seen.made = Made { words, ..Made::default() };
        seen.port = Some(sources.port.unwrap_or(8000));
    } else {
        let entry = entry?;
        seen.is_weak = true;
        seen.what = format!("a Python program ({manifest}), started by its file {entry}");
        seen.made = Made { words: vec!["python3".into(), (*entry).into()], ..Made::default() };
        seen.port = sources.port;
        if let Some(note) = sources.serve_nothing() {
            seen.notes.push(note);
        } else if !sources.asks {
            seen.notes.push(
                "its sources do not look at PORT: write `int(os.environ[\"PORT\"])`, since each \
                 instance gets a port of its own"
                    .into(),
            );
        }
    }
    if !directory.join(".venv").is_dir()
        && !directory.join("venv").is_dir()
        && !manifests.is_empty()
    {
        let how = match seen.build.first() {
            _ if is_uv => "`uv sync`",
            Some(line) if line.contains("poetry") => {
                "`POETRY_VIRTUALENVS_IN_PROJECT=true poetry install`"
            }
            _ => "`python3 -m venv .venv`, and install its packages there",
        };
        seen.notes.push(format!("there is no .venv in its folder: {how}"));
    }
    Some(seen)
}

/// The lines that install its packages into a clean checkout, in a folder of their own: the system's Python takes
/// none (PEP 668).
fn build(directory: &Path, is_uv: bool) -> Vec<String> {
    let has = |name: &str| directory.join(name).is_file();
    let lines: &[&str] = if has("uv.lock") {
        &["uv sync --frozen --no-dev"]
    } else if is_uv {
        &["uv sync --no-dev"]
    } else if has("poetry.lock") {
        &["POETRY_VIRTUALENVS_IN_PROJECT=true poetry install --only main --no-interaction"]
    } else if has("requirements.txt") {
        &["python3 -m venv .venv", ".venv/bin/pip install -r requirements.txt"]
    } else if is_project(directory) {
        &["python3 -m venv .venv", ".venv/bin/pip install ."]
    } else {
        &[]
    };
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// Whether pyproject.toml says what is to be installed, and does not only configure tools.
fn is_project(directory: &Path) -> bool {
    let text = scan::read(&directory.join("pyproject.toml")).unwrap_or_default();
    ["[project]", "[tool.poetry]", "[build-system]"].iter().any(|table| text.contains(table))
}

/// Whether the packages that a manifest names bring a server.
fn brings(packages: &str, server: &str) -> bool {
    let extras = ["fastapi[standard", "fastapi[all"];
    packages.contains(server)
        || server == "uvicorn" && extras.iter().any(|extra| packages.contains(extra))
}

/// The command of an app of Streamlit, which runs its file itself; none: the file is none of its apps.
fn streamlit(directory: &Path, entry: &str) -> Option<Made> {
    let text = scan::read(&directory.join(entry))?;
    let imports = ["import streamlit", "from streamlit"];
    if !text.lines().any(|line| imports.iter().any(|start| line.starts_with(start))) {
        return None;
    }
    let line = format!("streamlit run {entry} --server.headless true");
    let words = line.split(' ').map(str::to_owned).collect();
    Some(Made { words, ..Made::default() }.listening())
}

fn is_there(directory: &Path, server: &str) -> bool {
    [".venv/bin", "venv/bin"].iter().any(|bin| directory.join(bin).join(server).is_file())
}

/// The name that pyproject.toml has.
fn name(manifests: &[(&str, String)]) -> Option<String> {
    let (_, text) = manifests.iter().find(|(name, _)| *name == "pyproject.toml")?;
    let manifest: toml::Table = text.parse().ok()?;
    let project = manifest.get("project").and_then(|project| project.get("name"));
    let poetry = || manifest.get("tool")?.get("poetry")?.get("name");
    Some(project.or_else(poetry)?.as_str()?.to_owned())
}

/// The project of Django beside its manage.py.
fn django(directory: &Path) -> Option<Object> {
    let manage = scan::read(&directory.join("manage.py"))?;
    let (_, rest) = manage.split_once("DJANGO_SETTINGS_MODULE")?;
    let module = rest.split(['"', '\'']).find(|word| word.contains('.'))?;
    let project = module.split('.').next()?;
    let asgi = ["channels", "daphne"];
    let settings = settings::texts(directory).concat();
    let named = |package: &&str| {
        ['"', '\''].iter().any(|quote| settings.contains(&format!("{quote}{package}{quote}")))
    };
    let asgi = asgi.iter().any(named);
    let kind = if asgi { "asgi" } else { "wsgi" };
    Some(Object {
        what: "a Django app",
        place: format!("{project}.{kind}:application"),
        asgi,
        base: None,
        factory: false,
    })
}

/// The first app object in the sources, those nearest to the folder first.
fn object(directory: &Path) -> Option<Object> {
    let mut files = scan::sources(directory);
    files.retain(|file| file.extension().is_some_and(|extension| extension == "py"));
    files.sort_by_key(|file| file.components().count());
    files.iter().find_map(|file| {
        let inside = file.strip_prefix(directory).ok()?;
        object_in(&scan::read(file)?, inside)
    })
}

/// The app object in the text of `file`.
fn object_in(text: &str, file: &Path) -> Option<Object> {
    let (base, module) = match file.strip_prefix("src") {
        Ok(inside) => (Some("src".to_owned()), inside),
        Err(_) => (None, file),
    };
    let module = module.with_extension("");
    let module = module.to_str()?;
    let module = module.strip_suffix("__init__").unwrap_or(module);
    let module = module.trim_end_matches('/').replace('/', ".");
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    if module.is_empty() || !module.chars().all(word) {
        return None;
    }
    let made = |line: &str| {
        let (name, value) = line.split_once('=')?;
        let name = name.split(':').next()?.trim();
        let is_name =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let value = value.trim_start();
        // `fastapi.FastAPI(` too
        let call = FRAMEWORKS.iter().rev().find(|(call, ..)| {
            value.starts_with(call)
                || value.split_once('.').is_some_and(|(_, c)| c.starts_with(call))
        })?;
        // In a function it is indented.
        (is_name && !line.starts_with([' ', '\t'])).then_some((name.to_owned(), *call))
    };
    if let Some((name, (_, what, asgi))) = text.lines().find_map(made) {
        let place = format!("{module}:{name}");
        return Some(Object { what, place, asgi, base, factory: false });
    }
    let (call, what, asgi) = FRAMEWORKS.iter().find(|(call, ..)| text.contains(call))?;
    let (before, _) = text.split_once(call)?;
    let factory = ["create_app", "make_app", "get_app"]
        .into_iter()
        .find(|name| before.contains(&format!("def {name}(")))?;
    let place = format!("{module}:{factory}");
    Some(Object { what, place, asgi: *asgi, base, factory: true })
}

/// The server for an app object that the packages have, and its command.
fn serve(object: &Object, packages: &str, directory: &Path) -> (&'static str, Vec<String>) {
    let has = |server: &&&str| brings(packages, server) || is_there(directory, server);
    let servers: &[&str] = if object.asgi {
        &["uvicorn", "hypercorn", "granian", "daphne"]
    } else {
        &["gunicorn", "waitress", "uwsgi"]
    };
    let server = servers.iter().find(has).copied().unwrap_or(servers[0]);
    let server = if server == "uwsgi" { "gunicorn" } else { server };
    let place = if object.factory && server == "gunicorn" {
        format!("{}()", object.place)
    } else {
        object.place.clone()
    };
    let base = object.base.as_deref();
    let line = match server {
        "uvicorn" => "uvicorn --host {host} --port {port}",
        "hypercorn" => "hypercorn --bind {host}:{port}",
        "granian" => "granian --interface asgi --host {host} --port {port}",
        "daphne" => "daphne -b {host} -p {port}",
        "waitress" => "waitress-serve --host={host} --port={port}",
        _ => "gunicorn --bind {host}:{port}",
    };
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    match (server, base) {
        ("uvicorn", Some(base)) => words.extend(["--app-dir".into(), base.into()]),
        ("gunicorn", Some(base)) => words.extend(["--chdir".into(), base.into()]),
        _ => {}
    }
    match server {
        "uvicorn" if object.factory => words.push("--factory".into()),
        "waitress" if object.factory => words.push("--call".into()),
        _ => {}
    }
    words.push(place);
    (server, words)
}
