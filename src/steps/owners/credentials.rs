//! The users and groups that processes have set.
//!
//! For the kernel, every process is root. What a process sets is kept here, under a number that its
//! children inherit.

use std::collections::HashMap;
use std::rc::Rc;

use rustix::io::Errno;

use super::linux;
use super::owner::Owner;

/// The argument of system calls for an ID that stays.
const UNCHANGED: u32 = u32::MAX;
/// The most credentials that the processes of a step can have, and the most groups in all of them.
const CREDENTIALS_MAX: usize = 1 << 16;
const ALL_GROUPS_MAX: usize = 1 << 20;

/// User IDs or group IDs of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Ids {
    pub(super) real: u32,
    pub(super) effective: u32,
    pub(super) saved: u32,
    /// The owner of new files.
    pub(super) file: u32,
}

/// The users and groups of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Credentials {
    pub(super) users: Ids,
    pub(super) groups: Ids,
    pub(super) other_groups: Rc<[u32]>,
}

impl Credentials {
    /// Whether the process can do everything.
    pub(super) fn is_root(&self) -> bool {
        self.users.effective == 0
    }

    /// The owner of files that the process creates.
    pub(super) fn owner(&self) -> Owner {
        Owner { uid: self.users.file, gid: self.groups.file }
    }

    /// Whether the process may give a file of `owner` the owner `new`.
    pub(super) fn may_change(&self, owner: Owner, new: Owner) -> bool {
        let has_group = self.groups.file == new.gid || self.other_groups.contains(&new.gid);
        let is_own = self.users.file == owner.uid && owner.uid == new.uid;
        self.users.file == 0 || (is_own && (has_group || owner.gid == new.gid))
    }
}

impl Ids {
    /// `setuid` and `setgid`.
    pub(super) fn set(&mut self, id: u32, is_root: bool) -> Result<(), Errno> {
        if is_root {
            (self.real, self.saved) = (id, id);
        } else if id != self.real && id != self.saved {
            return Err(Errno::PERM);
        }
        (self.effective, self.file) = (id, id);
        Ok(())
    }

    /// `setreuid` and `setregid`.
    pub(super) fn set_two(
        &mut self,
        real: u32,
        effective: u32,
        is_root: bool,
    ) -> Result<(), Errno> {
        let old = *self;
        let is_old = |id: u32| id == old.real || id == old.effective;
        let may_be_real = real == UNCHANGED || is_old(real);
        let may_be_effective =
            effective == UNCHANGED || is_old(effective) || effective == old.saved;
        let is_allowed = may_be_real && may_be_effective;
        if !is_root && !is_allowed {
            return Err(Errno::PERM);
        }
        change(&mut self.real, real);
        change(&mut self.effective, effective);
        if real != UNCHANGED || (effective != UNCHANGED && effective != old.real) {
            self.saved = self.effective;
        }
        self.file = self.effective;
        Ok(())
    }

    /// `setresuid` and `setresgid`.
    pub(super) fn set_three(&mut self, new: [u32; 3], is_root: bool) -> Result<(), Errno> {
        let old = [UNCHANGED, self.real, self.effective, self.saved];
        if !is_root && new.iter().any(|id| !old.contains(id)) {
            return Err(Errno::PERM);
        }
        let fields = [&mut self.real, &mut self.effective, &mut self.saved];
        fields.into_iter().zip(new).for_each(|(field, id)| change(field, id));
        self.file = self.effective;
        Ok(())
    }

    /// `setfsuid` and `setfsgid`, which return the old one, and never fail.
    pub(super) fn set_file(&mut self, id: u32, is_root: bool) -> u32 {
        let old = self.file;
        if is_root || [self.real, self.effective, self.saved, self.file].contains(&id) {
            change(&mut self.file, id);
        }
        old
    }
}

fn change(field: &mut u32, id: u32) {
    if id != UNCHANGED {
        *field = id;
    }
}

