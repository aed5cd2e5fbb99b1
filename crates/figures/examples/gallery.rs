//! Draws one figure of each kind into `target/figures-gallery`, to be looked at after a change of the
//! theme or the layout.

use std::path::Path;
use std::{error, fs};

use figures::{Axis, Color, Corner, Figure, Mark, Marker, Panel, Width};

fn main() -> Result<(), Box<dyn error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/figures-gallery");
    fs::create_dir_all(&folder)?;
    for figure in gallery() {
        let stem = folder.join(figure.id());
        fs::write(stem.with_extension("svg"), figure.svg("3fa9c1d2")?)?;
        fs::write(stem.with_extension("png"), figure.png("3fa9c1d2")?)?;
        fs::write(stem.with_extension("csv"), figure.csv())?;
    }
    Ok(())
}

fn gallery() -> Vec<Figure> {
    vec![
        family(),
        histogram(),
        multiples(),
        inset(),
        estimates(),
        scatter(),
        legend(),
        categories(),
        grid(),
        shared_legend(),
        images(),
    ]
}

fn images() -> Figure {
    let level = |place: usize, share: f64| {
        let (x, y) = ((place % 28) as f64 - 13.5, (place / 28) as f64 - 13.5);
        let ring = (1.0 - ((x * x + y * y).sqrt() - 9.0).abs() / 3.0).max(0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a level")]
        let level = (255.0 - 255.0 * (ring + share * noise(place)).clamp(0.0, 1.0)) as u8;
        level
    };
    let names = ["0", "100", "200"];
    let mut panel =
        Panel::new(Axis::categories("noise", &names), Axis::categories("", &["read", "query"]));
    for column in 0..names.len() {
        for (row, share) in [0.1, 1.0].into_iter().enumerate() {
            let pixels: Vec<u8> =
                (0..784).map(|place| level(place, share * column as f64)).collect();
            panel = panel.mark(Mark::image(column as f64, row as f64, 28, &pixels));
        }
    }
    Figure::new("G-images", "Images keep their pixels").panel(panel)
}

fn range(n: u32, low: f64, high: f64) -> Vec<f64> {
    (0..n).map(|i| low + (high - low) * f64::from(i) / f64::from(n - 1)).collect()
}

/// Deterministic noise in [-1, 1).
fn noise(i: usize) -> f64 {
    let mut mixed = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

fn family() -> Figure {
    let x = range(300, 0.0, 32.0);
    let betas = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 24.0];
    let curves = betas.iter().enumerate().map(|(i, beta)| {
        let y: Vec<f64> = x.iter().map(|x| libm::exp(-beta * x / 32.0 * 1.4)).collect();
        let label = format!("β = {beta}");
        Mark::line(&x, &y).color(Color::sequential(i, betas.len())).label(&label)
    });
    let panel =
        Panel::new(Axis::linear("Hamming distance d(x, q)"), Axis::log10("relative weight"));
    Figure::new("G-family", "The weight of a pattern decays with distance")
        .panel(panel.marks(curves))
}

fn histogram() -> Figure {
    let edges = range(51, 0.0, 40.0);
    let mut counts = vec![0.0; 50];
    for i in 0..90 {
        let at = 14.0 + 7.0 * (noise(3 * i) + noise(3 * i + 1) + noise(3 * i + 2));
        let bin = edges.windows(2).position(|edge| (edge[0]..edge[1]).contains(&at));
        if let Some(bin) = bin {
            counts[bin] += 1.0;
        }
    }
    let lines = [
        (9.4, "d^{*}_{SNR} 9.4", Color::Vermilion, true),
        (10.1, "memory 10.1", Color::Green, false),
        (14.4, "critical distance 14.4", Color::Purple, true),
        (15.9, "mean 15.9", Color::Ink, false),
        (28.4, "random 28.4", Color::Gray, true),
        (35.5, "orthogonal 35.5", Color::Gray, false),
    ];
    let lines = lines.map(|(x, label, color, dashed)| {
        let line = Mark::vline(x).color(color).label(label);
        if dashed { line.dashed() } else { line }
    });
    let panel = Panel::new(Axis::linear("fitted β"), Axis::linear("attention heads"))
        .mark(Mark::histogram(&edges, &counts).color(Color::Blue).label("94 heads"))
        .marks(lines);
    Figure::new("G-histogram", "Fitted inverse temperatures of trained heads").panel(panel)
}

fn multiples() -> Figure {
    let x = range(200, 0.0, 1.0);
    let panels = [16.0, 64.0, 256.0, 1024.0].map(|n: f64| {
        let curve = |width: f64| -> Vec<f64> {
            x.iter().map(|x| 1.0 / (1.0 + libm::exp((x - 0.45) * n.sqrt() / width))).collect()
        };
        Panel::new(Axis::linear("fraction of flipped bits"), Axis::linear("recall"))
            .title(&format!("n = {n} bits"))
            .mark(Mark::line(&x, &curve(1.0)).color(Color::Blue).label("SDM"))
            .mark(Mark::line(&x, &curve(2.0)).color(Color::Vermilion).dashed().label("attention"))
    });
    let figure = Figure::new("G-multiples", "Recall collapses at a critical distance")
        .width(Width::Page)
        .columns(2)
        .share_x()
        .share_y();
    panels.into_iter().fold(figure, Figure::panel)
}

fn inset() -> Figure {
    let x = range(200, 0.0, 60.0);
    let y = |rate: f64| -> Vec<f64> { x.iter().map(|x| libm::exp(-x / rate)).collect() };
    let (fast, slow) = (y(5.0), y(9.0));
    let curves = || {
        [
            Mark::line(&x, &fast).color(Color::Blue),
            Mark::line(&x, &slow).color(Color::Vermilion).dashed(),
        ]
    };
    let [a, b] = curves();
    let inner = Panel::new(Axis::linear(""), Axis::log10("")).marks(curves());
    let panel =
        Panel::new(Axis::linear("distance d_{v}"), Axis::linear("intersection |C(x) ∩ C(y)|"))
            .marks([a.label("circle intersection"), b.label("softmax, β = 12.3")])
            .inset(inner, Corner::TopRight);
    Figure::new("G-inset", "").panel(panel)
}

fn estimates() -> Figure {
    let x = range(9, 1.0, 9.0);
    let mean: Vec<f64> = x.iter().map(|x| 0.9 - 0.5 * libm::exp(-x / 3.0)).collect();
    let low: Vec<f64> = mean.iter().map(|y| y - 0.06).collect();
    let high: Vec<f64> = mean.iter().map(|y| y + 0.06).collect();
    let lower: Vec<f64> =
        mean.iter().enumerate().map(|(i, y)| y - 0.12 + 0.02 * noise(i)).collect();
    let ends = |shift: f64| -> Vec<f64> { lower.iter().map(|y| y + shift).collect() };
    let bars = Mark::error_bars(&x, &lower, &ends(-0.04), &ends(0.04));
    let panel = Panel::new(Axis::linear("tasks seen"), Axis::linear("accuracy").range(0.3, 1.0))
        .mark(Mark::band(&x, &low, &high).color(Color::Blue).series("SDM 95 %"))
        .mark(Mark::line(&x, &mean).color(Color::Blue).label("SDM"))
        .mark(bars.color(Color::Vermilion).marker(Marker::Square).label("dense network"))
        .mark(Mark::hline(0.4).dashed().label("chance"))
        .mark(Mark::text(5.0, 0.95, "new task every epoch"));
    Figure::new("G-estimates", "Accuracy over tasks, mean and 95 % interval").panel(panel)
}

fn scatter() -> Figure {
    let cloud = |n: usize, seed: usize, shift: f64| -> (Vec<f64>, Vec<f64>) {
        (0..n)
            .map(|i| {
                let x = noise(7 * i + seed) + noise(7 * i + seed + 1);
                (libm::pow(10.0, x), 0.5 * x + 0.4 * noise(7 * i + seed + 2) + shift)
            })
            .unzip()
    };
    let (x, y) = cloud(1500, 0, 0.0);
    let (few_x, few_y) = cloud(12, 99, 1.6);
    let steps = range(12, 0.02, 60.0);
    let heights: Vec<f64> = (0..12).map(|i| -1.0 + 0.18 * f64::from(i)).collect();
    let panel = Panel::new(Axis::log10("density of a feature"), Axis::linear("specificity"))
        .mark(Mark::points(&x, &y).color(Color::Gray).label("1500 features"))
        .mark(Mark::points(&few_x, &few_y).color(Color::Vermilion).label("planted concepts"))
        .mark(Mark::steps(&steps, &heights).color(Color::Ink).label("median"));
    Figure::new("G-scatter", "Rare features are more specific").panel(panel)
}

fn legend() -> Figure {
    let x = range(400, 0.0, 6.0);
    let waves = (0..5_u8).map(|i| {
        let y: Vec<f64> = x.iter().map(|x| libm::sin(x * f64::from(i + 2))).collect();
        Mark::line(&x, &y).color(Color::nth(usize::from(i))).label(&format!("frequency {}", i + 2))
    });
    let x_axis = Axis::linear("time (s)").range(0.0, 7.0);
    Figure::new("G-legend", "").panel(Panel::new(x_axis, Axis::linear("amplitude")).marks(waves))
}

fn categories() -> Figure {
    let names = ["SDM", "attention", "ReLU baseline", "TopK"];
    let y = [50_000.0, 32_000.0, 11_000.0, 24_500.0];
    let x = range(4, 0.0, 3.0);
    let bars = Mark::error_bars(&x, &y, &y.map(|y| y - 3000.0), &y.map(|y| y + 3000.0));
    let left = Panel::new(Axis::categories("", &names), Axis::linear("patterns stored"))
        .title("Capacity")
        .mark(bars.color(Color::Ink));
    let sizes = [1e3, 1e4, 1e5, 1e6, 1e7];
    let loss = [3.2e-6, 1.1e-6, 4.5e-7, 2.6e-7, 2.1e-7];
    let right = Panel::new(Axis::log10("training tokens"), Axis::linear("error"))
        .title("Scaling of the reconstruction error with the number of tokens")
        .mark(Mark::line(&sizes, &loss).color(Color::Green))
        .mark(Mark::points(&sizes, &loss).color(Color::Green).marker(Marker::Ring).label("FVU"));
    Figure::new("G-categories", "").width(Width::Page).columns(2).panel(left).panel(right)
}

/// Four panels whose curves lie too close for labels beside them.
fn shared_legend() -> Figure {
    let x = range(120, 0.0, 60.0);
    let panels = [3.0, 4.0, 6.0, 9.0].map(|scale: f64| {
        let curve = |shift: f64| -> Vec<f64> {
            x.iter().map(|x| libm::exp(-x / (scale + shift))).collect()
        };
        Panel::new(Axis::linear("d_{v} (bits)"), Axis::linear("weight"))
            .title(&format!("scale {scale}"))
            .mark(Mark::line(&x, &curve(0.0)).color(Color::Vermilion).label("spherical caps"))
            .mark(Mark::line(&x, &curve(0.2)).color(Color::Blue).label("softmax, published β"))
            .mark(Mark::line(&x, &curve(0.4)).color(Color::Sky).dashed().label("softmax, fitted β"))
    });
    let figure = Figure::new("G-shared", "One legend for four panels")
        .width(Width::Page)
        .columns(4)
        .panel_height_mm(34.0);
    panels.into_iter().fold(figure, Figure::panel)
}

/// Six narrow panels, each with something awkward.
fn grid() -> Figure {
    let x = range(60, 0.0, 1.0);
    let root: Vec<f64> = x.iter().map(|x| x.sqrt()).collect();
    let gap = |i: usize| i % 20 > 15;
    let broken = x.iter().enumerate().map(|(i, x)| if gap(i) { f64::NAN } else { x * x });
    let broken: Vec<f64> = broken.collect();
    let decades: Vec<f64> = x.iter().map(|x| libm::pow(10.0, 200.0 * x - 250.0)).collect();
    let narrow: Vec<f64> = x.iter().map(|x| libm::pow(10.0, 0.3 * x)).collect();
    let low: Vec<f64> = root.iter().map(|y| y - 0.1).collect();
    let high: Vec<f64> = root.iter().map(|y| y + 0.1).collect();
    let coarse = range(6, 0.0, 1.0);
    let linear = || Axis::linear("x");

    let long = Axis::linear("a label that is longer than its axis is high");
    let gaps = Panel::new(linear(), long)
        .mark(Mark::line(&x, &broken).allow_gaps().label("with gaps"))
        .mark(Mark::hline(0.5).dashed().label("half"));
    let many_decades = Panel::new(linear(), Axis::log10("probability"))
        .title("Two hundred decades")
        .mark(Mark::line(&x, &decades).color(Color::Green));
    let short_log = Panel::new(linear(), Axis::log10("ratio"))
        .title("Less than one decade, under a title of two lines")
        .mark(Mark::line(&x, &narrow).color(Color::Purple).dotted().label("dotted"));
    let runs = Mark::points(&coarse, &coarse).color(Color::Amber).marker(Marker::Triangle);
    let in_legend =
        Panel::new(Axis::linear("rate").ticks(vec![0.0, 0.5, 1.0]), Axis::linear("recall"))
            .mark(Mark::band(&x, &low, &high).color(Color::Green).label("95 % interval"))
            .mark(Mark::line(&x, &root).color(Color::Green).label("mean"))
            .mark(runs.label("runs"))
            .legend();
    let flags = Panel::new(Axis::log10("tokens"), Axis::linear("loss (nats)"))
        .mark(Mark::steps(&[1.0, 10.0, 100.0, 1e4], &[4.0, 3.0, 2.5, 2.2]).label("best"))
        .mark(Mark::vline(30.0).label("warm-up ends"))
        .mark(Mark::vline(8000.0).dashed().label("stop"));
    let names = Axis::categories("", &["a", "b", "a longer name", "d"]);
    let bars = [0.7, 0.55, 0.93, 0.81].iter().enumerate().map(|(i, height)| {
        let center = i as f64;
        Mark::histogram(&[center - 0.4, center + 0.4], &[*height]).color(Color::Sky)
    });
    let bars = Panel::new(names, Axis::linear("AUROC")).marks(bars).mark(Mark::hline(0.5).dotted());

    let title = "A title so long that it has to be broken: the page is 178 mm wide, and all of \
                 this stands above six small panels that differ in kind and in what is awkward";
    let figure = Figure::new("G-grid", title).width(Width::Page).columns(3).panel_height_mm(32.0);
    [gaps, many_decades, short_log, in_legend, flags, bars].into_iter().fold(figure, Figure::panel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_drawn_without_overlaps() {
        for figure in gallery() {
            if let Err(error) = figure.png("3fa9c1d2") {
                panic!("{error}");
            }
        }
    }
}
