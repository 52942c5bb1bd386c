//! Apps with a package.json.

use std::path::Path;

use super::{Seen, Site, Sources};
use crate::adopt::command::{Made, of_line};
use crate::program::{Package, read_shell};

/// Scripts that start the app as it is to run on a server, the best first.
const SCRIPTS: [&str; 4] = ["start:prod", "start:production", "serve:prod", "start"];

/// Programs of scripts that are for development.
const DEVELOPMENT: [&str; 9] = [
    "nodemon",
    "ts-node-dev",
    "vite",
    "react-scripts",
    "webpack",
    "parcel",
    "vue-cli-service",
    "ng",
    "gatsby",
];

/// Files that an app without a script may be entered by.
const ENTRIES: [&str; 12] = [
    "server.js",
    "index.js",
    "app.js",
    "main.js",
    "server.mjs",
    "index.mjs",
    "src/server.js",
    "src/index.js",
    "src/app.js",
    "src/main.js",
    "dist/index.js",
    "dist/main.js",
];

/// Frameworks, by the package that they are.
const FRAMEWORKS: [(&str, &str); 13] = [
    ("next", "a Next.js app"),
    ("nuxt", "a Nuxt app"),
    ("@nestjs/core", "a NestJS app"),
    ("@remix-run/serve", "a Remix app"),
    ("@sveltejs/kit", "a SvelteKit app"),
    ("@astrojs/node", "an Astro app with a server"),
    ("@strapi/strapi", "a Strapi app"),
    ("fastify", "a Fastify app"),
    ("express", "an Express app"),
    ("koa", "a Koa app"),
    ("@hapi/hapi", "a hapi app"),
    ("hono", "a Hono app"),
    ("ws", "a WebSocket app"),
];

/// Builders of pages whose result is a folder of files, by their package.
const BUILDERS: [(&str, &str); 7] = [
    ("react-scripts", "build"),
    ("vite", "dist"),
    ("@vue/cli-service", "dist"),
    ("parcel", "dist"),
    ("gatsby", "public"),
    ("astro", "dist"),
    ("@11ty/eleventy", "_site"),
];

/// Looks at a folder with a package.json; none: it has none, or one that starts nothing.
pub(super) fn look(directory: &Path) -> Option<Seen> {
    let package = Package::read(directory).ok()?;
    let framework = FRAMEWORKS.iter().find(|(name, _)| package.needs(name));
    let kind = framework.map_or("a Node app", |(_, kind)| kind);
    let framework = framework.map_or("", |(name, _)| name);
    let is_page = framework.is_empty() && is_page(directory, &package);
    let (how, made) = command(directory, &package, framework)
        .or_else(|| (!is_page).then(|| entry(directory, &package)).flatten())
        .or_else(|| site(&package).is_none().then(|| script(directory, &package)).flatten())
        .unwrap_or_default();
    if made.words.is_empty() {
        let (root, built) = site(&package)?;
        let note = (!directory.join(root).is_dir()).then(|| {
            format!("the folder {root} is not there yet: build the site first (`npm run build`)")
        });
        return Some(Seen {
            build: build(directory, &package),
            name: package.name,
            what: format!("a site that {built} builds (package.json)"),
            site: Some(Site { root: root.into(), fallback: single_page(built) }),
            notes: note.into_iter().collect(),
            ..Seen::default()
        });
    }
    let sources = Sources::look(directory);
    let mut notes = Vec::new();
    // A framework with a server of its own looks at PORT; so may a package.
    if let (Some(port), false) = (sources.port, sources.asks) {
        notes.push(format!(
            "its sources listen on {port} and do not look at PORT: write \
             `process.env.PORT || {port}`, since each instance gets a port of its own"
        ));
    }
    if framework.is_empty() {
        notes.extend(sources.serve_nothing());
    }
    if framework == "next" && !directory.join(".next").is_dir() {
        notes.push("it is not built yet: `npm run build` comes first".into());
    }
    if package.needs("socket.io") {
        notes.push(
            "socket.io begins with long polling, whose requests have to reach one and the same instance: \
             write `transports: [\"websocket\"]` in its client, or `instances = 1`"
                .into(),
        );
    }
    // What it builds is part of a release, what it caches is not.
    let writable = if framework == "next" { vec![".next/cache".into()] } else { Vec::new() };
    Some(Seen {
        build: build(directory, &package),
        name: package.name,
        what: format!("{kind} (package.json), {how}"),
        made: made.listening(),
        port: sources.port,
        memory: "512M",
        writable,
        notes,
        ..Seen::default()
    })
}

