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
