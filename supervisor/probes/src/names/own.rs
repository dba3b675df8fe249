//! wbd's own reading of another root's files: the hosts file, then the first definite answer of its servers. Only for a
//! root that no program of this host runs on; the answer says so.
use std::net::IpAddr;
use std::path::Path;

use super::conf::Conf;
use super::exchange::{PORT, Said};
use super::resolved::{Resolved, Word};
use super::servers;
use crate::runner::ProbeContext;
use crate::under::text_if_there;

/// What a name of the hosts file leads to; else what the servers say.
///
/// # Errors
/// Why it could not be asked for: our own trouble, not the name's.
pub(super) fn resolve(context: &ProbeContext, host: &str) -> Result<Resolved, String> {
    let found = in_hosts_file(context.root(), host)?;
    if !found.is_empty() {
        return Ok(told(context, Word::Ok, found, String::new()));
    }
    let conf = Conf::of(context)?;
    let asked = servers::ask_all(context, &conf, &servers::questions(&conf, &[host])?, PORT);
    let words = servers::words(&asked, 0);
    let said =
        |index: usize| asked.get(index).and_then(|server| server.usual.first()).map(|answer| answer.said.clone());
    let addresses = match servers::deciding(&asked, 0).and_then(said) {
        Some(Said::Addresses(addresses)) => addresses,
        Some(_) => return Ok(told(context, Word::Nxdomain, Vec::new(), words)),
        None => {
            let reached = (0..asked.len()).filter_map(said).any(|said| !said.is_unreachable() && said != Said::Refused);
            let word = if reached { Word::Servfail } else { Word::Silent };
            return Ok(told(context, word, Vec::new(), words));
        }
    };
    let word = if addresses.is_empty() { Word::Empty } else { Word::Ok };
    Ok(told(context, word, addresses, words))
}

fn told(context: &ProbeContext, word: Word, mut addresses: Vec<IpAddr>, servers: String) -> Resolved {
    // IPv4 first: a host without an IPv6 route still gets AAAA answers.
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses.dedup();
    let says = format!("{} (wbd's own reading of the files under {})", word.as_str(), context.root().display());
    Resolved { word, says, addresses, servers }
}

/// Its addresses in the hosts file of a root.
pub(crate) fn in_hosts_file(root: &Path, host: &str) -> Result<Vec<IpAddr>, String> {
    let text = text_if_there(&root.join("etc/hosts"))?.unwrap_or_default();
    Ok(in_hosts(&text, host))
}

fn in_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse) else {
            continue;
        };
        if words.any(|name| name.eq_ignore_ascii_case(host)) {
            addresses.push(address);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn the_hosts_file_comes_first_and_the_answer_says_who_read_it() {
        let host = Host::new();
        host.file("etc/hosts", "# 9.9.9.9 host.test\n::1 x host.test\n127.0.0.9 HOST.test y # c\n");
        let seen = resolve(&host.context(), "Host.Test").unwrap();
        assert_eq!(seen.addresses, ["127.0.0.9", "::1"].map(|it| it.parse::<IpAddr>().unwrap()));
        let label = format!("ok (wbd's own reading of the files under {})", host.root().display());
        assert_eq!((seen.word, seen.says), (Word::Ok, label));
        std::fs::create_dir(host.root().join("etc/resolv.conf")).unwrap();
        assert!(resolve(&host.context(), "other.test").unwrap_err().contains("resolv.conf"));
    }
}
