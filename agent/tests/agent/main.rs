//! Tests that start the real agent under a temporary root; what needs root, a booted host or a server stands elsewhere or says that it is skipped.

#[cfg(test)]
mod host;
#[cfg(test)]
mod life;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod rights;
