//! A PHP site with its web server on a host, as the agent's target; what scenarios share, and no scenario itself.

use wbd_tests::exec::Ran;
use wbd_tests::host::Host;
use wbd_tests::product::{self, SOON};

const NGINX: [&str; 2] = ["nginx.service", "php8.2-fpm.service"];

/// A web root with this many folders, served by nginx and php-fpm; not yet a target.
pub(crate) fn make(host: &Host, folders: u64) {
    let make = format!("mkdir -p /srv/shop/{{1..{folders}}}");
    host.run(["/usr/bin/bash", "-c", &make]).ok();
    host.run(["/usr/bin/systemctl", "start", NGINX[0], NGINX[1]]).ok();
}

/// Registers it.
pub(crate) fn add(host: &Host) -> Ran {
    ctl(host, &["target", "add", "shop", "--web-root", "/srv/shop", "--language", "php"])
}

/// Takes everything back: target, folders, servers.
pub(crate) fn forget(host: &Host) {
    ctl(host, &["agent", "deactivate"]).ok();
    // Where it was not added there is nothing to remove.
    drop(ctl(host, &["target", "remove", "shop"]));
    host.run(["/usr/bin/systemctl", "stop", NGINX[0], NGINX[1]]).ok();
    host.run(["/usr/bin/rm", "-rf", "/srv/shop"]).ok();
    product::health_is(host, "no watches", |health| health["watches"]["used"] == 0);
    product::healthy(host);
}

/// `wbdctl ARGS`.
pub(crate) fn ctl(host: &Host, args: &[&str]) -> Ran {
    host.run_with(["/usr/bin/wbdctl"].iter().chain(args), b"", SOON)
}
