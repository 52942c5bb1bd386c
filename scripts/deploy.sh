#!/usr/bin/env bash
# Deploys an app with `romuoctl deploy`, which checks it, builds it, tries it, rolls it, and goes back where it is not well.
#
#   scripts/deploy.sh [DIR] [OPTION]...     by hand: what lies in DIR, or here; `--git main` ships a commit
#   ssh SERVER /srv/shop/scripts/deploy.sh /srv/shop --git main             from CI
#   hooks/post-receive of a bare repository on the server, of which DIR is a clone:
#     #!/bin/sh
#     exec /srv/shop/scripts/deploy.sh /srv/shop
#
# As a hook it ships the branch that was pushed, where that is $DEPLOY_BRANCH ("main" where it is not set).
# Options are those of `romuoctl deploy`; one that has a value keeps it behind DIR. Who is not root needs a sudo
# that asks for no password. Exit codes are those of romuoctl:
#   0 the new release serves; 1 it failed, and the old one serves unless the error says otherwise; 2 usage or
#   configuration; 4 it was rolled back.
set -euo pipefail

say() { echo "deploy: $*"; }

# git tells its hooks where its repository is; whatever runs from here on has to find its own.
is_hook=${GIT_DIR:+yes}
mapfile -t names < <(git rev-parse --local-env-vars 2>/dev/null || true)
unset "${names[@]}" names

case ${1:-} in
  '' | -*) app=$PWD ;;
  *) app=$(cd "$1" && pwd) && shift ;;
esac
if [ ! -f "$app/romuo.toml" ]; then
  say "there is no $app/romuo.toml; \`romuoctl init\` writes one" >&2
  exit 2
fi

if [ -n "$is_hook" ]; then
  branch=${DEPLOY_BRANCH:-main}
  commit=
  # One line for each reference that was pushed: githooks(5).
  while read -r _ new name; do
    if [ "$name" = "refs/heads/$branch" ]; then commit=$new; fi
  done
  case $commit in
    '') say "nothing was pushed to $branch: nothing to do" && exit 0 ;;
    *[!0]*) set -- --git "$commit" "$@" ;;
    *) say "$branch was deleted: nothing to do" && exit 0 ;;
  esac
fi

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

say "in $app: romuoctl deploy${*:+ $*}"
code=0
(cd "$app" && as_root romuoctl deploy "$@") || code=$?
case $code in
  0) say "done" ;;
  4) say "the release was not well, and was rolled back" >&2 ;;
  *) say "failed (exit code $code)" >&2 ;;
esac
exit "$code"
