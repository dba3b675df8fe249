//! Doctor in one line for monitoring systems, with performance data. Judges nothing.
use wbd_model::check::Verdict;
use wbd_model::report::Report;

use super::block;
use super::text::{sentence, word};

/// `WBD CRITICAL - 1 failure: ... | causes=1 ...`
pub(crate) fn line(report: &Report) -> String {
    let count = |verdict: Verdict| report.checks.iter().filter(|check| check.verdict == verdict).count();
    let blocks = block::fold(&report.causes);
    let told = |block: &block::Block<'_>| format!("{} {} on {}", block.first().code, block.title(), block.on());
    let causes: Vec<String> = blocks.iter().take(3).map(told).collect();
    let causes = if causes.is_empty() { String::new() } else { format!(": {}", causes.join("; ")) };
    // A bar would begin the performance data.
    let text = format!("{}{causes}", sentence(report)).replace('|', "/");
    format!(
        "WBD {} - {text} | failed={};;1 warned={};1 unknown={} passed={} time={}ms",
        word(report.verdict),
        count(Verdict::Fail),
        count(Verdict::Warn),
        count(Verdict::Unknown),
        count(Verdict::Pass),
        report.duration_ms,
    )
}