/// The command that a script of package.json is, or that the framework has.
fn command(directory: &Path, package: &Package, framework: &str) -> Option<(String, Made)> {
    let script = SCRIPTS.iter().find_map(|name| Some((*name, package.scripts.get(*name)?)));
    let words = |text: &str| Made {
        words: text.split(' ').map(str::to_owned).collect(),
        ..Made::default()
    };
    let own = match framework {
        "next" => Some("next start"),
        "nuxt" => Some("node .output/server/index.mjs"),
        "@nestjs/core" => Some("node dist/main.js"),
        "@sveltejs/kit" => Some("node build"),
        "@astrojs/node" => Some("node dist/server/entry.mjs"),
        "@strapi/strapi" => Some("strapi start"),
        _ => None,
    };
    if let Some((name, text)) = script {
        let first = read_shell(text).ok().and_then(|simple| {
            let words = simple.words;
            let skip = usize::from(words.first().is_some_and(|word| word == "cross-env"));
            words.get(skip).cloned()
        });
        let development = first.as_deref().is_some_and(|word| DEVELOPMENT.contains(&word))
            || [" dev", "nest start", "nuxt start"].iter().any(|part| text.contains(part))
                && own.is_some();
        let around = [format!("pre{name}"), format!("post{name}")];
        let alone = !around.iter().any(|around| package.scripts.contains_key(around));
        match read_shell(text) {
            Ok(_) if !development && alone => {
                let how = format!("started by its script `{name}`: {text}");
                return Some((how, of_line(text)));
            }
            // What is kept is explained by `program::find`.
            _ if !development => {
                let manager = manager(directory);
                let how = format!("started by `{manager} run {name}`");
                return Some((how, words(&format!("{manager} run {name}"))));
            }
            _ => {}
        }
    }
    own.map(|own| (format!("started as its framework says: {own}"), words(own)))
}

/// `npm run X` where nothing better is known.
fn script(directory: &Path, package: &Package) -> Option<(String, Made)> {
    let name =
        ["serve", "server", "dev"].into_iter().find(|name| package.scripts.contains_key(*name))?;
    let command = format!("{} run {name}", manager(directory));
    let words = command.split(' ').map(str::to_owned).collect();
    Some((format!("started by `{command}`"), Made { words, ..Made::default() }))
}

/// The file that the app is entered by.
fn entry(directory: &Path, package: &Package) -> Option<(String, Made)> {
    let main = package.main.as_deref().map(|main| main.trim_start_matches("./"));
    let entries = main.into_iter().chain(ENTRIES);
    let entry = entries
        .filter(|entry| !entry.contains(char::is_control))
        .find(|entry| directory.join(entry).is_file())?;
    let words = vec!["node".into(), entry.into()];
    Some((format!("started by its file {entry}"), Made { words, ..Made::default() }))
}

/// The lines of its build, where it has one, or packages of which a lock file says which.
fn build(directory: &Path, package: &Package) -> Vec<String> {
    let builds = package.scripts.contains_key("build");
    let locked_by = locked_by(directory);
    if !builds && (locked_by.is_none() || package.dependencies.is_empty()) {
        return Vec::new();
    }
    let manager = locked_by.unwrap_or(MANAGER);
    let install = match manager {
        // Only versions after the first have this file, and another name for the option.
        "yarn" if directory.join(".yarnrc.yml").is_file() => "yarn install --immutable",
        "yarn" => "yarn install --frozen-lockfile",
        "pnpm" => "pnpm install --frozen-lockfile",
        "bun" => "bun install --frozen-lockfile",
        _ if locked_by.is_some() => "npm ci",
        // Without a lock file `npm ci` fails.
        _ => "npm install",
    };
    let build = builds.then(|| format!("{manager} run build"));
    [install.to_owned()].into_iter().chain(build).collect()
}

/// Files that say which packages there are, each with the manager that made it.
const LOCKS: [(&str, &str); 6] = [
    ("pnpm-lock.yaml", "pnpm"),
    ("yarn.lock", "yarn"),
    ("bun.lock", "bun"),
    ("bun.lockb", "bun"),
    ("package-lock.json", "npm"),
    ("npm-shrinkwrap.json", "npm"),
];

/// The package manager that comes with Node.
const MANAGER: &str = "npm";

/// The package manager of the app.
fn manager(directory: &Path) -> &'static str {
    locked_by(directory).unwrap_or(MANAGER)
}

/// The package manager that made the lock file; none: there is none.
fn locked_by(directory: &Path) -> Option<&'static str> {
    let lock = LOCKS.iter().find(|(lock, _)| directory.join(lock).is_file());
    lock.map(|(_, manager)| *manager)
}

/// Whether its sources are those of a page: what a builder makes of them runs in a browser, whatever its
/// files are called.
fn is_page(directory: &Path, package: &Package) -> bool {
    let pages = ["index.html", "public/index.html"];
    site(package).is_some() && pages.iter().any(|page| directory.join(page).is_file())
}

fn site(package: &Package) -> Option<(&'static str, &'static str)> {
    BUILDERS.iter().find(|(name, _)| package.needs(name)).map(|(name, root)| (*root, *name))
}

/// Whether the pages that a builder makes are one app.
fn single_page(builder: &str) -> Option<&'static str> {
    let many = matches!(builder, "gatsby" | "astro" | "@11ty/eleventy");
    (!many).then_some("index.html")
}
