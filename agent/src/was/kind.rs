//! What kind of web application server a process is, if it is one; names and arguments only, no looking.

use super::process::Process;
use std::os::unix::ffi::OsStrExt;
use wbd_agent_api::WasKind;

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A server that can be watched.
    Supported(WasKind),
    /// A server that cannot, by its name.
    Unsupported(&'static str),
}

/// Servers that people run and that are not supported, by program name.
const UNSUPPORTED: [&str; 10] =
    ["lighttpd", "caddy", "litespeed", "lshttpd", "openlitespeed", "hiawatha", "cherokee", "h2o", "uwsgi", "gunicorn"];

/// Java servers that are not supported, by a part of one argument.
const UNSUPPORTED_JAVA: [(&str, &str); 7] = [
    ("org.eclipse.jetty", "jetty"),
    ("jetty.home", "jetty"),
    ("jboss-modules.jar", "wildfly"),
    ("weblogic.Server", "weblogic"),
    ("com.ibm.ws", "websphere"),
    ("glassfish.jar", "glassfish"),
    ("com.caucho.server", "resin"),
];

/// The class that tomcat's java starts with.
const CATALINA: &str = "org.apache.catalina.startup.Bootstrap";

/// The kind of a process; `None` for everything that is no server.
pub(crate) fn kind_of(process: &Process) -> Option<Kind> {
    let name = process.name().as_bytes();
    if name == b"java" || name.starts_with(b"jsvc") {
        return java_kind(process);
    }
    let kind = match name {
        b"nginx" => WasKind::Nginx,
        b"apache2" => WasKind::Apache,
        _ if name.starts_with(b"httpd") => WasKind::Apache,
        _ if name.starts_with(b"php-fpm") => WasKind::PhpFpm,
        _ => {
            return UNSUPPORTED.iter().find(|known| known.as_bytes() == name).map(|known| Kind::Unsupported(known));
        }
    };
    (!is_passing_command(process)).then_some(Kind::Supported(kind))
}

fn java_kind(process: &Process) -> Option<Kind> {
    if process.has_arg(CATALINA) {
        // `catalina.sh stop` and `configtest` run the same class for a moment.
        let serves = !["stop", "configtest", "version"].iter().any(|verb| process.has_arg(verb));
        return serves.then_some(Kind::Supported(WasKind::Tomcat));
    }
    UNSUPPORTED_JAVA
        .iter()
        .find(|(part, _)| process.args.iter().any(|arg| contains(arg, part.as_bytes())))
        .map(|(_, name)| Kind::Unsupported(name))
}

/// A configuration test, a version question or a signal sent with the server's own program is no second server.
fn is_passing_command(process: &Process) -> bool {
    let asks = ["-t", "-T", "-v", "-V", "-S", "-M", "-l", "-L", "-s"].iter().any(|flag| process.has_arg(flag));
    let signals = ["stop", "graceful", "graceful-stop"].iter().any(|verb| process.has_arg(verb));
    asks || (process.has_arg("-k") && signals)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
