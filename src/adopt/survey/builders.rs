//! Builders of pages, whose result is a folder of files that romuo serves itself.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::start::watches;
use crate::adopt::scan::{self, setting};
use crate::program::{Manager, Package};

/// A builder of pages.
#[derive(Debug)]
pub(super) struct Builder {
    /// The package that it is.
    pub(super) package: &'static str,
    /// Where it leaves its pages, unless its configuration says otherwise.
    root: &'static str,
    /// Whether they are one app, whose page stands for those that are no file.
    single: bool,
    /// What builds, where package.json has no script for it.
    line: &'static str,
}

impl Builder {
    const fn new(
        package: &'static str,
        root: &'static str,
        single: bool,
        line: &'static str,
    ) -> Self {
        Self { package, root, single, line }
    }
}

/// The builders; those that have another one below them come before it.
const BUILDERS: [Builder; 16] = [
    Builder::new("@docusaurus/core", "build", false, "npx docusaurus build"),
    Builder::new("vitepress", ".vitepress/dist", false, "npx vitepress build"),
    Builder::new("vuepress", ".vuepress/dist", false, "npx vuepress build"),
    Builder::new("gatsby", "public", false, "npx gatsby build"),
    Builder::new("astro", "dist", false, "npx astro build"),
    Builder::new("@11ty/eleventy", "_site", false, "npx @11ty/eleventy"),
    Builder::new("hexo", "public", false, "npx hexo generate"),
    Builder::new("@angular/cli", "dist", true, "npx ng build"),
    Builder::new("@angular/build", "dist", true, "npx ng build"),
    Builder::new("react-scripts", "build", true, "npx react-scripts build"),
    Builder::new("@vue/cli-service", "dist", true, "npx vue-cli-service build"),
    Builder::new("@rsbuild/core", "dist", true, "npx rsbuild build"),
    Builder::new("@rspack/cli", "dist", true, "npx rspack build"),
    Builder::new("@rspack/core", "dist", true, "npx rspack build"),
    Builder::new("parcel", "dist", true, "npx parcel build"),
    Builder::new("vite", "dist", true, "npx vite build"),
];

/// Adapters of Astro that make pages for the machines of somebody else, and no folder of files.
const ADAPTERS: [&str; 3] = ["@astrojs/cloudflare", "@astrojs/netlify", "@astrojs/vercel"];

/// Pages that sources of a site begin with; what runs in a browser is called as what runs in Node.
const PAGES: [&str; 3] = ["index.html", "public/index.html", "src/index.html"];

/// Ends of the names of a file of JavaScript that configures something.
const CONFIGURATIONS: [&str; 6] = ["js", "ts", "mjs", "mts", "cjs", "cts"];

/// A site that is built.
#[derive(Debug)]
pub(super) struct Built {
    /// The folder of its pages.
    pub(super) root: String,
    pub(super) fallback: Option<&'static str>,
    pub(super) package: &'static str,
    /// What builds it, where no script `build` does.
    pub(super) line: String,
    /// What to know of its folder.
    pub(super) note: Option<String>,
}

/// The site that a folder is; none: no builder is among its packages.
pub(super) fn site(directory: &Path, package: &Package) -> Option<Built> {
    let builder = BUILDERS.iter().find(|builder| package.needs(builder.package))?;
    let said = match builder.package {
        "vite" => vite(directory, package),
        "vitepress" | "vuepress" => documents(builder, package),
        "@angular/cli" | "@angular/build" => angular(directory),
        _ => None,
    };
    let said = said.unwrap_or_else(|| builder.root.into());
    let (root, note) = match inside(&said) {
        Some(root) => (root, None),
        None => (
            builder.root.to_owned(),
            Some(format!(
                "its builder writes to {said}, outside of this folder, where no release has it: have it write \
                 to {} in this folder, or run `romuoctl init` in the folder that holds both",
                builder.root
            )),
        ),
    };
    let adapter = ADAPTERS.iter().find(|adapter| package.needs(adapter));
    let note = note.or_else(|| {
        let adapter = adapter?;
        Some(format!(
            "{adapter} makes no server for a machine of one's own: `npx astro add node` makes one, and then \
             `romuoctl init` once more; without an adapter its pages are files"
        ))
    });
    let fallback = builder.single.then_some("index.html");
    Some(Built {
        root,
        fallback,
        package: builder.package,
        line: line(builder, directory, package),
        note,
    })
}

