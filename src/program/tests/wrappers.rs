//! `npm start` and friends.

use super::{App, node};
use crate::program::ProgramError;

#[test]
fn npm_start_runs_what_package_json_says() {
    let app = App::scripts(&[
        ("start", "NODE_ENV=production node server.js --a 'b c'"),
        ("serve", "npm run start -- --more"),
        ("web", "cross-env A=b PORT=8080 node web.js"),
    ]);
    let node = node();
    for command in ["npm start", "npm run start", "yarn start", "yarn run start", "pnpm start"] {
        let found = app.found(command);
        assert_eq!(found.command, [&*node, "server.js", "--a", "b c"], "{command}");
        assert_eq!(found.environment["NODE_ENV"], "production");
        assert!(found.notes[0].contains(command), "{:?}", found.notes);
    }
    assert_eq!(app.command("npm run serve"), format!("{node} server.js --a b c --more"));
    assert_eq!(app.command("npm start -- -v"), format!("{node} server.js --a b c -v"));
    assert_eq!(app.command("yarn start -v"), format!("{node} server.js --a b c -v"));
    let web = app.found("npm run --silent web");
    assert_eq!((web.port, web.environment.len()), (Some(8080), 1));
    assert_eq!(web.environment["A"], "b");
}

#[test]
fn npm_start_without_a_script_runs_server_js_as_npm_does() {
    assert_eq!(App::scripts(&[]).command("npm start"), format!("{} server.js", node()));
}

#[test]
fn a_script_that_is_not_there_is_an_error_that_names_the_others() {
    let app = App::scripts(&[("build", "x"), ("serve", "node x")]);
    match app.find("npm run strat") {
        Err(ProgramError::NoScript { known, .. }) => assert_eq!(known, ["build", "serve"]),
        other => panic!("{other:?}"),
    }
    assert!(matches!(App::new().find("npm run x"), Err(ProgramError::Package { .. })));
}

#[test]
fn what_cannot_be_known_is_kept_and_its_cost_is_said() {
    let app = App::scripts(&[
        ("start", "node a && node b"),
        ("log", "node a > log"),
        ("serve", "node x"),
        ("preserve", "node build"),
        ("dev", "nodemon x.js"),
    ]);
    for (command, why) in [
        ("npm start", "it runs several commands"),
        ("npm run log", "it redirects"),
        ("npm run serve", "`preserve`"),
        ("npm --prefix x start", "its options"),
        ("npm run serve --flag", "`preserve`"),
        ("npm install", "no script"),
        ("npx --package=a b", "its options"),
        ("npx unheard-of", "downloaded"),
    ] {
        let found = app.found(command);
        assert!(found.command[0] == node() && found.command[1].contains("/npm/"), "{found:?}");
        let note = &found.notes[0];
        assert!(note.contains(why) && note.contains("SIGTERM"), "{command}: {note}");
        assert!(note.contains("LISTEN_PID"), "{note}");
    }
}

#[test]
fn a_shell_around_one_command_is_taken_away() {
    let app = App::new();
    app.file("server.js", "");
    let found = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).into()).collect();
        crate::program::find(&words, app.path(), &super::search()).unwrap()
    };
    let node = node();
    assert_eq!(found(&["sh", "-c", "exec node server.js"]).command, [&*node, "server.js"]);
    assert_eq!(
        found(&["bash", "-lc", "A=1 node x --p $PORT"]).command,
        [&node, "x", "--p", "{port}"]
    );
    assert_eq!(found(&["node server.js"]).command, [&*node, "server.js"]);
    assert_eq!(found(&["env", "A=1", "B=2", "node", "x"]).environment.len(), 2);
    let kept = found(&["sh", "-c", "node a; node b"]);
    assert_eq!(kept.command[1..], ["-c", "node a; node b"]);
    assert!(kept.notes[0].contains("several commands"), "{:?}", kept.notes);
    let kept = found(&["node a | node b"]);
    assert!(kept.command[0].ends_with("/sh"), "{kept:?}");
}

#[test]
fn programs_of_packages_are_run_by_their_interpreter() {
    let app = App::scripts(&[("start", "next start -p 3001")]);
    app.program("node_modules/next/dist/bin/next", "#!/usr/bin/env node\n");
    app.link("node_modules/.bin/next", "../next/dist/bin/next");
    app.program(
        "node_modules/.bin/pnpmed",
        "#!/bin/sh\nexec node  \"$basedir/../next/dist/bin/next\" \"$@\"\n",
    );
    let expected = format!("{} APP/node_modules/next/dist/bin/next start -p {{port}}", node());
    assert_eq!(app.command("npm start"), expected);
    let found = app.found("npm start");
    assert_eq!(found.port, Some(3001));
    assert_eq!(found.path, [app.path().join("node_modules/.bin")]);
    for command in ["npx next start", "npm exec next start", "yarn next start", "next start"] {
        let expected = format!("{} APP/node_modules/next/dist/bin/next start", node());
        assert_eq!(app.command(command), expected, "{command}");
    }
    assert!(app.command("pnpmed").ends_with("APP/node_modules/next/dist/bin/next"));
}

#[test]
fn a_port_that_the_person_fixed_is_left_and_spoken_of() {
    let app = App::new();
    app.program("node_modules/.bin/next", "#!/usr/bin/env node\n");
    let found = app.found("next start -p 3001");
    assert_eq!(found.command[3..], ["-p", "3001"]);
    assert!(found.notes[0].contains("{port}"), "{:?}", found.notes);
}

#[test]
fn what_package_json_names_and_is_not_installed_is_said_with_what_installs_it() {
    let app = App::new();
    let package = r#"{"dependencies": {"next": "15"}, "devDependencies": {"@strapi/strapi": "5"}}"#;
    app.file("package.json", package).file("pnpm-lock.yaml", "");
    for command in ["next start", "strapi start"] {
        match app.find(command) {
            Err(error @ ProgramError::NotInstalled { .. }) => {
                assert!(error.to_string().contains("`pnpm install --frozen-lockfile`"), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
    let kept = app.found("npx next start");
    assert!(kept.notes[0].contains("run `pnpm install"), "{:?}", kept.notes);
}

#[test]
fn scripts_that_call_each_other_end() {
    let app = App::scripts(&[("a", "npm run b"), ("b", "npm run a")]);
    let found = app.found("npm run a");
    assert!(found.notes.last().unwrap().contains("inside each other"), "{:?}", found.notes);
}

#[test]
fn plug_and_play_of_yarn_is_loaded() {
    let app = App::scripts(&[("start", "node x.js")]);
    app.file(".pnp.cjs", "");
    assert_eq!(app.command("yarn start"), format!("{} --require APP/.pnp.cjs x.js", node()));
}
