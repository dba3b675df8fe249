//! What was seen a moment ago and is dear to see again; who may use it stands at each use. Looks at nothing itself.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wbd_model::name::ProfileName;
use wbd_model::seen::{SeenProducts, SeenRole};
use wbd_model::time::BootId;

use crate::scan::Scan;

/// Programs whose word is kept; a profile names two at most.
const MOST_WORDS: usize = 32;

/// Shared by all copies of the same runner.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memo {
    /// The process list.
    pub(crate) scan: Scan,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// So much later it is for tests; nothing elsewhere.
    ahead: Duration,
    usage: Option<(Instant, Of, Usage)>,
    holder: Option<(Instant, BTreeSet<u64>, Option<Holder>)>,
    resolvers: BTreeMap<IpAddr, String>,
    words: BTreeMap<(PathBuf, Vec<String>), (Instant, Print, String)>,
    products: Products,
}

/// Products that were seen here, and in which boot we are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Products {
    pub(crate) seen: SeenProducts,
    /// `None`: nobody said so, and nothing is known of this boot.
    pub(crate) boot: Option<BootId>,
    /// Why it is not known what was seen earlier.
    pub(crate) unread: Option<String>,
    /// How often something of it was changed.
    pub(crate) changes: u64,
}

/// What inotify's use was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Of {
    /// The process, by its id and its start.
    pub(crate) pid: u32,
    pub(crate) start_ticks: u64,
    /// Its user.
    pub(crate) uid: u32,
    /// Whether it said that nothing is missing.
    pub(crate) is_well: bool,
}

/// The process that holds a socket: its id and its start.
pub(crate) type Holder = (u32, u64);

/// inotify's use by one user's processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Watches of all but the process that it was asked for.
    pub(crate) watches: i64,
    /// Instances of all.
    pub(crate) instances: i64,
    /// How many could not be looked into.
    pub(crate) unread: i64,
}

/// What tells one state of a file from another: device, inode, size, and when it was written and changed.
pub(crate) type Print = (u64, u64, u64, (i64, i64), (i64, i64));

impl Memo {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The use of inotify that was counted last for this process, and how long ago.
    pub(crate) fn usage(&self, of: Of) -> Option<(Usage, Duration)> {
        let kept = self.kept();
        let (at, then, usage) = kept.usage.as_ref()?;
        (*then == of).then(|| (usage.clone(), (Instant::now() + kept.ahead).saturating_duration_since(*at)))
    }

    /// It was counted just now.
    pub(crate) fn keep_usage(&self, of: Of, usage: Usage) {
        let mut kept = self.kept();
        kept.usage = Some((Instant::now() + kept.ahead, of, usage));
    }

    /// Who held one of these sockets when that was looked for last, and how long ago; `Some((None, _))`: nobody did.
    pub(crate) fn holder(&self, sockets: &BTreeSet<u64>) -> Option<(Option<Holder>, Duration)> {
        let kept = self.kept();
        let (at, of, holder) = kept.holder.as_ref()?;
        (of == sockets).then(|| (*holder, at.elapsed()))
    }

    /// It was looked for just now.
    pub(crate) fn keep_holder(&self, sockets: &BTreeSet<u64>, holder: Option<Holder>) {
        self.kept().holder = Some((Instant::now(), sockets.clone(), holder));
    }

    /// The unit that was last seen to listen at this address of the host.
    pub(crate) fn resolver(&self, address: IpAddr) -> Option<String> {
        self.kept().resolvers.get(&address).cloned()
    }

    /// It listens there now. A host has few addresses.
    pub(crate) fn keep_resolver(&self, address: IpAddr, unit: &str) {
        self.kept().resolvers.insert(address, unit.to_owned());
    }

    /// It listened there at an earlier time; what was seen since counts.
    pub(crate) fn keep_resolver_if_new(&self, address: IpAddr, unit: &str) {
        self.kept().resolvers.entry(address).or_insert_with(|| unit.to_owned());
    }

    /// Which products were seen here.
    pub(crate) fn products(&self) -> Products {
        self.kept().products.clone()
    }

    /// How often something of it was changed.
    pub(crate) fn product_changes(&self) -> u64 {
        self.kept().products.changes
    }

    /// What was seen of one process, and in this boot.
    pub(crate) fn role(&self, product: &ProfileName, role: &str) -> (Option<SeenRole>, bool) {
        let kept = self.kept();
        let seen = kept.products.seen.role(product, role).cloned();
        let now = seen.as_ref().is_some_and(|seen| kept.products.boot.as_ref() == Some(&seen.boot));
        (seen, now)
    }