/// Whether the sources are those of a page: a builder makes something of them that runs in a browser, whatever
/// its files are called.
pub(super) fn is_page(directory: &Path, package: &Package) -> bool {
    let Some(builder) = BUILDERS.iter().find(|builder| package.needs(builder.package)) else {
        return false;
    };
    !builder.single || PAGES.iter().any(|page| directory.join(page).is_file())
}

/// What builds the site: a script that runs its builder, such as `docs:build`, else the line of the builder.
fn line(builder: &Builder, directory: &Path, package: &Package) -> String {
    let builds =
        |text: &String| text.contains(builder.line.trim_start_matches("npx ")) && !watches(text);
    let script = package.scripts.iter().find(|(_, text)| builds(text));
    let Manager { name: manager, .. } = Manager::of(directory);
    script.map_or(builder.line.into(), |(name, _)| format!("{manager} run {name}"))
}

/// A folder as it is seen from that of the app; none: it is outside of it.
fn inside(path: &str) -> Option<String> {
    let mut inside = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(part) => inside.push(part),
            Component::CurDir => {}
            Component::ParentDir if inside.pop() => {}
            _ => return None,
        }
    }
    inside
        .to_str()
        .filter(|path| !path.is_empty() && !path.contains(char::is_control))
        .map(Into::into)
}

/// The text of a configuration, `NAME.js` or with another end.
pub(super) fn configuration(directory: &Path, name: &str) -> Option<String> {
    CONFIGURATIONS.iter().find_map(|end| scan::read(&directory.join(format!("{name}.{end}"))))
}

/// Where Vite writes: the option of its script, else `build.outDir`, which starts at `root`.
fn vite(directory: &Path, package: &Package) -> Option<String> {
    let scripts = package.scripts.values().filter(|text| text.contains("vite build"));
    let option = { scripts }.find_map(|text| {
        let rest = text.split_once("--outDir").filter(|_| !text.contains("--ssr"))?.1;
        Some(rest.trim_start_matches(['=', ' ']).split_whitespace().next()?.to_owned())
    });
    let text = configuration(directory, "vite.config").unwrap_or_default();
    let out = option.or_else(|| setting(&text, "outDir"));
    match setting(&text, "root") {
        Some(root) => Some(format!("{root}/{}", out.as_deref().unwrap_or("dist"))),
        None => out,
    }
}

/// Where a builder of documents writes: below the folder that its script names.
fn documents(builder: &Builder, package: &Package) -> Option<String> {
    let call = builder.line.trim_start_matches("npx ");
    let rest = package.scripts.values().find_map(|text| text.split_once(call))?.1;
    let folder = rest.split_whitespace().next().filter(|word| !word.starts_with(['-', '&']))?;
    Some(format!("{folder}/{}", builder.root))
}

/// Where Angular writes: `outputPath`, else `dist/PROJECT`, and there `browser` since its builder of today.
fn angular(directory: &Path) -> Option<String> {
    let text = scan::read(&directory.join("angular.json"))?;
    let workspace: Value = serde_json::from_str(&text).ok()?;
    let (name, project) = workspace.get("projects")?.as_object()?.iter().next()?;
    let targets = project.get("architect").or_else(|| project.get("targets"))?;
    let build = targets.get("build")?;
    let is_new = build.get("builder")?.as_str()?.ends_with(":application");
    let path = build.get("options").and_then(|options| options.get("outputPath"));
    let part = |key: &str| path.and_then(|path| path.get(key)).and_then(Value::as_str);
    let base = path.and_then(Value::as_str).or_else(|| part("base"));
    let base = base.map_or_else(|| format!("dist/{name}"), str::to_owned);
    let pages = part("browser").unwrap_or("browser");
    Some(if is_new { format!("{base}/{pages}") } else { base })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_inside_or_it_is_not() {
        for (path, expected) in [
            ("dist", Some("dist")),
            ("./src/../dist/", Some("dist")),
            ("../dist", None),
            ("/srv/www", None),
            (".", None),
        ] {
            assert_eq!(inside(path).as_deref(), expected, "{path}");
        }
    }
}
