//! The one style of every drawing: two palettes and the rules of `drawing.css` that use their colours.

use std::sync::LazyLock;

/// Name of a colour, its value on a light and on a dark page.
const PALETTE: [(&str, &str, &str); 15] = [
    ("page", "#fdfdfb", "#14171b"),
    ("ink", "#1c1f24", "#e7e8e9"),
    ("soft", "#545a62", "#aab0b8"),
    ("rule", "#d9d9d3", "#353b43"),
    ("plot", "#f6f6f2", "#1b1f25"),
    ("grid", "#e4e4de", "#2b3038"),
    ("frame", "#7d838b", "#7f8690"),
    ("accent", "#0b4f8a", "#8fc9f7"),
    ("qap", "#3d8bc6", "#3f7fb5"),
    ("user", "#0b3d6b", "#c4e4ff"),
    ("eve", "#b34607", "#ff9450"),
    ("one", "#2c3a48", "#b9c6d3"),
    ("bad", "#c9203f", "#ff5c77"),
    ("warn", "#fbf1dc", "#2d2615"),
    ("warn-rule", "#b98a1e", "#8d7333"),
];

/// Where the dark palette holds: paper is white, whatever the screen is.
const DARK: &str = "@media screen and (prefers-color-scheme: dark)";

/// The rules, a rule a line, with `var(--NAME)` for the colours.
const RULES: &str = include_str!("drawing.css");

/// What a page needs for its drawings: the palettes as custom properties, and the rules.
pub(crate) fn for_page() -> String {
    let properties = |dark: bool| -> String {
        let one = |(name, light, night): &(&str, &str, &str)| {
            format!("--{name}: {};", if dark { night } else { light })
        };
        PALETTE.iter().map(one).collect::<Vec<_>>().join(" ")
    };
    format!(
        ":root {{ color-scheme: light dark; {} }}\n{DARK} {{ :root {{ {} }} }}\n{RULES}",
        properties(false),
        properties(true)
    )
}

/// The style of a drawing that stands alone: literal colours, which every viewer of SVG knows.
pub(crate) fn for_file() -> &'static str {
    static STYLE: LazyLock<String> = LazyLock::new(|| {
        let colours: String =
            RULES.lines().filter(|rule| rule.contains("var(")).map(|r| format!("{r}\n")).collect();
        format!("\n{}{DARK} {{\n{}}}\n", with_colours(RULES, false), with_colours(&colours, true))
    });
    &STYLE
}

fn with_colours(rules: &str, dark: bool) -> String {
    PALETTE.iter().fold(rules.to_owned(), |text, (name, light, night)| {
        text.replace(&format!("var(--{name})"), if dark { night } else { light })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_of_the_rules_is_in_the_palette() {
        assert!(!for_file().contains("var("));
        assert!(RULES.lines().all(|rule| rule.starts_with("svg ") && rule.ends_with('}')));
    }

    /// Web Content Accessibility Guidelines 2.2: relative luminance of sRGB, then (L1 + 0.05)/(L2 + 0.05).
    fn contrast(a: &str, b: &str) -> f64 {
        let luminance = |colour: &str| -> f64 {
            let part = |at: usize| {
                let c = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
                if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_and_lines_stand_out_from_page_and_plot() {
        let find = |name: &str| PALETTE.iter().find(|(n, ..)| *n == name).unwrap();
        for ground in ["page", "plot", "warn"] {
            let (_, light, dark) = find(ground);
            for (names, least) in [
                (&["ink", "soft", "accent", "eve"][..], 4.5),
                (&["frame", "qap", "user", "one", "bad"][..], 3.0),
            ] {
                for name in names {
                    let (_, on_light, on_dark) = find(name);
                    let ratios = [contrast(on_light, light), contrast(on_dark, dark)];
                    assert!(ratios.iter().all(|r| *r >= least), "{name} on {ground}: {ratios:?}");
                }
            }
        }
    }
}
