#!/bin/sh
# Installs romuo from this folder, below /usr/local or the folder that is given: `sudo ./install.sh [PREFIX]`.
# The same again upgrades it; what it has installed `sudo ./install.sh --remove [PREFIX]` removes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
remove=
if [ "${1:-}" = --remove ]; then remove=yes; shift; fi
prefix=${1:-/usr/local}

if ! systemctl --version >/dev/null 2>&1; then
  echo "romuo needs systemd 252 or newer, and there is no systemctl here" >&2
  exit 1
fi
systemd=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
if [ "${systemd:-0}" -lt 252 ]; then
  echo "romuo needs systemd 252 or newer, and here is $systemd" >&2
  exit 1
fi

if [ -n "$remove" ]; then
  # What is removed cannot serve, and an app that runs could not be started again.
  for file in /etc/romuo/*.toml; do
    [ -e "$file" ] || continue
    app=$(basename "$file" .toml)
    grep -q "^ExecStart=$prefix/bin/romuo-server " "/etc/systemd/system/$app@.service" 2>/dev/null || continue
    if systemctl --quiet is-active "$app.target" 2>/dev/null; then
      echo "stopping $app"
      "$prefix/bin/romuoctl" --app "$app" stop || systemctl stop "$app.target" || :
    fi
  done
fi

put() { # FILE PLACE MODE
  if [ -n "$remove" ]; then rm -f "$2"; return; fi
  mkdir -p "$(dirname "$2")"
  # In one step: what runs keeps the file that it was started from.
  install -m "$3" "$1" "$2.new"
  mv -f "$2.new" "$2"
}
for program in romuoctl romuo-server; do put "$here/$program" "$prefix/bin/$program" 755; done
for page in "$here"/man/*; do
  section=${page%.gz}; section=${section##*.}
  put "$page" "$prefix/share/man/man$section/$(basename "$page")" 644
done
put "$here/completions/bash" "$prefix/share/bash-completion/completions/romuoctl" 644
put "$here/completions/zsh" "$prefix/share/zsh/site-functions/_romuoctl" 644
put "$here/completions/fish" "$prefix/share/fish/vendor_completions.d/romuoctl.fish" 644

if [ -n "$remove" ]; then echo "removed romuo from $prefix"; exit; fi
echo "installed romuo in $prefix"
for file in /etc/romuo/*.toml; do
  [ -e "$file" ] || continue
  app=$(basename "$file" .toml)
  echo "$app runs the version before: romuoctl --app $app install-units && romuoctl --app $app reload"
done
