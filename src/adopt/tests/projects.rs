//! Projects as people have them: what starts them, where they listen, what they write.

use super::surveys::{command, package, surveyed, text};
use crate::adopt::Survey;

fn says(seen: &Survey, part: &str) -> bool {
    seen.notes.iter().any(|note| note.contains(part))
}

#[test]
fn each_framework_is_started_as_it_serves() {
    let standalone = ("next.config.js", "module.exports = { output: 'standalone' }");
    for (scripts, needs, more, expected) in [
        ("'start': 'nuxt start'", "nuxt@2", None, "nuxt start"),
        ("'start': 'nuxt start'", "nuxt@3", None, "node .output/server/index.mjs"),
        ("'start': 'next start'", "next@15", Some(standalone), "node .next/standalone/server.js"),
        ("'start': 'node bin/server.js'", "@adonisjs/core@6", None, "node build/bin/server.js"),
        ("'start': 'node server.js'", "@adonisjs/core@5", None, "node build/server.js"),
        ("'dev': 'vite'", "@sveltejs/kit@2 @sveltejs/adapter-node@3", None, "node build"),
        (
            "'serve': 'node server/entry.express', 'start': 'vite --open --mode ssr'",
            "@builder.io/qwik-city@1 vite@5",
            None,
            "node server/entry.express",
        ),
        (
            "'start': 'serve -s build -l 5005'",
            "serve@14",
            None,
            "serve -s build -l tcp://{host}:{port}",
        ),
        ("'start': 'pm2 start server.js -i max'", "express@4", None, "node server.js"),
        (
            "'start': 'ng serve', 'serve:ssr:shop': 'node dist/shop/server/server.mjs'",
            "@angular/ssr@21 @angular/cli@21 express@5",
            None,
            "node dist/shop/server/server.mjs",
        ),
        ("'start': 'tsc && pm2 start dist/a.js'", "express@4", None, "node dist/a.js"),
        (
            "'start': 'pm2-runtime start ecosystem.config.js'",
            "express@4",
            Some(("app.js", "")),
            "node app.js",
        ),
        (
            "'dev': 'node server', 'preview': 'node server'",
            "express@4 vite@7",
            None,
            "npm run preview",
        ),
    ] {
        let needs = needs.split(' ').map(|need| need.rsplit_once('@').unwrap());
        let needs: Vec<_> =
            needs.map(|(name, version)| format!("'{name}': '^{version}.1'")).collect();
        let manifest =
            format!("{{'scripts': {{ {scripts} }}, 'dependencies': {{ {} }} }}", needs.join(", "));
        let manifest = manifest.replace('\'', "\"");
        let files: Vec<_> = [("package.json", &*manifest)].into_iter().chain(more).collect();
        assert_eq!(command(&surveyed(&files)), expected, "{manifest}");
    }
    let clusters = package("\"start\": \"pm2 start server.js -i max\"", "express");
    let seen = surveyed(&[("package.json", &clusters)]);
    assert_eq!(text(&seen, "instances"), "max");
    let manifest = package("\"build\": \"next build\"", "next");
    let seen = surveyed(&[("package.json", &manifest), standalone, ("public/a.css", "")]);
    let build = seen.draft.get("deploy.build").unwrap().to_string();
    assert!(build.contains("cp -r .next/static") && build.contains("cp -r public"), "{build}");
}

#[test]
fn a_svelte_kit_without_a_server_is_told_so() {
    let config = "import adapter from '@sveltejs/adapter-vercel';";
    let both = package("", "@sveltejs/kit @sveltejs/adapter-auto @sveltejs/adapter-vercel");
    let seen = surveyed(&[("package.json", &both), ("svelte.config.js", config)]);
    assert!(says(&seen, "adapter-vercel makes no server"), "{:?}", seen.notes);
    assert!(!says(&seen, "build it first"), "{:?}", seen.notes);
}

#[test]
fn a_port_is_taken_from_wherever_it_is_said() {
    let next = package("\"start\": \"next start -p ${PORT:-8080}\"", "next");
    let cross = package("\"start\": \"cross-env A=b PORT=8085 node server.js\"", "express");
    let env = package("\"start\": \"env PORT=8086 node server.js\"", "express");
    let plain = package("\"start\": \"node server.js\"", "express");
    let behind = "\"start\": \"npm run web\", \"web\": \"PORT=8087 node server.js\"";
    let behind = package(behind, "express");
    let source = ("server.js", "app.listen(process.env.PORT || 5000)");
    for (files, port, told) in [
        (vec![("package.json", &*next)], 8080, None),
        (vec![("package.json", &*cross), source], 8085, None),
        (vec![("package.json", &*env)], 8086, None),
        (vec![("package.json", &*plain), source], 5000, None),
        (vec![("package.json", &*behind), source], 8087, None),
        (
            vec![("package.json", &*plain), source, (".env", "A=b\nexport PORT=\"4321\" # x")],
            4321,
            Some(".env says PORT = 4321"),
        ),
        (vec![("package.json", &*cross), (".env", "PORT=4321")], 8085, None),
    ] {
        let seen = surveyed(&files);
        assert_eq!(text(&seen, "listen"), format!("127.0.0.1:{port}"), "{files:?}");
        assert_eq!(says(&seen, ".env says"), told.is_some(), "{:?}", seen.notes);
    }
    let seen = surveyed(&[("package.json", &cross)]);
    assert_eq!((command(&seen).as_str(), text(&seen, "environment.A")), ("node server.js", "b"));
    let served = "import streamlit as st\nst.write(1)";
    let seen = surveyed(&[("requirements.txt", "streamlit"), ("app.py", served)]);
    let expected =
        "streamlit run app.py --server.headless true --server.address={host} --server.port={port}";
    assert_eq!(command(&seen), expected);
    assert_eq!(text(&seen, "health.path"), "/_stcore/health");
    assert!(!says(&seen, "nothing in its sources listens"), "{:?}", seen.notes);
}

