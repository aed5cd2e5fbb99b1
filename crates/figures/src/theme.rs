//! Every size and tint of the one theme. Lengths are points (1/72 inch) at the printed size.

/// Points in a millimetre.
pub(crate) const POINTS_PER_MM: f64 = 72.0 / 25.4;

/// Text of ticks, labels and remarks.
pub(crate) const TEXT_SIZE: f64 = 7.0;
/// Axis labels.
pub(crate) const AXIS_LABEL_SIZE: f64 = 7.5;
/// Titles of figures and panels.
pub(crate) const TITLE_SIZE: f64 = 8.0;
/// Panel letters.
pub(crate) const LETTER_SIZE: f64 = 9.0;
/// Text of an inset.
pub(crate) const INSET_TEXT_SIZE: f64 = 6.0;
/// The stamp in the corner.
pub(crate) const STAMP_SIZE: f64 = 4.5;

/// Baseline to baseline, relative to the size.
pub(crate) const LINE_SPACING: f64 = 1.22;
/// From the baseline to the optical middle of digits and capitals, relative to the size.
pub(crate) const MIDDLE: f64 = 0.345;
/// The height of capitals, relative to the size.
pub(crate) const CAPITAL: f64 = 0.69;
/// How far descenders reach below the baseline, relative to the size.
pub(crate) const DESCENT: f64 = 0.2;
/// Size of subscripts and superscripts, relative to the text's.
pub(crate) const SCRIPT_SIZE: f64 = 0.7;
/// How far a subscript's baseline drops, relative to the text's size.
pub(crate) const SUBSCRIPT_DROP: f64 = 0.17;
/// How far a superscript's baseline rises, relative to the text's size.
pub(crate) const SUPERSCRIPT_RISE: f64 = 0.36;
/// Width in font units of the stroke that makes the light face regular.
pub(crate) const REGULAR_STROKE: u32 = 16;
/// Width in font units of the stroke that makes the light face bold.
pub(crate) const BOLD_STROKE: u32 = 62;

/// Lines of data.
pub(crate) const LINE_WIDTH: f64 = 1.1;
/// Reference lines.
pub(crate) const REFERENCE_WIDTH: f64 = 0.8;
/// Axes and ticks.
pub(crate) const AXIS_WIDTH: f64 = 0.5;
/// Stems of error bars.
pub(crate) const INTERVAL_WIDTH: f64 = 0.9;
/// Leaders from labels to line ends.
pub(crate) const LEADER_WIDTH: f64 = 0.4;
/// Radius of a point.
pub(crate) const POINT_RADIUS: f64 = 1.7;
/// Radius of a point in a crowd.
pub(crate) const CROWD_RADIUS: f64 = 1.0;
/// From this number on, points are a crowd.
pub(crate) const CROWD: usize = 400;
/// Opacity of a point in a crowd.
pub(crate) const CROWD_OPACITY: f64 = 0.5;
/// Opacity of bands.
pub(crate) const BAND_OPACITY: f64 = 0.22;
/// Opacity of histogram bars.
pub(crate) const BAR_OPACITY: f64 = 0.62;
/// White between histogram bars.
pub(crate) const BAR_GAP: f64 = 0.35;

/// Length of a labelled tick.
pub(crate) const TICK_LENGTH: f64 = 2.6;
/// Length of a tick without a label.
pub(crate) const MINOR_TICK_LENGTH: f64 = 1.5;
/// Between a tick and its label.
pub(crate) const TICK_GAP: f64 = 1.8;
/// Between tick labels and the axis label.
pub(crate) const AXIS_LABEL_GAP: f64 = 3.2;
/// Least room between neighbouring x tick labels.
pub(crate) const TICK_LABEL_GAP: f64 = 7.0;
/// Between the plotting area and labels at its right.
pub(crate) const END_LABEL_GAP: f64 = 3.0;
/// Room for leaders where labels had to move.
pub(crate) const LEADER_LENGTH: f64 = 8.0;
/// Least room between texts.
pub(crate) const TEXT_GAP: f64 = 1.0;
/// White around the whole figure.
pub(crate) const MARGIN: f64 = 2.0;
/// Between columns of panels.
pub(crate) const COLUMN_GAP: f64 = 9.0;
/// Between rows of panels.
pub(crate) const ROW_GAP: f64 = 9.0;
/// Width and height of an inset relative to its panel.
pub(crate) const INSET_SHARE: f64 = 0.42;
/// Length of a legend's sample line.
pub(crate) const SWATCH: f64 = 12.0;

/// Axes, ticks and their text.
pub(crate) const INK: [u8; 3] = [0x22, 0x22, 0x22];
/// The stamp.
pub(crate) const FAINT: [u8; 3] = [0x9A, 0x9A, 0x9A];
/// Leaders from labels to line ends.
pub(crate) const LEADER: [u8; 3] = [0x9A, 0x9A, 0x9A];
/// The page.
pub(crate) const WHITE: [u8; 3] = [0xFF, 0xFF, 0xFF];

/// Pixels per inch of a PNG.
pub(crate) const PNG_DPI: f64 = 300.0;
