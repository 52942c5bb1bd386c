//! Keys that are not known, or not in their place.

use super::*;

#[test]
fn an_unknown_key_brings_the_nearest_one() {
    assert_data_eq!(
        told(
            r#"instnces = 2
nmae = "x"
[limit]
memory = "1G"
[limits]
Max-Restarts = 1
[health]
intervall = "1s"
"#
        ),
        str![[r#"
romuo.toml:1:1: `instnces` is not known (and 4 more problems)
  did you mean `instances`?
romuo.toml:2:1: `nmae` is not known
  did you mean `name`?
romuo.toml:3:2: `limit` is not known
  did you mean `limits`?
romuo.toml:6:1: `limits.Max-Restarts` is not known
  did you mean `max_restarts`?
romuo.toml:8:1: `health.intervall` is not known
  did you mean `interval`?

"#]]
    );
}

#[test]
fn a_key_in_the_wrong_table_brings_the_right_one() {
    assert_data_eq!(
        told(
            r#"memory = "1G"
root = "x"
[health]
user = "me"
linger = "1s"
"#
        ),
        str![[r#"
romuo.toml:1:1: `memory` is not known (and 3 more problems)
  it belongs to [limits]
romuo.toml:2:1: `root` is not known
  it belongs to [static]
romuo.toml:4:1: `health.user` is not known
  it belongs to the top level: write it above the first [table]
romuo.toml:5:1: `health.linger` is not known
  it belongs to [reload]

"#]]
    );
}

#[test]
fn a_key_that_is_like_no_other_brings_the_list() {
    assert_data_eq!(
        told(
            r#"zzz = 1
[reload]
zzz = 1
"#
        ),
        str![[r#"
romuo.toml:1:1: `zzz` is not known (and 1 more problem)
  known here: command, directory, env, env_file, environment, instances, listen, mode, name, network, readable, user, version, writable, deploy, front, health, limits, reload, static
romuo.toml:3:1: `reload.zzz` is not known
  known here: linger, max_unavailable, method, on_failure, probes, surge, watch

"#]]
    );
}

#[test]
fn keys_of_versions_to_come_are_not_known() {
    assert_data_eq!(
        told(
            r#"[[proxy]]
to = "127.0.0.1:8080"
"#
        ),
        str![[r#"
romuo.toml:1:3: `proxy` is not known
  known here: command, directory, env, env_file, environment, instances, listen, mode, name, network, readable, user, version, writable, deploy, front, health, limits, reload, static

"#]]
    );
}

#[test]
fn a_key_in_quotes_is_not_taken_for_its_table() {
    assert_data_eq!(
        told("\"limits.memory\" = \"1G\"\n\"\\u001b[31m\" = 1\n"),
        str![[r#"
romuo.toml:1:1: `limits.memory` is not known (and 1 more problem)
  known here: command, directory, env, env_file, environment, instances, listen, mode, name, network, readable, user, version, writable, deploy, front, health, limits, reload, static
romuo.toml:2:1: `�[31m` is not known
  known here: command, directory, env, env_file, environment, instances, listen, mode, name, network, readable, user, version, writable, deploy, front, health, limits, reload, static

"#]]
    );
}

#[test]
fn a_static_site_needs_its_root() {
    assert_data_eq!(
        told(
            r#"name = "x"
[static]
fallback = "index.html"
"#
        ),
        str![[r#"
romuo.toml:2:2: `static.root` is missing
  [static] needs it

"#]]
    );
}
