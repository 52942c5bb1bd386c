//! An instance that is the app's own program: it takes the place of this one, in the release that is run.

use std::convert::Infallible;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use super::error::ServerError;
use crate::config::Mode;
use crate::front::env_file;
use crate::release::Place;

/// Becomes the program. It keeps the process id, so that it is the one that systemd passed the sockets to
/// (`$LISTEN_PID`, sd_listen_fds(3)), and the descriptors. Its variables are those of the unit, of its
/// `env_file` and of its configuration, each over the ones before.
///
/// # Errors
/// Where it cannot be started.
pub(super) fn exec(place: &Place) -> Result<Infallible, ServerError> {
    let settings = place.settings();
    let program = settings.program_in(Mode::Inherit);
    let program = program.ok_or(ServerError::NotInheriting)?;
    let (word, arguments) = program.command.split_first().ok_or(ServerError::NotInheriting)?;
    let mut command = Command::new(word);
    // The name of the environment as the unit has it; one of a drop-in is another one and stays.
    if std::env::var("NODE_ENV").is_ok_and(|env| env == place.installed().env) {
        command.env("NODE_ENV", &settings.env);
    }
    if let Some(path) = &program.env_file {
        // By this process, which is that of the instances' user already: what that one may not read, root
        // does not read for it.
        let text = std::fs::read_to_string(path)
            .map_err(|source| ServerError::EnvFile { path: path.clone(), source })?;
        command.envs(env_file(&text));
    }
    let source = command
        .args(arguments)
        .current_dir(&settings.directory)
        .envs(&program.environment)
        // Of no use to it: the secrets that it needs are among its variables.
        .env_remove("CREDENTIALS_DIRECTORY")
        .exec();
    let (program, directory) = (word.clone(), settings.directory.clone());
    Err(ServerError::Exec { program, directory, source })
}

/// Becomes a command of a unit: the same process, descriptors, folder and variables.
///
/// # Errors
/// Where it cannot be started.
pub(super) fn become_command(words: &[String]) -> Result<Infallible, ServerError> {
    let (word, arguments) = words.split_first().ok_or(ServerError::NotInheriting)?;
    let mut command = Command::new(word);
    let source = command.args(arguments).exec();
    let directory = std::env::current_dir().unwrap_or_default();
    Err(ServerError::Exec { program: word.clone(), directory, source })
}
