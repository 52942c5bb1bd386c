//! Projects whose result is a folder of files, and those that only look so.

use super::surveys::{command, folder, look, package, surveyed, text};

#[test]
fn what_builds_pages_is_a_site_and_never_its_server_for_development() {
    let angular = r#"{"projects": {"shop": {"architect": {"build": {
        "builder": "@angular/build:application", "options": {}}}}}}"#;
    for (scripts, needs, more, root, line) in [
        ("'start': 'docusaurus start'", "@docusaurus/core", None, "build", "npx docusaurus build"),
        ("'dev': 'rspack serve --hot'", "@rspack/cli", None, "dist", "npx rspack build"),
        (
            "'server': 'hexo server', 'build': 'hexo generate'",
            "hexo",
            None,
            "public",
            "npm run build",
        ),
        (
            "'start': 'npx @11ty/eleventy --serve'",
            "@11ty/eleventy",
            None,
            "_site",
            "npx @11ty/eleventy",
        ),
        ("'start': 'gatsby develop'", "gatsby", None, "public", "npx gatsby build"),
        (
            "'docs:build': 'vitepress build docs'",
            "vitepress",
            None,
            "docs/.vitepress/dist",
            "npm run docs:build",
        ),
        (
            "'start': 'ng serve'",
            "@angular/cli",
            Some(("angular.json", angular)),
            "dist/shop/browser",
            "npx ng build",
        ),
        (
            "'build': 'vite build'",
            "vite",
            Some(("vite.config.ts", "build: { outDir: 'out' }")),
            "out",
            "npm run build",
        ),
        (
            "'build': 'vite build'",
            "vite",
            Some(("vite.config.js", "root: 'web', build: { outDir: '../out' }")),
            "out",
            "npm run build",
        ),
        ("'build': 'vite build --outDir www'", "vite", None, "www", "npm run build"),
        (
            "'start': 'next start', 'build': 'next build'",
            "next",
            Some(("next.config.mjs", "const c = { output: 'export' };")),
            "out",
            "npm run build",
        ),
        (
            "'build': 'vite build'",
            "@sveltejs/kit @sveltejs/adapter-static vite",
            None,
            "build",
            "npm run build",
        ),
    ] {
        let manifest = package(&scripts.replace('\'', "\""), needs);
        let files: Vec<_> = [("package.json", &*manifest)].into_iter().chain(more).collect();
        let seen = surveyed(&files);
        assert_eq!(text(&seen, "static.root"), root, "{scripts} {needs}");
        let build = seen.draft.get("deploy.build").unwrap().as_array().unwrap();
        assert_eq!(build.last().unwrap().as_str(), Some(line), "{scripts} {needs}");
        let told = seen
            .notes
            .iter()
            .any(|note| note.contains(&format!("build the site first (`{line}`)")));
        assert!(told, "{:?}", seen.notes);
    }
    for (files, root, line) in [
        ([("Gemfile", "gem \"jekyll\""), ("_config.yml", "")], "_site", "bundle exec jekyll build"),
        ([("hugo.toml", ""), ("content/a.md", "")], "public", "hugo"),
    ] {
        let seen = surveyed(&files);
        assert_eq!(text(&seen, "static.root"), root, "{files:?}");
        let build = seen.draft.get("deploy.build").unwrap().as_array().unwrap();
        assert_eq!(build.last().unwrap().as_str(), Some(line), "{files:?}");
    }
}

#[test]
fn pages_outside_of_the_folder_are_spoken_of() {
    let manifest = package("\"build\": \"vite build\"", "vite");
    let config = "build: { outDir: '../public/app' }";
    let seen = surveyed(&[("package.json", &manifest), ("vite.config.js", config)]);
    assert_eq!(text(&seen, "static.root"), "dist");
    assert!(seen.notes[0].contains("writes to ../public/app, outside"), "{:?}", seen.notes);
}

#[test]
fn pages_for_the_machines_of_somebody_else_are_spoken_of() {
    let seen = surveyed(&[("package.json", &package("", "astro @astrojs/vercel"))]);
    assert!(seen.notes[0].contains("`npx astro add node`"), "{:?}", seen.notes);
}

