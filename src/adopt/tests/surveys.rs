//! Folders of apps, and what `init` makes of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::adopt::{AdoptError, Survey, survey};

const COMPOSER: &str = "composer install --no-dev --optimize-autoloader";
const PRECOMPILE: &str = "RAILS_ENV=production SECRET_KEY_BASE_DUMMY=1 bin/rails assets:precompile";

pub(super) fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

pub(super) fn surveyed(files: &[(&str, &str)]) -> Survey {
    look(folder(files).path()).unwrap()
}

pub(super) fn look(path: &Path) -> Result<Survey, AdoptError> {
    survey(path, std::env::var_os("PATH").unwrap_or_default().as_ref(), &BTreeMap::new())
}

pub(super) fn command(survey: &Survey) -> String {
    let words = survey.draft.get("command").and_then(|command| command.as_array()).unwrap();
    words.iter().map(|word| word.as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

pub(super) fn text<'a>(survey: &'a Survey, key: &str) -> &'a str {
    survey.draft.get(key).unwrap().as_str().unwrap()
}

pub(super) fn package(scripts: &str, dependencies: &str) -> String {
    let list: Vec<_> =
        dependencies.split_whitespace().map(|name| format!("{name:?}: \"1\"")).collect();
    format!(
        "{{ \"name\": \"@acme/shop\", \"scripts\": {{ {scripts} }}, \"dependencies\": {{ {} }} }}",
        list.join(", ")
    )
}

#[test]
fn an_express_app_is_started_by_its_script() {
    let manifest =
        package("\"start\": \"PORT=4000 NODE_ENV=staging node src/server.js\"", "express");
    let seen = surveyed(&[
        ("package.json", &manifest),
        ("src/server.js", "app.get('/healthz', h);\napp.listen(process.env.PORT || 5000);"),
        ("node_modules/x/index.js", "app.get('/health')"),
        (".env", "A=b"),
        ("uploads/x", ""),
        ("db/shop.sqlite", ""),
    ]);
    assert!(seen.found.starts_with("an Express app (package.json)"), "{}", seen.found);
    assert_eq!(seen.draft.name.as_str(), "shop");
    assert_eq!(command(&seen), "node src/server.js");
    // That of its script is the one that it had.
    assert_eq!(text(&seen, "listen"), "127.0.0.1:4000");
    assert_eq!(text(&seen, "env"), "staging");
    assert_eq!(text(&seen, "env_file"), ".env");
    assert_eq!(text(&seen, "health.path"), "/healthz");
    assert_eq!(seen.draft.get("writable").unwrap().to_string(), "[\"uploads\", \"db\"]");
}

#[test]
fn an_app_that_ignores_port_is_told_so() {
    let manifest = package("", "fastify");
    let seen = surveyed(&[("package.json", &manifest), ("index.js", "server.listen(8080)")]);
    assert_eq!(command(&seen), "node index.js");
    assert_eq!(text(&seen, "listen"), "127.0.0.1:8080");
    assert!(
        seen.notes.iter().any(|note| note.contains("process.env.PORT || 8080")),
        "{:?}",
        seen.notes
    );
    assert_eq!(text(&seen, "health.path"), "/");
}

#[test]
fn frameworks_of_node_have_their_own_commands() {
    for (scripts, dependencies, expected) in [
        ("\"start\": \"next start -p 3005\"", "next", "next start -p {port}"),
        ("\"dev\": \"next dev\", \"start\": \"next dev\"", "next", "next start"),
        (
            "\"start\": \"nest start\", \"start:prod\": \"node dist/main\"",
            "@nestjs/core",
            "node dist/main",
        ),
        ("\"start\": \"nest start\"", "@nestjs/core", "node dist/main.js"),
        ("", "nuxt", "node .output/server/index.mjs"),
        ("\"start\": \"astro dev\"", "astro @astrojs/node", "node dist/server/entry.mjs"),
        ("\"start\": \"node a && node b\"", "koa", "npm run start"),
        ("\"prestart\": \"x\", \"start\": \"node a\"", "koa", "npm run start"),
        ("\"start\": \"nodemon a.js\", \"serve\": \"node a\"", "koa", "npm run serve"),
    ] {
        let seen = surveyed(&[("package.json", &package(scripts, dependencies))]);
        assert_eq!(command(&seen), expected, "{scripts} {dependencies}");
    }
    let seen =
        surveyed(&[("package.json", &package("\"start\": \"a | b\"", "")), ("yarn.lock", "")]);
    assert_eq!(command(&seen), "yarn run start");
    let seen = surveyed(&[("package.json", &package("\"start\": \"node a\"", "socket.io"))]);
    assert!(seen.notes.iter().any(|note| note.contains("transports")), "{:?}", seen.notes);
    let routes = [("package.json", &*package("", "next")), ("app/api/health/route.ts", "")];
    assert_eq!(text(&surveyed(&routes), "health.path"), "/api/health");
}

