//! Memory maps that survive their files: a page that the system cannot bring reads as zeros, and its map says so.
//!
//! Touching a mapped page that a file no longer has, or that the disk cannot read, is a SIGBUS, which ends the
//! process. The handler here knows every map of this crate. It puts an empty page where one could not be brought and
//! marks the map; whoever read it asks afterwards. Every other SIGBUS goes where it went before.

use std::ops::{Deref, DerefMut};

/// A map of a file that may be shortened by others.
#[derive(Debug)]
pub(crate) struct GuardedMap<M> {
    // Before the map: an address must be forgotten before somebody else can get it.
    slot: platform::Slot,
    map: M,
}

impl<M: Deref<Target = [u8]>> GuardedMap<M> {
    pub(crate) fn new(map: M) -> Self {
        Self {
            slot: platform::Slot::claim(map.as_ptr() as usize, map.len()),
            map,
        }
    }

    /// Where the first page lies that could not be brought.
    pub(crate) fn broken_at(&self) -> Option<u64> {
        self.slot.broken_at()
    }
}

impl<M: Deref<Target = [u8]>> Deref for GuardedMap<M> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

impl<M: DerefMut<Target = [u8]>> DerefMut for GuardedMap<M> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.map
    }
}

/// Whether any map of this process was ever broken: while none was, no single one has to be asked.
pub(crate) fn any_broken() -> bool {
    platform::any_broken()
}

