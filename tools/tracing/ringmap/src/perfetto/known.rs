// SPDX-License-Identifier: LGPL-2.1-or-later

//! The events that Perfetto has a message for, and the numbers of their fields. All others are
//! generic events there, which it shows, but makes nothing of.

/// Name of the event; number of its message in `FtraceEvent`; fields and their numbers, with an `s`
/// behind those that are texts. In order of the names.
const EVENTS: &[(&str, u32, &str)] = &[
    (
        "block_rq_complete",
        125,
        "dev=1 sector=2 nr_sector=3 errors=4 rwbs=5s cmd=6s error=7",
    ),
    (
        "block_rq_insert",
        126,
        "dev=1 sector=2 nr_sector=3 bytes=4 rwbs=5s comm=6s cmd=7s",
    ),
    (
        "block_rq_issue",
        45,
        "dev=1 sector=2 nr_sector=3 bytes=4 rwbs=5s comm=6s cmd=7s",
    ),
    ("clock_set_rate", 16, "name=1s state=2 cpu_id=3"),
    ("cpu_frequency", 11, "state=1 cpu_id=2"),
    ("cpu_frequency_limits", 12, "min_freq=1 max_freq=2 cpu_id=3"),
    ("cpu_idle", 13, "state=1 cpu_id=2"),
    ("funcgraph_entry", 437, "depth=1 func=2"),
    (
        "funcgraph_exit",
        438,
        "calltime=1 depth=2 func=3 overrun=4 rettime=5",
    ),
    ("hrtimer_cancel", 552, "hrtimer=1"),
    ("hrtimer_expire_entry", 553, "hrtimer=1 now=2 function=3"),
    ("hrtimer_expire_exit", 554, "hrtimer=1"),
    (
        "hrtimer_start",
        551,
        "hrtimer=1 function=2 expires=3 softexpires=4 mode=5",
    ),
    ("ipi_entry", 21, "reason=1s"),
    ("ipi_exit", 22, "reason=1s"),
    ("ipi_raise", 23, "target_cpus=1 reason=2s"),
    ("irq_handler_entry", 36, "irq=1 name=2s handler=3"),
    ("irq_handler_exit", 37, "irq=1 ret=2"),
    ("kfree", 298, "call_site=1 ptr=2"),
    (
        "kmalloc",
        299,
        "bytes_alloc=1 bytes_req=2 call_site=3 gfp_flags=4 ptr=5",
    ),
    ("local_timer_entry", 559, "vector=1"),
    ("local_timer_exit", 560, "vector=1"),
    (
        "mm_page_alloc",
        307,
        "gfp_flags=1 migratetype=2 order=3 page=4 pfn=5",
    ),
    ("mm_page_free", 310, "order=1 page=2 pfn=3"),
    (
        "mm_vmscan_direct_reclaim_begin",
        46,
        "order=1 may_writepage=2 gfp_flags=3",
    ),
    ("mm_vmscan_direct_reclaim_end", 47, "nr_reclaimed=1"),
    ("mm_vmscan_kswapd_sleep", 49, "nid=1"),
    ("mm_vmscan_kswapd_wake", 48, "nid=1 order=2 zid=3"),
    ("oom_score_adj_update", 326, "comm=1s oom_score_adj=2 pid=3"),
    ("print", 3, "ip=1 buf=2s"),
    ("rss_stat", 313, "member=1 size=2 curr=3 mm_id=4"),
    ("sched_blocked_reason", 18, "pid=1 caller=2 io_wait=3"),
    (
        "sched_migrate_task",
        491,
        "comm=1s pid=2 prio=3 orig_cpu=4 dest_cpu=5 running=6 load=7",
    ),
    ("sched_pi_setprio", 353, "comm=1s newprio=2 oldprio=3 pid=4"),
    ("sched_process_exec", 237, "filename=1s pid=2 old_pid=3"),
    ("sched_process_exit", 238, "comm=1s pid=2 tgid=3 prio=4"),
    (
        "sched_process_fork",
        239,
        "parent_comm=1s parent_pid=2 child_comm=3s child_pid=4",
    ),
    ("sched_process_free", 240, "comm=1s pid=2 prio=3"),
    ("sched_process_hang", 241, "comm=1s pid=2"),
    ("sched_process_wait", 242, "comm=1s pid=2 prio=3"),
    (
        "sched_switch",
        4,
        "prev_comm=1s prev_pid=2 prev_prio=3 prev_state=4 next_comm=5s next_pid=6 next_prio=7",
    ),
    (
        "sched_wakeup",
        17,
        "comm=1s pid=2 prio=3 success=4 target_cpu=5",
    ),
    (
        "sched_wakeup_new",
        114,
        "comm=1s pid=2 prio=3 success=4 target_cpu=5",
    ),
    (
        "sched_waking",
        20,
        "comm=1s pid=2 prio=3 success=4 target_cpu=5",
    ),
    ("signal_deliver", 324, "code=1 sa_flags=2 sig=3"),
    (
        "signal_generate",
        325,
        "code=1 comm=2s group=3 pid=4 result=5 sig=6",
    ),
    ("softirq_entry", 24, "vec=1"),
    ("softirq_exit", 25, "vec=1"),
    ("softirq_raise", 26, "vec=1"),
    ("suspend_resume", 113, "action=1s val=2 start=3"),
    ("sys_enter", 329, "id=1 args=2"),
    ("sys_exit", 330, "id=1 ret=2"),
    (
        "task_newtask",
        235,
        "pid=1 comm=2s clone_flags=3 oom_score_adj=4",
    ),
    (
        "task_rename",
        236,
        "pid=1 oldcomm=2s newcomm=3s oom_score_adj=4",
    ),
    ("timer_cancel", 556, "timer=1"),
    (
        "timer_expire_entry",
        557,
        "timer=1 now=2 function=3 baseclk=4",
    ),
    ("timer_expire_exit", 558, "timer=1"),
    (
        "timer_start",
        555,
        "timer=1 function=2 expires=3 now=4 deferrable=5 flags=6 bucket_expiry=7",
    ),
    ("workqueue_activate_work", 56, "work=1 function=2"),
    ("workqueue_execute_end", 57, "work=1 function=2"),
    ("workqueue_execute_start", 58, "work=1 function=2"),
    (
        "workqueue_queue_work",
        59,
        "work=1 function=2 req_cpu=4 cpu=5 workqueue=6s",
    ),
];

