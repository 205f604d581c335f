//! The platforms whose images a platform can run, in the order of preference of containerd
//! (`platforms.Only`), which Docker uses as well.

use super::platform::{Arch, Platform};

/// The highest variant that has lower ones. No CPU has a higher variant.
const VARIANT_MAX: u32 = 16;
/// The lowest variant of 32-bit Arm.
const ARM_MIN: u32 = 5;

/// An architecture, and a variant in containerd's normal form.
type Exact = (Arch, String);

impl Platform {
    /// How well an image for `variant` of `arch` suits this platform: 0 if exactly, more for
    /// platforms that containerd prefers less; `None` if it does not run them here.
    pub(crate) fn rank_of(&self, arch: Arch, variant: Option<&str>) -> Option<u32> {
        let offered = normalized(arch, variant);
        let wanted = normalized(self.arch, self.variant.as_deref());
        let position = runnable(wanted).into_iter().position(|runs| runs == offered)?;
        u32::try_from(position).ok()
    }
}

/// A platform as containerd compares it (`platforms.Normalize`).
fn normalized(arch: Arch, variant: Option<&str>) -> Exact {
    let variant = variant.unwrap_or_default().to_lowercase();
    let variant = match (arch, variant.as_str()) {
        (Arch::Amd64, "v1") | (Arch::Arm64, "8" | "v8" | "v8.0") => "",
        (Arch::Arm64, "9" | "9.0" | "v9.0") => "v9",
        (Arch::Arm, "" | "7") => "v7",
        (Arch::Arm, "5") => "v5",
        (Arch::Arm, "6") => "v6",
        (Arch::Arm, "8") => "v8",
        _ => return (arch, variant),
    };
    (arch, variant.to_owned())
}

/// The platforms whose images `platform` can run, the best one first.
fn runnable(platform: Exact) -> Vec<Exact> {
    let (arch, variant) = &platform;
    let mut others = match arch {
        Arch::Amd64 => {
            let mut lower = below(variant, 1, Arch::Amd64);
            lower.push((Arch::I386, String::new()));
            lower
        }
        Arch::Arm => below(variant, ARM_MIN, Arch::Arm),
        Arch::Arm64 => below_arm64(variant),
        _ => Vec::new(),
    };
    others.insert(0, platform);
    others
}

/// The variants of `arch` below `variant`, down to `lowest`.
fn below(variant: &str, lowest: u32, arch: Arch) -> Vec<Exact> {
    let number = number(variant).filter(|number| *number <= VARIANT_MAX).unwrap_or(lowest);
    let numbers = (lowest..number).rev();
    numbers.map(|number| normalized(arch, Some(&format!("v{number}")))).collect()
}

/// The platforms below a variant of 64-bit Arm: lower minor versions; of version 9.x also 8.(x+5)
/// and lower; and 32-bit Arm.
fn below_arm64(variant: &str) -> Vec<Exact> {
    let variant = if variant.is_empty() { "v8" } else { variant };
    let (major, minor) = variant.split_once('.').unwrap_or((variant, "0"));
    let minor: u32 = if minor.len() == 1 { minor.parse().unwrap_or(0) } else { 0 };
    let versions = |major: u32, minors: std::ops::Range<u32>| {
        let name = move |minor| normalized(Arch::Arm64, Some(&minor_version(major, minor)));
        minors.rev().map(name)
    };
    let mut lower: Vec<Exact> = match number(major) {
        Some(9) => versions(9, 0..minor).chain(versions(8, 0..minor + 6)).collect(),
        Some(major @ 8..=VARIANT_MAX) => versions(major, 0..minor).collect(),
        _ => Vec::new(),
    };
    let has_minor = variant.starts_with("v8.") || variant.starts_with("v9.");
    let on_arm = if has_minor { "v8" } else { variant };
    lower.extend(runnable(normalized(Arch::Arm, Some(on_arm))));
    lower
}

fn minor_version(major: u32, minor: u32) -> String {
    if minor == 0 { format!("v{major}") } else { format!("v{major}.{minor}") }
}

fn number(variant: &str) -> Option<u32> {
    variant.strip_prefix('v').unwrap_or(variant).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The platforms that containerd runs on `wanted`, the best one first.
    fn order(wanted: &str) -> Vec<String> {
        let wanted: Platform = wanted.parse().unwrap();
        let all = runnable(normalized(wanted.arch, wanted.variant.as_deref()));
        let text = |(arch, variant): Exact| format!("{arch}/{variant}");
        all.into_iter().map(|exact| text(exact).trim_end_matches('/').to_owned()).collect()
    }

    // containerd/platforms, compare.go: platformVector; compare_test.go: TestOnly.
    #[test]
    fn platforms_are_preferred_in_the_order_of_containerd() {
        for (wanted, runs) in [
            ("amd64", "amd64 386"),
            ("amd64/v1", "amd64 386"),
            ("amd64/v3", "amd64/v3 amd64/v2 amd64 386"),
            ("386", "386"),
            ("arm", "arm/v7 arm/v6 arm/v5"),
            ("arm/v8", "arm/v8 arm/v7 arm/v6 arm/v5"),
            ("arm/v6", "arm/v6 arm/v5"),
            ("arm/v5", "arm/v5"),
            ("arm64", "arm64 arm/v8 arm/v7 arm/v6 arm/v5"),
            ("arm64/v8.0", "arm64 arm/v8 arm/v7 arm/v6 arm/v5"),
            ("arm64/v8.2", "arm64/v8.2 arm64/v8.1 arm64 arm/v8 arm/v7 arm/v6 arm/v5"),
            (
                "arm64/v9",
                "arm64/v9 arm64/v8.5 arm64/v8.4 arm64/v8.3 arm64/v8.2 arm64/v8.1 arm64 arm/v9 \
                 arm/v8 arm/v7 arm/v6 arm/v5",
            ),
            (
                "arm64/v9.1",
                "arm64/v9.1 arm64/v9 arm64/v8.6 arm64/v8.5 arm64/v8.4 arm64/v8.3 arm64/v8.2 \
                 arm64/v8.1 arm64 arm/v8 arm/v7 arm/v6 arm/v5",
            ),
            ("s390x", "s390x"),
            ("riscv64", "riscv64"),
        ] {
            assert_eq!(order(wanted).join(" "), runs, "{wanted}");
        }
    }

    #[test]
    fn an_image_is_ranked_by_its_normalized_platform() {
        for (wanted, arch, offered, rank) in [
            ("arm/v7", Arch::Arm, None, Some(0)),
            ("arm/v7", Arch::Arm, Some("v6"), Some(1)),
            ("arm/v7", Arch::Arm, Some("6"), Some(1)),
            ("arm/v7", Arch::Arm, Some("v8"), None),
            ("arm64", Arch::Arm64, Some("v8"), Some(0)),
            ("arm64/v8", Arch::Arm64, None, Some(0)),
            ("arm64", Arch::Arm64, Some("v9"), None),
            ("arm64", Arch::Arm, Some("v7"), Some(2)),
            ("amd64", Arch::Amd64, Some("V1"), Some(0)),
            ("amd64", Arch::Amd64, Some("v2"), None),
            ("amd64", Arch::I386, None, Some(1)),
            ("386", Arch::Amd64, None, None),
            ("riscv64", Arch::Riscv64, Some("rva22u64"), None),
            ("arm/v99999", Arch::Arm, Some("v7"), None),
        ] {
            let platform: Platform = wanted.parse().unwrap();
            assert_eq!(platform.rank_of(arch, offered), rank, "{wanted} {arch} {offered:?}");
        }
    }
}
