//! Findings that one cause made, folded into one block: what they share is told once. Judges and shows nothing.
use wbd_model::report::{Cause, Fix};

/// Findings with the same code, severity, playbook and case; never empty.
#[derive(Debug)]
pub(super) struct Block<'a> {
    first: &'a Cause,
    rest: Vec<&'a Cause>,
}

/// The causes in blocks, in their own order.
pub(super) fn fold(causes: &[Cause]) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for cause in causes {
        match blocks.iter_mut().find(|block| block.takes(cause)) {
            Some(block) => block.rest.push(cause),
            None => blocks.push(Block { first: cause, rest: Vec::new() }),
        }
    }
    blocks
}

impl<'a> Block<'a> {
    fn takes(&self, cause: &Cause) -> bool {
        let first = self.first;
        first.group.is_some()
            && first.group == cause.group
            && first.code == cause.code
            && first.severity == cause.severity
    }

    /// The finding that stands for all.
    pub(super) const fn first(&self) -> &'a Cause {
        self.first
    }

    /// All of them.
    pub(super) fn causes(&self) -> impl Iterator<Item = &'a Cause> {
        std::iter::once(self.first).chain(self.rest.iter().copied())
    }

    /// Whether it is about one target only.
    pub(super) fn is_single(&self) -> bool {
        self.rest.is_empty()
    }

    /// Its target, or how many it has.
    pub(super) fn on(&self) -> String {
        match self.rest.len() {
            0 => self.first.target.to_string(),
            more => format!("{} targets", more + 1),
        }
    }

    /// `CODE on TARGET`, or on how many.
    pub(super) fn place(&self) -> String {
        format!("{} on {}", self.first.code, self.on())
    }

    /// The title of all; where each has its own, that of the first.
    pub(super) fn title(&self) -> String {
        let Block { first, rest } = self;
        if rest.iter().all(|cause| cause.title == first.title) {
            first.title.clone()
        } else {
            format!("{} (and {} more)", first.title, rest.len())
        }
    }

    /// What is claimed of all of them.
    pub(super) fn claim(&self) -> String {
        let shared: Vec<&str> = sentences(&self.first.claim).into_iter().filter(|it| self.all_claim(it)).collect();
        shared.join(" ")
    }

    /// Each target with what is claimed of it alone.
    pub(super) fn targets(&self) -> Vec<(&'a str, String)> {
        let titles_differ = self.rest.iter().any(|cause| cause.title != self.first.title);
        let own = |cause: &'a Cause| {
            let title = if titles_differ { vec![cause.title.as_str()] } else { Vec::new() };
            let own = sentences(&cause.claim).into_iter().filter(|it| !self.all_claim(it));
            (cause.target.as_str(), title.into_iter().chain(own).collect::<Vec<&str>>().join(" "))
        };
        self.causes().map(own).collect()
    }

    fn all_claim(&self, sentence: &str) -> bool {
        self.causes().all(|cause| sentences(&cause.claim).contains(&sentence))
    }

    /// What was seen of all of them.
    pub(super) fn seen(&self) -> Vec<&'a str> {
        let shared = |line: &&String| self.rest.iter().all(|cause| cause.in_words().contains(line));
        self.first.in_words().iter().filter(shared).map(String::as_str).collect()
    }

    /// What was seen of one of them alone.
    pub(super) fn seen_of(&self, cause: &'a Cause) -> Vec<&'a str> {
        let shared = self.seen();
        cause.in_words().iter().map(String::as_str).filter(|line| !shared.contains(line)).collect()
    }

    /// The codes that any of them explains, each once.
    pub(super) fn explains(&self) -> Vec<&'a str> {
        let mut codes: Vec<&str> = self.causes().flat_map(|cause| &cause.explains).map(|code| code.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    }

    /// Open incidents that stand at the same point: which, since when the oldest, and where they stand.
    pub(super) fn incidents(&self) -> Vec<(Vec<String>, i64, &'a str)> {
        let mut told: Vec<(Vec<String>, i64, &str)> = Vec::new();
        for incident in self.causes().filter_map(|cause| cause.incident.as_ref()) {
            match told.iter_mut().find(|(_, _, stands)| *stands == incident.stands) {
                Some((ids, since, _)) => {
                    ids.push(incident.id.to_string());
                    *since = incident.since.min(*since);
                }
                None => told.push((vec![incident.id.to_string()], incident.since, &incident.stands)),
            }
        }
        told
    }

    /// The fixes that differ in more than in their target: each with the targets that it stands for.
    pub(super) fn fixes(&self) -> Vec<(Option<&'a Fix>, Vec<&'a str>)> {
        let kind = |fix: Option<&Fix>| fix.map(|fix| (fix.approval, fix.class, fix.withheld.is_some()));
        let mut fixes: Vec<(Option<&Fix>, Vec<&str>)> = Vec::new();
        for cause in self.causes() {
            let fix = cause.fix.as_ref();
            match fixes.iter_mut().find(|(known, _)| kind(*known) == kind(fix)) {
                Some((_, targets)) => targets.push(cause.target.as_str()),
                None => fixes.push((fix, vec![cause.target.as_str()])),
            }
        }
        fixes
    }

    /// The steps of the plans of these targets, each once.
    pub(super) fn plan(&self, targets: &[&str]) -> Vec<&'a str> {
        let of_them = self.causes().filter(|cause| targets.contains(&cause.target.as_str()));
        let mut steps: Vec<&str> = Vec::new();
        for step in of_them.filter_map(|cause| cause.fix.as_ref()).flat_map(|fix| &fix.plan) {
            if !steps.contains(&step.as_str()) {
                steps.push(step);
            }
        }
        steps
    }

    /// Whether the steps for a person differ from target to target.
    pub(super) fn guides_differ(&self) -> bool {
        self.rest.iter().any(|cause| cause.guide != self.first.guide)
    }
}

