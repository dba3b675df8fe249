//! The closed list of read-only questions; each is declared in a file of its own. Measures nothing itself.
//!
//! A probe is added by its file, its `pub mod` and its line in the list below; what answers it stands in wbd-probes.
use serde::{Deserialize, Serialize};

use crate::observation::Field;

mod declared;

pub mod agent_health;
pub mod dns_servers;
pub mod exit_last;
pub mod fd_trend;
pub mod fd_usage;
pub mod inotify_usage;
pub mod net_endpoint;
pub mod package_lock;
pub mod process_state;
pub mod role_state;
pub mod service_state;
pub mod version_pair;

pub use declared::{Answered, Binding, Declaration, Item};

macro_rules! probes {
    ($($name:ident $(($parameters:ident))? in $file:ident,)+) => {
        /// A question with every parameter filled in: plain and serialisable, so that it may be asked by another
        /// process than the one that thinks. Recorded facts name their question by it: its form stays.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Probe {
            $(#[doc = concat!("See [`", stringify!($file), "`].")] $name $(($file::$parameters))?,)+
        }

        /// The question's name alone.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ProbeName {
            $(#[doc = concat!("See [`", stringify!($file), "`].")] $name,)+
        }

        impl Probe {
            /// Which question it is.
            #[must_use]
            pub const fn name(&self) -> ProbeName {
                match self {
                    $(Self::$name { .. } => ProbeName::$name,)+
                }
            }

            /// The question of this name for one check; `None` where the profile lacks what it names.
            #[must_use]
            pub fn bind(name: ProbeName, binding: &Binding<'_>) -> Option<Self> {
                match name {
                    $(ProbeName::$name => {
                        Some(Self::$name $(({ let all: $file::$parameters = $file::bind(binding)?; all }))?)
                    })+
                }
            }
        }

        impl ProbeName {
            /// Every question, in the manual's order.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
            /// Their names as playbooks spell them.
            pub const KEYS: &'static [&'static str] = &[$($file::DECLARATION.key),+];

            /// All that is said of it.
            #[must_use]
            pub const fn declaration(self) -> &'static Declaration {
                match self {
                    $(Self::$name => &$file::DECLARATION,)+
                }
            }
        }
    };
}

// In the manual's order; new ones at the end.
probes! {
    ProcessState(Parameters) in process_state,
    AgentHealth in agent_health,
    ServiceState(Parameters) in service_state,
    ExitLast(Parameters) in exit_last,
    InotifyUsage(Parameters) in inotify_usage,
    DnsServers(Parameters) in dns_servers,
    NetEndpoint(Parameters) in net_endpoint,
    FdUsage(Parameters) in fd_usage,
    FdTrend(Parameters) in fd_trend,
    VersionPair(Parameters) in version_pair,
    PackageLock(Parameters) in package_lock,
    RoleState(Parameters) in role_state,
}

impl ProbeName {
    /// The name as playbooks spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.declaration().key
    }

    /// The fields of its answer.
    #[must_use]
    pub const fn fields(self) -> &'static [Field] {
        self.declaration().fields
    }

    /// The question that playbooks spell so.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|name| name.as_str() == key)
    }
}

#[cfg(test)]
mod tests;
