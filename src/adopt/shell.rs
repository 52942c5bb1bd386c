//! What an ecosystem file took from the environment of the shell that reads it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Takes the variables of the shell out of the tables `env` and `env_*` of a file that spread them there
/// (`env: { ...process.env }`): they are of whoever imports it. What was taken out is returned.
pub(super) fn leave_out(value: &mut Value, shell: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut left_out = BTreeSet::new();
    walk(value, shell, &mut left_out);
    left_out
}

fn walk(value: &mut Value, shell: &BTreeMap<String, String>, left_out: &mut BTreeSet<String>) {
    match value {
        _ if shell.is_empty() => {}
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, shell, left_out)),
        Value::Object(fields) => {
            for (key, value) in fields.iter_mut() {
                match value.as_object_mut() {
                    Some(variables) if key == "env" || key.starts_with("env_") => {
                        variables.retain(|name, value| {
                            let is_same = shell.get(name).is_some_and(|of_shell| value == of_shell);
                            is_same.then(|| left_out.insert(name.clone())).is_none()
                        });
                    }
                    _ => walk(value, shell, left_out),
                }
            }
        }
        _ => {}
    }
}

/// What is said of variables that the file asked for.
pub(super) fn asked(names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| {
        let names = names.join(", ");
        format!(
            "the file took {names} from the environment of this shell: what came of that is in the new \
             file as it is now"
        )
    })
}

/// What is said of variables that the file asked for in vain.
pub(super) fn unset(names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| {
        format!(
            "the file asks for {}, which this shell does not set: it was read without",
            names.join(", ")
        )
    })
}

/// What is said of variables that were left out.
pub(super) fn spread(left_out: &BTreeSet<String>) -> Option<String> {
    (!left_out.is_empty()).then(|| {
        let names = left_out.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        format!(
            "the file spreads the environment of the shell into that of its app (`...process.env`). What is this \
             shell's was left out ({names}): write what the app needs into `[environment]` or a file that \
             `env_file` names"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_spread_of_the_shell_is_left_out_of_the_environment_only() {
        let shell: BTreeMap<String, String> =
            [("HOME", "/root"), ("A", "1")].map(|(n, v)| (n.into(), v.into())).into();
        let mut value = serde_json::json!({ "apps": [
            { "name": "A", "cwd": "/root", "env": { "HOME": "/root", "A": "2", "B": "1" } },
            { "env_production": { "A": "1" } },
        ] });
        let left_out = leave_out(&mut value, &shell);
        assert_eq!(left_out.into_iter().collect::<Vec<_>>(), ["A", "HOME"]);
        let expected = serde_json::json!({ "apps": [
            { "name": "A", "cwd": "/root", "env": { "A": "2", "B": "1" } },
            { "env_production": {} },
        ] });
        assert_eq!(value, expected);
        assert!(leave_out(&mut value, &BTreeMap::new()).is_empty());
    }
}