#[test]
fn data_is_kept_where_it_may_be_written() {
    let manage =
        ("manage.py", "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'a.settings.prod')");
    let base = "'NAME': os.path.join(BASE_DIR, 'db.sqlite3')\nMEDIA_ROOT = BASE_DIR / \"media\"";
    let express = package("\"start\": \"node app.js\"", "express");
    let strapi = package("\"start\": \"strapi start\"", "@strapi/strapi");
    for (files, writable) in [
        (vec![manage, ("a/settings/base.py", base)], "[\"data\", \"media\"]"),
        (
            vec![("package.json", &*express), ("app.js", "multer({ dest: 'uploads/' })")],
            "[\"uploads\"]",
        ),
        (vec![("package.json", &*strapi)], "[\".tmp\", \"public/uploads\"]"),
        (
            vec![
                ("requirements.txt", "flask"),
                ("app.py", "app = Flask(__name__, instance_relative_config=True)"),
            ],
            "[\"instance\"]",
        ),
    ] {
        let seen = surveyed(&files);
        assert_eq!(seen.draft.get("writable").unwrap().to_string(), writable, "{files:?}");
    }
    // Its schema belongs to a release, and is no data.
    let schema = ("prisma/schema.prisma", "datasource db {\n  url = \"file:./dev.db\"\n}");
    for there in [None, Some(("prisma/dev.db", ""))] {
        let files = [("package.json", &*express), schema].into_iter().chain(there);
        let seen = surveyed(&files.collect::<Vec<_>>());
        assert_eq!(seen.draft.get("writable"), None);
        assert!(says(&seen, "prisma/dev.db") && says(&seen, "mkdir -p data"), "{:?}", seen.notes);
    }
}

#[test]
fn what_is_said_of_an_app_is_true() {
    let fast = ("main.py", "app = FastAPI()");
    let worker = ("index.js", "run()");
    let dev = r#"{"main": "index.js", "devDependencies": {"express": "4"}}"#;
    let nest =
        package("\"start:prod\": \"node dist/main\", \"build\": \"nest build\"", "@nestjs/core");
    let docs = package("\"start\": \"vinxi start\"", "vinxi");
    let project = "[project]\nname = \"a\"\ndependencies = [\"fastapi[standard]\"]";
    for (files, part, is_said) in [
        (
            vec![("requirements.txt", "fastapi[standard]"), fast],
            "uvicorn has to be installed",
            false,
        ),
        (vec![("requirements.txt", "fastapi"), fast], "uvicorn has to be installed", true),
        (vec![("pyproject.toml", project), ("uv.lock", ""), fast], "`uv sync`", true),
        (vec![("pyproject.toml", project), ("uv.lock", ""), fast], "python3 -m venv", false),
        (vec![("requirements.txt", "fastapi"), fast], "python3 -m venv", true),
        (vec![("package.json", dev), worker], "nothing in its sources listens", true),
        (vec![("package.json", &*docs), worker], "nothing in its sources listens", false),
        (vec![("package.json", &*docs)], "run `npm install` in the app's folder", true),
        (
            vec![("package.json", &*nest)],
            "dist/main is not there: build it first (`npm run build`)",
            true,
        ),
        (vec![("package.json", &*nest), ("dist/main.js", "")], "is not there", false),
        (
            vec![("requirements.txt", "Flask-SocketIO"), ("app.py", "app = Flask(__name__)")],
            "long polling",
            true,
        ),
    ] {
        let seen = surveyed(&files);
        assert_eq!(says(&seen, part), is_said, "{files:?}: {part}: {:?}", seen.notes);
    }
    let seen = surveyed(&[("package.json", dev), worker]);
    assert!(seen.found.starts_with("a Node app"), "{}", seen.found);
}

#[test]
fn a_route_of_a_router_that_is_mounted_elsewhere_is_not_asked() {
    let manifest = package("\"start\": \"node server.js\"", "express");
    let router = ("server/routers/status.js", "router.get('/health', x)");
    let files = [("package.json", &*manifest), ("server.js", "app.use('/api', routers)"), router];
    assert_eq!(text(&surveyed(&files), "health.path"), "/");
}
