//! Headless Chromium, which loads pages of reports.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// A page in a window.
pub struct Browser {
    folder: TempDir,
    page: PathBuf,
    width: u16,
}

impl Browser {
    pub fn new(page: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("page.html");
        std::fs::write(&path, page).unwrap();
        Self { folder, page: path, width: 1280 }
    }

    /// The same page in a window that is this number of pixels wide, instead of 1280.
    pub fn with_width(self, width: u16) -> Self {
        Self { width, ..self }
    }

    /// The HTML of the page after its scripts have run, and the lines of the console.
    pub fn load(&self) -> (String, Vec<String>) {
        self.open(&self.page)
    }

    /// Runs `script` at the end of a copy of the page, and returns the value of its expression. The
    /// copy has no content security policy, which forbids such scripts.
    pub fn evaluate(&self, script: &str) -> Value {
        let page = std::fs::read_to_string(&self.page).unwrap();
        let (head, rest) = page.split_once("<meta http-equiv=\"Content-Security-Policy\"").unwrap();
        let (_, rest) = rest.split_once('>').unwrap();
        let rest = rest.replace(
            "</body>",
            &format!("<script>document.title = JSON.stringify({script})</script></body>"),
        );
        let copy = self.folder.path().join("copy.html");
        std::fs::write(&copy, head.to_owned() + rest.as_str()).unwrap();
        let (page, console) = self.open(&copy);
        assert_eq!(console, [""; 0], "{script}");
        let title = page.split_once("<title>").unwrap().1.split_once("</title>").unwrap().0;
        let title = title.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        serde_json::from_str(&title).unwrap_or_else(|error| panic!("{script}: {error}: {title}"))
    }

    fn open(&self, page: &Path) -> (String, Vec<String>) {
        let mut chromium = Command::new("timeout");
        chromium.args(["60", "chromium", "--headless", "--no-sandbox", "--disable-gpu"]);
        chromium.args(["--disable-background-networking", "--no-first-run", "--dump-dom"]);
        chromium.args(["--enable-logging=stderr"]);
        chromium.arg(format!("--window-size={},1400", self.width));
        chromium.arg(format!("--user-data-dir={}", self.folder.path().join("profile").display()));
        let output = chromium.arg(page).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        let console = messages.lines().filter(|line| line.contains("CONSOLE"));
        (String::from_utf8(output.stdout).unwrap(), console.map(str::to_owned).collect())
    }
}
