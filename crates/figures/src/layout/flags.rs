//! Labels of vertical reference lines: flags in rows above the plotting area.

/// A label to be hung on a vertical line: where the line stands and how wide the label is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag {
    pub(crate) x: f64,
    pub(crate) width: f64,
}

/// Where a flag hangs: its row, counted from 0 upward, and its left and right end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hung {
    pub(crate) row: usize,
    pub(crate) left: f64,
    pub(crate) right: f64,
}

/// Between a line and its flag.
pub(crate) const POLE_GAP: f64 = 1.5;
/// Between a flag and the next line or flag.
const CLEAR: f64 = 3.0;

/// Hangs each flag in the lowest row where no line and no other flag is in the way, to the right of
/// its line where that is possible and to the left otherwise; none leaves `limits`. A line reaches
/// up to its own flag and no farther.
pub(crate) fn hang(flags: &[Flag], limits: (f64, f64)) -> Vec<Hung> {
    let mut order: Vec<usize> = (0..flags.len()).collect();
    order.sort_by(|&a, &b| flags[b].x.total_cmp(&flags[a].x));
    let mut hung: Vec<Option<Hung>> = vec![None; flags.len()];
    for (position, &index) in order.iter().enumerate() {
        let flag = flags[index];
        let (before, after) = (&order[..position], &order[position + 1..]);
        let placed = || before.iter().filter_map(|&other| Some((flags[other].x, hung[other]?)));
        let mut candidates = (0..=4 * flags.len()).flat_map(|row| {
            let near = POLE_GAP + flag.width;
            let right = Hung { row, left: flag.x + POLE_GAP, right: flag.x + near };
            let left = Hung { row, left: flag.x - near, right: flag.x - POLE_GAP };
            [right, left]
        });
        let free = |candidate: &Hung| {
            // Lines still to come must be able to stay below a flag that hangs to the left.
            let below = after.iter().filter(|&&other| candidate.spans(flags[other].x)).count();
            candidate.left >= limits.0
                && candidate.right <= limits.1
                && candidate.row >= below
                && !placed().any(|(x, neighbour)| candidate.collides(flag.x, neighbour, x))
        };
        // Where nothing is free, the check for overlaps reports it.
        let fallback = Hung { row: 0, left: flag.x + POLE_GAP, right: flag.x + flag.width };
        hung[index] = Some(candidates.find(free).unwrap_or(fallback));
    }
    hung.into_iter().flatten().collect()
}

impl Hung {
    fn spans(&self, x: f64) -> bool {
        self.left - CLEAR < x && x < self.right + CLEAR
    }

    /// Whether this flag on a line at `x` meets a neighbour on a line at `neighbour_x`, or one of
    /// them the other's line.
    fn collides(&self, x: f64, neighbour: Self, neighbour_x: f64) -> bool {
        let flags_meet = self.row == neighbour.row
            && self.left < neighbour.right + CLEAR
            && neighbour.left < self.right + CLEAR;
        let under_its_line = self.row <= neighbour.row && self.spans(neighbour_x);
        let over_it = neighbour.row <= self.row && neighbour.spans(x);
        flags_meet || under_its_line || over_it
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(xs: &[f64], width: f64) -> Vec<usize> {
        let flags: Vec<Flag> = xs.iter().map(|&x| Flag { x, width }).collect();
        hang(&flags, (-2.0, 200.0)).into_iter().map(|hung| hung.row).collect()
    }

    #[test]
    fn flags_that_are_apart_share_the_lowest_row() {
        assert_eq!(rows(&[0.0, 50.0, 100.0], 20.0), [0, 0, 0]);
    }

    #[test]
    fn neighbours_without_room_at_the_left_rise_from_right_to_left() {
        assert_eq!(rows(&[0.0, 5.0, 10.0], 20.0), [2, 1, 0]);
        // The order of the input does not matter.
        assert_eq!(rows(&[10.0, 0.0, 5.0], 20.0), [0, 2, 1]);
    }

    #[test]
    fn a_flag_at_the_right_side_hangs_to_the_left_above_the_lines_it_spans() {
        let flags = [Flag { x: 90.0, width: 20.0 }, Flag { x: 80.0, width: 5.0 }];
        let hung = hang(&flags, (-50.0, 100.0));
        assert_eq!((hung[0].left, hung[0].right), (68.5, 88.5));
        assert!(hung[0].row > hung[1].row, "{hung:?}");
    }

    #[test]
    fn a_flag_beside_a_high_line_hangs_to_the_left() {
        let flags = [Flag { x: 90.0, width: 20.0 }, Flag { x: 75.0, width: 20.0 }];
        let hung = hang(&flags, (-50.0, 100.0));
        assert_eq!((hung[1].row, hung[1].right), (0, 73.5), "{hung:?}");
    }
}
