//! A lock that a panic elsewhere does not spoil; it locks plain values only.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A panic elsewhere leaves plain values behind, which are as good as before.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