#[test]
fn an_app_in_another_language_is_more_than_the_pages_that_are_built_for_it() {
    let pages = package("\"dev\": \"vite\", \"build\": \"vite build\"", "vite");
    let manage = "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')";
    for (files, expected, build) in [
        (
            vec![("artisan", ""), ("composer.json", "{}"), ("public/index.php", "")],
            "php artisan serve --host={host} --port={port} --no-reload",
            "composer install --no-dev --optimize-autoloader, npm install, npm run build",
        ),
        (
            vec![("manage.py", manage), ("shop/settings.py", "")],
            "gunicorn --bind {host}:{port} shop.wsgi:application",
            "npm install, npm run build",
        ),
        (
            vec![("app.py", "app = Flask(__name__)"), ("index.html", "")],
            "gunicorn --bind {host}:{port} app:app",
            "npm install, npm run build",
        ),
        (
            vec![("go.mod", "module shop\n")],
            "./shop",
            "npm install, npm run build, go build -o shop .",
        ),
        (
            vec![("config.ru", ""), ("Gemfile", "gem 'sinatra'\ngem 'puma'")],
            "bundle exec puma -b tcp://{host}:{port}",
            "bundle install, npm install, npm run build",
        ),
    ] {
        let files: Vec<_> = { files }.into_iter().chain([("package.json", &*pages)]).collect();
        let seen = surveyed(&files);
        assert_eq!(command(&seen), expected, "{files:?}");
        let lines = seen.draft.get("deploy.build").unwrap().as_array().unwrap();
        let lines: Vec<_> = lines.iter().map(|line| line.as_str().unwrap()).collect();
        assert_eq!(lines.join(", "), build, "{files:?}");
    }
    let library = [("Cargo.toml", "[package]\nname = \"a\""), ("src/lib.rs", "")];
    let files = [("package.json", &*pages)].into_iter().chain(library).collect::<Vec<_>>();
    assert_eq!(text(&surveyed(&files), "static.root"), "dist");
    // A lone script of Python beside a site is none of it, and an app of Node is one.
    let seen = surveyed(&[("package.json", &pages), ("main.py", "print(1)"), ("index.html", "")]);
    assert_eq!(text(&seen, "static.root"), "dist");
    let express = package("\"start\": \"node server.js\"", "express");
    let seen = surveyed(&[("package.json", &express), ("app.py", "app = Flask(__name__)")]);
    assert_eq!(command(&seen), "node server.js");
}

#[test]
fn a_folder_that_is_no_app_is_told_why() {
    let told = |files: &[(&str, &str)]| look(folder(files).path()).unwrap_err().to_string();
    let turbo = package("\"dev\": \"turbo run dev\"", "turbo");
    let spaces = r#"{"workspaces": ["apps/*"], "scripts": {"dev": "x"}}"#;
    let web = package("\"start\": \"next start\"", "next");
    let only_dev = package("\"dev\": \"tsx watch a.ts\"", "fastify");
    for (files, parts) in [
        (vec![("package.json", "{ x")], vec!["package.json cannot be read: key", "line 1"]),
        (vec![("package.json", "{}")], vec!["no script `start`", "server.js"]),
        (
            vec![("package.json", &*only_dev)],
            vec!["script `dev` that is for development (`tsx watch a.ts`)"],
        ),
        (
            vec![
                ("package.json", &*turbo),
                ("pnpm-workspace.yaml", ""),
                ("apps/web/package.json", &*web),
            ],
            vec!["several packages (pnpm-workspace.yaml)", "such as apps/web"],
        ),
        (vec![("package.json", spaces)], vec!["several packages (workspaces in package.json)"]),
        (vec![("requirements.txt", "flask")], vec!["no source of Python makes an app object"]),
        (vec![("composer.json", "{}")], vec!["no index.php beside composer.json"]),
        (vec![("Cargo.toml", "[workspace]")], vec!["Cargo.toml has no package"]),
        (vec![("deno.json", "{}"), ("main.ts", "")], vec!["\"deno\", \"run\""]),
        (vec![("ecosystem.config.js", "")], vec!["`romuoctl import ecosystem.config.js`"]),
        (vec![("Procfile", "web: x")], vec!["`romuoctl import Procfile`"]),
        (vec![("README", "")], vec!["nothing that says what app it is"]),
    ] {
        let said = told(&files);
        assert!(parts.iter().all(|part| said.contains(part)), "{files:?}: {said}");
    }
    // One that starts something is an app all the same, and told.
    let root = r#"{"workspaces": ["a"], "scripts": {"start": "npm start --workspace a"}}"#;
    let seen = surveyed(&[("package.json", root)]);
    assert!(seen.notes[0].contains("several packages"), "{:?}", seen.notes);
    let root = root.replace("npm start --workspace a", "node server.js");
    let seen = surveyed(&[("package.json", &root), ("server.js", "app.listen(PORT)")]);
    assert!(!seen.notes.iter().any(|note| note.contains("packages")), "{:?}", seen.notes);
}
