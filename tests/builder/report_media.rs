//! The HTML report of a check on paper, for users who prefer dark pages, and without scripts.

use serde_json::json;

use crate::report_page::browser;

#[test]
fn on_paper_names_are_wide_everything_that_failed_is_there_and_nothing_is_cut_at_the_side() {
    let expression = "{
        names: document.querySelector('.matrix th').getBoundingClientRect().width >= 240,
        wide: [...document.querySelectorAll('body *')].filter(e => e.checkVisibility()
            && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
            .map(e => `${e.localName}.${e.className}`),
        filter: document.querySelector('.filter').checkVisibility(),
        rows: [...document.querySelectorAll('tr[data-row]')]
            .filter(e => e.checkVisibility()).length,
        articles: [...document.querySelectorAll('article dl, article pre')]
            .filter(e => !e.closest('details')).every(e => e.checkVisibility()),
        scrolling: [...document.querySelectorAll('.matrix, article pre, dd code')]
            .filter(e => e.checkVisibility() && e.scrollHeight > e.clientHeight + 1
                && getComputedStyle(e).overflowY !== 'visible').length,
        skips: document.querySelector('.skip').checkVisibility(),
        folded: [...document.querySelectorAll('.line p, .event')]
            .filter(e => e.checkVisibility()).length,
    }";
    let (found, [width, height]) = browser().print(&format!("({expression})"));
    assert!(width > height, "landscape: {width} x {height} points");
    let expected = json!({
        "names": true, "wide": [], "filter": false, "rows": 9, "articles": true, "scrolling": 0,
        "skips": true, "folded": 0,
    });
    assert_eq!(found, expected);
}

#[test]
fn in_dark_mode_text_is_light_on_dark_ground_and_paper_stays_white() {
    let colours = "[document.body, document.querySelector('article pre'),
        document.querySelector('.t2'), document.querySelector('.matrix th')]
        .map(e => getComputedStyle(e)).map(style => [style.color, style.backgroundColor])
        .flat().map(colour => colour.match(/\\d+/g).slice(0, 3))
        .map(([red, green, blue]) => (+red + +green + +blue) / 3)";
    let levels = |value: &serde_json::Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|level| level.as_f64().unwrap()).collect()
    };
    let dark = levels(&browser().dark().evaluate(colours));
    let [body, ground, text, shade, green, _, head, sticky] = dark[..] else { panic!("{dark:?}") };
    assert!(body > 200.0 && text > 200.0 && head > 200.0 && green > 110.0, "{dark:?}");
    assert!(ground < 60.0 && shade < 60.0 && sticky < 60.0, "{dark:?}");
    let light = levels(&browser().evaluate(colours));
    assert!(light[0] < 80.0 && light[1] > 240.0, "{light:?}");
    let paper = levels(&browser().dark().print(colours).0);
    assert!(paper[0] < 80.0 && paper[1] > 240.0, "{paper:?}");
}

#[test]
fn without_scripts_everything_can_be_read_and_unfolded() {
    let script = "(() => {
        const visible = kind => [...document.querySelectorAll(kind)]
            .filter(e => e.checkVisibility()).length;
        const before = ['form.filter', 'article', 'tr[data-row]', '.line'].map(visible);
        document.querySelectorAll('details').forEach(e => e.open = true);
        document.querySelectorAll('.more input').forEach(e => e.checked = true);
        return [before, ['tr[data-row]', '.line'].map(visible),
            [...document.querySelectorAll('a[href^=\"#\"]')]
                .every(e => document.getElementById(e.hash.slice(1)))];
    })()";
    let found = browser().without_scripts().evaluate(script);
    // 9 names of test cases; 1 passed test case of the image, and 4 of each of 12 engines.
    assert_eq!(found, json!([[0, 15, 4, 0], [9, 49], true]));
}
