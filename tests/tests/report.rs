//! `transom trace --report`: the page, opened in a real headless Chromium.
//!
//! A script of the test's own is put behind the page's: it clicks, types and sorts as a reader would, and leaves what it finds in
//! attributes, which the browser prints with the rest of the page.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use transom_tests::others::{skipped, works};
use transom_tests::root;
use transom_tests::run::{Scratch, run};
use transom_tests::transom::{Engine, Transom};

/// The browser, or why there is none.
fn chromium() -> Option<&'static str> {
    let found = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| works(Command::new(name).arg("--version")));
    if found.is_none() {
        skipped("no Chromium is installed (Debian: apt-get install chromium)");
    }
    found
}

/// Makes a report on the sample program `traced`.
fn report(scratch: &Scratch, args: &[&str]) -> String {
    let page = scratch.path().join("report.html");
    let mut command = Transom::find().unwrap().command(Engine::Native);
    command.arg("trace").arg("--report").arg(&page);
    command
        .arg(root().join("sample-binaries/bin/x64-mingw/traced.exe"))
        .args(args)
        .current_dir(scratch.path());
    let f = run(&mut command, b"", Duration::from_secs(300)).unwrap();
    assert_eq!(f.code, 0, "{}", String::from_utf8_lossy(&f.stderr));
    fs::read_to_string(page).unwrap()
}

/// Opens a page with a script behind it, and returns what the browser makes of it.
fn open(browser: &str, scratch: &Scratch, page: &str, script: &str) -> String {
    let file = scratch.path().join("tested.html");
    fs::write(&file, page.replace("</body>", &format!("<script>{script}</script></body>"))).unwrap();
    let mut command = Command::new(browser);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1400,900",
        "--dump-dom",
    ]);
    command.arg(format!("--user-data-dir={}", scratch.path().join("profile").display()));
    command.arg(format!("file://{}", file.display()));
    let f = run(&mut command, b"", Duration::from_secs(120)).unwrap();
    assert!(!f.timed_out && f.code == 0, "{}", String::from_utf8_lossy(&f.stderr));
    String::from_utf8_lossy(&f.stdout).into_owned()
}

/// What the script has left under a name.
fn found(dom: &str, name: &str) -> String {
    let start = format!("data-{name}=\"");
    let at =
        dom.find(&start).unwrap_or_else(|| panic!("no {name}: {}", &dom[dom.len().saturating_sub(2000)..]));
    let text = dom[at + start.len()..].split('"').next().unwrap();
    text.replace("&quot;", "\"")
        .replace("&gt;", ">")
        .replace("&lt;", "<")
        .replace("&amp;", "&")
        .replace('\u{a0}', " ")
}

/// Helpers for the scripts: `see` leaves a value, `type`, `tabTo` and `sortBy` do what a reader does, `cells` is what is on screen.
const HELPERS: &str = r#"
const see = (name, value) => { document.body.dataset[name] = value; };
const type = text => { $("filter").value = text; update(); };
const tabTo = name => [...document.querySelectorAll("nav button")].find(b => b.textContent.startsWith(name)).click();
const sortBy = title => [...document.querySelectorAll('#head span')].find(s => s.textContent === title).click();
const cells = column => { const at = tab.columns.findIndex(c => c[0] === column); return [...document.querySelectorAll(".row")].map(r => r.children[at].textContent); };
"#;

