//! Apps that are built to a program, apps of PHP, and folders of files.

use std::path::Path;

use super::{Seen, Site, Sources};
use crate::adopt::command::Made;
use crate::adopt::scan;
use crate::release::IGNORE_FILE;

/// Folders that builders of sites leave their pages in.
const SITES: [&str; 6] = ["", "dist", "build", "public", "_site", "out"];

/// Files that configure Hugo.
const HUGO: [&str; 3] = ["hugo.toml", "hugo.yaml", "hugo.json"];

/// What installs the packages of PHP for a server.
const COMPOSER: &str = "composer install --no-dev --optimize-autoloader";

/// Looks at a folder with a go.mod.
pub(super) fn go(directory: &Path) -> Option<Seen> {
    let manifest = scan::read(&directory.join("go.mod"))?;
    let module = manifest.lines().find_map(|line| line.trim().strip_prefix("module "))?.trim();
    // "example.org/shop/v2"
    let is_version = |part: &&str| {
        part.strip_prefix('v').is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()))
    };
    let name = module.rsplit('/').find(|part| !is_version(part))?.to_owned();
    let places =
        [format!("bin/{name}"), name.clone(), "bin/server".into(), "server".into(), "app".into()];
    let build = format!("go build -o {name} .");
    Some(built(directory, "a Go app (go.mod)", name, &places, &build, "256M"))
}

/// Looks at a folder with a Cargo.toml.
pub(super) fn rust(directory: &Path) -> Option<Seen> {
    let manifest: toml::Table = scan::read(&directory.join("Cargo.toml"))?.parse().ok()?;
    let package = manifest.get("package")?.get("name")?.as_str()?.to_owned();
    let bins = manifest.get("bin").and_then(toml::Value::as_array);
    let bin = bins.and_then(|bins| bins.first()?.get("name")?.as_str());
    let name = bin.unwrap_or(&package).to_owned();
    let places = [format!("target/release/{name}")];
    let what = "a Rust app (Cargo.toml)";
    let is_program = bin.is_some() || directory.join("src/main.rs").is_file();
    let mut seen = built(directory, what, package, &places, "cargo build --release", "128M");
    // A library may be a part of pages, as WebAssembly.
    seen.is_weak = !is_program;
    if !directory.join(IGNORE_FILE).exists() {
        seen.notes.push(format!(
            "a release would take along all that cargo leaves in target: `printf '%s\\n' '/target/*' \
             '!/target/release' '/target/release/*' '!/target/release/{name}' > {IGNORE_FILE}` keeps it to \
             the program"
        ));
    }
    Some(seen)
}

/// An app that a build makes a program of, which is at the first of `places` that is there.
fn built(
    directory: &Path,
    what: &str,
    name: String,
    places: &[String],
    build: &str,
    memory: &'static str,
) -> Seen {
    let there = places.iter().find(|place| directory.join(place).is_file());
    let program = there.or(places.get(usize::from(places.len() > 1))).cloned().unwrap_or_default();
    let Sources { port, asks, .. } = Sources::look(directory);
    let mut notes = Vec::new();
    if there.is_none() {
        notes.push(format!("{program} is not there yet: `{build}` makes it"));
    }
    if !asks {
        notes.push(
            "its sources do not look at PORT: the app has to listen on 127.0.0.1 and the port that \
             this variable names"
                .into(),
        );
    }
    Seen {
        name: Some(name),
        what: format!("{what}, started by ./{program}"),
        made: Made { words: vec![format!("./{program}")], ..Made::default() },
        port,
        memory,
        build: vec![build.into()],
        notes,
        ..Seen::default()
    }
}

/// Looks at a folder with an index.php.
pub(super) fn php(directory: &Path) -> Option<Seen> {
    let laravel = directory.join("artisan").is_file();
    let index = ["public/index.php", "web/index.php", "index.php"]
        .into_iter()
        .find(|index| directory.join(index).is_file())?;
    let root = Path::new(index).parent().and_then(Path::to_str).unwrap_or_default();
    let command = match (laravel, root) {
        (true, _) => "php artisan serve --host={host} --port={port} --no-reload".to_owned(),
        (_, "") => "php -S {host}:{port}".to_owned(),
        (_, root) => format!("php -S {{host}}:{{port}} -t {root}"),
    };
    let composer = scan::read(&directory.join("composer.json"));
    let build = composer.as_ref().map(|_| COMPOSER.to_owned()).into_iter().collect();
    let is_weak = !laravel && composer.is_none();
    let name = composer.and_then(|text| {
        let manifest: serde_json::Value = serde_json::from_str(&text).ok()?;
        Some(manifest.get("name")?.as_str()?.to_owned())
    });
    let writable = ["storage", "bootstrap/cache", "var"]
        .into_iter()
        .filter(|folder| directory.join(folder).is_dir())
        .map(str::to_owned)
        .collect();
    let kind = if laravel { "a Laravel app (artisan)" } else { "a PHP app" };
    Some(Seen {
        name,
        what: format!("{kind} with {index}, served by the server of php itself"),
        made: Made { words: command.split(' ').map(str::to_owned).collect(), ..Made::default() },
        port: Some(8000),
        memory: "300M",
        environment: vec![("PHP_CLI_SERVER_WORKERS", "4")],
        writable,
        build,
        is_weak,
        notes: vec![
            "the server of php itself is made for development: for much traffic use FrankenPHP or \
             RoadRunner as the command"
                .into(),
        ],
        ..Seen::default()
    })
}

/// Looks at a folder with a site of Hugo.
pub(super) fn hugo(directory: &Path) -> Option<Seen> {
    let file = HUGO.into_iter().find(|file| directory.join(file).is_file())?;
    let root = "public";
    let is_built = directory.join(root).join("index.html").is_file();
    let note = format!("the folder {root} is not there yet: build the site first (`hugo`)");
    Some(Seen {
        what: format!("a site that Hugo builds ({file})"),
        site: Some(Site { root: root.into(), fallback: None }),
        build: vec!["hugo".into()],
        notes: (!is_built).then_some(note).into_iter().collect(),
        ..Seen::default()
    })
}

/// Looks at a folder with an index.html.
pub(super) fn site(directory: &Path) -> Option<Seen> {
    let root = SITES.into_iter().find(|root| directory.join(root).join("index.html").is_file())?;
    let shown = if root.is_empty() { "." } else { root };
    Some(Seen {
        what: format!("a folder of files with {}", Path::new(root).join("index.html").display()),
        site: Some(Site { root: shown.into(), fallback: None }),
        ..Seen::default()
    })
}
