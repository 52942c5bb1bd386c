//! What a verb works on, where that is said as PM2 takes it: `reload shop`, `restart shop 2`, `stop all`.

use std::str::FromStr;

use clap_complete::engine::ArgValueCandidates;

use super::context::Context;
use super::error::{Exit, Failure};
use super::manual::apps;
use super::output::{self, Format, Printer, listed};
use crate::unit::AppName;

/// The app, by its name alone.
#[derive(Debug, clap::Args)]
pub(super) struct OneApp {
    /// The app, as with --app; `all`: each of the machine
    #[arg(value_name = "APP", value_parser = app, add = ArgValueCandidates::new(apps))]
    pub(super) app: Option<AppName>,
}

/// Apps, by their names alone.
#[derive(Debug, clap::Args)]
pub(super) struct SomeApps {
    /// The apps, as with --app [default: that of this folder, else all of the machine]
    #[arg(value_name = "APP", value_parser = app, add = ArgValueCandidates::new(apps))]
    apps: Vec<AppName>,
}

impl SomeApps {
    /// The installed ones.
    pub(super) fn looked_at(self, context: &Context) -> Result<Vec<AppName>, Failure> {
        context.naming_all(self.apps).looked_at()
    }
}

/// The name of an app, or something else that the verb takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word<T> {
    App(AppName),
    Other(T),
}

impl<T: FromStr> FromStr for Word<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::Other).or_else(|_| app(text).map(Self::App))
    }
}

/// An app and something else, either of which may be left away.
pub(super) fn split<T>(words: Vec<Word<T>>) -> Result<(Option<AppName>, Option<T>), Failure> {
    let mut words = words.into_iter();
    let pair = match (words.next(), words.next()) {
        (None, _) => (None, None),
        (Some(Word::App(app)), None) => (Some(app), None),
        (Some(Word::Other(other)), None) => (None, Some(other)),
        (Some(Word::App(app)), Some(Word::Other(other))) => (Some(app), Some(other)),
        _ => {
            let sentence = "the name of an app comes first, and there is one of it".into();
            let help = "for example `shop 2`; `romuoctl list` shows the apps";
            return Err(Failure::Words { sentence, help });
        }
    };
    Ok(pair)
}

/// The name of an app; what is no name may be a program or a file, as PM2 takes them.
fn app(text: &str) -> Result<AppName, String> {
    text.parse().map_err(|error: crate::unit::NameError| {
        if text.contains(['.', '/']) {
            "it is no app that is installed; `romuoctl init` describes a program, `romuoctl import` an \
             ecosystem file, and `romuoctl install-units --now` starts what they describe"
                .into()
        } else {
            error.to_string()
        }
    })
}

/// Does something with each of the apps. Where they are several, the failure of one keeps no other from its
/// turn.
pub(super) async fn each(
    apps: Vec<AppName>,
    printer: &Printer,
    work: impl AsyncFn(&AppName) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    if let [app] = apps.as_slice() {
        return work(app).await;
    }
    if printer.format == Format::Json {
        return Err(Failure::OneApp { named: listed(&apps) });
    }
    let mut worst = Exit::Done;
    for app in &apps {
        let exit = work(app).await.unwrap_or_else(|failure| {
            output::failure(&failure);
            failure.exit()
        });
        if worst == Exit::Done {
            worst = exit;
        }
    }
    Ok(worst)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::Wish;
    use crate::unit::InstanceId;

    #[test]
    fn an_app_comes_before_what_is_to_be_done_with_it() {
        let of = |words: &[&str]| {
            let words = words.iter().map(|word| word.parse::<Word<InstanceId>>().unwrap());
            let (app, id) = split(words.collect()).ok()?;
            Some((app.map(|app| app.to_string()), id.map(InstanceId::get)))
        };
        assert_eq!(of(&[]), Some((None, None)));
        assert_eq!(of(&["shop"]), Some((Some("shop".into()), None)));
        assert_eq!(of(&["2"]), Some((None, Some(2))));
        assert_eq!(of(&["shop", "2"]), Some((Some("shop".into()), Some(2))));
        for wrong in [&["2", "shop"][..], &["shop", "blog"], &["1", "2"]] {
            assert_eq!(of(wrong), None, "{wrong:?}");
        }
        assert_eq!("+1".parse(), Ok(Word::Other("+1".parse::<Wish>().unwrap())));
    }

    #[test]
    fn a_program_and_a_file_are_no_apps_and_their_way_is_said() {
        for word in ["app.js", "./ecosystem.config.js", "dist/server"] {
            assert!(app(word).unwrap_err().contains("romuoctl init"), "{word}");
        }
        assert!(app("Shop").unwrap_err().contains("an app name"));
    }
}
