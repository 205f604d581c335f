//! Headless Chromium, which loads and prints pages of reports.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// A page in a window.
pub struct Browser {
    folder: TempDir,
    page: PathBuf,
    width: u16,
    is_dark: bool,
}

impl Browser {
    pub fn new(page: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("page.html");
        fs::write(&path, page).unwrap();
        Self { folder, page: path, width: 1280, is_dark: false }
    }

    /// The same page in a window that is this number of pixels wide, instead of 1280.
    pub fn with_width(self, width: u16) -> Self {
        Self { width, ..self }
    }

    /// The same page for a user who prefers dark pages.
    pub fn dark(self) -> Self {
        Self { is_dark: true, ..self }
    }

    /// The same page without its own scripts.
    pub fn without_scripts(self) -> Self {
        let page = fs::read_to_string(&self.page).unwrap();
        let mut parts = page.split("<script>");
        let first = parts.next().unwrap().to_owned();
        let rest = parts.map(|part| part.split_once("</script>").unwrap().1);
        fs::write(&self.page, first + &rest.collect::<String>()).unwrap();
        self
    }

    /// The HTML of the page after its scripts have run, and the lines of the console.
    pub fn load(&self) -> (String, Vec<String>) {
        self.open(&self.page, &["--dump-dom"])
    }

    /// Runs `script` at the end of a copy of the page, and returns the value of its expression.
    pub fn evaluate(&self, script: &str) -> Value {
        let copy = self.copy_with(&format!("document.title = JSON.stringify({script})"));
        let (page, console) = self.open(&copy, &["--dump-dom"]);
        assert_eq!(console, [""; 0], "{script}");
        let title = page.split_once("<title>").unwrap().1.split_once("</title>").unwrap().0;
        let title = title.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        serde_json::from_str(&title).unwrap_or_else(|error| panic!("{script}: {error}: {title}"))
    }

    /// Prints the page, and returns the value of `expression` in the layout for paper, and the
    /// paper's width and height in points.
    pub fn print(&self, expression: &str) -> (Value, [f64; 2]) {
        let copy = self.copy_with(&format!(
            "matchMedia('print').addEventListener('change', event => {{
                if (event.matches) console.log('PRINTED' + JSON.stringify({expression}) + 'END');
            }})"
        ));
        let paper = self.folder.path().join("page.pdf");
        let print = format!("--print-to-pdf={}", paper.display());
        let (_, console) = self.open(&copy, &["--no-pdf-header-footer", &print]);
        let [line] = console.as_slice() else { panic!("{console:?}") };
        let value = line.split_once("PRINTED").unwrap().1.rsplit_once("END").unwrap().0;
        let value = serde_json::from_str(value).unwrap_or_else(|error| panic!("{error}: {line}"));
        let paper = fs::read(paper).unwrap();
        let paper = String::from_utf8_lossy(&paper);
        let corners = paper.split_once("/MediaBox [").unwrap().1.split_once(']').unwrap().0;
        let corners: Vec<f64> = corners.split(' ').map(|it| it.parse().unwrap()).collect();
        (value, [corners[2] - corners[0], corners[3] - corners[1]])
    }

    /// A copy of the page with `script` at its end, and without the content security policy, which
    /// forbids such scripts.
    fn copy_with(&self, script: &str) -> PathBuf {
        let page = fs::read_to_string(&self.page).unwrap();
        let (head, rest) = page.split_once("<meta http-equiv=\"Content-Security-Policy\"").unwrap();
        let (_, rest) = rest.split_once('>').unwrap();
        let rest = rest.replace("</body>", &format!("<script>{script}</script></body>"));
        let copy = self.folder.path().join("copy.html");
        fs::write(&copy, head.to_owned() + rest.as_str()).unwrap();
        copy
    }

    fn open(&self, page: &Path, arguments: &[&str]) -> (String, Vec<String>) {
        let mut chromium = Command::new("timeout");
        chromium.args(["60", "chromium", "--headless", "--no-sandbox", "--disable-gpu"]);
        chromium.args(["--disable-background-networking", "--no-first-run"]);
        chromium.args(["--enable-logging=stderr"]).args(arguments);
        chromium.args(self.is_dark.then_some("--blink-settings=preferredColorScheme=0"));
        chromium.arg(format!("--window-size={},1400", self.width));
        chromium.arg(format!("--user-data-dir={}", self.folder.path().join("profile").display()));
        let output = chromium.arg(page).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        let console = messages.lines().filter(|line| line.contains("CONSOLE"));
        (String::from_utf8(output.stdout).unwrap(), console.map(str::to_owned).collect())
    }
}
