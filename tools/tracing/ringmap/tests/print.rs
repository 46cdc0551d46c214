// SPDX-License-Identifier: LGPL-2.1-or-later

//! The texts of real events: format files of Linux 7.3 on x86-64, the bytes that the kernel wrote,
//! and what its `trace` file has for them (but for hashed addresses, and where said otherwise).

#![cfg(all(target_arch = "x86_64", target_endian = "little"))]

use proptest::prelude::*;
use ringmap::event::Event;
use ringmap::format::Format;
use ringmap::print::PrintFmt;
use ringmap::symbols::{Names, Symbols};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|c| (c[0] * 16 + c[1]) as u8).collect()
}

fn names() -> Names {
    Names::with_symbols(Symbols::parse(
        "ffffffff81078010 t delayed_work_timer_fn\nffffffff810c7d10 t srcu_delay_timer\n\
         ffffffff810efe30 t tick_nohz_handler\nffffffff82000000 T _end\n",
    ))
}

/// Name, format, bytes and text; why not all of the format is understood, if so.
struct Case(
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
);

/// The file's text for each event.
macro_rules! case {
    ($name:literal, $hex:expr, $text:expr) => {
        case!($name, $hex, $text, None)
    };
    ($name:literal, $hex:expr, $text:expr, $left_out:expr) => {
        Case(
            $name,
            include_str!(concat!("formats/", $name)),
            $hex,
            $text,
            $left_out,
        )
    };
}

const CASES: &[Case] = &[
    case!(
        "sched_switch",
        "f500010200000000737761707065722f3000000000000000000000007800000000000000000000006b736f66
         74697271642f3000000000000d00000078000000",
        "prev_comm=swapper/0 prev_pid=0 prev_prio=120 prev_state=R ==> next_comm=ksoftirqd/0 \
         next_pid=13 next_prio=120"
    ),
    case!(
        "sched_switch",
        "f5000102150000006b736f6674697271642f31000000000015000000780000000100000000000000636f6c6c
         6563742e73680000000000002e00000078000000",
        "prev_comm=ksoftirqd/1 prev_pid=21 prev_prio=120 prev_state=S ==> next_comm=collect.sh \
         next_pid=46 next_prio=120"
    ),
    case!(
        "softirq_entry",
        "670010010000000009000000",
        "vec=9 [action=RCU]"
    ),
    case!(
        "timer_start",
        "4c01010108000000b86ea13e000011ff107d0c81ffffffff7debfeff000000007eebfeff000000007cebfeff
         000000000000800f00000000",
        "timer=0xff1100003ea16eb8 function=srcu_delay_timer expires=4294896509 [timeout=1] \
         bucket_expiry=4294896510 cpu=0 idx=62 flags="
    ),
    case!(
        "timer_start",
        "4c01010122000000983fb23e000011ffa0100781ffffffff65edfeff0000000068edfeff0000000073ecfeff
         000000000100781b00000000",
        "timer=0xff1100003eb23f98 function=0xffffffff810710a0 expires=4294896997 [timeout=242] \
         bucket_expiry=4294897000 cpu=1 idx=109 flags=D|P|I"
    ),
    // The kernel says mode=ABS: only it knows the numbers.
    case!(
        "hrtimer_start",
        "520109020000000080b0a13e000011ff30fe0e81ffffffff0047ea01040000000047ea010400000000000000
         00000000",
        "hrtimer=0xff1100003ea1b080 function=tick_nohz_handler expires=17212000000 \
         softexpires=17212000000 mode=0x0 was_armed=0",
        Some("the name HRTIMER_MODE_ABS")
    ),
    // The kernel has the address of its page.
    case!(
        "mm_page_alloc",
        "e50100002e000000680b0000000000000200000000000000c00d4000000000000000000000000000",
        "page=? pfn=0xb68 order=2 migratetype=0 gfp_flags=GFP_KERNEL_ACCOUNT|__GFP_ZERO",
        Some("the name vmemmap_base")
    ),
    case!(
        "rss_stat",
        "ec0100022e000000dced84f10000000001000000000000000020000000000000",
        "mm_id=4052020700 curr=0 type=MM_ANONPAGES size=8192B"
    ),
    case!(
        "sched_process_exec",
        "fc0000008903000014000f0089030000890300002f70726f632f73656c662f6578650000",
        "filename=/proc/self/exe pid=905 old_pid=905"
    ),
    // For system calls the kernel does not go by the format file.
    case!(
        "sys_enter_openat",
        "3f0200008703000001010000000000009cffffff000000001f0d5c0000000000000008000000000000000000
         0000000034000f002f6574632f6c6f63616c74696d650000",
        "dfd: 0xffffff9c, filename: 0x005c0d1f \"/etc/localtime\", flags: O_RDONLY|O_CLOEXEC, \
         mode: 0000"
    ),
    case!(
        "sys_exit_openat",
        "400200002e00000001010000000000000300000000000000",
        "0x3"
    ),
    // The bytes were made up: the kernel that was at hand has no block devices.
    case!(
        "block_rq_issue",
        "d207000007000000030010000000000000080000000000000800000000100000024057410000000000000000
         626173680000000000000000000000004000010000000000",
        "1,3 WA 4096 () 2048 + 8 be,0,2 [bash]"
    ),
];

#[test]
fn texts() {
    for Case(name, format, hex, text, left_out) in CASES {
        let format = Format::parse("test", format).unwrap();
        assert_eq!(format.name, *name);
        let print = PrintFmt::new(&format);
        assert!(!print.is_fallback(), "{name}");
        assert_eq!(print.reason(), *left_out, "{name}");
        let payload = bytes(hex);
        let event = Event {
            time: 0,
            payload: &payload,
        };
        let mut out = Vec::new();
        print.write(&format, &event, &names(), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), *text, "{name}");
    }
}

proptest! {
    /// Formats of real events, and any bytes.
    #[test]
    fn any_bytes(mut payload in prop::collection::vec(any::<u8>(), 8..120)) {
        for Case(_, format, ..) in CASES {
            let format = Format::parse("test", format).unwrap();
            payload[..2].copy_from_slice(&format.id.to_ne_bytes());
            let event = Event { time: 0, payload: &payload };
            let mut out = Vec::new();
            PrintFmt::new(&format).write(&format, &event, &names(), &mut out);
            let text = String::from_utf8(out);
            let plain = text.is_ok_and(|text| !text.contains(char::is_control));
            prop_assert!(plain);
        }
    }
}

#[test]
fn fields_by_name() {
    let Case(_, format, hex, ..) = CASES[0];
    let format = Format::parse("sched", format).unwrap();
    let payload = bytes(hex);
    let event = Event {
        time: 0,
        payload: &payload,
    };
    let field = |name| format.field(name).unwrap();
    assert_eq!(field("next_pid").u32(&event), Some(13));
    assert_eq!(field("next_comm").str(&event), Some("ksoftirqd/0"));
    assert_eq!(field("common_pid").i64(&event), Some(0));
    assert_eq!(field("next_comm").u64(&event), None);
    assert!(format.field("nothing").is_none());
}
