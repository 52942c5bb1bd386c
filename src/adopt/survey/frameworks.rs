//! Frameworks of Node: how each of them serves what it has built.

use std::path::Path;

use super::Site;
use super::builders::configuration;
use super::write::CANNOT_RUN;
use crate::adopt::scan::setting;
use crate::program::{Manager, Package};

/// What a folder's framework says of it; nothing where it has none.
#[derive(Debug, Default)]
pub(super) struct Framework {
    /// The package that it is.
    pub(super) package: &'static str,
    /// "an Express app"
    pub(super) kind: &'static str,
    /// The command that serves what it has built.
    pub(super) command: Option<String>,
    /// Parts of scripts in whose place that command is better.
    pub(super) replaces: Vec<&'static str>,
    /// The folder of files that it builds, where nothing of it runs.
    pub(super) site: Option<Site>,
    /// What builds it, where no script does.
    pub(super) line: Option<&'static str>,
    /// Lines behind those that build it.
    pub(super) build: Vec<String>,
    /// Folders that it writes to.
    pub(super) writable: Vec<String>,
    pub(super) notes: Vec<String>,
}

/// Frameworks that are there although only a build needs them, by the package that they are.
const BUILT: [(&str, &str); 13] = [
    ("@keystone-6/core", "a Keystone app"),
    ("@strapi/strapi", "a Strapi app"),
    ("next", "a Next.js app"),
    ("nuxt", "a Nuxt app"),
    ("@angular/ssr", "an Angular app with a server"),
    ("@nestjs/core", "a NestJS app"),
    ("@adonisjs/core", "an AdonisJS app"),
    ("@remix-run/serve", "a Remix app"),
    ("@react-router/serve", "a React Router app"),
    ("@sveltejs/kit", "a SvelteKit app"),
    ("@astrojs/node", "an Astro app with a server"),
    ("@builder.io/qwik-city", "a Qwik app"),
    ("@qwik.dev/router", "a Qwik app"),
];

/// Frameworks that an app has when it runs: as a package for development it belongs to a test, or to a server of
/// its own for development.
const RUNNING: [(&str, &str); 6] = [
    ("fastify", "a Fastify app"),
    ("express", "an Express app"),
    ("koa", "a Koa app"),
    ("@hapi/hapi", "a hapi app"),
    ("hono", "a Hono app"),
    ("ws", "a WebSocket app"),
];

/// Adapters of SvelteKit that make a server which a command runs.
const SVELTE_SERVERS: [&str; 2] = ["@sveltejs/adapter-node", "svelte-adapter-bun"];

/// The adapter that makes a folder of files.
const SVELTE_STATIC: &str = "@sveltejs/adapter-static";

/// Looks for the framework of a folder.
pub(super) fn framework(directory: &Path, package: &Package) -> Framework {
    let built = BUILT.iter().find(|(name, _)| package.needs(name));
    let found = built.or_else(|| RUNNING.iter().find(|(name, _)| package.runs_with(name)));
    let Some((name, kind)) = found else {
        return Framework { kind: "a Node app", ..Framework::default() };
    };
    let mut framework = Framework { package: name, kind, ..Framework::default() };
    let serves = |command: &str| Some(command.to_owned());
    match *name {
        "next" => framework.next(directory),
        "nuxt" if package.major("nuxt") == Some(2) => framework.command = serves("nuxt start"),
        "nuxt" => {
            framework.command = serves("node .output/server/index.mjs");
            // That of Nuxt 3 only shows what was built.
            framework.replaces = vec!["nuxt start", "nuxi start", "nuxt preview", "nuxi preview"];
        }
        "@nestjs/core" => {
            framework.command = serves("node dist/main.js");
            framework.replaces = vec!["nest start"];
        }
        "@adonisjs/core" => {
            // Version 5 had its server beside its other files.
            let old = package.major("@adonisjs/core") == Some(5);
            framework.command =
                serves(if old { "node build/server.js" } else { "node build/bin/server.js" });
            framework.replaces = vec!["node bin/server.js", "node server.js", "node ace serve"];
            framework.line = Some("node ace build");
        }
        "@angular/ssr" => {
            let mut scripts = package.scripts.iter();
            let serves = scripts.find(|(name, _)| name.starts_with("serve:ssr"));
            framework.command = serves.map(|(_, text)| text.clone());
        }
        "@sveltejs/kit" => framework.svelte(directory, package),
        "@astrojs/node" => framework.command = serves("node dist/server/entry.mjs"),
        "@strapi/strapi" => framework.command = serves("strapi start"),
        "@keystone-6/core" => framework.command = serves("keystone start"),
        "@builder.io/qwik-city" | "@qwik.dev/router" => framework.qwik(package),
        _ => {}
    }
    framework
}

