//! What people and the supervisor decided about a fix: who must approve, and whether wbd does it at all. Plans nothing.
use wbd_model::action::Class;
use wbd_model::check::CheckKey;
use wbd_model::control::Status;
use wbd_model::name::TargetName;
use wbd_model::plan::Approval;
use wbd_model::report::Cause;
use wbd_model::settings::{Healing, Settings};

/// Counts before what the playbook's author wrote. Where the settings are not those that were `read` for this host, or
/// the supervisor does not say what it was denied, nobody knows who must approve: then a person must.
pub(super) fn apply(cause: &mut Cause, settings: &Settings, read: bool, status: Option<&Status>) {
    let key = CheckKey { code: cause.code.clone(), target: cause.target.clone() };
    let handed_over = status.is_some_and(|status| is_handed_over(status, &key));
    if handed_over {
        let why = "wbd handed this over to you and does nothing more until a check passes: wbdctl incidents list";
        if cause.fix.is_some() {
            // Then the fix says so, and for people it is said once.
            cause.seen = cause.in_words().to_vec();
            cause.evidence.push(why.to_owned());
        } else {
            cause.add(why.to_owned());
        }
    }
    let Some(fix) = &mut cause.fix else { return };
    let name = fix.playbook.as_str();
    let target = &cause.target;
    let healing = healing(name, target, settings, status);
    let known = read && status.is_some();
    if !known || healing != Healing::Auto || fix.class > settings.ceiling_for(name, target) || fix.class == Class::A4 {
        fix.approval = Approval::Operator;
    }
    // Offered once the guards were asked.
    let run = || Some(format!("wbdctl playbook run {name} --target {}", cause.target));
    if fix.withheld.is_some() {
        return;
    }
    if healing == Healing::Observe {
        let own = settings.healing_words(name, target);
        let mode = if own.starts_with(healing.as_str()) { own } else { healing.as_str().to_owned() };
        fix.withheld = Some(format!("healing is {mode}; set approve or auto, then wbdctl reload --wait"));
    } else if handed_over {
        fix.command = run();
        fix.withheld = Some("wbd handed this over to you".to_owned());
    } else if status.is_none() {
        fix.withheld = Some("the supervisor, which would do it, does not answer".to_owned());
    } else {
        fix.command = run();
    }
}

/// Given up, and nothing is tried now.
fn is_handed_over(status: &Status, key: &CheckKey) -> bool {
    status.handed_over.contains(key) && !status.open.iter().any(|row| row.key() == *key)
}

/// What the settings allow a playbook; a supervisor that did not read them since may still be the stricter one.
fn healing(playbook: &str, target: &TargetName, settings: &Settings, status: Option<&Status>) -> Healing {
    let theirs = status.map_or(Healing::Auto, |status| {
        let own = status.healing_of.get(target.product());
        own.map_or(status.healing, |own| status.healing.min(*own))
    });
    settings.healing_for(playbook, target).min(theirs)
}

#[cfg(test)]
mod tests {
    use wbd_model::check::Verdict;
    use wbd_model::name::{Code, PlaybookName, TargetName};
    use wbd_model::report::Fix;

    use super::*;
    use crate::status::testing;

    fn fix(settings: &Settings, read: bool, status: Option<&Status>) -> Fix {
        let mut cause = Cause {
            code: Code::new("TOY-1").unwrap(),
            severity: Verdict::Fail,
            target: TargetName::new("toy").unwrap(),
            group: None,
            title: String::new(),
            claim: String::new(),
            evidence: vec![],
            seen: vec![],
            explains: vec![],
            incident: None,
            fix: Some(Fix {
                playbook: PlaybookName::new("toy-match").unwrap(),
                approval: Approval::Auto,
                class: Class::A2,
                plan: vec![],
                changes: vec![],
                withheld: None,
                command: None,
                held: None,
            }),
            guide: vec![],
        };
        apply(&mut cause, settings, read, status);
        cause.fix.unwrap()
    }

    fn approval(settings: &Settings, read: bool, status: Option<&Status>) -> Approval {
        fix(settings, read, status).approval
    }

    #[test]
    fn nothing_is_promised_of_a_supervisor_that_does_not_answer() {
        let (settings, status) = (Settings::default(), testing::status());
        assert_eq!(fix(&settings, true, Some(&status)).withheld, None);
        assert!(fix(&settings, true, None).withheld.is_some_and(|why| why.contains("does not answer")));
    }

    #[test]
    fn who_must_approve_is_a_person_wherever_that_is_not_known() {
        let (settings, status) = (Settings::default(), testing::status());
        assert_eq!(approval(&settings, true, Some(&status)), Approval::Auto);
        assert_eq!(approval(&settings, false, Some(&status)), Approval::Operator, "the settings were not read");
        assert_eq!(approval(&settings, true, None), Approval::Operator, "what was denied is not known");
        let stricter = Settings { ceiling: Class::A1, ..Settings::default() };
        assert_eq!(approval(&stricter, true, Some(&status)), Approval::Operator);
    }
}
