/// A colour of the theme.
///
/// The qualitative colours are those of Okabe and Ito that hold up as thin lines on white; they stay
/// apart for the common kinds of colour blindness, and from dark to light in grey print. Use at most
/// six; `Ink` is for the one series that matters most and `Gray` for context.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Color {
    /// `#0072B2`
    Blue,
    /// `#D55E00`
    Vermilion,
    /// `#009E73`
    Green,
    /// `#CC79A7`
    Purple,
    /// `#E69F00`
    Amber,
    /// `#56B4E9`
    Sky,
    /// The colour of axes and text.
    Ink,
    /// A middle grey for reference lines and context.
    Gray,
    /// A position from 0 (dark violet) to 1 (light green) on a perceptually ordered scale, for
    /// families of curves. Values outside are clamped.
    Sequential(f64),
}

/// Anchors of the viridis scale at steps of 0.1, without its last tenth, which is too light for lines
/// on white.
const VIRIDIS: [[f64; 3]; 10] = [
    [68.0, 1.0, 84.0],
    [72.0, 36.0, 117.0],
    [65.0, 68.0, 135.0],
    [53.0, 95.0, 141.0],
    [42.0, 120.0, 142.0],
    [33.0, 145.0, 140.0],
    [34.0, 168.0, 132.0],
    [68.0, 191.0, 112.0],
    [122.0, 209.0, 81.0],
    [170.0, 215.0, 50.0],
];

impl Color {
    const CYCLE: [Self; 6] =
        [Self::Blue, Self::Vermilion, Self::Green, Self::Purple, Self::Amber, Self::Sky];

    /// The colour of series number `index`, cycling through the six qualitative colours.
    ///
    /// ```
    /// use figures::Color;
    /// assert_eq!(Color::nth(1), Color::Vermilion);
    /// assert_eq!(Color::nth(6), Color::nth(0));
    /// ```
    pub fn nth(index: usize) -> Self {
        Self::CYCLE[index % Self::CYCLE.len()]
    }

    /// The colour of member `index` of an ordered family of `n`.
    ///
    /// ```
    /// use figures::Color;
    /// assert_eq!(Color::sequential(0, 5), Color::Sequential(0.0));
    /// assert_eq!(Color::sequential(4, 5), Color::Sequential(1.0));
    /// assert_eq!(Color::sequential(0, 1), Color::Sequential(0.0));
    /// ```
    pub fn sequential(index: usize, n: usize) -> Self {
        let last = n.saturating_sub(1).max(1);
        Self::Sequential(index as f64 / last as f64)
    }

    pub(crate) fn rgb(self) -> [u8; 3] {
        match self {
            Self::Blue => [0x00, 0x72, 0xB2],
            Self::Vermilion => [0xD5, 0x5E, 0x00],
            Self::Green => [0x00, 0x9E, 0x73],
            Self::Purple => [0xCC, 0x79, 0xA7],
            Self::Amber => [0xE6, 0x9F, 0x00],
            Self::Sky => [0x56, 0xB4, 0xE9],
            Self::Ink => [0x22, 0x22, 0x22],
            Self::Gray => [0x80, 0x80, 0x80],
            Self::Sequential(position) => sequential_rgb(position),
        }
    }

    /// The same hue, darkened until it reads as small text on white.
    pub(crate) fn text_rgb(self) -> [u8; 3] {
        const MAX_LUMINANCE: f64 = 0.22;
        let mut rgb = self.rgb().map(f64::from);
        while luminance(rgb) > MAX_LUMINANCE {
            rgb = rgb.map(|channel| channel * 0.95);
        }
        rgb.map(byte)
    }
}

fn sequential_rgb(position: f64) -> [u8; 3] {
    let at = position.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f64;
    let mut below = 0;
    while below + 2 < VIRIDIS.len() && (below + 1) as f64 <= at {
        below += 1;
    }
    let fraction = at - below as f64;
    let [from, to] = [VIRIDIS[below], VIRIDIS[below + 1]];
    [0, 1, 2].map(|channel| byte(from[channel] + fraction * (to[channel] - from[channel])))
}

/// Relative luminance with a gamma of 2, close enough to choose a text colour.
fn luminance(rgb: [f64; 3]) -> f64 {
    let [r, g, b] = rgb.map(|channel| (channel / 255.0) * (channel / 255.0));
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=255")]
fn byte(channel: f64) -> u8 {
    channel.round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequential_scale_hits_its_anchors_and_clamps() {
        assert_eq!(Color::Sequential(0.0).rgb(), [68, 1, 84]);
        assert_eq!(Color::Sequential(1.0).rgb(), [170, 215, 50]);
        assert_eq!(Color::Sequential(7.0).rgb(), [170, 215, 50]);
        // One ninth of the way lies exactly on the second anchor; one eighteenth halfway to it.
        assert_eq!(Color::Sequential(1.0 / 9.0).rgb(), [72, 36, 117]);
        assert_eq!(Color::Sequential(1.0 / 18.0).rgb(), [70, 19, 101]);
    }

    #[test]
    fn the_sequential_scale_grows_lighter() {
        let luminances: Vec<f64> =
            (0..=20).map(|i| luminance(Color::sequential(i, 21).rgb().map(f64::from))).collect();
        assert!(luminances.windows(2).all(|pair| pair[0] < pair[1]), "{luminances:?}");
    }

    #[test]
    fn text_colors_are_dark_enough_and_ink_is_kept() {
        assert_eq!(Color::Ink.text_rgb(), Color::Ink.rgb());
        for color in [Color::Sky, Color::Amber, Color::Sequential(1.0)] {
            assert!(luminance(color.text_rgb().map(f64::from)) <= 0.225, "{color:?}");
        }
    }
}
