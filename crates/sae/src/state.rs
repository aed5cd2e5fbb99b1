//! The numbers of a training, by name, to be stored and to be put in again.

/// Numbers of one kind.
#[derive(Debug)]
pub(crate) enum Part<'a> {
    F32(&'a mut [f32]),
    F64(&'a mut [f64]),
    U64(&'a mut [u64]),
}
