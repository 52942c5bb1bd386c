//! The scripts of a package.json: which of them starts the app as it is to run on a server.

use std::path::Path;

use crate::adopt::command::{Made, of_line};
use crate::adopt::launcher::of_pm2;
use crate::program::{Manager, Package, read_shell};

/// Scripts that start the app as it is to run on a server, the best first.
const SCRIPTS: [&str; 4] = ["start:prod", "start:production", "serve:prod", "start"];

/// Scripts that are run by their name where nothing better is known.
const OTHERS: [&str; 3] = ["serve", "server", "preview"];

/// Programs that are for development, or that build: none of them serves on a server.
const DEVELOPMENT: [&str; 28] = [
    "@11ty/eleventy",
    "astro",
    "browser-sync",
    "craco",
    "docusaurus",
    "eleventy",
    "gatsby",
    "hexo",
    "hugo",
    "jekyll",
    "live-server",
    "ng",
    "node-dev",
    "nodemon",
    "parcel",
    "react-app-rewired",
    "react-scripts",
    "rsbuild",
    "rspack",
    "supervisor",
    "ts-node-dev",
    "tsnd",
    "vite",
    "vitepress",
    "vue-cli-service",
    "vuepress",
    "webpack",
    "webpack-dev-server",
];

/// Words before a program that only start it.
const STARTERS: [&str; 9] =
    ["cross-env", "env", "npx", "pnpx", "bunx", "npm", "yarn", "pnpm", "exec"];

/// Words right behind a program that have it watch its files.
const VERBS: [&str; 5] = ["dev", "develop", "watch", "serve:dev", "start:dev"];

/// Options that have a program watch its files.
const OPTIONS: [&str; 4] = ["--watch", "--hot", "--hmr", "--serve"];

/// Whether a script has its program watch the files.
pub(super) fn watches(text: &str) -> bool {
    text.split_whitespace().any(|word| OPTIONS.contains(&word))
}

/// Whether a script is for development.
pub(super) fn is_development(text: &str) -> bool {
    // What came before has ended when the last one runs.
    let last = text.rsplit("&&").next().unwrap_or(text);
    let starts = |word: &&str| STARTERS.contains(word) || word.contains('=');
    let words: Vec<&str> = last.split_whitespace().skip_while(starts).collect();
    let Some((program, rest)) = words.split_first() else { return false };
    // `npm run dev`
    let rest = if *program == "run" { &words[..] } else { rest };
    let runs_file = matches!(*program, "node" | "python" | "python3");
    let verb = rest.iter().take(2).any(|word| VERBS.contains(word)) && !runs_file;
    // `yarn dev`
    DEVELOPMENT.contains(program) || VERBS.contains(program) || verb || watches(last)
}

/// The command that a script is; `replaced` are parts of scripts in whose place the framework has a better one.
pub(super) fn command(
    directory: &Path,
    package: &Package,
    replaced: &[&str],
) -> Option<(String, Made)> {
    let (name, text) =
        SCRIPTS.iter().find_map(|name| Some((*name, package.scripts.get(*name)?)))?;
    if is_development(text) || replaced.iter().any(|part| text.contains(part)) {
        return None;
    }
    let around = [format!("pre{name}"), format!("post{name}")];
    let alone = !around.iter().any(|around| package.scripts.contains_key(around));
    if read_shell(text).is_ok() && alone {
        let made = of_line(text);
        return Some((format!("started by its script `{name}`: {text}"), made));
    }
    if let Some((before, last)) = text.rsplit_once("&&").filter(|_| alone)
        && of_pm2(&of_line(last).words).is_some()
    {
        // PM2 would leave npm, and systemd would see the app end.
        let mut made = of_line(last);
        let before = before.trim();
        made.notes.push(format!(
            "its script `{name}` runs `{before}` before PM2: that is left out here, and belongs to \
             `deploy.build`"
        ));
        return Some((format!("started by its script `{name}`: {text}"), made));
    }
    // What is kept is explained by `program::find`.
    Some(by_name(directory, name))
}

/// A script that is run by its name, where nothing better is known.
pub(super) fn other(directory: &Path, package: &Package) -> Option<(String, Made)> {
    let serves = |name: &&str| package.scripts.get(*name).is_some_and(|text| !is_development(text));
    Some(by_name(directory, OTHERS.into_iter().find(serves)?))
}

fn by_name(directory: &Path, name: &str) -> (String, Made) {
    let Manager { name: manager, .. } = Manager::of(directory);
    let command = format!("{manager} run {name}");
    let words = command.split(' ').map(str::to_owned).collect();
    (format!("started by `{command}`"), Made { words, ..Made::default() })
}

/// The first script that is for development, where there is one: its name and its text.
pub(super) fn development(package: &Package) -> Option<(&str, &str)> {
    let scripts = package.scripts.iter().map(|(name, text)| (&**name, &**text));
    { scripts }.find(|(name, text)| {
        matches!(*name, "start" | "dev" | "develop" | "serve" | "server") && is_development(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_for_development_are_told_from_those_that_serve() {
        for (text, expected) in [
            ("next dev", true),
            ("npm run dev", true),
            ("turbo run dev", true),
            ("yarn dev", true),
            ("turbo dev", true),
            ("cross-env A=b nodemon x.js", true),
            ("npx @11ty/eleventy --serve --quiet", true),
            ("docusaurus start", true),
            ("rspack serve --hot", true),
            ("node --watch server.js", true),
            ("tsx watch src/x.ts", true),
            ("tsc && vite preview", true),
            ("vite build && node server.js", false),
            ("node server.js dev", false),
            ("NODE_ENV=dev node server.js", false),
            ("serve -s build", false),
            ("next start", false),
        ] {
            assert_eq!(is_development(text), expected, "{text}");
        }
    }
}