#[test]
fn the_page_shows_what_happened() {
    let Some(browser) = chromium() else { return };
    let scratch = Scratch::new();
    let page = report(&scratch, &[]);
    assert!(!page.contains("http://") && !page.contains("https://"), "the page loads nothing");
    let script = format!(
        r#"{HELPERS}
        see("calls", count); see("facts", $("facts").textContent); see("legend", $("legend").textContent);
        type("createfilew"); see("filtered", cells("call").join("\n"));
        type("failed: createfilew"); see("failed", cells("call").join("\n"));
        type("thread:main slower:5ms"); see("slow", cells("call").join("\n"));
        type(""); tabTo("Functions"); sortBy("calls"); see("most", cells("calls").map(c => +c).every((c, i, a) => !i || a[i - 1] >= c));
        sortBy("function"); see("names", cells("function").every((c, i, a) => !i || a[i - 1] <= c));
        sortBy("function"); see("reversed", cells("function").every((c, i, a) => !i || a[i - 1] >= c));
        tabTo("Files"); see("files", cells("file").join("\n"));
        tabTo("Failed"); see("failures", cells("call").join("\n"));
        tabTo("Handles"); see("leak", cells("refers to")[cells("closed (ms)").indexOf("never")]);
        see("closed", cells("closed (ms)").filter(c => c !== "never").length);
        tabTo("Calls"); type("writefile"); document.querySelector(".row").click(); see("detail", $("detail").textContent);
        const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        see("painted", new Set(pixels).size);"#
    );
    let dom = open(browser, &scratch, &page, &script);
    let see = |name: &str| found(&dom, name);
    assert!(see("calls").parse::<u32>().unwrap() > 20);
    assert!(see("facts").contains("2 threads") && see("facts").contains("never closed"), "{}", see("facts"));
    assert!(see("legend").contains("file") && see("legend").contains("sync"));
    assert_eq!(see("filtered").lines().count(), 2, "{}", see("filtered"));
    assert!(see("failed").contains("ERROR_FILE_NOT_FOUND (2)") && see("failed").lines().count() == 1);
    assert!(see("slow").contains("Sleep(20)") && !see("slow").contains("CreateEventW"), "{}", see("slow"));
    assert_eq!((see("most"), see("names"), see("reversed")), ("true".into(), "true".into(), "true".into()));
    assert!(see("files").contains("traced.txt"), "{}", see("files"));
    assert!(see("failures").contains("\"no such file\""), "{}", see("failures"));
    assert_eq!(see("leak"), "event");
    assert!(see("closed").parse::<u32>().unwrap() >= 2);
    assert!(
        see("detail").contains("\"tab\\there\"") && see("detail").contains("traced.txt"),
        "{}",
        see("detail")
    );
    assert!(see("painted").parse::<u32>().unwrap() > 20, "the timeline is drawn");
}

#[test]
fn a_million_calls_open_in_seconds() {
    let Some(browser) = chromium() else { return };
    let scratch = Scratch::new();
    let page = report(&scratch, &["loop", "1000000"]);
    let script = format!(
        r#"see0 = performance.now(); {HELPERS}
        see("ready", document.body.dataset.ready); see("opened", Math.round(see0));
        type("waitforsingleobject"); see("filtered", rows.length);
        sortBy("time"); see("sorted", rows.every((r, i) => !i || time[rows[i - 1]] >= time[r]));
        $("view").scrollTop = 1e9; paint(); see("bottom", cells("call").length);
        type(""); tabTo("Functions"); see("functions", rows.length); see("worked", Math.round(performance.now() - see0));"#
    )
    .replace("see0 = ", "const see0 = ");
    // Other programs on the machine slow it down as well: the better of two counts.
    let times: Vec<u32> = (0..2)
        .map(|_| {
            let dom = open(browser, &scratch, &page, &script);
            assert!(found(&dom, "ready").parse::<u32>().unwrap() > 1_000_000);
            assert_eq!(
                (found(&dom, "filtered").as_str(), found(&dom, "sorted").as_str()),
                ("250000", "true")
            );
            assert!(found(&dom, "bottom").parse::<u32>().unwrap() > 10);
            assert!(found(&dom, "functions").parse::<u32>().unwrap() >= 4);
            eprintln!("opened in {} ms, then {} ms of work", found(&dom, "opened"), found(&dom, "worked"));
            found(&dom, "opened").parse().unwrap()
        })
        .collect();
    assert!(times.iter().min().is_some_and(|t| *t < 5_000), "{times:?} ms");
    assert!(Path::new(&scratch.path().join("report.html")).metadata().unwrap().len() < 200_000_000);
}