    /// This is known of products from now on.
    pub(crate) fn keep_products(&self, products: Products) {
        self.kept().products = products;
    }

    /// It was changed by whoever may.
    pub(crate) fn change_products(&self, change: impl FnOnce(&mut SeenProducts)) {
        let mut kept = self.kept();
        let products = &mut kept.products;
        let before = products.seen.clone();
        change(&mut products.seen);
        products.changes += u64::from(products.seen != before);
    }

    /// A process of a product runs now.
    pub(crate) fn keep_role(&self, product: &ProfileName, role: &str, program: Option<PathBuf>, unit: Option<String>) {
        let Some(boot) = self.kept().products.boot.clone() else { return };
        self.change_products(|seen| seen.see_role(product, role, SeenRole { program, unit, boot }));
    }

    /// What this program said while its file was in this state, at most so long ago.
    pub(crate) fn word(&self, program: &Path, args: &[String], print: Print, age: Duration) -> Option<String> {
        let kept = self.kept();
        let (at, then, said) = kept.words.get(&(program.to_owned(), args.to_vec()))?;
        (*then == print && at.elapsed() <= age).then(|| said.clone())
    }

    /// It said so just now.
    pub(crate) fn keep_word(&self, program: &Path, args: &[String], print: Print, said: String) {
        let mut kept = self.kept();
        if kept.words.len() >= MOST_WORDS {
            kept.words.clear();
        }
        kept.words.insert((program.to_owned(), args.to_vec()), (Instant::now(), print, said));
    }
}

#[cfg(test)]
impl Memo {
    /// So much time goes by for what is known of inotify's use.
    pub(crate) fn pass(&self, time: Duration) {
        self.kept().ahead += time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn inotifys_use_is_kept_for_the_process_it_was_counted_for_and_grows_old() {
        let memo = Memo::default();
        let of = Of { pid: 7, start_ticks: 1, uid: 0, is_well: true };
        let usage = Usage { watches: 3, instances: 2, unread: 1 };
        assert_eq!(memo.usage(of), None);
        for _ in 0..2 {
            memo.keep_usage(of, usage.clone());
            let (seen, age) = memo.usage(of).unwrap();
            assert!(seen == usage && age < HOUR, "{age:?}");
            memo.pass(HOUR);
            assert!(memo.usage(of).unwrap().1 >= HOUR);
        }
        let others =
            [Of { pid: 8, ..of }, Of { start_ticks: 2, ..of }, Of { uid: 1, ..of }, Of { is_well: false, ..of }];
        assert_eq!(others.map(|other| memo.usage(other)), [const { None }; 4]);
    }

    #[test]
    fn a_sockets_holder_is_kept_for_these_sockets_and_that_there_is_none_too() {
        let (memo, sockets) = (Memo::default(), BTreeSet::from([3, 4]));
        assert_eq!(memo.holder(&sockets), None);
        for holder in [Some((7, 1)), None] {
            memo.keep_holder(&sockets, holder);
            assert_eq!(memo.holder(&sockets).map(|(holder, _)| holder), Some(holder));
            assert_eq!(memo.holder(&BTreeSet::from([3])), None);
        }
    }

    #[test]
    fn a_programs_word_holds_for_its_file_its_arguments_and_its_time() {
        let memo = Memo::default();
        let print: Print = (1, 2, 3, (4, 5), (6, 7));
        let (program, args) = (Path::new("/opt/v/version"), vec!["-v".to_owned()]);
        let word = |args: &[String], print, age| memo.word(program, args, print, age);
        assert_eq!(word(&args, print, HOUR), None);
        memo.keep_word(program, &args, print, "1.2".to_owned());
        memo.keep_word(program, &[], print, "3.4".to_owned());
        assert_eq!(word(&args, print, HOUR).as_deref(), Some("1.2"));
        assert_eq!(word(&[], print, HOUR).as_deref(), Some("3.4"));
        assert_eq!(word(&args, (9, 2, 3, (4, 5), (6, 7)), HOUR), None, "another file");
        crate::testing::deadline_passes("some time", || word(&args, print, Duration::ZERO).is_none());
        assert_eq!(word(&args, print, HOUR).as_deref(), Some("1.2"));
        for number in 0..MOST_WORDS {
            memo.keep_word(program, &[number.to_string()], print, number.to_string());
        }
        assert_eq!(word(&args, print, HOUR), None, "there was no room");
        assert_eq!(word(&[(MOST_WORDS - 1).to_string()], print, HOUR).as_deref(), Some("31"));
    }
}
