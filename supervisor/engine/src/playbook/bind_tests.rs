//! Which checks come of which products, and by which code each goes.
use wbd_model::problem::Source;

use super::*;
use crate::playbook::load;
use crate::playbook::tests::shipped_sources;

/// A product that needs a name, with these lines of its own.
fn product(name: &str, lines: &str) -> Source {
    let text = format!(
        "apiVersion: wbd/v1\nkind: Profile\nmetadata: {{name: {name}}}\nspec:\n  present: {{any: [{{file: /{name}}}]}}\n  \
         endpoints: [{{host: {name}.example, ports: [443]}}]\n{lines}"
    );
    Source { path: format!("{name}.yaml"), text }
}

/// The checks of a host with these products, all shipped files loaded; each product as a file of a site's.
fn checks(present: &[&str], own: &[Source]) -> Vec<String> {
    let mut sources = shipped_sources();
    sources.extend_from_slice(own);
    let (library, problems) = load(&sources);
    assert_eq!(problems, []);
    let present = present.iter().map(|name| ProfileName::new(*name).unwrap()).collect();
    library.bind(&present, &Settings::default()).iter().map(|bound| bound.key.to_string()).collect()
}

#[test]
fn what_is_the_hosts_has_the_vendors_code_only_where_all_products_concerned_give_it_that_one() {
    let shop = product("shop", "");
    let fleet = product("fleet", "  codes: {dns: AEGIS-DNS}\n");
    let by_code = product("store", "  codes: {NET-DNS: STORE-DNS}\n");
    let own = [shop, fleet, by_code];
    for (present, wanted) in [
        (&["aegis"][..], "AEGIS-DNS"),
        // Needs no names: it is not concerned.
        (&["aegis", "wbd"], "AEGIS-DNS"),
        (&["aegis", "fleet"], "AEGIS-DNS"),
        (&["shop"], "NET-DNS"),
        (&["aegis", "shop"], "NET-DNS"),
        (&["store"], "STORE-DNS"),
        (&["aegis", "store"], "NET-DNS"),
    ] {
        let checks = checks(present, &own);
        let of_host: Vec<&str> = checks.iter().filter_map(|key| key.strip_suffix(" on host")).collect();
        assert_eq!(of_host, [wanted], "{present:?}");
    }
}

#[test]
fn a_product_goes_by_its_vendors_codes_and_another_one_by_the_neutral_ones() {
    let both = checks(&["aegis", "shop"], &[product("shop", "")]);
    for wanted in [
        "AEGIS-NET on aegis/jsrv.aegis.aliyun.com:80,443",
        "NET-NAME on shop/shop.example:443",
        "NET-TCP on shop/shop.example:443",
    ] {
        assert!(both.contains(&wanted.to_owned()), "{wanted}: {both:#?}");
    }
    assert_eq!(both.iter().filter(|key| key.starts_with("AEGIS-") && key.contains("shop")).count(), 0, "{both:#?}");
}

#[test]
fn a_playbook_for_one_product_is_no_other_ones_whatever_that_has() {
    let text = "apiVersion: wbd/v1\nkind: Playbook\nmetadata: {name: x, code: X-1}\nspec:\n  applies: {profile: WHOM, has: [endpoints]}\n  \
                SCOPE\n  observe: {d: {dns.servers: {}}}\n  detect: {cases: [{id: a, level: warn, when: \"d.slow > 0\"}]}\n  \
                text: {en: {a: {title: t, cause: c, guide: [g]}}}\n";
    let shop = product("shop", "");
    let of = |whom: &str, scope: &str, present: &[&str]| {
        let text = text.replace("WHOM", whom).replace("SCOPE", scope);
        let found = checks(present, &[Source { path: "x.yaml".to_owned(), text }, shop.clone()]);
        found.into_iter().filter(|key| key.starts_with("X-1")).collect::<Vec<_>>()
    };
    let both = &["aegis", "shop"];
    assert_eq!(of("aegis", "every: 1m", both), ["X-1 on aegis"]);
    assert_eq!(of("[aegis, shop]", "every: 1m", both), ["X-1 on aegis", "X-1 on shop"]);
    assert_eq!(of("aegis", "scope: host", both), ["X-1 on host"]);
    assert_eq!(of("aegis", "scope: host", &["shop"]), Vec::<String>::new(), "nobody here is meant");
}

#[test]
fn a_shipped_playbook_is_for_one_product_or_its_code_names_no_vendor() {
    let (library, _) = load(&shipped_sources());
    for playbook in library.playbooks.values().filter(|playbook| playbook.profiles.is_empty()) {
        let code = playbook.code.as_str();
        let is_neutral = ["HOST-", "NET-"].iter().any(|start| code.starts_with(start));
        // What two versions of one product do to each other is no product's own; its vendor's code is in its profile.
        assert!(is_neutral || playbook.name.as_str() == "version-match", "{}: {code}", playbook.name);
    }
    for playbook in library.playbooks.values().filter(|playbook| playbook.code.as_str().starts_with("WBD-")) {
        let is_ours = playbook.profiles.iter().map(ProfileName::as_str).eq(["wbd"]);
        assert!(is_ours || playbook.name.as_str() == "version-match", "{}", playbook.name);
    }
}