/// The sentences of a text, without the space between them.
fn sentences(text: &str) -> Vec<&str> {
    text.split_inclusive(". ").map(str::trim).filter(|sentence| !sentence.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use wbd_model::check::Verdict;

    use super::*;
    use crate::doctor::tests::{cause, target};

    fn of(whose: &str, group: &str, claim: &str) -> Cause {
        let cause = cause("AEGIS-TCP", Verdict::Fail);
        Cause { target: target(whose), group: Some(group.to_owned()), claim: claim.to_owned(), ..cause }
    }

    #[test]
    fn only_findings_of_one_case_and_code_share_a_block() {
        let other_code = Cause { code: cause("AEGIS-NET", Verdict::Fail).code, ..of("c", "p/dropped", "") };
        let warning = Cause { severity: Verdict::Warn, ..of("d", "p/dropped", "") };
        let none = || Cause { group: None, ..of("e", "", "") };
        let causes = [
            of("a", "p/dropped", ""),
            of("b", "p/refused", ""),
            other_code,
            of("f", "p/dropped", ""),
            warning,
            none(),
            none(),
        ];
        let blocks = fold(&causes);
        let told: Vec<String> = blocks.iter().map(Block::place).collect();
        assert_eq!(
            told,
            [
                "AEGIS-TCP on 2 targets",
                "AEGIS-TCP on b",
                "AEGIS-NET on c",
                "AEGIS-TCP on d",
                "AEGIS-TCP on e",
                "AEGIS-TCP on e",
            ]
        );
    }

    #[test]
    fn what_all_claim_is_told_once_and_what_one_claims_beside_its_target() {
        let causes = [
            of("a", "g", "Port 80 of 10.0.0.1 gets no answer. The rule is: drop."),
            of("b", "g", "Port 80 of 10.0.0.2 gets no answer. The rule is: drop."),
        ];
        let block = &fold(&causes)[0];
        assert_eq!(block.claim(), "The rule is: drop.");
        let own = |number| format!("Port 80 of 10.0.0.{number} gets no answer.");
        assert_eq!(block.targets(), [("a", own(1)), ("b", own(2))]);
        // Twin: the same of both leaves nothing to tell of each.
        let same = [of("a", "g", "One. Two."), of("b", "g", "One. Two.")];
        let block = &fold(&same)[0];
        assert_eq!(
            (block.claim().as_str(), block.targets()),
            ("One. Two.", vec![("a", String::new()), ("b", String::new())])
        );
    }

    #[test]
    fn a_fix_that_is_held_back_for_one_target_is_told_beside_the_other() {
        let mut causes = [of("a", "g", ""), of("b", "g", ""), of("c", "g", "")];
        causes[1].fix.as_mut().unwrap().withheld = Some("handed over".to_owned());
        let block = &fold(&causes)[0];
        let fixes: Vec<Vec<&str>> = block.fixes().into_iter().map(|(_, targets)| targets).collect();
        assert_eq!(fixes, [vec!["a", "c"], vec!["b"]]);
        assert_eq!(block.plan(&["a", "c"]).len(), 2, "the same steps stand once");
    }
}
