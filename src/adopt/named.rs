//! What the sources of an app say that it writes to, whether it is there already or not.

use std::path::{Component, Path, PathBuf};

use super::scan::{self, setting};
use crate::program::Package;

/// The schema of Prisma, from whose folder the path of its database starts.
pub(super) const SCHEMA: &str = "schema.prisma";

/// Where Prisma looks for its schema.
const SCHEMAS: [&str; 2] = ["prisma/schema.prisma", SCHEMA];

/// Files with the address of a database, besides the sources.
const SETTINGS: [&str; 4] = [".env", ".env.production", "prisma.config.ts", "keystone.ts"];

/// Keys of multer for the folder of what is uploaded.
const UPLOADS: [&str; 2] = ["dest", "destination"];

/// Words of a Flask app that keeps its data in the folder of its instance.
const INSTANCE: [&str; 2] = ["instance_relative_config=True", "instance_path"];

/// The folders, and the files of databases that lie in none of their own.
pub(super) fn look(directory: &Path) -> (Vec<String>, Vec<String>) {
    let (mut folders, mut databases) = (Vec::new(), Vec::new());
    let schema = SCHEMAS.iter().find(|schema| directory.join(schema).is_file());
    let by_prisma = schema.and_then(|schema| Path::new(schema).parent()).unwrap_or(Path::new(""));
    let mut keep = |path: Option<String>| {
        let Some(path) = path else { return };
        match path.rsplit_once('/') {
            Some((folder, _)) if !directory.join(folder).join(SCHEMA).is_file() => {
                folders.push(folder.to_owned());
            }
            _ => databases.push(path),
        }
    };
    for name in SETTINGS {
        let base = if name.starts_with(".env") { by_prisma } else { Path::new("") };
        let text = scan::read(&directory.join(name)).unwrap_or_default();
        keep(address(&text).and_then(|path| plain(base, path)));
    }
    if let Some(schema) = schema {
        let text = scan::read(&directory.join(schema)).unwrap_or_default();
        keep(address(&text).and_then(|path| plain(by_prisma, path)));
    }
    folders.extend(strapi(directory));
    for file in scan::sources(directory) {
        let Some(text) = scan::read(&file) else { continue };
        if text.contains("multer") {
            let said = UPLOADS.iter().filter_map(|key| setting(&text, key));
            folders.extend(said.filter_map(|path| plain(Path::new(""), &path)));
        }
        let is_python = file.extension().is_some_and(|end| end == "py");
        // Flask-SQLAlchemy 3 puts a file that is named without a folder there.
        let has_file = text.contains("SQLALCHEMY_DATABASE_URI")
            && text.contains("sqlite:///")
            && !text.contains("sqlite:////");
        if is_python && (has_file || INSTANCE.iter().any(|word| text.contains(word))) {
            folders.push("instance".into());
        }
    }
    folders.sort();
    folders.dedup();
    (folders, databases)
}

/// The path in the first address of a file of SQLite: `./dev.db` of `file:./dev.db`.
fn address(text: &str) -> Option<&str> {
    let lines = text.lines().map(str::trim_start);
    let lines = lines.filter(|line| !line.starts_with(['#', '/']));
    let mut rests = lines.filter_map(|line| Some(line.split_once("file:")?.1));
    let rest = rests.find(|rest| rest.contains(".db") || rest.contains(".sqlite"))?;
    rest.split(['"', '\'', '`', '?', ' ']).next()
}

/// A plain path below the folder of the app, as it is seen from there, `base` being where it starts.
fn plain(base: &Path, path: &str) -> Option<String> {
    let mut inside = PathBuf::new();
    for part in base.join(path).components() {
        match part {
            Component::Normal(part) => inside.push(part),
            Component::CurDir => {}
            Component::ParentDir if inside.pop() => {}
            _ => return None,
        }
    }
    let strange =
        |path: &str| path.is_empty() || path.contains(|c: char| c.is_control() || c == '$');
    inside.to_str().filter(|path| !strange(path)).map(str::to_owned)
}

/// The folders of a Strapi app with SQLite, which it has where nothing says otherwise.
fn strapi(directory: &Path) -> Vec<String> {
    if !Package::read(directory).is_ok_and(|package| package.needs("@strapi/strapi")) {
        return Vec::new();
    }
    let mut folders = vec!["public/uploads".to_owned()];
    let text = scan::read(&directory.join(".env")).unwrap_or_default();
    let said = |name: &str| {
        let values = text.lines().filter_map(|line| line.trim().split_once('='));
        { values }
            .find(|(known, _)| known.trim() == name)
            .map(|(_, value)| value.trim().trim_matches('"'))
    };
    if said("DATABASE_CLIENT").is_none_or(|client| client.contains("sqlite")) {
        let file =
            said("DATABASE_FILENAME").filter(|file| !file.is_empty()).unwrap_or(".tmp/data.db");
        let folder =
            plain(Path::new(""), file).and_then(|path| Some(path.rsplit_once('/')?.0.to_owned()));
        folders.extend(folder);
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_sources_write_to_is_named_before_it_is_there() {
        let strapi = r#"{"dependencies": {"@strapi/strapi": "5"}}"#;
        for (files, folders, databases) in [
            (vec![("app.js", "multer({ dest: 'uploads/' })")], "uploads", ""),
            (vec![("app.js", "multer; destination: './data/files',")], "data/files", ""),
            (vec![("app.js", "multer({ dest: '/srv/x' })")], "", ""),
            (vec![("app.js", "copy({ dest: 'x' })")], "", ""),
            (
                vec![("app.py", "app.config['SQLALCHEMY_DATABASE_URI'] = 'sqlite:///x.db'")],
                "instance",
                "",
            ),
            (vec![("app.py", "Flask(__name__, instance_relative_config=True)")], "instance", ""),
            (vec![("prisma/schema.prisma", "url = \"file:./dev.db\"")], "", "prisma/dev.db"),
            (
                vec![("prisma/schema.prisma", ""), (".env", "DATABASE_URL=\"file:../data/x.db\"")],
                "data",
                "",
            ),
            (vec![("keystone.ts", "url: 'file:./keystone.db',")], "", "keystone.db"),
            (vec![("package.json", strapi)], ".tmp public/uploads", ""),
            (
                vec![("package.json", strapi), (".env", "DATABASE_FILENAME=db/x.db")],
                "db public/uploads",
                "",
            ),
            (
                vec![("package.json", strapi), (".env", "DATABASE_CLIENT=postgres")],
                "public/uploads",
                "",
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            for (name, text) in &files {
                let path = folder.path().join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            let (found, beside) = look(folder.path());
            assert_eq!(
                (found.join(" "), beside.join(" ")),
                (folders.into(), databases.into()),
                "{files:?}"
            );
        }
    }
}
