//! Figure 3: the key disagreement rate of each attempt at each group.

use crate::run::{GroupRecord, LinkData};
use crate::svg::{
    Axis, Figure, Svg, WIDTH, coord, escape, line_sample, mark_disc, number, percent,
};

/// Largest number of attempts that are drawn.
const MAX_ATTEMPTS: usize = 1500;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 54.0;

/// The figure; `None` if no group was sent.
pub(crate) fn figure(link: &LinkData, id: &str) -> Option<Figure> {
    if link.groups.is_empty() {
        return None;
    }
    let groups = &link.groups[..link.groups.len().min(MAX_ATTEMPTS)];
    let user = mean(link.groups.iter().map(|g| g.kdr))?;
    let eve = mean(link.groups.iter().filter_map(|g| g.eve_kdr));
    let failed = link.groups.iter().filter(|g| !g.decoded).count();

    let highest = groups
        .iter()
        .flat_map(|g| [Some(g.kdr), g.eve_kdr])
        .chain([link.tolerable_kdr])
        .flatten()
        .fold(0.1, f64::max);
    let x = Axis::new((0.0, groups.len() as f64 + 1.0), (LEFT, WIDTH - RIGHT));
    let y = Axis::new((0.0, 100.0 * highest + 3.0), (HEIGHT - BOTTOM, TOP));

    let title = "Key disagreement rate of each attempt at each group";
    let description = format!(
        "Scatter plot of {} attempts. Mean between {} and {}: {}. {}{failed} attempts failed.",
        link.groups.len(),
        link.qap,
        link.user,
        percent(user),
        eve.map_or(String::new(), |eve| format!("Mean of Eve: {}. ", percent(eve))),
    );
    let mut svg = Svg::open(id, WIDTH, HEIGHT, title, &description);
    svg.rect("plot", x.from, TOP, x.to - x.from, HEIGHT - TOP - BOTTOM);
    svg.y_axis(&y, x.from, x.to, 6);
    svg.x_axis(&x, HEIGHT - BOTTOM, groups.len().min(10));
    svg.label_up(22.0, (TOP + HEIGHT - BOTTOM) / 2.0, "KDR of the attempt (%)");
    svg.label("axis mid", (x.from + x.to) / 2.0, HEIGHT - 10.0, "attempt, in the order of sending");

    let mut keys = vec![(sample("dot", mark_disc), link.user.as_str())];
    if failed > 0 {
        keys.push((sample("fail", cross), "attempt failed, sent again"));
    }
    if eve.is_some() {
        keys.push((sample("rhomb", rhomb), "Eve"));
    }
    if link.tolerable_kdr.is_some() {
        keys.push((line_sample("limit"), "what the code corrects"));
    }
    svg.legend(LEFT, WIDTH, 20.0, &keys);

    let size = if groups.len() > 300 { 2.2 } else { 3.8 };
    let place = |i: usize, rate: f64| (x.at(i as f64 + 1.0), y.at(100.0 * rate));
    let collect = |pick: &dyn Fn(&GroupRecord) -> Option<f64>, mark: Mark| -> String {
        let points = groups.iter().enumerate().filter_map(|(i, g)| Some(place(i, pick(g)?)));
        points.map(|(px, py)| mark(px, py, size)).collect()
    };
    svg.path("rhomb", &collect(&|g| g.eve_kdr, rhomb));
    svg.path("dot", &collect(&|g| g.decoded.then_some(g.kdr), mark_disc));
    svg.path("fail", &collect(&|g| (!g.decoded).then_some(g.kdr), cross));

    let mut notes =
        vec![("note-user", "mean", user, format!("{}: mean {}", link.user, percent(user)))];
    if let Some(eve) = eve {
        notes.push(("note-eve", "mean", eve, format!("Eve: mean {}", percent(eve))));
    }
    if let Some(limit) = link.tolerable_kdr {
        notes.push(("note", "limit", limit, format!("code corrects {}", percent(limit))));
    }
    notes.sort_by(|a, b| a.2.total_cmp(&b.2));
    let mut free_below = HEIGHT - BOTTOM + 4.0;
    for (class, line, rate, text) in &notes {
        let at = y.at(100.0 * rate);
        svg.line(line, x.from, at, x.to, at);
        let text_at = (at + 4.5).min(free_below);
        svg.label(class, x.to + 8.0, text_at, text);
        free_below = text_at - 18.0;
    }

    let cut = match link.groups.len() > groups.len() {
        true => format!(" The first {} attempts are drawn.", number(groups.len() as f64, 0)),
        false => String::new(),
    };
    let limit = match link.tolerable_kdr {
        Some(_) => {
            " The dashed line is the share that the code corrects: above it an attempt is likely \
             to fail."
        }
        None => "",
    };
    let caption = format!(
        "<strong>How far the pads disagree, group by group.</strong> Each group of quantum key is \
         polar-coded and masked with a pad of channel key. A point is the share of pad bits in \
         which {user_name} (dots) or Eve (diamonds) differs from {qap}. {failed} of {all} \
         attempts failed (crosses); such a group is sent again under a fresh pad.{limit} At \
         50\u{a0}% a guess of the pad is worth nothing.{cut}",
        user_name = escape(&link.user),
        qap = escape(&link.qap),
        all = number(link.groups.len() as f64, 0),
    );
    Some(Figure { drawing: svg.close(), caption })
}

/// Path of a mark at x, y of about this radius.
type Mark = fn(f64, f64, f64) -> String;

fn rhomb(x: f64, y: f64, r: f64) -> String {
    let (x, y, r) = (coord(x), coord(y - 1.2 * r), coord(1.2 * r));
    format!("M{x} {y}l{r} {r}l-{r} {r}l-{r} -{r}z")
}

fn cross(x: f64, y: f64, r: f64) -> String {
    let r = r + 1.0;
    let (d, x, y) = (coord(2.0 * r), coord(x - r), coord(y - r));
    format!("M{x} {y}l{d} {d}m-{d} 0l{d} -{d}")
}

fn sample(class: &str, mark: Mark) -> String {
    format!("<path class=\"{class}\" d=\"{}\"/>", mark(16.0, 6.0, 4.0))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (n, sum) = values.fold((0u32, 0.0), |(n, sum), x| (n + 1, sum + x));
    (n > 0).then(|| sum / f64::from(n))
}
