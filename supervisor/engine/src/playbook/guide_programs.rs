//! Programs that a guide tells people to type, and whether the line says that it needs them. Looks at no host.
use super::faults::Faults;
use crate::yaml::{Key, Node, Place};

/// Not on every host: their packages are left out, or another distribution's tool is in their place.
const NOT_EVERYWHERE: [&str; 36] = [
    "apt",
    "apt-get",
    "ausearch",
    "conntrack",
    "curl",
    "diff",
    "dig",
    "dnf",
    "dpkg",
    "firewall-cmd",
    "fuser",
    "getfacl",
    "ip",
    "iptables",
    "less",
    "lsof",
    "mtr",
    "nc",
    "ncat",
    "netstat",
    "nft",
    "nslookup",
    "pgrep",
    "ping",
    "ps",
    "resolvectl",
    "rpm",
    "setfacl",
    "ss",
    "strace",
    "tcpdump",
    "top",
    "tracepath",
    "traceroute",
    "ufw",
    "yum",
];

/// What every host with systemd has: its own programs, the C library's, coreutils, grep, sed, util-linux; ours. And
/// sysctl, which sets what is the machine's also where a root of its own has no programs.
#[cfg(test)]
const EVERYWHERE: [&str; 31] = [
    "cat",
    "chmod",
    "chown",
    "cp",
    "date",
    "df",
    "du",
    "echo",
    "find",
    "findmnt",
    "getent",
    "grep",
    "head",
    "journalctl",
    "kill",
    "ls",
    "mount",
    "mv",
    "namei",
    "rm",
    "sed",
    "stat",
    "sysctl",
    "systemctl",
    "tail",
    "timedatectl",
    "touch",
    "ulimit",
    "uname",
    "wbdctl",
    "wc",
];

/// A line of a guide in a tree: where it stands, its words, what it says that it needs.
struct Line<'a> {
    place: Place,
    text: &'a str,
    needs: Vec<&'a str>,
}

/// The name of each case with the lines of its guide.
fn guides(tree: &Node) -> Vec<(&Key, Vec<Line<'_>>)> {
    let text = tree.get("spec").and_then(|spec| spec.get("text"));
    let cases = text.map(Node::entries).unwrap_or_default().iter().flat_map(|(_, cases)| cases.entries());
    let guides = cases.filter_map(|(case, words)| Some((case, words.get("guide")?)));
    guides.map(|(case, guide)| (case, guide.elements().iter().filter_map(line).collect())).collect()
}

fn line(node: &Node) -> Option<Line<'_>> {
    let needs = node.get("needs").map(names).unwrap_or_default();
    let text = node.text().or_else(|| node.get("line").and_then(Node::text))?;
    Some(Line { place: node.place, text, needs })
}

/// A name, or a list of names.
fn names(node: &Node) -> Vec<&str> {
    match node.text() {
        Some(one) => vec![one],
        None => node.elements().iter().filter_map(Node::text).collect(),
    }
}

/// The programs of what is typed: the first word of each command behind the last colon, or of the whole line.
fn typed(text: &str) -> Vec<String> {
    let text = unquoted(text);
    let commands = text.rsplit_once(": ").map_or(text.as_str(), |(_, commands)| commands);
    let each = commands.split("; ").flat_map(|commands| commands.split(" | "));
    each.filter_map(|command| command.split_whitespace().next()).map(str::to_owned).collect()
}

/// The text without what stands in quotes; an apostrophe is none.
fn unquoted(text: &str) -> String {
    let (mut plain, mut quoted, mut before) = (String::new(), false, ' ');
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let opens = before.is_whitespace() || before == '=';
        let closes = rest.peek().is_none_or(|next| !next.is_alphanumeric());
        if c == '\'' && (if quoted { closes } else { opens }) {
            quoted = !quoted;
        } else if !quoted {
            plain.push(c);
        }
        before = c;
    }
    plain
}

