//! Real web servers: an activation needs exactly one, and an active agent stays active whatever becomes of it (WBD-5401, -5402).

use std::time::Duration;

use wbd_tests::exec::Ran;
use wbd_tests::host::Host;
use wbd_tests::product::{self, AGENT};
use wbd_tests::story::Story;

use crate::site::{self, ctl};

fn systemctl(host: &Host, verb: &str, unit: &str) {
    host.run(["/usr/bin/systemctl", verb, unit]).ok();
}

fn refused(activation: &Ran, code: &str) {
    assert_eq!(activation.code, Some(1), "{}", activation.report());
    assert!(String::from_utf8_lossy(&activation.stderr).contains(code), "{}", activation.report());
}

#[test]
fn an_activation_needs_exactly_one_web_server() {
    let host = product::shared();
    site::make(&host, 3);
    site::add(&host).ok();
    systemctl(&host, "stop", "nginx.service");
    let story = Story::begin(&host);
    refused(&ctl(&host, &["agent", "activate"]), "WBD-5401");
    // A master with its workers is one.
    systemctl(&host, "start", "nginx.service");
    ctl(&host, &["agent", "activate"]).ok();
    product::health_is(&host, "one server", |health| {
        health["state"] == "active"
            && health["was"]["required"][0]["running"] == 1
            && health["errors"] == serde_json::json!([])
    });
    ctl(&host, &["agent", "deactivate"]).ok();

    // Two at once: the second one on another port.
    host.run(["/usr/bin/sed", "-i", "s/^Listen 80$/Listen 8080/", "/etc/apache2/ports.conf"]).ok();
    systemctl(&host, "start", "apache2.service");
    refused(&ctl(&host, &["agent", "activate"]), "WBD-5402");
    systemctl(&host, "stop", "nginx.service");
    ctl(&host, &["agent", "activate"]).ok();

    // Active is durable: without any server, and over a restart.
    systemctl(&host, "stop", "apache2.service");
    let raised = |health: &serde_json::Value| health["state"] == "active" && health["errors"][0]["code"] == 5401;
    product::health_is(&host, "5401 raised", raised);
    systemctl(&host, "restart", AGENT);
    product::agent_works(&host);
    product::health_is(&host, "5401 raised after a restart", raised);
    story.stays_undone("a missing web server", Duration::from_secs(6));
    systemctl(&host, "start", "nginx.service");
    product::health_is(&host, "the server picked up", |health| {
        health["state"] == "active" && health["errors"] == serde_json::json!([])
    });
    host.run(["/usr/bin/sed", "-i", "s/^Listen 8080$/Listen 80/", "/etc/apache2/ports.conf"]).ok();
    site::forget(&host);
}

#[test]
fn a_target_that_is_not_there_is_refused_by_its_first_missing_part() {
    let host = product::shared();
    let add = ["target", "add", "shop", "--web-root", "/srv/none/at/all", "--language", "php"];
    let refused = ctl(&host, &add).exits(1);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("WBD-5002") && said.contains("/srv/none"), "{}", refused.report());
    assert_eq!(product::health(&host).map(|health| health["targets"].clone()), Ok(serde_json::json!([])));
}

#[test]
fn a_users_own_web_server_is_not_the_hosts() {
    let host = product::shared();
    site::make(&host, 3);
    site::add(&host).ok();
    systemctl(&host, "stop", "nginx.service");
    host.run(["/usr/bin/install", "-D", "/usr/sbin/nginx", "/home/u/nginx"]).ok();
    let folders =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|kind| format!("{kind}_temp_path /home/u/t;"));
    let http = format!("access_log off; {} server {{ listen 8081; }}", folders.join(" "));
    let settings = format!("pid /home/u/pid; error_log /home/u/log; events {{}} http {{ {http} }}\n");
    host.write("/home/u/conf", settings.as_bytes());
    host.run(["/usr/bin/chown", "-R", "1000", "/home/u"]).ok();
    let user = ["/usr/bin/setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups", "/home/u/nginx"];
    let server = ["-c", "/home/u/conf", "-g", "daemon off;"];
    host.run(["/usr/bin/systemd-run", "--quiet", "--unit=theirs"].iter().chain(&user).chain(&server)).ok();
    host.wait_for("the user's server", product::SOON, || {
        host.exists("/home/u/pid").then_some(()).ok_or_else(|| host.unit("theirs.service", "Result"))
    });
    let activation = ctl(&host, &["agent", "activate"]);
    let said = String::from_utf8_lossy(&activation.stderr).into_owned();
    assert!(said.contains("not counted: nginx (pid ") && said.contains("/home/u/nginx is uid 1000's"), "{said}");
    refused(&activation, "WBD-5401");

    // Twin: the host's own, beside it.
    systemctl(&host, "start", "nginx.service");
    ctl(&host, &["agent", "activate"]).ok();
    product::health_is(&host, "one server, and another one told", |health| {
        health["was"]["required"][0]["running"] == 1
            && health["errors"] == serde_json::json!([])
            && health["was"]["others"][0].as_str().is_some_and(|other| other.contains("1000"))
    });
    systemctl(&host, "stop", "theirs.service");
    host.run(["/usr/bin/rm", "-rf", "/home/u"]).ok();
    site::forget(&host);
}
