//! Which channels keep their files open between rounds: a process has only so many descriptors.

use std::collections::VecDeque;

/// One channel for this many descriptors of the process: it has two files, and others need theirs.
const DESCRIPTOR_SHARE: usize = 8;

#[derive(Default)]
pub(crate) struct OpenChannels {
    open: VecDeque<u32>,
    // For each channel the round that wrote it last, and whether it is open.
    channels: Vec<(u64, bool)>,
    round: u64,
}

impl OpenChannels {
    pub(crate) fn begin_round(&mut self) {
        self.round += 1;
    }

    /// Note that a channel was written. The answer is a channel that has to close its files: one that was left out by
    /// the last round, else this one, since closing those that are used in turn would close each before it is needed.
    pub(crate) fn written(&mut self, channel: u32) -> Option<u32> {
        let place = channel as usize;
        if self.channels.len() <= place {
            self.channels.resize(place + 1, (0, false));
        }
        self.channels[place].0 = self.round;
        if self.channels[place].1 {
            return None;
        }
        if self.open.len() < descriptor_limit() / DESCRIPTOR_SHARE {
            self.open(channel);
            return None;
        }
        let Some(oldest) = self.open.pop_front() else {
            return Some(channel);
        };
        if self.channels[oldest as usize].0 + 1 >= self.round {
            self.open.push_back(oldest);
            return Some(channel);
        }
        self.channels[oldest as usize].1 = false;
        self.open(channel);
        Some(oldest)
    }

    fn open(&mut self, channel: u32) {
        self.channels[channel as usize].1 = true;
        self.open.push_back(channel);
    }
}

/// Most files that this process may have open, now.
fn descriptor_limit() -> usize {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a whole `rlimit`. Where the call fails the limit stays 0: nothing is kept open.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_cur as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_that_are_no_longer_written_make_room() {
        let most = (descriptor_limit() / DESCRIPTOR_SHARE) as u32;
        let mut open = OpenChannels::default();
        let mut round = |channels: std::ops::Range<u32>| {
            open.begin_round();
            channels
                .filter_map(|channel| open.written(channel))
                .collect::<Vec<_>>()
        };
        assert!(round(0..most).is_empty());
        assert_eq!(round(0..most + 2), [most, most + 1]);
        assert_eq!(round(most..most + 1), [most]);
        assert_eq!(round(most..most + 1), [3]);
        assert!(round(most..most + 1).is_empty());
    }
}
