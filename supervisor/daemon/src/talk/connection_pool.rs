//! Places for connections: a bound, and who gives way when all are taken. Knows no protocol.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::talk::bounded::Flow;

/// A connection this young does not give way: it has hardly had the time to ask.
const GRACE: Duration = Duration::from_millis(200);
/// Whoever waits looks this often who could give way.
const LOOK: Duration = Duration::from_millis(50);

/// The places of one sort of peers.
#[derive(Debug)]
pub(crate) struct ConnectionPool {
    places: usize,
    free: Arc<Semaphore>,
    /// Whoever waits for a place holds one of these.
    waiters: Arc<()>,
    waiting: Arc<Semaphore>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    slots: BTreeMap<u64, Held>,
}

#[derive(Debug)]
struct Held {
    uid: u32,
    since: Instant,
    flow: Arc<Flow>,
    end: Arc<Notify>,
    /// It was asked to give way already.
    leaves: bool,
}

/// A place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    pool: Arc<ConnectionPool>,
    number: u64,
    /// Whether this connection's request is being answered.
    pub(crate) flow: Arc<Flow>,
    end: Arc<Notify>,
    _place: OwnedSemaphorePermit,
}

impl ConnectionPool {
    /// So many places, and so many peers that may wait for one.
    pub(crate) fn new(places: usize, waiting: usize) -> Arc<Self> {
        let of = |count| Arc::new(Semaphore::new(count));
        let (free, waiting) = (of(places), of(waiting));
        Arc::new(Self { places, free, waiters: Arc::default(), waiting, taken: Mutex::default() })
    }

    /// Leave to wait for a place; `None`: too many wait already.
    pub(crate) fn queue(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.waiting).try_acquire_owned().ok()
    }

    /// Waits for a place, at most so long. Where all are taken, one whose peer asks nothing is taken from the user
    /// who has most of them.
    pub(crate) async fn take(self: &Arc<Self>, uid: u32, longest: Duration) -> Option<Slot> {
        let until = Instant::now() + longest;
        let waits = Arc::clone(&self.waiters);
        loop {
            self.make_room();
            match tokio::time::timeout(LOOK, Arc::clone(&self.free).acquire_owned()).await {
                Ok(Ok(place)) => {
                    // Before it has the slot: who is counted twice would cost somebody else the place.
                    drop(waits);
                    return Some(self.slot(uid, place));
                }
                Ok(Err(_)) => return None,
                Err(_) if Instant::now() >= until => return None,
                Err(_) => {}
            }
        }
    }

    fn slot(self: &Arc<Self>, uid: u32, place: OwnedSemaphorePermit) -> Slot {
        let (flow, end) = (Arc::new(Flow::default()), Arc::new(Notify::new()));
        let mut taken = self.taken();
        taken.next += 1;
        let number = taken.next;
        let held = Held { uid, since: Instant::now(), flow: Arc::clone(&flow), end: Arc::clone(&end), leaves: false };
        taken.slots.insert(number, held);
        drop(taken);
        Slot { pool: Arc::clone(self), number, flow, end, _place: place }
    }

    /// One more is asked to give way, if those that stay and those that wait are more than there are places.
    fn make_room(&self) {
        let mut taken = self.taken();
        let stay = taken.slots.values().filter(|held| !held.leaves).count();
        // The pool's own one is no waiter's.
        let wait = Arc::strong_count(&self.waiters).saturating_sub(1);
        if stay + wait <= self.places {
            return;
        }
        let mut of_user: BTreeMap<u32, usize> = BTreeMap::new();
        for held in taken.slots.values() {
            *of_user.entry(held.uid).or_default() += 1;
        }
        let idle = taken.slots.values_mut().filter(|it| !it.leaves && !it.flow.is_busy() && it.since.elapsed() > GRACE);
        let most = |held: &&mut Held| (of_user.get(&held.uid).copied(), std::cmp::Reverse(held.since));
        if let Some(held) = idle.max_by_key(most) {
            held.leaves = true;
            held.end.notify_one();
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// The peer asked something: it is not the longest idle one any more.
    pub(crate) fn used(&self) {
        if let Some(held) = self.pool.taken().slots.get_mut(&self.number) {
            held.since = Instant::now();
        }
    }

    /// Somebody else needs the place.
    pub(crate) async fn wanted(&self) {
        self.end.notified().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pool.taken().slots.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn the_one_that_is_idle_longest_gives_way_once_it_had_its_time() {
        let pool = ConnectionPool::new(2, 8);
        let first = pool.take(0, SOON).await.unwrap();
        let began = Instant::now();
        let second = pool.take(0, SOON).await.unwrap();
        first.used();
        let third = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move { pool.take(0, SOON).await }
        });
        second.wanted().await;
        assert!(began.elapsed() >= GRACE, "it had its time");
        drop(second);
        assert!(third.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn whoever_has_most_gives_way_and_whoever_is_answered_does_not() {
        let pool = ConnectionPool::new(3, 8);
        let lone = pool.take(1, SOON).await.unwrap();
        let busy = pool.take(2, SOON).await.unwrap();
        busy.flow.begin_for_test();
        let idle = pool.take(2, SOON).await.unwrap();
        let newcomer = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move { pool.take(1, SOON).await }
        });
        tokio::select! {
            () = idle.wanted() => {}
            () = lone.wanted() => panic!("the only place of its user"),
            () = busy.wanted() => panic!("a request is being answered"),
        }
        drop(idle);
        assert!(newcomer.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn no_more_give_way_than_there_are_waiting_however_long_one_takes_to_leave() {
        let pool = ConnectionPool::new(3, 8);
        let take = |pool: &Arc<ConnectionPool>| {
            let pool = Arc::clone(pool);
            tokio::spawn(async move { pool.take(0, SOON).await })
        };
        let mut slots = Vec::new();
        for _ in 0..3 {
            slots.push(pool.take(0, SOON).await.unwrap());
        }
        let one = take(&pool);
        slots[0].wanted().await;
        assert!(tokio::time::timeout(2 * GRACE, slots[1].wanted()).await.is_err(), "the first one's place is enough");
        let other = take(&pool);
        slots[1].wanted().await;
        assert!(tokio::time::timeout(2 * GRACE, slots[2].wanted()).await.is_err(), "two places for two");
        slots.drain(..2);
        assert!(one.await.unwrap().is_some() && other.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn with_nobody_to_give_way_the_wait_ends() {
        let pool = ConnectionPool::new(1, 1);
        let busy = pool.take(1, SOON).await.unwrap();
        busy.flow.begin_for_test();
        assert!(pool.take(1, Duration::from_millis(300)).await.is_none());
        let _waits = pool.queue().unwrap();
        assert!(pool.queue().is_none(), "and the queue is bounded");
    }
}
