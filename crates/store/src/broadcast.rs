//! One stream of batches for several dictionaries.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::spawn;

use crate::error::{Error, Result};

/// One of the receivers of a [`broadcast`]: all items in their order, none copied.
///
/// An error comes to every receiver as its last item.
pub struct Subscriber<T> {
    receiver: Option<Receiver<Message<T>>>,
}

enum Message<T> {
    Item(Arc<T>),
    Failed(Arc<Error>),
    End,
}

/// Gives each item of a stream to `n` receivers, from a thread of its own.
///
/// A receiver may be ahead of the slowest by `depth` items, no more: so at most `depth + 2` are in
/// memory, shared by all. A receiver that is dropped holds nobody back; when all are, the thread
/// ends. Receivers belong to threads of their own: one that waits for its end before another begins
/// waits for ever, unless the stream is no longer than `depth`. On one thread, pass each batch to
/// every dictionary instead.
///
/// # Examples
///
/// ```
/// use std::thread;
///
/// let subscribers = store::broadcast((0..5).map(Ok), 2, 1);
/// let sum = |numbers: store::Subscriber<u32>| numbers.map(|number| *number.unwrap()).sum::<u32>();
/// let threads: Vec<_> = subscribers.into_iter().map(|one| thread::spawn(move || sum(one))).collect();
/// for thread in threads {
///     assert_eq!(thread.join().unwrap(), 10);
/// }
/// ```
///
/// # Errors
/// What the stream yields, and [`Error::Stopped`] if its thread panicked.
pub fn broadcast<T: Send + Sync + 'static>(
    items: impl Iterator<Item = Result<T>> + Send + 'static,
    n: usize,
    depth: usize,
) -> Vec<Subscriber<T>> {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..n).map(|_| sync_channel(depth)).unzip();
    spawn(move || send_all(items, senders));
    receivers.into_iter().map(|receiver| Subscriber { receiver: Some(receiver) }).collect()
}

fn send_all<T>(items: impl Iterator<Item = Result<T>>, mut senders: Vec<SyncSender<Message<T>>>) {
    let send = |senders: &mut Vec<SyncSender<Message<T>>>, message: &dyn Fn() -> Message<T>| {
        senders.retain(|sender| sender.send(message()).is_ok());
    };
    for item in items {
        match item {
            Ok(item) => {
                let item = Arc::new(item);
                send(&mut senders, &|| Message::Item(Arc::clone(&item)));
            }
            Err(error) => {
                let error = Arc::new(error);
                return send(&mut senders, &|| Message::Failed(Arc::clone(&error)));
            }
        }
        if senders.is_empty() {
            return;
        }
    }
    send(&mut senders, &|| Message::End);
}

impl<T> Iterator for Subscriber<T> {
    type Item = std::result::Result<Arc<T>, Arc<Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.receiver.as_ref()?.recv() {
            Ok(Message::Item(item)) => Some(Ok(item)),
            Ok(Message::Failed(error)) => {
                self.receiver = None;
                Some(Err(error))
            }
            Ok(Message::End) => {
                self.receiver = None;
                None
            }
            Err(_) => {
                self.receiver = None;
                Some(Err(Arc::new(Error::Stopped)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread::JoinHandle;

    use super::*;

    #[test]
    fn every_receiver_gets_every_item_in_order_and_shares_it() {
        let subscribers = broadcast((0..100).map(Ok), 3, 4);
        let threads: Vec<JoinHandle<Vec<Arc<i32>>>> = subscribers
            .into_iter()
            .map(|one| spawn(move || one.map(|item| item.unwrap()).collect()))
            .collect();
        let received: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        for items in &received {
            assert!(items.iter().map(|item| **item).eq(0..100));
            assert!(items.iter().zip(&received[0]).all(|(one, other)| Arc::ptr_eq(one, other)));
        }
    }

    #[test]
    fn the_queue_is_bounded_by_the_slowest() {
        let made = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&made);
        let items = (0..1000).map(move |item| {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok(item)
        });
        let mut subscribers = broadcast(items, 2, 3);
        let (mut slow, mut fast) = (subscribers.remove(0), subscribers.remove(0));
        assert_eq!(*slow.next().unwrap().unwrap(), 0);
        // The slow one took one item; three wait for it, and one is offered.
        for expected in 0..4 {
            assert_eq!(*fast.next().unwrap().unwrap(), expected);
            assert!(made.load(Ordering::SeqCst) <= 5);
        }
        // Once it is gone it holds nobody back.
        drop(slow);
        assert!(fast.map(|item| *item.unwrap()).eq(4..1000));
    }

    #[test]
    fn an_error_comes_to_all_and_ends_the_stream() {
        let items = (0..5).map(|item| if item == 2 { Err(Error::Stopped) } else { Ok(item) });
        for one in broadcast(items, 2, 5) {
            let received: Vec<_> = one.collect();
            assert_eq!(received.len(), 3);
            assert!(received[..2].iter().all(std::result::Result::is_ok));
            assert!(matches!(**received[2].as_ref().unwrap_err(), Error::Stopped));
        }
    }

    #[test]
    fn a_stream_that_panics_is_not_taken_for_one_that_ended() {
        let items = (0..2).map(|item| {
            assert_eq!(item, 0, "this stream breaks on purpose");
            Ok(item)
        });
        let received: Vec<_> = broadcast(items, 1, 5).remove(0).collect();
        assert_eq!(received.len(), 2);
        assert!(matches!(**received[1].as_ref().unwrap_err(), Error::Stopped));
    }
}