/// Lines that have a program typed which this host may not have, and do not say so; cases that may be left without any.
pub(super) fn unsaid(faults: &mut Faults<'_>, tree: &Node) {
    for (case, lines) in guides(tree) {
        for line in &lines {
            for word in typed(line.text) {
                if NOT_EVERYWHERE.contains(&word.as_str()) && !line.needs.contains(&word.as_str()) {
                    let hint =
                        format!("write {{line: \"...\", needs: [{word}]}}: it is then shown only where {word} is");
                    let message = format!("this step needs {word}, which not every host has");
                    faults.add_with_hint(line.place, message, Some(hint));
                }
            }
        }
        if !lines.is_empty() && lines.iter().all(|line| !line.needs.is_empty()) {
            let message = format!("every step for the case {:?} needs a program: some hosts are shown none", case.text);
            faults.add_with_hint(case.place, message, Some("add a step that can be done everywhere".to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use wbd_model::problem::Source;

    use super::super::tests::shipped_sources;
    use super::super::{advice, load};
    use super::*;
    use crate::yaml::documents;

    #[test]
    fn what_a_shipped_guide_has_typed_is_on_every_host_or_the_line_says_that_it_needs_it() {
        let mut seen = 0;
        for source in shipped_sources() {
            for tree in documents(&source).0 {
                for line in guides(&tree).into_iter().flat_map(|(_, lines)| lines) {
                    // Without a colon it is no command.
                    let typed = if line.text.contains(": ") { typed(line.text) } else { Vec::new() };
                    for word in typed.iter().map(String::as_str).filter(|word| !word.starts_with(['/', '{', '<'])) {
                        seen += 1;
                        let is_known = EVERYWHERE.contains(&word) || line.needs.contains(&word);
                        // A setting's value is no program.
                        let is_value = ["true", "false", "yes", "no"].contains(&word);
                        assert!(
                            is_known || is_value,
                            "{}: {:?}: behind a colon stands what is typed, and {word} is not on every host: say needs",
                            source.path,
                            line.text
                        );
                    }
                }
            }
        }
        assert!(seen > 50, "{seen} commands");
    }

    fn advised(line: &str) -> Vec<String> {
        let text = format!(
            "apiVersion: wbd/v1\nkind: Playbook\nmetadata: {{name: x, code: X-1}}\nspec:\n  applies: {{has: [process.main]}}\n  \
             observe: {{p: {{process.state: {{process: main}}}}}}\n  detect: {{cases: [{{id: a, level: warn, when: \"!p.alive\"}}]}}\n  \
             text:\n    en:\n      a:\n        title: t\n        cause: c\n        guide:\n          - {line}\n          - \"Ask its owner\"\n"
        );
        let own = Source { path: "x.yaml".to_owned(), text };
        let mut all = shipped_sources();
        all.push(own.clone());
        let (library, problems) = load(&all);
        assert_eq!(problems, [], "it loads all the same");
        advice(&[own], &library).iter().map(wbd_model::problem::Problem::brief).collect()
    }

    #[test]
    fn a_case_whose_every_step_needs_a_program_is_told() {
        let text = "kind: Playbook\nspec:\n  text: {en: {a: {guide: [{line: dig x, needs: dig}]}, b: {guide: [c, {line: dig x, needs: dig}]}, d: {}}}\n";
        let source = Source { path: "x.yaml".to_owned(), text: text.to_owned() };
        let mut faults = Faults::new(&source);
        documents(&source).0.iter().for_each(|tree| unsaid(&mut faults, tree));
        let said: Vec<String> = faults.found.iter().map(wbd_model::problem::Problem::brief).collect();
        assert_eq!(
            said,
            [
                "x.yaml:3:15: every step for the case \"a\" needs a program: some hosts are shown none (add a step that can be done everywhere)"
            ]
        );
    }

    #[test]
    fn a_line_that_needs_a_program_and_does_not_say_so_is_told_and_one_that_says_so_is_not() {
        let said = advised("\"See the rules: nft list ruleset\"");
        assert_eq!(
            said,
            [
                "x.yaml:14:13: this step needs nft, which not every host has (write {line: \"...\", needs: [nft]}: it is then shown only where nft is)"
            ]
        );
        assert_eq!(advised("\"firewall-cmd --state; ufw status\"").len(), 2);
        assert!(advised("{line: \"dig x | less\", needs: dig}")[0].contains("needs less"));
        for fine in [
            "\"See the rules: cat /etc/nftables.conf\"",
            "{line: \"See the rules: nft list ruleset\", needs: [nft]}",
            "{line: \"nft list ruleset\", needs: nft}",
            "\"The nftables service\"",
            "\"Read the service's words: journalctl --grep 'x| dig |; nft'\"",
        ] {
            assert_eq!(advised(fine), Vec::<String>::new(), "{fine}");
        }
    }
}
