//! Apps of Ruby, with a Gemfile or a config.ru.

use std::path::Path;

use super::{Seen, Site};
use crate::adopt::command::Made;
use crate::adopt::scan;

/// Gems that serve what was compiled before.
const ASSETS: [&str; 4] = ["propshaft", "sprockets", "sprockets-rails", "sassc-rails"];

/// What compiles it. Rails starts for it, and takes a secret that is none (from 7.1 on).
const PRECOMPILE: &str = "RAILS_ENV=production SECRET_KEY_BASE_DUMMY=1 bin/rails assets:precompile";

/// Looks at a folder with a Gemfile; none: it has none, nor anything of Rack.
pub(super) fn look(directory: &Path) -> Option<Seen> {
    let gems = scan::read(&directory.join("Gemfile"));
    let rack = directory.join("config.ru").is_file();
    if gems.is_none() && !rack {
        return None;
    }
    let bundled = gems.is_some();
    let gems = gems.unwrap_or_default();
    let has = |gem: &str| {
        gems.lines()
            .map(str::trim_start)
            .filter(|line| line.starts_with("gem"))
            .any(|line| line.contains(&format!("\"{gem}\"")) || line.contains(&format!("'{gem}'")))
    };
    if (has("jekyll") || has("github-pages")) && !rack {
        return Some(jekyll(directory));
    }
    let rails = has("rails");
    let puma_config = scan::read(&directory.join("config/puma.rb")).unwrap_or_default();
    let command = if (has("puma") || rails) && puma_config.contains("PORT") {
        // Its own file says that it listens on PORT.
        "puma"
    } else if has("puma") {
        "puma -b tcp://{host}:{port}"
    } else if rails {
        "rails server -b {host} -p {port}"
    } else if rack {
        "rackup -o {host} -p {port}"
    } else {
        return None;
    };
    let command = if bundled { format!("bundle exec {command}") } else { command.to_owned() };
    let routes = scan::read(&directory.join("config/routes.rb")).unwrap_or_default();
    let kind = match (rails, has("sinatra")) {
        (true, _) => "a Rails app",
        (_, true) => "a Sinatra app",
        _ => "a Rack app",
    };
    let manifest = if bundled { "Gemfile" } else { "config.ru" };
    let mut seen = Seen {
        what: format!(
            "{kind} ({manifest}), served by {}",
            command.split(" -").next().unwrap_or(&command)
        ),
        made: Made { words: command.split(' ').map(str::to_owned).collect(), ..Made::default() },
        port: Some(if rails { 3000 } else { 9292 }),
        memory: "512M",
        health: routes.contains("rails/health").then_some("/up"),
        build: if bundled { vec!["bundle install".into()] } else { Vec::new() },
        ..Seen::default()
    };
    if rails {
        let locked = scan::read(&directory.join("Gemfile.lock")).unwrap_or_default();
        let is_there = |gem: &&str| has(gem) || locked.contains(&format!(" {gem} ("));
        if ASSETS.iter().any(is_there) {
            seen.build.push(PRECOMPILE.into());
        }
        seen.environment = vec![
            ("RAILS_ENV", "production"),
            ("RAILS_LOG_TO_STDOUT", "1"),
            ("RAILS_SERVE_STATIC_FILES", "1"),
        ];
        seen.writable = ["log", "storage", "tmp"]
            .into_iter()
            .filter(|folder| directory.join(folder).is_dir())
            .map(str::to_owned)
            .collect();
        seen.notes.push(
            "Rails needs its secret: SECRET_KEY_BASE or RAILS_MASTER_KEY in the file that `env_file` \
             names"
                .into(),
        );
    } else {
        seen.environment = vec![("RACK_ENV", "production")];
    }
    Some(seen)
}

/// A site that Jekyll builds.
fn jekyll(directory: &Path) -> Seen {
    let root = "_site";
    let build = "bundle exec jekyll build";
    let note = format!("the folder {root} is not there yet: build the site first (`{build}`)");
    Seen {
        what: "a site that Jekyll builds (Gemfile)".into(),
        site: Some(Site { root: root.into(), fallback: None }),
        build: vec!["bundle install".into(), build.into()],
        notes: (!directory.join(root).is_dir()).then_some(note).into_iter().collect(),
        ..Seen::default()
    }
}
