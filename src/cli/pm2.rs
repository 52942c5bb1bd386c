//! PM2's verbs, for those who have them in their fingers: those that romuo has not are answered with what to do
//! instead, never with a guess at a verb that is spelled alike.

use super::error::{Exit, Failure};
use super::output::Printer;

/// What is to be said of a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// What it is for is so already.
    Needless(&'static str),
    /// Another way leads there.
    Elsewhere(&'static str),
}

use Answer::{Elsewhere, Needless};

/// Verbs of PM2 7 that romuo does not have, and what it says to them.
const VERBS: [(&[&str], Answer); 25] = [
    (
        &["save", "dump", "startup"],
        Needless("nothing has to be saved: what is installed starts at boot"),
    ),
    (
        &["resurrect"],
        Elsewhere("systemd starts what is installed at boot; `romuoctl start all` starts it now"),
    ),
    (
        &["unstartup"],
        Elsewhere("`sudo systemctl disable NAME.target` keeps the app NAME from starting at boot"),
    ),
    (&["ping"], Needless("there is no daemon: systemd is there as long as the machine runs")),
    (
        &["kill"],
        Elsewhere(
            "there is no daemon to end; `romuoctl stop` stops an app, `romuoctl stop all` each of them",
        ),
    ),
    (
        &["update", "updatePM2"],
        Elsewhere(
            "there is no daemon to replace; `romuoctl reload` brings a new romuo-server into the instances",
        ),
    ),
    (
        &["delete", "del"],
        Elsewhere(
            "`romuoctl uninstall-units` stops the app and removes exactly what was installed",
        ),
    ),
    (
        &["describe", "desc", "show", "info", "inspect"],
        Elsewhere(
            "`romuoctl status` shows the app, `systemctl status NAME@1` an instance of NAME, and \
             `systemctl cat NAME@1` its unit",
        ),
    ),
    (
        &["env"],
        Elsewhere("what the app gets stands in `[environment]` of its romuo.toml (docs/apps.md)"),
    ),
    (
        &["monit", "monitor", "imonit", "dash", "dashboard"],
        Elsewhere(
            "`watch romuoctl status` shows it as it goes, `romuoctl logs --follow` what it says",
        ),
    ),
    (
        &["flush"],
        Elsewhere("the journal bounds itself; `sudo journalctl --vacuum-time=2d` shortens it"),
    ),
    (&["reloadLogs", "logrotate"], Needless("the journal rotates itself, and no file is open")),
    (
        &["reset"],
        Elsewhere("`sudo systemctl reset-failed 'NAME@*'` sets the counts of NAME to zero"),
    ),
    (
        &["sendSignal"],
        Elsewhere("`sudo systemctl kill --signal=SIGUSR2 NAME@1` sends one to an instance of NAME"),
    ),
    (
        &["gracefulReload", "softReload"],
        Elsewhere("`romuoctl reload` is the one reload that there is, and it is graceful"),
    ),
    (
        &["startOrReload", "startOrRestart", "startOrGracefulReload"],
        Elsewhere(
            "`romuoctl install-units --now` installs and starts it, `romuoctl reload` rolls it",
        ),
    ),
    (&["ecosystem"], Elsewhere("`romuoctl init` looks at a folder and writes its romuo.toml")),
    (
        &["serve", "expose"],
        Elsewhere("`romuoctl init` in a folder of pages makes a site of it (`[static]`)"),
    ),
    (&["backward", "revert"], Elsewhere("`romuoctl rollback` brings back what served before")),
    (&["forward", "pull", "pullAndReload", "pullAndRestart"], Elsewhere("`romuoctl deploy` ships")),
    (&["id"], Elsewhere("`romuoctl status` shows the ids of the instances")),
    (&["attach"], Elsewhere("an app has no terminal; `romuoctl logs --follow` shows what it says")),
    (
        &["install", "uninstall", "module:generate", "set", "get", "multiset", "unset", "conf"],
        Elsewhere("romuo has no modules; its keys stand in romuo.toml (docs/configuration.md)"),
    ),
    (
        &["trigger", "link", "unlink", "plus", "login", "logout", "register", "open"],
        Elsewhere("nothing of romuo talks to a service elsewhere"),
    ),
    (
        &["report"],
        Elsewhere("`romuoctl status -o json` and `romuoctl --version` say what a report needs"),
    ),
];

/// What to say to a verb that is not one of romuo's; none: it is none of PM2's either.
pub(super) fn answer(word: &str, printer: &Printer) -> Option<Result<Exit, Failure>> {
    let (_, answer) = VERBS.iter().find(|(words, _)| words.contains(&word))?;
    Some(match answer {
        Needless(why) => {
            printer.say(why);
            Ok(Exit::Done)
        }
        Elsewhere(way) => Err(Failure::OfPm2 { word: word.to_owned(), way }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_verb_of_romuo_is_hidden_behind_one_of_pm2() {
        let command = super::super::command();
        let own = command.get_subcommands().flat_map(clap::Command::get_name_and_visible_aliases);
        for verb in own {
            assert!(!VERBS.iter().any(|(words, _)| words.contains(&verb)), "{verb}");
        }
    }
}
