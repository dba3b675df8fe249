//! The name servers of resolv.conf, all of them and in order; the system's own resolver uses the first three.
use std::net::IpAddr;
use std::path::Path;

use crate::under;

/// A longer list is cut: nobody uses it.
const MAX_SERVERS: usize = 16;

/// Addresses of the configured servers, each once; none where there is no resolv.conf.
pub(crate) fn servers(root: &Path) -> Result<Vec<IpAddr>, String> {
    let text = under::text_if_there(&root.join("etc/resolv.conf"))?;
    Ok(parse(&text.unwrap_or_default()))
}

fn parse(text: &str) -> Vec<IpAddr> {
    let mut servers = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next() != Some("nameserver") {
            continue;
        }
        // A zone (fe80::1%eth0) is left off: such a server is reached through the default interface or not at all.
        let address = words.next().and_then(|word| word.split('%').next());
        let Some(Ok(address)) = address.map(str::parse) else {
            continue;
        };
        if !servers.contains(&address) && servers.len() < MAX_SERVERS {
            servers.push(address);
        }
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_other_keys_and_nonsense_are_passed_over() {
        let text = "# nameserver 9.9.9.9\n;x\nsearch a b\nnameserver 10.0.0.1 # first\n  nameserver ::1\n\
                    nameserver bad\nnameserver\nnameserver 10.0.0.1\nnameserverx 8.8.8.8\n";
        let expected: Vec<IpAddr> = vec!["10.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        assert_eq!(parse(text), expected);
    }
}