#[cfg(target_os = "linux")]
mod platform {
    use std::ptr::{null, null_mut};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicUsize, Ordering};

    use libc::{SA_NODEFER, SA_ONSTACK, SA_RESTART, SA_SIGINFO, SIGBUS, c_int, c_void, siginfo_t};

    const WHOLE: usize = usize::MAX;
    const NOBODY: i64 = 0;

    /// One map. Never freed, because a handler may be looking at it; the next map takes it over.
    #[derive(Debug)]
    struct Entry {
        start: AtomicUsize,
        // 0 while the entry belongs to no map.
        end: AtomicUsize,
        broken_at: AtomicUsize,
        next: *const Entry,
    }

    // SAFETY: `next` is written before the entry is published and never again.
    unsafe impl Sync for Entry {}

    static ENTRIES: AtomicPtr<Entry> = AtomicPtr::new(null_mut());
    /// Entries to use again. Never waited for: a child that was forked in between would wait for ever.
    static FREE: Mutex<Vec<&'static Entry>> = Mutex::new(Vec::new());
    static ANY_BROKEN: AtomicBool = AtomicBool::new(false);
    static PAGE: AtomicUsize = AtomicUsize::new(4096);
    /// Who handled the signal before; leaked, because a handler may be looking at it.
    static PREVIOUS: AtomicPtr<libc::sigaction> = AtomicPtr::new(null_mut());
    /// The thread whose fault the previous handler is looking at.
    static HANDED_ON: AtomicI64 = AtomicI64::new(NOBODY);

    pub(super) fn any_broken() -> bool {
        ANY_BROKEN.load(Ordering::Acquire)
    }

    #[derive(Debug)]
    pub(super) struct Slot(&'static Entry);

    impl Slot {
        pub(super) fn claim(start: usize, length: usize) -> Self {
            install();
            let free = FREE.try_lock().ok().and_then(|mut free| free.pop());
            let entry = free.unwrap_or_else(new_entry);
            entry.broken_at.store(WHOLE, Ordering::Relaxed);
            entry.start.store(start, Ordering::Release);
            entry.end.store(start + length, Ordering::Release);
            Self(entry)
        }

        pub(super) fn broken_at(&self) -> Option<u64> {
            match self.0.broken_at.load(Ordering::Acquire) {
                WHOLE => None,
                offset => Some(offset as u64),
            }
        }
    }

    impl Drop for Slot {
        fn drop(&mut self) {
            self.0.end.store(0, Ordering::Release);
            if let Ok(mut free) = FREE.try_lock() {
                free.push(self.0);
            }
        }
    }

    fn new_entry() -> &'static Entry {
        let entry = Box::leak(Box::new(Entry {
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            broken_at: AtomicUsize::new(WHOLE),
            next: null_mut(),
        }));
        let mut first = ENTRIES.load(Ordering::Acquire);
        loop {
            entry.next = first;
            match ENTRIES.compare_exchange_weak(first, entry, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return entry,
                Err(other) => first = other,
            }
        }
    }

    /// Put the handler in front of whatever handles the signal now, unless that is the handler itself.
    fn install() {
        // SAFETY: all zeros is a valid value of these C structs, and the pointers live through the calls.
        unsafe {
            let mut now: libc::sigaction = std::mem::zeroed();
            let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = on_fault;
            if libc::sigaction(SIGBUS, null(), &raw mut now) != 0
                || now.sa_sigaction == handler as usize
            {
                return;
            }
            let page = libc::sysconf(libc::_SC_PAGESIZE);
            PAGE.store(usize::try_from(page).unwrap_or(4096), Ordering::Relaxed);
            PREVIOUS.store(Box::leak(Box::new(now)), Ordering::Release);
            let mut ours: libc::sigaction = std::mem::zeroed();
            ours.sa_sigaction = handler as usize;
            // Not deferred: a previous handler that raises the signal again must not be asked twice.
            ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART;
            libc::sigaction(SIGBUS, &raw const ours, null_mut());
        }
    }

    extern "C" fn on_fault(signal: c_int, information: *mut siginfo_t, context: *mut c_void) {
        // SAFETY: the system hands over a valid description of the signal, and errno belongs to this thread.
        unsafe {
            let errno = *libc::__errno_location();
            // A positive code means a fault, and that there is an address.
            let fault = (*information).si_code > 0;
            if !fault || !replace_page((*information).si_addr() as usize) {
                hand_on(signal, fault, information, context);
            }
            *libc::__errno_location() = errno;
        }
    }

    /// Put an empty page at an address of one of our maps. False if it is in none.
    fn replace_page(address: usize) -> bool {
        let mut next = ENTRIES.load(Ordering::Acquire).cast_const();
        // SAFETY: entries are never freed.
        while let Some(entry) = unsafe { next.as_ref() } {
            let end = entry.end.load(Ordering::Acquire);
            let start = entry.start.load(Ordering::Acquire);
            // The second look tells whether both belong to the same map.
            if start <= address && address < end && entry.end.load(Ordering::Acquire) == end {
                let page = PAGE.load(Ordering::Relaxed);
                let place = address & !(page - 1);
                // SAFETY: the page belongs to a map that lives, because somebody reads it right now. It is made
                // writable, because a private map may have been written where it faults.
                let mapped = unsafe {
                    libc::mmap(
                        place as *mut c_void,
                        page,
                        libc::PROT_READ | libc::PROT_WRITE,
                        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
                        -1,
                        0,
                    )
                };
                if mapped == libc::MAP_FAILED {
                    return false;
                }
                // The map of a part of a file may start inside a page.
                let offset = place.saturating_sub(start);
                entry.broken_at.fetch_min(offset, Ordering::AcqRel);
                ANY_BROKEN.store(true, Ordering::Release);
                return true;
            }
            next = entry.next;
        }
        false
    }

    /// Do what would have happened without our handler.
    ///
    /// # Safety
    ///
    /// The arguments are those of the handler.
    unsafe fn hand_on(
        signal: c_int,
        fault: bool,
        information: *mut siginfo_t,
        context: *mut c_void,
    ) {
        // SAFETY: `PREVIOUS` holds what the system said, so a handler in it has the type that its flags name.
        unsafe {
            let thread = libc::syscall(libc::SYS_gettid);
            let previous = PREVIOUS.load(Ordering::Acquire).as_ref();
            let Some(previous) = previous.filter(|_| HANDED_ON.load(Ordering::Acquire) != thread)
            else {
                // The previous handler handed it back, as one does that was set after ours.
                return end_process(signal, fault);
            };
            match previous.sa_sigaction {
                libc::SIG_DFL => end_process(signal, fault),
                libc::SIG_IGN if !fault => {}
                libc::SIG_IGN => end_process(signal, fault),
                handler => {
                    HANDED_ON.store(thread, Ordering::Release);
                    if previous.sa_flags & SA_SIGINFO != 0 {
                        let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
                            std::mem::transmute(handler);
                        handler(signal, information, context);
                    } else {
                        let handler: extern "C" fn(c_int) = std::mem::transmute(handler);
                        handler(signal);
                    }
                    HANDED_ON.store(NOBODY, Ordering::Release);
                }
            }
        }
    }

    /// Take the default action: the instruction that faulted is tried again when the handler returns.
    fn end_process(signal: c_int, fault: bool) {
        // SAFETY: both calls may be made in a handler, and all zeros is the default action.
        unsafe {
            let default: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, &raw const default, null_mut());
            if !fault {
                libc::raise(signal);
            }
        }
    }
}

/// Elsewhere a shortened file ends the process as the system says.
#[cfg(not(target_os = "linux"))]
mod platform {
    pub(super) fn any_broken() -> bool {
        false
    }

    #[derive(Debug)]
    pub(super) struct Slot;

    impl Slot {
        pub(super) fn claim(_start: usize, _length: usize) -> Self {
            Self
        }

        pub(super) fn broken_at(&self) -> Option<u64> {
            None
        }
    }
}
