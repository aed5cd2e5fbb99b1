//! The last check of every figure: no two texts overlap and none leaves the canvas.

use crate::Error;
use crate::geometry::Rect;
use crate::scene::{Canvas, Lettering, Shape};

pub(crate) fn verify(figure: &str, canvas: &Canvas) -> Result<(), Error> {
    let texts = canvas.shapes.iter().filter_map(|shape| match shape {
        Shape::Lettering(lettering) => Some(&**lettering),
        _ => None,
    });
    let texts: Vec<&Lettering> = texts.collect();
    let page = Rect { left: 0.0, top: 0.0, right: canvas.width, bottom: canvas.height };
    for (index, text) in texts.iter().enumerate() {
        let bounds = text.bounds();
        if !page.contains(bounds) {
            let text = text.text.source.clone();
            return Err(Error::OffCanvas { figure: figure.to_owned(), text });
        }
        if let Some(other) = texts[..index].iter().find(|other| bounds.overlaps(other.bounds())) {
            return Err(Error::Overlap {
                figure: figure.to_owned(),
                first: other.text.source.clone(),
                second: text.text.source.clone(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Text, Weight};

    fn canvas(places: &[(f64, f64, bool)]) -> Canvas {
        let text = Text::new("label", 10.0, Weight::Regular).unwrap();
        let lettering = |&(x, y, upward)| {
            let text = text.clone();
            Shape::Lettering(Box::new(Lettering { text, at: (x, y), upward, rgb: [0; 3] }))
        };
        Canvas { width: 100.0, height: 50.0, shapes: places.iter().map(lettering).collect() }
    }

    #[test]
    fn overlapping_texts_and_texts_off_the_canvas_are_errors() {
        assert_eq!(verify("f", &canvas(&[(1.0, 10.0, false), (1.0, 30.0, false)])), Ok(()));
        let overlap = verify("f", &canvas(&[(1.0, 10.0, false), (5.0, 12.0, false)]));
        assert!(matches!(overlap, Err(Error::Overlap { .. })));
        let off = verify("f", &canvas(&[(90.0, 10.0, false)]));
        assert!(matches!(off, Err(Error::OffCanvas { .. })));
    }

    #[test]
    fn a_text_that_runs_upward_is_tall_and_thin() {
        assert_eq!(verify("f", &canvas(&[(10.0, 40.0, true), (12.0, 40.0, false)])), Ok(()));
        let overlap = verify("f", &canvas(&[(10.0, 40.0, true), (5.0, 30.0, false)]));
        assert!(matches!(overlap, Err(Error::Overlap { .. })));
    }
}
