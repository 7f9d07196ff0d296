//! The figure of the quantum link: the error rate of each block, and how many bits are left at each step.

use crate::plot::{Look, Panel, Plot, Scale, Series};
use crate::quantum::{QuantumBlock, QuantumData};
use crate::svg::{Figure, escape, number, percent, rate};
use crqkd_channel_key::{Interval, KdrCount};

/// Largest number of blocks that are drawn.
const MAX_BLOCKS: usize = 500;

/// Height of each plot in units of the drawing.
const HEIGHT: f64 = 150.0;

/// The figure; `None` if no block was made.
pub(crate) fn figure(link: &QuantumData, id: &str) -> Option<Figure> {
    if link.blocks.is_empty() {
        return None;
    }
    let blocks = &link.blocks[..link.blocks.len().min(MAX_BLOCKS)];
    let plot = Plot {
        title: format!(
            "Error rate and rates of the quantum link, {}",
            blocks_of(link.blocks.len())
        ),
        description: totals(link),
        panels: vec![errors(link, blocks), rates(blocks)],
    };
    let sampled = link.blocks.iter().filter(|block| block.sample > 0).count();
    let sampled = blocks_of(sampled);
    let failed = link.blocks.iter().filter(|block| block.abort.is_some()).count();
    let why = link.blocks.iter().rev().find_map(|block| block.abort.as_deref());
    let failed = match why {
        None => String::from(" Every block gave a key."),
        Some(why) => format!(
            " {failed} of {} blocks gave no key, the last one because: {}.",
            link.blocks.len(),
            escape(why)
        ),
    };
    let intercepted = match link.intercept_share > 0.0 {
        true => format!(
            " An eavesdropper on the fibre measured and sent again {} of the pulses.",
            percent(link.intercept_share)
        ),
        false => String::new(),
    };
    let cut = match link.blocks.len() > blocks.len() {
        true => format!(" The first {} blocks are drawn.", blocks.len()),
        false => String::new(),
    };
    let caption = format!(
        "<strong>Where the quantum key comes from.</strong> {} Above: the QBER of the bits that each \
         block disclosed as a sample ({sampled}), with its 95\u{a0}% interval, and the \
         threshold of {} beyond which a block gives no key. Below: what is left of each pulse, on a \
         logarithmic scale. Sifting keeps the clicks with equal bases; the sample, what reconciliation \
         discloses and privacy amplification take the rest.{failed}{intercepted}{cut}",
        escape(&totals(link)),
        percent(link.qber_threshold),
    );
    Some(Figure { drawing: plot.drawing(id), caption })
}

/// The link in one paragraph.
fn totals(link: &QuantumData) -> String {
    let all = link.total();
    let qber = all.qber().map_or(String::from("not measured"), percent);
    let per_pulse = |bits: u64| rate(bits as f64 / all.pulses.max(1) as f64);
    let count = |n: u64| number(n as f64, 0);
    format!(
        "{} over {} km of fibre: {}, {} pulses, {} clicks, QBER {qber}. Rates: {} sifted bits \
         and {} key bits a pulse ({} and {} bits in all), {} bits disclosed.",
        link.protocol,
        number(link.distance_km, 1),
        blocks_of(link.blocks.len()),
        count(all.pulses),
        count(all.detected),
        per_pulse(all.sifted),
        per_pulse(all.key_bits),
        count(all.sifted),
        count(all.key_bits),
        count(all.disclosed),
    )
}

/// "1 block", "3 blocks".
fn blocks_of(count: usize) -> String {
    format!("{count} block{}", if count == 1 { "" } else { "s" })
}

fn block_scale(blocks: &[QuantumBlock]) -> Scale {
    Scale::whole("block", 0.5, blocks.len() as f64 + 0.5)
}

fn errors(link: &QuantumData, blocks: &[QuantumBlock]) -> Panel {
    let sampled = || numbered(blocks).filter(|(_, block)| block.sample > 0);
    let sample = |b: &QuantumBlock| KdrCount { errors: b.sample_errors, bits: b.sample };
    let points: Vec<[f64; 2]> =
        sampled().filter_map(|(i, block)| Some([i, 100.0 * block.qber()?])).collect();
    let intervals: Vec<[f64; 3]> = sampled()
        .filter_map(|(i, block)| {
            let Interval { low, high } = sample(block).interval95()?;
            Some([i, 100.0 * low, 100.0 * high])
        })
        .collect();
    let limit = 100.0 * link.qber_threshold;
    let highest = intervals.iter().fold(limit, |most, i| most.max(i[2]));
    let ends = [0.5, blocks.len() as f64 + 0.5];
    let measured = Series { line: false, ..Series::curve("QBER, 95\u{a0}%", Look::Main, points) };
    Panel {
        heading: "Error rate of each block's sample".into(),
        height: HEIGHT,
        x: block_scale(blocks),
        y: Scale::linear("QBER (%)", 0.0, 1.08 * highest + 0.5),
        series: vec![
            Series::curve("threshold", Look::Limit, ends.map(|x| [x, limit]).to_vec()),
            measured.with_marks().with_intervals(intervals),
        ],
    }
}

fn rates(blocks: &[QuantumBlock]) -> Panel {
    let of = |name: &str, look, pick: fn(&QuantumBlock) -> u64| {
        let points = numbered(blocks)
            .filter(|(_, block)| pick(block) > 0)
            .map(|(i, block)| [i, pick(block) as f64 / block.pulses.max(1) as f64])
            .collect();
        Series::curve(name, look, points).with_marks()
    };
    let series = vec![
        of("clicks", Look::Third, |b| b.detected),
        of("sifted bits", Look::Second, |b| b.sifted),
        of("key bits", Look::Main, |b| b.key_bits),
    ];
    let values = || series.iter().flat_map(|s| s.points.iter().map(|p| p[1]));
    let low = values().fold(1.0, f64::min);
    let high = values().fold(low, f64::max);
    Panel {
        heading: "Rates of each block".into(),
        height: HEIGHT,
        x: block_scale(blocks),
        y: Scale::logarithmic("per pulse", low / 2.0, 2.0 * high),
        series,
    }
}

fn numbered(blocks: &[QuantumBlock]) -> impl Iterator<Item = (f64, &QuantumBlock)> {
    blocks.iter().enumerate().map(|(i, block)| (i as f64 + 1.0, block))
}
