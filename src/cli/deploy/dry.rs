//! What a deploy would do.

use super::super::context::Context;
use super::super::error::{Exit, Failure};
use super::super::fit::Fitting;
use super::super::install::{host, resolved};
use super::super::output::{BELOW, Printer};
use super::super::ports;
use super::home::Home;
use crate::manager::Systemd;
use crate::release::{Source, Store};
use crate::ship::{Checkout, ForRelease, Wanted, for_release};
use crate::text::shown_below;

/// What would be done, and what would change.
pub(super) async fn tell(
    home: &Home,
    wanted: &Wanted,
    store: &Store,
    context: &Context,
    printer: &Printer,
) -> Result<Exit, Failure> {
    let settings = &home.settings;
    let app = &settings.name;
    let mut said = Vec::new();
    said.push(match wanted {
        Wanted::Folder(folder) => format!("check     {}", folder.display()),
        Wanted::Git { folder, reference } => {
            format!("check     fetches and checks out {reference} of {}", folder.display())
        }
        Wanted::Archive { file, .. } => format!("check     extracts {}", file.display()),
    });
    said.extend(settings.deploy.build.iter().map(|line| format!("build     $ {line}")));
    said.push(format!("stage     into {}", store.folder().join("releases").display()));
    let staged = said.len();
    said.push(format!(
        "rehearse  starts {app}.candidate.service, and asks it for {}",
        settings.health.path
    ));
    said.extend(settings.deploy.before.iter().map(|line| format!("before    $ {line}")));
    if let Wanted::Folder(folder) = wanted {
        let manager = Systemd::connect().await?;
        let host = host(context.root(), Some(&manager)).await?;
        let source = Source::Folder;
        let checkout = Checkout::plain(folder.clone(), home.folder.clone(), source);
        let resolved = resolved(settings.clone(), context.root())?;
        let current = store.current_path();
        let ForRelease { settings, links } = for_release(resolved.settings, &checkout, &current)?;
        let plan = Fitting::of(settings.clone(), &host)?.plan(context)?;
        said.extend(plan.changes.iter().map(|change| format!("roll      {change}")));
        let data = links.iter().map(|(inside, at)| {
            format!("stage     {} stays where it is: {}", inside.display(), at.display())
        });
        said.splice(staged..staged, data);
        let change = ports::foresee(&settings, context, &manager).await?;
        said.extend(ports::sentences(&change).iter().map(|it| format!("roll      {it}")));
    }
    let back = match store.current()? {
        Some(current) => format!("release {current}"),
        None => "what is there now".into(),
    };
    said.push(format!("roll      instance by instance; goes back to {back} where it is not well"));
    said.extend(settings.deploy.after.iter().map(|line| format!("after     $ {line}")));
    printer.answer(
        &said,
        said.iter().map(|line| shown_below(line, BELOW)).collect::<Vec<_>>().join("\n"),
    );
    Ok(Exit::Done)
}