#[test]
fn a_site_that_a_builder_makes_is_served_as_files() {
    let seen = surveyed(&[(
        "package.json",
        &package("\"start\": \"vite\", \"dev\": \"vite\"", "vite react"),
    )]);
    assert_eq!(text(&seen, "static.root"), "dist");
    assert_eq!(text(&seen, "static.fallback"), "index.html");
    assert!(seen.notes[0].contains("npx vite build"), "{:?}", seen.notes);
    // What runs in a browser is called as what runs in Node.
    for (entry, page, needs, root) in [
        ("src/main.js", "index.html", "vite vue", "dist"),
        ("src/index.js", "public/index.html", "react-scripts react", "build"),
    ] {
        let manifest = package("\"dev\": \"vite\", \"build\": \"vite build\"", needs);
        let seen = surveyed(&[("package.json", &manifest), (entry, ""), (page, "")]);
        assert_eq!(
            (text(&seen, "static.root"), seen.draft.get("command")),
            (root, None),
            "{entry}"
        );
    }
    let manifest = package("", "vite express");
    let seen = surveyed(&[("package.json", &manifest), ("server.js", ""), ("index.html", "")]);
    assert_eq!(command(&seen), "node server.js");
    let seen = surveyed(&[("index.html", ""), ("style.css", "")]);
    assert_eq!((text(&seen, "static.root"), seen.draft.get("command")), (".", None));
}

#[test]
fn apps_of_python_are_found_by_their_object() {
    let fast =
        "from fastapi import FastAPI\napp: FastAPI = FastAPI(title='x')\n@app.get(\"/health\")\n";
    let flask = "def create_app():\n    app = Flask(__name__)\n    return app\n";
    let settings = "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')";
    for (files, expected) in [
        (
            vec![("requirements.txt", "fastapi\nuvicorn[standard]"), ("main.py", fast)],
            "uvicorn --host {host} --port {port} main:app",
        ),
        (
            vec![
                (
                    "pyproject.toml",
                    "[project]\nname = \"api\"\ndependencies = [\"fastapi\", \"hypercorn\"]",
                ),
                ("src/api/web.py", fast),
            ],
            "hypercorn --bind {host}:{port} api.web:app",
        ),
        (
            vec![("requirements.txt", "flask\ngunicorn"), ("shop/__init__.py", flask)],
            "gunicorn --bind {host}:{port} shop:create_app()",
        ),
        (
            vec![("requirements.txt", "Flask"), ("app.py", "app = flask.Flask(__name__)")],
            "gunicorn --bind {host}:{port} app:app",
        ),
        (
            vec![
                ("requirements.txt", "django\ngunicorn"),
                ("manage.py", settings),
                ("mysite/settings.py", ""),
            ],
            "gunicorn --bind {host}:{port} mysite.wsgi:application",
        ),
        (vec![("server.py", "port = int(os.environ['PORT'])")], "python3 server.py"),
    ] {
        let seen = surveyed(&files);
        assert_eq!(command(&seen), expected, "{files:?}");
        assert_eq!(text(&seen, "environment.PYTHONUNBUFFERED"), "1");
    }
    let seen = surveyed(&[("requirements.txt", "fastapi"), ("main.py", fast)]);
    assert!(seen.notes.iter().any(|note| note.contains("pip install uvicorn")), "{:?}", seen.notes);
    assert_eq!(text(&seen, "health.path"), "/health");
}

#[test]
fn the_other_languages_are_found_by_their_manifests() {
    for (files, expected) in [
        (
            vec![
                ("Gemfile", "gem 'rails'\ngem \"puma\""),
                ("config/puma.rb", "port ENV[\"PORT\"]"),
            ],
            "bundle exec puma",
        ),
        (
            vec![("Gemfile", "gem 'sinatra'\ngem 'puma'"), ("config.ru", "")],
            "bundle exec puma -b tcp://{host}:{port}",
        ),
        (vec![("config.ru", "")], "rackup -o {host} -p {port}"),
        (
            vec![
                ("go.mod", "module example.org/acme/shop/v2\n"),
                ("main.go", "os.Getenv(\"PORT\")"),
            ],
            "./shop",
        ),
        (vec![("go.mod", "module shop\n"), ("bin/server", "")], "./bin/server"),
        (vec![("Cargo.toml", "[package]\nname = \"shop\"")], "./target/release/shop"),
        (
            vec![("composer.json", "{\"name\": \"acme/shop\"}"), ("public/index.php", "")],
            "php -S {host}:{port} -t public",
        ),
        (vec![("index.php", "")], "php -S {host}:{port}"),
        (
            vec![("artisan", ""), ("public/index.php", "")],
            "php artisan serve --host={host} --port={port} --no-reload",
        ),
    ] {
        assert_eq!(command(&surveyed(&files)), expected, "{files:?}");
    }
    let seen = surveyed(&[("Cargo.toml", "[package]\nname = \"shop\"")]);
    assert!(
        seen.notes.iter().any(|note| note.contains("cargo build --release")),
        "{:?}",
        seen.notes
    );
}