/// All credentials that a process of the step has had. Processes without a number are root.
#[derive(Debug, Default)]
pub(super) struct AllCredentials {
    by_number: Vec<Credentials>,
    numbers: HashMap<Credentials, usize>,
    /// The number of groups in all of them.
    groups: usize,
}

impl AllCredentials {
    /// The credentials of the process of the thread `pid`.
    pub(super) fn get(&self, pid: u32) -> Result<Credentials, Errno> {
        let number = linux::inherited(pid)?;
        let credentials =
            number.and_then(|number| self.by_number.get(usize::try_from(number).ok()?));
        Ok(credentials.cloned().unwrap_or_default())
    }

    /// Sets the credentials of the process of the thread `pid`.
    pub(super) fn set(&mut self, pid: u32, credentials: Credentials) -> Result<(), Errno> {
        if credentials == Credentials::default() {
            return linux::set_inherited(pid, None);
        }
        let number = self.number(credentials)?;
        linux::set_inherited(pid, Some(number as u64))
    }

    fn number(&mut self, credentials: Credentials) -> Result<usize, Errno> {
        if let Some(number) = self.numbers.get(&credentials) {
            return Ok(*number);
        }
        let (number, groups) = (self.by_number.len(), self.groups + credentials.other_groups.len());
        if number == CREDENTIALS_MAX || groups > ALL_GROUPS_MAX {
            return Err(Errno::NOMEM);
        }
        self.groups = groups;
        self.by_number.push(credentials.clone());
        self.numbers.insert(credentials, number);
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_gave_up_root_cannot_be_root_again() {
        let mut ids = Ids::default();
        ids.set(5, true).unwrap();
        assert_eq!(ids, Ids { real: 5, effective: 5, saved: 5, file: 5 });
        assert_eq!(ids.set(0, false), Err(Errno::PERM));
        assert_eq!(ids.set_two(0, UNCHANGED, false), Err(Errno::PERM));
        assert_eq!(ids.set_three([UNCHANGED, 0, UNCHANGED], false), Err(Errno::PERM));
        assert_eq!(ids.set_file(0, false), 5);
        assert_eq!(ids.file, 5);
    }

    #[test]
    fn a_process_that_kept_root_as_its_saved_user_can_be_root_again() {
        let mut ids = Ids::default();
        ids.set_three([UNCHANGED, 5, UNCHANGED], true).unwrap();
        assert_eq!(ids, Ids { real: 0, effective: 5, saved: 0, file: 5 });
        ids.set(0, false).unwrap();
        assert_eq!(ids, Ids::default());
        ids.set_two(UNCHANGED, 7, true).unwrap();
        assert_eq!(ids.saved, 7);
    }

    #[test]
    fn the_groups_of_all_processes_are_limited() {
        let mut all = AllCredentials::default();
        let with_groups = |first: u32| {
            let other_groups = (first..first + (1 << 16)).collect();
            Credentials { other_groups, ..Credentials::default() }
        };
        for first in 0..16 {
            assert_eq!(all.number(with_groups(first)), Ok(first as usize));
        }
        assert_eq!(all.number(with_groups(16)), Err(Errno::NOMEM));
        assert_eq!(all.number(with_groups(3)), Ok(3));
    }

    #[test]
    fn only_root_gives_files_away() {
        let users = Ids { file: 5, effective: 5, ..Ids::default() };
        let user = Credentials { users, other_groups: [7].into(), ..Credentials::default() };
        let own = Owner { uid: 5, gid: 5 };
        assert!(user.may_change(own, Owner { uid: 5, gid: 7 }));
        assert!(!user.may_change(own, Owner { uid: 5, gid: 8 }));
        assert!(!user.may_change(own, Owner { uid: 6, gid: 5 }));
        assert!(!user.may_change(Owner::ROOT, own));
        assert!(Credentials::default().may_change(own, Owner::ROOT));
    }
}
