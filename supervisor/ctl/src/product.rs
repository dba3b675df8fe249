//! `product list|forget`, and what is known of products where no supervisor is asked. Looks for no product.
use std::path::Path;

use serde_json::json;
use wbd_ledger::Reader;
use wbd_model::control::{ProductRow, ProductState, Request};
use wbd_model::report::SCHEMA;
use wbd_model::seen::SeenProducts;
use wbd_model::time::BootId;

use crate::Context;
use crate::ask;
use crate::cli::{Format, Product as Verb};
use crate::exit::{Ended, Exit};
use crate::out::{Out, Tone};
use crate::{moment, when};

/// `product VERB`.
///
/// # Errors
/// No answer, no leave, a product that is not here or that runs.
pub(crate) fn run(context: &mut Context, verb: Verb) -> Ended {
    match verb {
        Verb::List => list(context),
        Verb::Forget { name } => ask::change(context, &Request::ForgetProduct { name }),
    }
}

fn list(context: &mut Context) -> Ended {
    let status = ask::status_of(context.client().call(&Request::Status {})?)?;
    if context.format != Format::Text {
        context.out.document(context.format, &json!({"schema": SCHEMA, "products": status.products}))?;
        return Ok(Exit::Done);
    }
    show(&mut context.out, &status.products);
    Ok(Exit::Done)
}

fn show(out: &mut Out, products: &[ProductRow]) {
    if products.is_empty() {
        out.line("No profiles are loaded.");
    }
    for row in products {
        let tone = match row.state {
            ProductState::Here | ProductState::Absent => Tone::Plain,
            ProductState::Forgotten | ProductState::Unknown => Tone::Warn,
        };
        let since = row.since.map_or_else(String::new, |since| format!(", first seen {}", when::moment(since)));
        let name = format!("  {:<12}", row.name.as_str());
        out.spans(&[(Tone::Strong, &name), (tone, row.state.as_str()), (Tone::Plain, &since)]);
        for line in &row.detail {
            out.paragraph("      ", line);
        }
    }
}

/// Which products were seen under a root, and the boot that their processes would have been seen in. Blocks for as
/// long as the disk does.
pub(crate) fn seen(root: &Path) -> (Result<SeenProducts, String>, BootId) {
    let state_dir = wbd_ledger::state_dir(root);
    // Without a ledger no process is known to be of this boot.
    let now = Reader::open(&state_dir).map_or_else(|_| moment::clocks(), |reader| moment::beside(&reader));
    (wbd_ledger::read_products(&state_dir), now.boot)
}

#[cfg(test)]
mod tests {
    use wbd_model::name::ProfileName;

    use super::*;
    use crate::out::testing::text_of;

    #[test]
    fn each_product_is_shown_with_its_state_and_what_is_known_of_it() {
        let row = |name: &str, state, since, detail: &[&str]| ProductRow {
            name: ProfileName::new(name).unwrap(),
            state,
            since,
            detail: detail.iter().map(|line| (*line).to_owned()).collect(),
        };
        let rows = [
            row("aegis", ProductState::Here, Some(1_760_000_000_000), &["main: AliYunDun does not run"]),
            row("dsva", ProductState::Forgotten, Some(1), &["by root at 2026-11-30T10:00:00Z"]),
            row("iwss-ftp", ProductState::Absent, None, &[]),
        ];
        let text = text_of(|out| show(out, &rows));
        assert!(text.contains("aegis       here, first seen 2025-10-09") && text.contains("AliYunDun does not run"));
        assert!(text.contains("dsva        forgotten") && text.contains("by root at"), "{text}");
        assert!(text.contains("iwss-ftp    absent\n"), "{text}");
        assert_eq!(text_of(|out| show(out, &[])), "No profiles are loaded.\n");
    }
}
