use core::sync::atomic::AtomicU64;

use super::*;
use crate::handle::{HandleFlags, HandleTable};

const NOW: Deadline = Deadline::Monotonic(0);

fn packet(n: u64) -> Packet {
    Packet { key: n, context: n + 1, status: 0, information: n + 2 }
}

#[test]
fn packets_come_in_order_one_or_several_at_a_time() {
    let port = CompletionPort::new(0);
    let mut got = [Packet::default(); 3];
    assert_eq!(port.get(&mut got, NOW, Alertable::No), Ok(Got::Timeout));
    assert!(port.get(&mut [], NOW, Alertable::No).is_err());
    for n in 0..5 {
        port.post(packet(n)).unwrap();
    }
    assert_eq!(port.depth(), 5);
    assert_eq!(port.get(&mut got, NOW, Alertable::No), Ok(Got::Packets(3)));
    assert_eq!(got, [packet(0), packet(1), packet(2)]);
    assert_eq!(port.get(&mut got[..1], NOW, Alertable::No), Ok(Got::Packets(1)));
    assert_eq!(port.get(&mut got, NOW, Alertable::No), Ok(Got::Packets(1)));
    assert_eq!(got[0], packet(4));
}

#[test]
fn every_packet_is_taken_once_by_some_thread() {
    const PACKETS: u64 = 20_000;
    let port = CompletionPort::new(2);
    let sum = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut got = [Packet::default(); 4];
                loop {
                    let Got::Packets(n) = port.get(&mut got, Deadline::Never, Alertable::No).unwrap() else {
                        panic!("only packets");
                    };
                    for p in &got[..n] {
                        if p.key == 0 {
                            // Ends this thread; the rest of the ends are the others'.
                            got[..n].iter().skip(1).for_each(|p| port.post(*p).unwrap());
                            return;
                        }
                        sum.fetch_add(p.key, Ordering::Relaxed);
                    }
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| (1..=PACKETS / 2).for_each(|n| port.post(packet(n)).unwrap()));
        }
        while sum.load(Ordering::Relaxed) < (PACKETS / 2) * (PACKETS / 2 + 1) {
            std::thread::yield_now();
        }
        (0..4).for_each(|_| port.post(packet(0)).unwrap());
    });
    assert_eq!(sum.into_inner(), (PACKETS / 2) * (PACKETS / 2 + 1));
    assert_eq!((port.depth(), port.packets.free_tokens()), (0, 0));
}

#[test]
fn closing_the_last_handle_lets_all_waiters_go() {
    let table = HandleTable::new();
    let port = CompletionPort::new(0);
    let handle = table.insert(port.clone(), 0, HandleFlags::default()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut got = [Packet::default()];
                assert_eq!(port.get(&mut got, Deadline::Never, Alertable::Yes), Ok(Got::Closed));
            });
        }
        while port.packets.waiters() < 3 {
            std::thread::yield_now();
        }
        table.close(handle).unwrap();
    });
}
