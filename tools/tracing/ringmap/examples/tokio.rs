// SPDX-License-Identifier: LGPL-2.1-or-later

//! Follows the ring buffers of all CPUs in one thread, with tokio: an asynchronous task for each.
//!
//!     cargo run --example tokio -- INSTANCE
//!
//! Each task looks at the mapped page without a system call, asks the kernel when that page is used
//! up, and gives way until the file is readable. When that is, the instance's `buffer_percent` says:
//! with 0, at the first event. The time limit makes it 20 milliseconds at most, whatever it says.

use std::env;
use std::time::Duration;

use ringmap::reader::{CpuBuffer, SubBuffer};
use ringmap::tracefs::Tracefs;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long an event may wait for the buffer to fill.
const LIMIT: Duration = Duration::from_millis(20);

/// How long all of it runs.
const RUN: Duration = Duration::from_secs(10);

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Hands all new data to `each`, for ever.
async fn follow(buffer: CpuBuffer, mut each: impl FnMut(&SubBuffer<'_>)) -> Result<(), Error> {
    // SAFETY: A `CpuBuffer` owns one open file from its beginning to its end, and `as_raw_fd()` is
    // that one.
    let buffer = unsafe { AsyncFd::register_with_interest(buffer, Interest::READABLE) };
    let mut buffer = buffer.map_err(std::io::Error::from)?;
    loop {
        while let Some(new) = buffer.get_mut().try_follow()? {
            each(&new);
            // Others have their turn, however much comes here.
            tokio::task::yield_now().await;
        }
        buffer.get_mut().advance()?;
        if let Some(new) = buffer.get_mut().try_follow()? {
            each(&new);
            continue;
        }
        if let Ok(ready) = timeout(LIMIT, buffer.readable_mut()).await {
            ready?.clear_ready();
        }
    }
}

async fn run(instance: Option<&str>) -> Result<(), Error> {
    let instance = Tracefs::find()?.instance(instance)?;
    let mut tasks = JoinSet::new();
    for cpu in instance.cpus()? {
        let buffer = CpuBuffer::open(&instance, cpu)?;
        println!("cpu{cpu}: {}", buffer.access());
        tasks.spawn(follow(buffer, move |new| {
            if let Some(loss) = new.loss() {
                println!("cpu{cpu}: {loss}");
            }
            for event in new.events() {
                println!("cpu{cpu}: {} type {:?}", event.time, event.id());
            }
        }));
    }
    tokio::select! {
        () = sleep(RUN) => Ok(()),
        // A task ends only by an error.
        Some(end) = tasks.join_next() => end?,
    }
}

fn main() -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(env::args().nth(1).as_deref()))
}