/// A field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    pub name: &'static str,
    pub number: u32,
    pub is_text: bool,
}

/// The message for an event: its number, and its fields.
pub(super) fn message(event: &str) -> Option<(u32, impl Iterator<Item = Field>)> {
    let at = EVENTS
        .binary_search_by_key(&event, |(name, ..)| name)
        .ok()?;
    let (_, message, fields) = EVENTS.get(at)?;
    let fields = fields.split(' ').filter_map(|field| {
        let (name, number) = field.split_once('=')?;
        let digits = number.trim_end_matches('s');
        Some(Field {
            name,
            number: digits.parse().ok()?,
            is_text: digits != number,
        })
    });
    Some((*message, fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_found() {
        assert!(EVENTS.is_sorted_by_key(|(name, ..)| name));
        for (name, number, fields) in EVENTS {
            let (message, parsed) = message(name).unwrap();
            assert_eq!(message, *number);
            assert_eq!(parsed.count(), fields.split(' ').count(), "{name}");
        }
        assert!(message("no_such_event").is_none());
    }

    #[test]
    fn one_of_them() {
        let (number, fields) = message("print").unwrap();
        let fields: Vec<_> = fields
            .map(|field| (field.name, field.number, field.is_text))
            .collect();
        assert_eq!(
            (number, fields),
            (3, vec![("ip", 1, false), ("buf", 2, true)])
        );
    }
}
