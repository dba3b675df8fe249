//! Every failure that wbd knows: the catalogue that is built in, and what doctor finds of wbd itself. Explains none.
use wbd_model::catalogue::Row;

use crate::exit::Failure;

const CATALOGUE: &str = include_str!("../../../playbooks/catalogue.yaml");
const OWN: &str = include_str!("own.yaml");
/// The product of what doctor finds of wbd itself.
pub(crate) const OURS: &str = "wbd";

/// Every failure that wbd knows.
///
/// # Errors
/// Only our own mistake: the texts are built in, and a test reads them.
pub(crate) fn rows() -> Result<Vec<Row>, Failure> {
    let mut rows: Vec<Row> = serde_saphyr::from_str(CATALOGUE).map_err(Failure::bug)?;
    let own: Vec<Row> = serde_saphyr::from_str(OWN).map_err(Failure::bug)?;
    rows.extend(own);
    Ok(rows)
}
