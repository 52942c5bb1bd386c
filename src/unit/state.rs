//! The states, job results and service results that systemd reports (org.freedesktop.systemd1(5)).

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// Declares an enum of systemd's words, with a catch-all for the words of a systemd yet to come.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
            /// A word this version of romuo does not know.
            Other(String),
        }

        impl FromStr for $name {
            type Err = Infallible;

            fn from_str(text: &str) -> Result<Self, Infallible> {
                Ok(match text {
                    $($word => Self::$variant,)*
                    other => Self::Other(other.into()),
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $word,)*
                    Self::Other(word) => word,
                })
            }
        }
    };
}

words! {
    /// `ActiveState` of a unit.
    ActiveState {
        /// Up.
        Active = "active",
        /// Up, and re-reading its configuration.
        Reloading = "reloading",
        /// Down, and not by a failure.
        Inactive = "inactive",
        /// Down after a failure.
        Failed = "failed",
        /// On its way up.
        Activating = "activating",
        /// On its way down.
        Deactivating = "deactivating",
    }
}

words! {
    /// `result` of the signal `JobRemoved`.
    JobResult {
        /// The job ran. A start that a condition skipped says so too: read the state again.
        Done = "done",
        /// Another job took its place, or someone canceled it.
        Canceled = "canceled",
        /// It ran past its timeout.
        Timeout = "timeout",
        /// The unit failed.
        Failed = "failed",
        /// A unit it depends on failed.
        Dependency = "dependency",
        /// Nothing was to be done.
        Skipped = "skipped",
        /// The unit cannot do that in its state: a reload of what is down.
        Invalid = "invalid",
    }
}

words! {
    /// `Result` of a service.
    ServiceResult {
        /// Nothing is wrong.
        Success = "success",
        /// It exited with a code other than 0.
        ExitCode = "exit-code",
        /// A signal ended it.
        Signal = "signal",
        /// A signal ended it, leaving a core.
        CoreDump = "core-dump",
        /// It missed its watchdog.
        Watchdog = "watchdog",
        /// It ran out of memory.
        OomKill = "oom-kill",
        /// It did not start or stop in time.
        Timeout = "timeout",
        /// It broke the notify protocol.
        Protocol = "protocol",
        /// systemd lacked the resources to start it.
        Resources = "resources",
        /// It was started too often.
        StartLimitHit = "start-limit-hit",
        /// `ExecCondition=` said no: the crash guard.
        ExecCondition = "exec-condition",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_both_ways_and_unknown_ones_are_kept() {
        let result: ServiceResult = "oom-kill".parse().unwrap();
        assert_eq!(result, ServiceResult::OomKill);
        assert_eq!(result.to_string(), "oom-kill");
        let new: ActiveState = "refreshing".parse().unwrap();
        assert_eq!(new.to_string(), "refreshing");
    }
}
