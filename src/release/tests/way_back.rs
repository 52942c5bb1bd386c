//! Whatever was deployed and rolled back before: the way back leads to what served before, one step each.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Deed {
    /// A release is shipped; whether it comes to serve.
    Ship(bool),
    /// `rollback` without a name.
    Back,
    /// `rollback` to one of those that were shipped.
    BackTo(prop::sample::Index),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        3 => any::<bool>().prop_map(Deed::Ship),
        2 => Just(Deed::Back),
        2 => any::<prop::sample::Index>().prop_map(Deed::BackTo),
    ];
    prop::collection::vec(deed, 1..24)
}

proptest! {
    #[test]
    fn the_way_back_leads_to_what_served_before(deeds in deeds()) {
        let shop = Shop::new();
        let history = shop.store.history();
        let mut shipped = Vec::<ReleaseId>::new();
        // The model: those that have served and were not left by a rollback, the current one last.
        let mut served = Vec::<ReleaseId>::new();
        for deed in deeds {
            match deed {
                Deed::Ship(is_well) => {
                    let id: ReleaseId = "20261126T001100Z".parse().unwrap();
                    let id = id.after(shipped.last());
                    // All are staged in one second, as by a script: the order is not that of these times.
                    history.add(entry(&id.to_string())).unwrap();
                    if is_well {
                        history.serves(&id, Comes::Next, None).unwrap();
                        served.push(id.clone());
                    } else {
                        history.judge(&id, Verdict::Failed, Some("it threw"), None).unwrap();
                    }
                    shipped.push(id);
                }
                Deed::Back => {
                    let Some(current) = served.last() else { continue };
                    let Some(to) = history.before(current, &shipped).unwrap() else { continue };
                    history.serves(&to, Comes::Back, None).unwrap();
                    served.pop();
                }
                Deed::BackTo(which) => {
                    if shipped.is_empty() {
                        continue;
                    }
                    let to = which.get(&shipped);
                    history.serves(to, Comes::Back, None).unwrap();
                    match served.iter().position(|id| id == to) {
                        Some(at) => served.truncate(at + 1),
                        None => served.push(to.clone()),
                    }
                }
            }
            let Some((current, before)) = served.split_last() else { continue };
            let back = history.before(current, &shipped).unwrap();
            prop_assert_eq!(back.as_ref(), before.last());
            prop_assert_eq!(history.verdict(current).unwrap(), Some(Verdict::Serving));
            for id in before {
                prop_assert_eq!(history.verdict(id).unwrap(), Some(Verdict::Replaced));
            }
        }
    }
}