#[test]
fn what_builds_an_app_is_written_down_for_its_deploys() {
    let manifest = package("\"start\": \"node a\", \"build\": \"tsc\"", "koa");
    let plain = package("\"start\": \"node a\"", "koa");
    let pages = package("\"build\": \"vite build\"", "vite");
    let pnpm = manifest.replacen('{', "{ \"packageManager\": \"pnpm@9.0.0\",", 1);
    let node = |lock| vec![("package.json", manifest.as_str()), (lock, "")];
    for (files, build) in [
        (node("package-lock.json"), vec!["npm ci", "npm run build"]),
        (node("README"), vec!["npm install", "npm run build"]),
        (vec![("package.json", plain.as_str()), ("package-lock.json", "{}")], vec!["npm ci"]),
        (node("yarn.lock"), vec!["yarn install --frozen-lockfile", "yarn run build"]),
        (node("pnpm-lock.yaml"), vec!["pnpm install --frozen-lockfile", "pnpm run build"]),
        (vec![("Cargo.toml", "[package]\nname = \"shop\"")], vec!["cargo build --release"]),
        (vec![("go.mod", "module example.org/shop")], vec!["go build -o shop ."]),
        (vec![("Gemfile", "gem 'puma'")], vec!["bundle install"]),
        (vec![("package.json", plain.as_str())], vec!["npm install"]),
        (vec![("package.json", pnpm.as_str())], vec!["pnpm install", "pnpm run build"]),
        (
            vec![("package.json", manifest.as_str()), ("pnpm-workspace.yaml", "")],
            vec!["pnpm install", "pnpm run build"],
        ),
        (
            vec![("pyproject.toml", "[project]\nname = \"shop\""), ("app.py", "app = Flask()")],
            vec!["python3 -m venv .venv", ".venv/bin/pip install ."],
        ),
        (
            vec![("pyproject.toml", "[project]\n[tool.uv]"), ("app.py", "app = Flask()")],
            vec!["uv sync --no-dev"],
        ),
        (vec![("composer.json", "{}"), ("index.php", "")], vec![COMPOSER]),
        (
            vec![("Gemfile", "gem 'rails'"), ("Gemfile.lock", "    sprockets (4.2.1)\n")],
            vec!["bundle install", PRECOMPILE],
        ),
        (
            vec![("Gemfile", "gem 'rails'\ngem 'propshaft'"), ("package.json", pages.as_str())],
            vec!["bundle install", "npm install", "npm run build", PRECOMPILE],
        ),
    ] {
        let survey = surveyed(&files);
        let lines = survey.draft.get("deploy.build").and_then(|lines| lines.as_array()).unwrap();
        let lines: Vec<_> = lines.iter().map(|line| line.as_str().unwrap()).collect();
        assert_eq!(lines, build, "{files:?}");
        let text = survey.draft.to_toml();
        assert!(text.contains("\n[deploy]\n# `romuoctl deploy`"), "{text}");
    }
    let site = package("\"start\": \"vite\", \"build\": \"vite build\"", "vite");
    let site = surveyed(&[("package.json", &site), ("package-lock.json", "{}")]);
    assert!(site.draft.get("deploy.build").is_some());
    let bare = package("\"start\": \"node a\"", "");
    let tools = [("pyproject.toml", "[tool.black]"), ("app.py", "app = Flask()")];
    for files in [&[("package.json", &*bare)][..], &[("index.html", "")], &tools] {
        assert_eq!(surveyed(files).draft.get("deploy.build"), None, "{files:?}");
    }
}

#[test]
fn what_a_framework_builds_is_no_data_of_the_app() {
    // Else a release of it would be none: `writable` is shared by all of them.
    let seen = surveyed(&[("package.json", &package("\"start\": \"next start\"", "next"))]);
    assert_eq!(seen.draft.get("writable").unwrap().to_string(), "[\".next/cache\"]");
}