impl Framework {
    fn next(&mut self, directory: &Path) {
        let text = configuration(directory, "next.config").unwrap_or_default();
        match setting(&text, "output").as_deref() {
            Some("export") => {
                self.kind = "a site that Next.js exports";
                self.site = Some(Site { root: "out".into(), fallback: None });
            }
            Some("standalone") => {
                self.command = Some("node .next/standalone/server.js".into());
                self.replaces = vec!["next start"];
                self.writable = vec![".next/standalone/.next/cache".into()];
                // The documentation of Next.js has it copied by hand.
                self.build = vec!["cp -r .next/static .next/standalone/.next/".into()];
                if directory.join("public").is_dir() {
                    self.build.push("cp -r public .next/standalone/".into());
                }
            }
            _ => {
                self.command = Some("next start".into());
                // What it builds is part of a release, what it caches is not.
                self.writable = vec![".next/cache".into()];
                if !directory.join(".next").is_dir() {
                    let Manager { name, .. } = Manager::of(directory);
                    self.notes.push(format!("it is not built yet: `{name} run build` comes first"));
                }
            }
        }
    }

    fn svelte(&mut self, directory: &Path, package: &Package) {
        let text = configuration(directory, "svelte.config").unwrap_or_default();
        let imports = |name: &&str| text.contains(*name);
        let adapters: Vec<&str> = package
            .dependencies
            .keys()
            .map(String::as_str)
            .filter(|name| name.starts_with("@sveltejs/adapter-") || SVELTE_SERVERS.contains(name))
            .collect();
        let adapter = adapters.iter().find(|name| imports(name)).or(adapters.first()).copied();
        match adapter {
            Some(SVELTE_STATIC) => {
                self.kind = "a site of SvelteKit";
                let single = setting(&text, "fallback").filter(|page| page == "index.html");
                let fallback = single.map(|_| "index.html");
                let root = setting(&text, "pages").unwrap_or_else(|| "build".into());
                self.site = Some(Site { root, fallback });
            }
            Some(other) if !SVELTE_SERVERS.contains(&other) => {
                self.command = Some("node build".into());
                let short = other.trim_start_matches("@sveltejs/");
                self.notes.push(format!(
                    "{CANNOT_RUN}: {short} makes no server for a machine of one's own. `npm install -D \
                     @sveltejs/adapter-node`, and import that in svelte.config.js in its place: then `node build` \
                     serves"
                ));
            }
            _ => self.command = Some("node build".into()),
        }
    }

    fn qwik(&mut self, package: &Package) {
        let entries = ["entry.express", "entry.fastify", "entry.node-server"];
        let is_entry = |text: &&String| {
            text.starts_with("node ") && entries.iter().any(|entry| text.contains(entry))
        };
        self.command = package.scripts.values().find(is_entry).cloned();
        if self.command.is_none() {
            self.kind = "a Qwik site";
            self.site = Some(Site { root: "dist".into(), fallback: None });
            self.notes.push(
                "no server of it was found: `npm run qwik add express` makes one, `npm run qwik add static` \
                 pages that are files"
                    .into(),
            );
        }
    }
}
