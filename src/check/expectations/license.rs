//! Expectations of license files, which only container-structure-test files have.

/// License files that must not mention certain licenses.
#[derive(Clone, Debug)]
pub(in crate::check) struct LicenseExpectations {
    /// The name of the test case.
    pub(in crate::check) name: String,
    /// Whether the copyright files of all Debian packages are checked.
    pub(in crate::check) debian: bool,
    /// Paths of other license files.
    pub(in crate::check) files: Vec<String>,
}
