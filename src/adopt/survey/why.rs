//! Why a folder is no app that is known: what is there, and what it lacks.

use std::path::Path;

use super::node;

const JAVA: &str =
    "a Java project is run by its jar: `command = [\"java\", \"-jar\", \"FILE.jar\"]`";

const DENO: &str =
    "an app of Deno is run by its file: `command = [\"deno\", \"run\", \"-A\", \"main.ts\"]`";

const ELIXIR: &str = "an app of Elixir is run by its release: `command = [\"_build/prod/rel/NAME/bin/NAME\", \
                      \"start\"]`";

const PYTHON: &str = "no source of Python makes an app object (`app = FastAPI()`, `Flask(__name__)`), and \
                      there is no main.py, app.py, server.py, run.py or manage.py";

/// Files of what nobody here knows, and what to say of them.
const UNKNOWN: [(&str, &str); 7] = [
    ("pom.xml", JAVA),
    ("build.gradle", JAVA),
    ("build.gradle.kts", JAVA),
    ("mix.exs", ELIXIR),
    ("deno.json", DENO),
    ("deno.jsonc", DENO),
    ("Dockerfile", "its Dockerfile says in CMD what it runs: that is `command`"),
];

/// Manifests that were not enough, and what was looked for beside them.
const MANIFESTS: [(&str, &str); 9] = [
    ("pyproject.toml", PYTHON),
    ("requirements.txt", PYTHON),
    ("Pipfile", PYTHON),
    ("setup.py", PYTHON),
    ("Gemfile", "Gemfile has no puma and no rails, and there is no config.ru"),
    ("go.mod", "go.mod has no line `module`"),
    (
        "Cargo.toml",
        "Cargo.toml has no package: run `romuoctl init` in the folder of the member that is to run",
    ),
    ("composer.json", "there is no index.php beside composer.json, nor in public or web"),
    ("artisan", "there is no public/index.php beside artisan"),
];

/// What is there and why it is not enough, and what else could be done.
pub(super) fn reasons(directory: &Path) -> Vec<String> {
    let has = |name: &str| directory.join(name).is_file();
    let mut reasons: Vec<String> = node::why_none(directory).into_iter().collect();
    let known = MANIFESTS.iter().chain(&UNKNOWN).filter(|(name, _)| has(name));
    for (_, why) in known {
        if !reasons.iter().any(|reason| reason == why) {
            reasons.push((*why).to_owned());
        }
    }
    if let Some(file) = IMPORTS.iter().find(|file| has(file)) {
        reasons.push(format!("`romuoctl import {file}` takes over what {file} says of it"));
    }
    reasons
}

/// Files that `romuoctl import` takes.
pub(super) const IMPORTS: [&str; 6] = [
    "ecosystem.config.js",
    "ecosystem.config.cjs",
    "ecosystem.config.mjs",
    "ecosystem.json",
    "ecosystem.yaml",
    "Procfile",
];
