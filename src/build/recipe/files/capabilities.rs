//! File capabilities: the text that `setcap` accepts (libcap `cap_from_text(3)`), encoded as the
//! kernel stores it (`linux/capability.h`, `struct vfs_cap_data`).

use crate::linux::capability_names::NAMES;
use crate::text;
use crate::text::suggest;

/// `VFS_CAP_REVISION_2` and `VFS_CAP_FLAGS_EFFECTIVE`.
const REVISION_2: u32 = 0x0200_0000;
const EFFECTIVE: u32 = 1;

/// Three sets of capabilities, a bit for each.
#[derive(Default)]
struct Sets {
    effective: u64,
    inheritable: u64,
    permitted: u64,
}

/// The value of the extended attribute for capabilities such as `cap_net_raw,cap_chown=ep`; the
/// clauses in `texts` apply in order.
pub(super) fn encode(texts: &[String]) -> Result<Box<[u8]>, String> {
    let mut sets = Sets::default();
    let clauses = texts.iter().flat_map(|text| text.split_whitespace());
    for clause in clauses {
        sets.apply(clause).map_err(|problem| {
            format!(
                "capabilities: {} {problem}; expected text such as \"cap_net_bind_service=ep\"",
                text::quote(clause)
            )
        })?;
    }
    let Sets { effective, inheritable, permitted } = sets;
    if permitted | inheritable == 0 {
        return Err("capabilities: they give none; leave the key out instead".to_owned());
    }
    // The file has one bit for all capabilities.
    if effective != 0 && effective != permitted | inheritable {
        return Err(
            "capabilities: a file's are effective (\"e\") all together or not at all".to_owned()
        );
    }
    let magic = if effective == 0 { REVISION_2 } else { REVISION_2 | EFFECTIVE };
    let half = |set: u64, shift: u32| (set >> shift) as u32;
    let words = [
        magic,
        half(permitted, 0),
        half(inheritable, 0),
        half(permitted, 32),
        half(inheritable, 32),
    ];
    Ok(words.iter().flat_map(|word| word.to_le_bytes()).collect())
}

impl Sets {
    /// Applies a clause: names separated by commas, and then operators with the sets that they
    /// change. Without names, it applies to all capabilities.
    fn apply(&mut self, clause: &str) -> Result<(), String> {
        let is_operator = |c: char| "=+-".contains(c);
        let Some(start) = clause.find(is_operator) else {
            return Err("names no set, such as =ep".to_owned());
        };
        let (names, mut rest) = clause.split_at(start);
        if names.is_empty() && !rest.starts_with('=') {
            return Err("does not begin with a name".to_owned());
        }
        let named = names_mask(names)?;
        while let Some(operator) = rest.chars().next() {
            let flags = &rest[1..];
            let end = flags.find(is_operator).unwrap_or(flags.len());
            let (flags, after) = flags.split_at(end);
            if operator == '=' {
                self.each("eip", |set| set & !named)?;
            }
            match operator {
                '-' => self.each(flags, |set| set & !named)?,
                _ => self.each(flags, |set| set | named)?,
            }
            rest = after;
        }
        Ok(())
    }

    fn each(&mut self, flags: &str, change: impl Fn(u64) -> u64) -> Result<(), String> {
        for flag in flags.chars() {
            let set = match flag {
                'e' => &mut self.effective,
                'i' => &mut self.inheritable,
                'p' => &mut self.permitted,
                _ => return Err("has a set other than e, i and p".to_owned()),
            };
            *set = change(*set);
        }
        Ok(())
    }
}

fn names_mask(names: &str) -> Result<u64, String> {
    let all = (1_u64 << NAMES.len()) - 1;
    if names.is_empty() || names.eq_ignore_ascii_case("all") {
        return Ok(all);
    }
    let mut mask = 0;
    for name in names.split(',') {
        let index = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name));
        mask |= 1 << index.ok_or_else(|| unknown(name))?;
    }
    Ok(mask)
}

fn unknown(name: &str) -> String {
    let nearest = suggest::nearest(name, NAMES);
    format!("has no capability that Linux knows{}", suggest::hint(&nearest))
}