#[test]
fn a_folder_that_says_nothing_is_refused() {
    assert!(matches!(look(folder(&[("x.txt", "")]).path()), Err(AdoptError::NothingFound { .. })));
    assert!(matches!(
        look(folder(&[("package.json", "{}")]).path()),
        Err(AdoptError::NothingFound { .. })
    ));
    assert!(matches!(
        look(folder(&[("package.json", "{")]).path()),
        Err(AdoptError::NothingFound { .. })
    ));
}

#[test]
fn a_route_that_is_only_asked_is_none_of_the_apps() {
    let manifest = package("", "express");
    let seen = surveyed(&[
        ("package.json", &manifest),
        (
            "index.js",
            "fetch('http://other/health')\naxios.get('/health')\nrouter.get('/ping', x)\n// PORT",
        ),
    ]);
    assert_eq!(text(&seen, "health.path"), "/ping");
}

#[test]
fn a_database_beside_the_sources_is_to_be_moved_and_not_made_writable_with_them() {
    let server = "app.listen(process.env.PORT)";
    let node = package("", "express");
    let seen = surveyed(&[
        ("package.json", &node),
        ("index.js", server),
        ("shop.db", ""),
        ("db/x.db", ""),
    ]);
    assert_eq!(seen.draft.get("writable").unwrap().to_string(), "[\"db\"]");
    let moves = "mkdir -p data && mv shop.db* data/";
    assert!(seen.notes.iter().any(|note| note.contains(moves)), "{:?}", seen.notes);
    // As `django-admin startproject` and `manage.py migrate` leave it.
    let settings = "DATABASES = {\"default\": {\"NAME\": BASE_DIR / \"db.sqlite3\"}}";
    let seen = surveyed(&[
        ("manage.py", "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')"),
        ("mysite/settings.py", settings),
        ("mysite/wsgi.py", ""),
        ("db.sqlite3", ""),
    ]);
    assert_eq!(seen.draft.get("writable").unwrap().to_string(), "[\"data\"]");
    let told: Vec<_> = seen.notes.iter().filter(|note| note.contains("db.sqlite3")).collect();
    assert!(told.len() == 1 && told[0].contains("BASE_DIR / \"data\""), "{:?}", seen.notes);
}

#[test]
fn a_program_that_listens_nowhere_is_told_to_be_no_app_of_romuo() {
    let worker = "const { Worker } = require('bullmq');\nnew Worker('mail', send);";
    let [queue, express] = ["bullmq", "express"].map(|needs| package("", needs));
    for (files, is_told) in [
        ([("package.json", &*queue), ("index.js", worker)], true),
        ([("package.json", &*queue), ("index.js", "http.createServer(x)")], false),
        ([("package.json", &*express), ("index.js", worker)], false),
        ([("requirements.txt", "discord.py"), ("main.py", "bot.run(TOKEN)")], true),
        ([("requirements.txt", ""), ("main.py", "HTTPServer(('', 80), H).serve_forever()")], false),
    ] {
        let seen = surveyed(&files);
        let tells = seen.notes.iter().any(|note| note.contains("nothing in its sources listens"));
        assert_eq!(tells, is_told, "{files:?}: {:?}", seen.notes);
    }
}

#[test]
fn an_app_that_says_no_port_gets_the_next_that_no_other_app_has() {
    let apps = |taken: &[(u16, &str)]| {
        taken.iter().map(|(port, app)| (*port, app.parse().unwrap())).collect::<BTreeMap<_, _>>()
    };
    let manifest = package("", "express");
    let silent = [("package.json", &*manifest), ("index.js", "app.listen(process.env.PORT)")];
    let says = [("package.json", &*manifest), ("index.js", "app.listen(3000)")];
    for (files, taken, port) in [
        (&silent, &[][..], "3000"),
        (&silent, &[(3000, "blog"), (3001, "wiki")], "3002"),
        // Its own of before is no other's.
        (&silent, &[(3000, "shop")], "3000"),
        (&says, &[(3000, "blog")], "3000"),
    ] {
        let there = folder(files);
        let search = std::env::var_os("PATH").unwrap_or_default();
        let seen = survey(there.path(), &search, &apps(taken)).unwrap();
        assert_eq!(text(&seen, "listen"), format!("127.0.0.1:{port}"), "{taken:?}");
        let told = seen.notes.iter().any(|note| note.contains("those before it are of other apps"));
        assert_eq!(told, port == "3002", "{:?}", seen.notes);
    }
}
