//! The JSON Schema of playbook files, made from the types that read them. For editors and CI: what the
//! types cannot say (names, expressions, texts) only loading tells.
use serde_json::{Value, json};

use super::document::{PlaybookDocument, ProfileDocument, TestDocument};

/// One schema for the three kinds of document.
#[must_use]
pub fn schema() -> Value {
    let mut generator = schemars::SchemaGenerator::default();
    let kinds = [
        generator.subschema_for::<PlaybookDocument>(),
        generator.subschema_for::<ProfileDocument>(),
        generator.subschema_for::<TestDocument>(),
    ];
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "wbd playbooks, profiles and playbook tests (wbd/v1)",
        "oneOf": kinds,
        "$defs": generator.take_definitions(true),
    })
}
