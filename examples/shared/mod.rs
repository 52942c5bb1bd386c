//! What the examples that boot a machine share.

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use romuo::sandbox::{Sandbox, SandboxBuilder};

/// Where the apps listen.
pub(crate) const ADDRESS: SocketAddr =
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 3000));

/// A throwaway machine with romuo's programs on it.
pub(crate) fn machine() -> Result<SandboxBuilder, Box<dyn Error>> {
    let programs = programs()?;
    let builder = Sandbox::builder(programs.join("romuoctl"));
    Ok(["romuoctl", "romuo-server"].into_iter().fold(builder, |builder, program| {
        builder.program(programs.join(program), format!("/usr/local/bin/{program}"))
    }))
}

/// Runs a command in the sandbox; its output, after the command itself.
pub(crate) fn shown(sandbox: &Sandbox, command: &[&str]) -> Result<String, Box<dyn Error>> {
    Ok(format!("$ {}\n{}", command.join(" "), run(sandbox, command)?))
}

/// Runs a command in the sandbox; its output.
pub(crate) fn run(sandbox: &Sandbox, command: &[&str]) -> Result<String, Box<dyn Error>> {
    let output = sandbox.run(command)?;
    if output.success() {
        return Ok(output.stdout);
    }
    Err(format!("{} failed: {}{}", command.join(" "), output.stdout, output.stderr).into())
}

/// Runs a command in the sandbox while the load goes on; how it failed, where it did.
pub(crate) async fn meanwhile(
    sandbox: &Sandbox,
    command: &[&str],
) -> Result<String, Box<dyn Error>> {
    let (program, arguments) = command.split_first().ok_or("no program is named")?;
    let mut child = tokio::process::Command::from(sandbox.command(program));
    let output = child.args(arguments).output().await?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {}: {said}", command.join(" "), output.status).into())
}

/// The folder of the programs, which is the one above that of the examples.
fn programs() -> Result<PathBuf, Box<dyn Error>> {
    let example = std::env::current_exe()?;
    let folder = example.parent().and_then(Path::parent);
    Ok(folder.ok_or("this example lies in no target folder")?.to_owned())
}
