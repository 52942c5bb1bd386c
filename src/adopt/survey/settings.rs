//! What the settings of a project of Django say of where it keeps its data.

use std::path::Path;

use super::Seen;
use crate::adopt::scan;

/// The folder for what an app writes, where it has none.
const DATA: &str = "data";

/// The settings of a project: a file settings.py, or the files of a package of that name.
pub(super) fn texts(directory: &Path) -> Vec<String> {
    let is_settings = |file: &Path| {
        let inside = file.strip_prefix(directory).unwrap_or(file);
        inside.ends_with("settings.py")
            || inside.parent().is_some_and(|folder| folder.ends_with("settings"))
                && file.extension().is_some_and(|end| end == "py")
    };
    let files = scan::sources(directory).into_iter().filter(|file| is_settings(file));
    files.filter_map(|file| scan::read(&file)).collect()
}

/// Adds the folders that a project writes to, and what is to be done about a database beside its code.
pub(super) fn add(directory: &Path, seen: &mut Seen) {
    let texts = texts(directory);
    let lines = || texts.iter().flat_map(|text| text.lines()).map(str::trim);
    let lines = || lines().filter(|line| !line.starts_with('#') && line.contains("BASE_DIR"));
    let database = lines().filter(|line| line.contains("sqlite")).find_map(below_base);
    match database.as_deref().map(|path| (path, path.rsplit_once('/'))) {
        Some((_, Some((folder, _)))) => seen.writable.push(folder.to_owned()),
        Some((name, None)) => {
            // Beside the code it could not be written, and no release could be made of the folder.
            seen.writable.push(DATA.into());
            seen.notes.push(format!(
                "its database lies beside its code, and the app may write to {DATA}/ only: `mkdir -p {DATA} && mv \
                 {name} {DATA}/`, and in its settings `\"NAME\": BASE_DIR / \"{DATA}\" / \"{name}\"`"
            ));
        }
        None => {}
    }
    let media = lines().filter(|line| line.starts_with("MEDIA_ROOT")).find_map(below_base);
    if let Some(folder) = media.filter(|folder| !seen.writable.contains(folder)) {
        seen.writable.push(folder);
    }
}

/// The path that a line puts together of `BASE_DIR` and plain texts: `BASE_DIR / "a" / "b"`,
/// `os.path.join(BASE_DIR, "a/b")`, `BASE_DIR.joinpath("a")`.
fn below_base(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("BASE_DIR")?;
    let mut pieces = rest.split(['"', '\'']);
    let mut parts = Vec::new();
    while let (Some(between), Some(text)) = (pieces.next(), pieces.next()) {
        // Only `/`, `,`, `(` and blanks join plain texts.
        let joins = between.trim().trim_start_matches(".joinpath");
        if !joins.chars().all(|c| matches!(c, '/' | ',' | '(' | ' ')) {
            break;
        }
        parts.push(text.trim_matches('/'));
    }
    let path = parts.join("/");
    let is_inside = !path.is_empty() && !path.split('/').any(|part| part == "..");
    (is_inside && !path.contains(char::is_control)).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_below_the_base_is_put_together() {
        for (line, expected) in [
            ("'NAME': BASE_DIR / 'db.sqlite3',", Some("db.sqlite3")),
            ("\"NAME\": os.path.join(BASE_DIR, \"db.sqlite3\")", Some("db.sqlite3")),
            ("'NAME': os.path.join(BASE_DIR, 'var', 'x.sqlite3')", Some("var/x.sqlite3")),
            ("MEDIA_ROOT = BASE_DIR / \"media\"", Some("media")),
            ("MEDIA_ROOT = BASE_DIR.joinpath('media/')", Some("media")),
            ("MEDIA_ROOT = os.path.join(BASE_DIR, \"..\", \"media\")", None),
            ("MEDIA_ROOT = str(BASE_DIR)", None),
            ("'NAME': os.path.join(BASE_DIR, env('DB'), 'x')", None),
        ] {
            assert_eq!(below_base(line).as_deref(), expected, "{line}");
        }
    }
}
