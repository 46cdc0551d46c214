// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of mapping a ring buffer to user space: what user space cannot
 * bring about by itself. Each case d<number>_* is about a defect of Linux 7.3.
 *
 * Part of ring_buffer.c, which includes it: the tests damage structures that are
 * private to it. They call only the smallest of its static functions, so that the
 * compiler inlines the others as it does without the tests.
 */
#include <kunit/test.h>
#include <linux/anon_inodes.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/kmsg_dump.h>
#include <linux/mman.h>

/* Four of these events fill a sub-buffer, with room for a few time stamps. */
#define RB_MAP_TEST_EVENTS	4
#define RB_MAP_TEST_PAYLOAD	(round_down((PAGE_SIZE - BUF_PAGE_HDR_SIZE) / \
					    RB_MAP_TEST_EVENTS, 4) - 24)
/* The sub-buffers of the ring; the reader page is another one. */
#define RB_MAP_TEST_SUBBUFS	4

struct rb_map_test {
	struct ring_buffer_per_cpu	*cpu_buffer;
	struct trace_buffer		*buffer;
	struct file			*file;
	int				cpu;
	unsigned long			addr;
	/* Writes so many events in the middle of a write; if -1, discards one. */
	struct irq_work			irq_work;
	int				irq_events;
	/* Held while another thread takes a sub-buffer. */
	struct mutex			taking;
};

static void rb_map_test_vm_close(struct vm_area_struct *vma)
{
	struct ring_buffer_per_cpu *cpu_buffer = vma->vm_file->private_data;

	WARN_ON(ring_buffer_unmap(cpu_buffer->buffer, cpu_buffer->cpu));
}

static const struct vm_operations_struct rb_map_test_vm_ops = {
	.close		= rb_map_test_vm_close,
};

static int rb_map_test_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct ring_buffer_per_cpu *cpu_buffer = file->private_data;
	int ret;

	ret = ring_buffer_map(cpu_buffer->buffer, cpu_buffer->cpu, vma);
	if (!ret)
		vma->vm_ops = &rb_map_test_vm_ops;
	return ret;
}

/* Frees the buffer, and its memory if it is persistent. */
static void rb_map_test_free(struct trace_buffer *buffer)
{
	unsigned long start = buffer->range_addr_start;
	unsigned long end = buffer->range_addr_end;

	ring_buffer_free(buffer);
	if (start)
		free_pages_exact((void *)start, end - start);
}

/* A mapping keeps the file, and so the buffer, also if the test is aborted. */
static int rb_map_test_release(struct inode *inode, struct file *file)
{
	struct ring_buffer_per_cpu *cpu_buffer = file->private_data;

	rb_map_test_free(cpu_buffer->buffer);
	return 0;
}

static const struct file_operations rb_map_test_fops = {
	.mmap		= rb_map_test_mmap,
	.release	= rb_map_test_release,
};

KUNIT_DEFINE_ACTION_WRAPPER(rb_map_test_fput, fput, struct file *);

/* Takes over the buffer, of which the test is to map that of the CPU. */
static void rb_map_test_open(struct kunit *test, struct trace_buffer *buffer,
			     int cpu)
{
	struct rb_map_test *self = test->priv;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	self->buffer = buffer;
	self->cpu = cpu;
	self->cpu_buffer = buffer->buffers[cpu];
	self->file = anon_inode_getfile("[rb_map_test]", &rb_map_test_fops,
					self->cpu_buffer, O_RDONLY);
	if (IS_ERR(self->file))
		rb_map_test_free(buffer);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, self->file);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, rb_map_test_fput,
						  self->file));
}

/* A fresh buffer whose CPU is this one. */
static void rb_map_test_open_new(struct kunit *test, unsigned int flags)
{
	unsigned long size = RB_MAP_TEST_SUBBUFS *
			     (PAGE_SIZE - BUF_PAGE_HDR_SIZE);

	rb_map_test_open(test, ring_buffer_alloc(size, flags),
			 raw_smp_processor_id());
}

/* A persistent buffer, with so many pages of memory for each CPU. */
static struct trace_buffer *rb_map_test_persistent(struct kunit *test,
						   unsigned int pages)
{
	unsigned long size = (unsigned long)nr_cpu_ids * pages * PAGE_SIZE;
	struct trace_buffer *buffer;
	void *memory;

	memory = alloc_pages_exact(size, GFP_KERNEL | __GFP_ZERO);
	KUNIT_ASSERT_NOT_NULL(test, memory);
	buffer = ring_buffer_alloc_range(size, RB_FL_OVERWRITE, 0,
					 (unsigned long)memory, size, 0);
	if (!buffer)
		free_pages_exact(memory, size);
	KUNIT_ASSERT_NOT_NULL(test, buffer);
	return buffer;
}

/* Begins with a persistent buffer that is not mapped yet, of this CPU. */
static void rb_map_test_begin_persistent(struct kunit *test, unsigned int pages)
{
	struct rb_map_test *self = test->priv;

	self->buffer = rb_map_test_persistent(test, pages);
	self->cpu = raw_smp_processor_id();
	self->cpu_buffer = self->buffer->buffers[self->cpu];
}

/* Goes on with what the next boot makes of the memory of that buffer. */
static void rb_map_test_reboot(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	unsigned long start = self->buffer->range_addr_start;
	unsigned long size = self->buffer->range_addr_end - start;

	ring_buffer_free(self->buffer);
	rb_map_test_open(test, ring_buffer_alloc_range(size, RB_FL_OVERWRITE, 0,
						       start, size, 0),
			 self->cpu);
}

/* Marks a page as GET_READER does, without room for a number. */
static struct buffer_data_page *rb_map_test_mark(struct buffer_page *page)
{
	struct buffer_data_page *data = page->page;

	local_set(&data->commit, local_read(&data->commit) | RB_MISSED_EVENTS);
	return data;
}

/* Damages the second page, such that the next boot discards it. */
static void rb_map_test_damage(struct rb_map_test *self)
{
	struct buffer_page *page = self->cpu_buffer->head_page;

	page = list_entry(page->list.next, struct buffer_page, list);
	local_add(PAGE_SIZE, &page->page->commit);
}

static unsigned long rb_map_test_map_pages(struct rb_map_test *self,
					   unsigned long pages)
{
	return vm_mmap(self->file, 0, pages * PAGE_SIZE, PROT_READ, MAP_SHARED, 0);
}

static unsigned long rb_map_test_pages(struct rb_map_test *self)
{
	/* The meta-page, and the reader page. */
	return self->cpu_buffer->nr_pages + 2;
}

static void rb_map_test_map(struct kunit *test)
{
	struct rb_map_test *self = test->priv;

	self->addr = rb_map_test_map_pages(self, rb_map_test_pages(self));
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(self->addr));
}

static void rb_map_test_unmap(struct kunit *test)
{
	struct rb_map_test *self = test->priv;

	KUNIT_EXPECT_EQ(test, 0, vm_munmap(self->addr, rb_map_test_pages(self) *
					   PAGE_SIZE));
}

static int rb_map_test_get_reader(struct rb_map_test *self)
{
	return ring_buffer_map_get_reader(self->buffer, self->cpu);
}

static void rb_map_test_drain(struct kunit *test)
{
	struct rb_map_test *self = test->priv;

	for (int i = 0; i < 100; i++) {
		KUNIT_EXPECT_EQ(test, 0, rb_map_test_get_reader(self));
		if (ring_buffer_empty_cpu(self->buffer, self->cpu))
			break;
	}
}

/* Writes to the buffer of this CPU. */
static void rb_map_test_write(struct rb_map_test *self, int nr)
{
	static char payload[RB_MAP_TEST_PAYLOAD];

	while (nr--)
		ring_buffer_write(self->buffer, sizeof(payload), payload);
}

/* The meta-page as user space sees it. */
static struct trace_buffer_meta rb_map_test_meta(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	struct trace_buffer_meta meta = {};

	KUNIT_EXPECT_EQ(test, 0, copy_from_user(&meta, (void __user *)self->addr,
						sizeof(meta)));
	return meta;
}

/*
 * How many events user space is told to be lost before the reader page: by the
 * meta-page, or else by the number that is stored on the page.
 */
static u64 rb_map_test_lost(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	struct trace_buffer_meta meta = rb_map_test_meta(test);
	struct buffer_data_page header = {};
	unsigned long page;
	u64 lost = 0;

	if (meta.reader.lost_events)
		return meta.reader.lost_events;

	page = self->addr + meta.meta_page_size +
	       (unsigned long)meta.reader.id * meta.subbuf_size;
	KUNIT_EXPECT_EQ(test, 0, copy_from_user(&header, (void __user *)page,
						sizeof(header)));
	if (local_read(&header.commit) & RB_MISSED_STORED) {
		page += BUF_PAGE_HDR_SIZE +
			(local_read(&header.commit) & RB_WRITE_MASK);
		KUNIT_EXPECT_EQ(test, 0, copy_from_user(&lost,
							(void __user *)page,
							sizeof(lost)));
	}
	return lost;
}

static unsigned int rb_map_test_messages(const char *text)
{
	struct kmsg_dump_iter iter;
	unsigned int found = 0;
	char line[256];
	size_t len;

	kmsg_dump_rewind(&iter);
	while (kmsg_dump_get_line(&iter, false, line, sizeof(line), &len))
		found += !!strnstr(line, text, len);
	return found;
}

static void rb_map_test_interrupt(struct irq_work *work)
{
	struct rb_map_test *self = container_of(work, struct rb_map_test,
						irq_work);

	struct ring_buffer_event *event;

	if (self->irq_events >= 0) {
		rb_map_test_write(self, self->irq_events);
		return;
	}
	event = ring_buffer_lock_reserve(self->buffer, 8);
	if (event)
		ring_buffer_discard_commit(self->buffer, event);
}

static void rb_map_test_interrupted(struct rb_map_test *self, int irq_events)
{
	self->irq_events = irq_events;
	irq_work_queue(&self->irq_work);
	irq_work_sync(&self->irq_work);
}

/*
 * Reserves an event, and has an interrupt write others before it is committed.
 *
 * This thread is bound to its CPU, and no other writes to the buffer. So it may
 * sleep meanwhile, as the reader does, and as if on another CPU.
 */
static struct ring_buffer_event *rb_map_test_begin_write(struct kunit *test,
							 unsigned long length,
							 int irq_events)
{
	struct rb_map_test *self = test->priv;
	struct ring_buffer_event *event;

	event = ring_buffer_lock_reserve(self->buffer, length);
	KUNIT_ASSERT_NOT_NULL(test, event);
	preempt_enable();
	rb_map_test_interrupted(self, irq_events);
	return event;
}

static void rb_map_test_end_write(struct rb_map_test *self)
{
	preempt_disable();
	ring_buffer_unlock_commit(self->buffer);
}

/*
 * The page comes in while its first event is being written, with nothing to
 * read. An event behind that one has its own time nevertheless.
 */
static void time_on_a_page_without_events(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	u64 start, ts = 0;

	rb_map_test_open_new(test, RB_FL_OVERWRITE);
	rb_map_test_map(test);
	rb_map_test_write(self, RB_MAP_TEST_EVENTS);
	rb_map_test_drain(test);
	KUNIT_ASSERT_PTR_EQ(test, self->cpu_buffer->reader_page,
			    self->cpu_buffer->tail_page);
	mdelay(10);

	rb_map_test_begin_write(test, RB_MAP_TEST_PAYLOAD, 1);
	/* The page before may end with padding. */
	for (int i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, 0, rb_map_test_get_reader(self));
	KUNIT_EXPECT_PTR_EQ(test, self->cpu_buffer->reader_page,
			    self->cpu_buffer->commit_page);
	KUNIT_EXPECT_EQ(test, RB_MAP_TEST_EVENTS, rb_map_test_meta(test).read);
	rb_map_test_end_write(self);

	KUNIT_EXPECT_EQ(test, 0, rb_map_test_get_reader(self));
	KUNIT_EXPECT_EQ(test, RB_MAP_TEST_EVENTS + 2,
			rb_map_test_meta(test).read);
	start = ring_buffer_time_stamp(self->buffer);
	rb_map_test_write(self, 1);
	KUNIT_EXPECT_NOT_NULL(test, ring_buffer_peek(self->buffer, self->cpu,
						     &ts, NULL));
	KUNIT_EXPECT_GE(test, ts, start);
	KUNIT_EXPECT_LE(test, ts, ring_buffer_time_stamp(self->buffer));
	rb_map_test_unmap(test);
}

/* Known losses do not make an unknown one known. */
static void unknown_loss_after_overrun(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	unsigned long commit;

	rb_map_test_begin_persistent(test, 8);
	rb_map_test_write(self, 3 * RB_MAP_TEST_EVENTS);
	rb_map_test_damage(self);

	rb_map_test_reboot(test);
	rb_map_test_map(test);
	/* Until the first page is overwritten. */
	for (int i = 0; i < 100 && !ring_buffer_overrun_cpu(self->buffer, self->cpu); i++)
		rb_map_test_write(self, 1);
	KUNIT_ASSERT_EQ(test, RB_MAP_TEST_EVENTS,
			ring_buffer_overrun_cpu(self->buffer, self->cpu));

	KUNIT_EXPECT_EQ(test, 0, rb_map_test_get_reader(self));
	commit = local_read(&self->cpu_buffer->reader_page->page->commit);
	KUNIT_EXPECT_EQ(test, commit & RB_MISSED_MASK, RB_MISSED_EVENTS);
	KUNIT_EXPECT_EQ(test, 0, rb_map_test_meta(test).reader.lost_events);
	rb_map_test_unmap(test);
}

/* A writer that does not leave the page's end does not hold the reader up. */
static void d7_writer_past_the_end(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	struct buffer_page *page;
	unsigned long write;

	rb_map_test_open_new(test, RB_FL_OVERWRITE);
	rb_map_test_map(test);
	rb_map_test_write(self, 1);
	rb_map_test_drain(test);
	rb_map_test_write(self, 2);

	page = self->cpu_buffer->reader_page;
	KUNIT_ASSERT_PTR_EQ(test, page, self->cpu_buffer->tail_page);
	write = local_read(&page->write);
	local_set(&page->write, PAGE_SIZE);
	kunit_warning_suppress(test)
		KUNIT_EXPECT_EQ(test, 0, rb_map_test_get_reader(self));
	local_set(&page->write, write);

	KUNIT_EXPECT_EQ(test, 3, rb_map_test_meta(test).read);
	rb_map_test_unmap(test);
}

/*
 * An interrupt in the middle of a write fills the buffer, and overwrites events.
 * Then a reader comes to the page that the write is on, before its end. Returns
 * how many events it is told to be lost.
 */
static u64 rb_map_test_overrun(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	struct ring_buffer_per_cpu *cpu_buffer = self->cpu_buffer;
	u64 lost;

	/*
	 * Events that the interrupt can overwrite, and one before the write on
	 * its page: without it there is nothing to read on it.
	 */
	rb_map_test_write(self, 2 * RB_MAP_TEST_EVENTS + 2);
	rb_map_test_begin_write(test, 8, 2 * RB_MAP_TEST_SUBBUFS *
				RB_MAP_TEST_EVENTS);
	for (int i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, 0, rb_map_test_get_reader(self));
	KUNIT_EXPECT_PTR_EQ(test, cpu_buffer->reader_page,
			    cpu_buffer->commit_page);
	KUNIT_EXPECT_PTR_NE(test, cpu_buffer->reader_page,
			    cpu_buffer->tail_page);
	lost = rb_map_test_lost(test);
	rb_map_test_end_write(self);
	return lost;
}

static void d12_loss_is_kept(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	u64 lost;

	rb_map_test_open_new(test, RB_FL_OVERWRITE);
	rb_map_test_map(test);
	lost = rb_map_test_overrun(test);
	KUNIT_EXPECT_GT(test, lost, 0);
	KUNIT_EXPECT_EQ(test, lost,
			ring_buffer_overrun_cpu(self->buffer, self->cpu));
	rb_map_test_unmap(test);
}

/* It belongs to the page that was handed out, not to one that follows. */
static void d12_loss_is_reported_once(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	unsigned long lost = 0;

	rb_map_test_open_new(test, RB_FL_OVERWRITE);
	rb_map_test_map(test);
	KUNIT_EXPECT_GT(test, rb_map_test_overrun(test), 0);
	/* What the write has added to the page. */
	KUNIT_EXPECT_EQ(test, 0, rb_map_test_get_reader(self));
	KUNIT_ASSERT_EQ(test, self->cpu_buffer->reader_page->read,
			local_read(&self->cpu_buffer->reader_page->page->commit));
	KUNIT_EXPECT_NOT_NULL(test, ring_buffer_consume(self->buffer, self->cpu,
							NULL, &lost));
	KUNIT_EXPECT_EQ(test, 0, lost);
	KUNIT_EXPECT_EQ(test, 0, rb_map_test_get_reader(self));
	KUNIT_EXPECT_EQ(test, 0, rb_map_test_meta(test).reader.lost_events);
	rb_map_test_unmap(test);
}

static void d12_messages_are_limited(struct kunit *test)
{
	static const char text[] = "commit overrun lost";
	unsigned int before = rb_map_test_messages(text);
	unsigned long start = jiffies;
	unsigned int messages, limit, rounds = 4 * DEFAULT_RATELIMIT_BURST;

	rb_map_test_open_new(test, RB_FL_OVERWRITE);
	rb_map_test_map(test);
	for (unsigned int i = 0; i < rounds; i++) {
		rb_map_test_overrun(test);
		rb_map_test_drain(test);
	}
	limit = DEFAULT_RATELIMIT_BURST *
		(1 + DIV_ROUND_UP(jiffies - start, DEFAULT_RATELIMIT_INTERVAL));
	KUNIT_ASSERT_LT(test, limit, rounds);
	messages = rb_map_test_messages(text) - before;
	KUNIT_EXPECT_LE(test, messages, limit);
	/* The cases before have used up less than the limit. */
	KUNIT_EXPECT_GT(test, messages, 0);
	rb_map_test_unmap(test);
}

/* mmap() of a corrupt buffer: an errno, and nothing else. */
static void rb_map_test_refused(struct kunit *test, unsigned long addr)
{
	struct rb_map_test *self = test->priv;

	KUNIT_EXPECT_EQ(test, (long)addr, -EIO);
	KUNIT_EXPECT_EQ(test, self->cpu_buffer->user_mapped, 0);
	KUNIT_EXPECT_NULL(test, self->cpu_buffer->meta_page);
	KUNIT_EXPECT_NULL(test, self->cpu_buffer->subbuf_ids);
#ifdef CONFIG_RING_BUFFER_MAP_RUST
	KUNIT_EXPECT_NULL(test, self->cpu_buffer->map_state);
	KUNIT_EXPECT_NULL(test, self->cpu_buffer->map_kept);
#endif
	KUNIT_EXPECT_EQ(test, 0,
			atomic_read(&self->cpu_buffer->resize_disabled));
	KUNIT_EXPECT_EQ(test, rb_map_test_get_reader(self), -ENODEV);
}

static void rb_map_test_corrupt(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	unsigned long addr = 0;

	kunit_warning_suppress(test)
		addr = rb_map_test_map_pages(self, 1);
	rb_map_test_refused(test, addr);
	if (!IS_ERR_VALUE(addr))
		vm_munmap(addr, PAGE_SIZE);
}

static void d15_page_missing(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	struct list_head *head, *page, *next;

	rb_map_test_open_new(test, RB_FL_OVERWRITE);
	head = &self->cpu_buffer->head_page->list;
	page = head->next;
	next = page->next;
	/* No flags in any of the pointers. */
	KUNIT_ASSERT_EQ(test, ((unsigned long)page | (unsigned long)next) &
			RB_FLAG_MASK, 0);
	head->next = next;
	next->prev = head;
	rb_map_test_corrupt(test);
	head->next = page;
	next->prev = page;

	rb_map_test_map(test);
	rb_map_test_unmap(test);
}

/* Half of the pages, so that going round twice ends where it should. */
static void d15_pages_missing(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	struct list_head *head, *second, *last, *next;

	rb_map_test_open_new(test, RB_FL_OVERWRITE);
	KUNIT_ASSERT_EQ(test, self->cpu_buffer->nr_pages, RB_MAP_TEST_SUBBUFS);
	head = &self->cpu_buffer->head_page->list;
	second = head->next;
	next = second->next;
	last = head->prev;
	/* With the flag of the head page. */
	second->next = last->next;
	head->prev = second;
	rb_map_test_corrupt(test);
	second->next = next;
	head->prev = last;

	rb_map_test_map(test);
	rb_map_test_unmap(test);
}

static void d15_page_too_many(struct kunit *test)
{
	struct rb_map_test *self = test->priv;

	rb_map_test_open_new(test, RB_FL_OVERWRITE);
	self->cpu_buffer->nr_pages--;
	rb_map_test_corrupt(test);
	self->cpu_buffer->nr_pages++;

	rb_map_test_map(test);
	rb_map_test_unmap(test);
}

/*
 * If a reader does not find the head page, it finds nothing. Once the head page
 * is back, it finds the next event.
 */
static void d24_no_head_page(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	struct list_head *prev, *next;

	rb_map_test_open_new(test, RB_FL_OVERWRITE);
	rb_map_test_write(self, 2 * RB_MAP_TEST_EVENTS + 1);
	for (int i = 0; i < RB_MAP_TEST_EVENTS; i++)
		KUNIT_EXPECT_NOT_NULL(test, ring_buffer_consume(self->buffer,
								self->cpu, NULL,
								NULL));
	prev = self->cpu_buffer->head_page->list.prev;
	next = prev->next;
	KUNIT_ASSERT_EQ(test, (unsigned long)next & RB_FLAG_MASK, RB_PAGE_HEAD);
	prev->next = (void *)((unsigned long)next & ~RB_FLAG_MASK);
	kunit_warning_suppress(test) {
		for (int i = 0; i < 2; i++)
			KUNIT_EXPECT_NULL(test, ring_buffer_peek(self->buffer,
								 self->cpu,
								 NULL, NULL));
	}
	prev->next = next;
	for (int i = 0; i < RB_MAP_TEST_EVENTS + 1; i++)
		KUNIT_EXPECT_NOT_NULL(test, ring_buffer_consume(self->buffer,
								self->cpu, NULL,
								NULL));
	KUNIT_EXPECT_TRUE(test, ring_buffer_empty_cpu(self->buffer, self->cpu));
}

/*
 * The number of lost events stays in the meta-page for as long as the page is
 * the reader's. The buffer has two pages in the ring. Both are filled, and a
 * write that overwrites one of them is taken back. So nothing follows the other.
 */
static void rb_map_test_loss_stays(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	struct ring_buffer_event *event;

	KUNIT_ASSERT_EQ(test, self->cpu_buffer->nr_pages, 2);
	rb_map_test_map(test);
	rb_map_test_write(self, 2 * RB_MAP_TEST_EVENTS);
	event = ring_buffer_lock_reserve(self->buffer, RB_MAP_TEST_PAYLOAD);
	KUNIT_ASSERT_NOT_NULL(test, event);
	ring_buffer_discard_commit(self->buffer, event);

	for (int i = 0; i < 3; i++) {
		struct trace_buffer_meta meta;

		KUNIT_EXPECT_EQ(test, 0, rb_map_test_get_reader(self));
		meta = rb_map_test_meta(test);
		KUNIT_EXPECT_NE(test, 0, meta.reader.id);
		KUNIT_EXPECT_EQ(test, RB_MAP_TEST_EVENTS,
				meta.reader.lost_events);
		KUNIT_EXPECT_TRUE(test, ring_buffer_empty_cpu(self->buffer,
							      self->cpu));
	}

	/* The next page follows without a loss. */
	rb_map_test_write(self, 1);
	KUNIT_EXPECT_EQ(test, 0, rb_map_test_get_reader(self));
	KUNIT_EXPECT_EQ(test, 0, rb_map_test_meta(test).reader.lost_events);
	rb_map_test_unmap(test);
}

static void d4_loss_stays(struct kunit *test)
{
	rb_map_test_open(test, ring_buffer_alloc(0, RB_FL_OVERWRITE),
			 raw_smp_processor_id());
	rb_map_test_loss_stays(test);
}

static void d4_loss_stays_persistent(struct kunit *test)
{
	rb_map_test_open(test, rb_map_test_persistent(test, 4),
			 raw_smp_processor_id());
	rb_map_test_loss_stays(test);
}

/* The number is that of the page, whoever has swapped it in and reported it. */
static void d4_loss_reported_by_another_reader(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	unsigned long lost = 0;

	rb_map_test_open_new(test, RB_FL_OVERWRITE);
	rb_map_test_map(test);
	rb_map_test_write(self, 2 * RB_MAP_TEST_SUBBUFS * RB_MAP_TEST_EVENTS);
	KUNIT_ASSERT_NOT_NULL(test, ring_buffer_consume(self->buffer, self->cpu,
							NULL, &lost));
	KUNIT_ASSERT_GT(test, lost, 0);

	KUNIT_EXPECT_EQ(test, 0, rb_map_test_get_reader(self));
	KUNIT_EXPECT_EQ(test, lost, rb_map_test_meta(test).reader.lost_events);
	rb_map_test_unmap(test);
}

/*
 * The page that the loss was before has no event: the only one is discarded, and
 * another follows on the next page. ring_buffer_peek() goes on to that page, and
 * leaves the loss to be reported there, where the writers are.
 */
static void loss_before_a_page_without_events(struct kunit *test)
{
	static const char text[] = "missed events";
	struct rb_map_test *self = test->priv;
	unsigned int before = rb_map_test_messages(text);
	struct ring_buffer_event *event;

	rb_map_test_open(test, ring_buffer_alloc(0, RB_FL_OVERWRITE),
			 raw_smp_processor_id());
	KUNIT_ASSERT_EQ(test, self->cpu_buffer->nr_pages, 2);
	rb_map_test_map(test);
	rb_map_test_write(self, RB_MAP_TEST_EVENTS);
	event = ring_buffer_lock_reserve(self->buffer, PAGE_SIZE - 64);
	KUNIT_ASSERT_NOT_NULL(test, event);
	ring_buffer_nest_start(self->buffer);
	rb_map_test_write(self, 1);
	ring_buffer_nest_end(self->buffer);
	ring_buffer_discard_commit(self->buffer, event);

	KUNIT_EXPECT_NOT_NULL(test, ring_buffer_peek(self->buffer, self->cpu, NULL,
						     NULL));
	KUNIT_ASSERT_PTR_EQ(test, self->cpu_buffer->reader_page,
			    self->cpu_buffer->tail_page);
	KUNIT_EXPECT_EQ(test, 0, rb_map_test_get_reader(self));
	KUNIT_EXPECT_EQ(test, RB_MAP_TEST_EVENTS,
			rb_map_test_meta(test).reader.lost_events);
	KUNIT_EXPECT_EQ(test, before, rb_map_test_messages(text));
	rb_map_test_unmap(test);
}

/* The next boot keeps pages on which a loss is marked. */
static void d6_marked_page_is_kept(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	unsigned long entries;

	rb_map_test_begin_persistent(test, 8);
	rb_map_test_write(self, 3 * RB_MAP_TEST_EVENTS);
	entries = ring_buffer_entries_cpu(self->buffer, self->cpu);
	rb_map_test_mark(self->cpu_buffer->head_page);

	rb_map_test_reboot(test);
	KUNIT_EXPECT_EQ(test, entries,
			ring_buffer_entries_cpu(self->buffer, self->cpu));

	/* Writers overwrite the page. */
	rb_map_test_write(self, 10 * RB_MAP_TEST_EVENTS);
	KUNIT_EXPECT_LE(test, ring_buffer_bytes_cpu(self->buffer, self->cpu),
			8 * PAGE_SIZE);
}

/* read() shows the mark. */
static void d6_mark_is_read(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	struct buffer_data_read_page *page;
	struct buffer_data_page *data;

	rb_map_test_begin_persistent(test, 8);
	rb_map_test_write(self, 3 * RB_MAP_TEST_EVENTS);
	rb_map_test_mark(self->cpu_buffer->head_page);

	rb_map_test_reboot(test);
	KUNIT_ASSERT_EQ(test, 0, ring_buffer_alloc_read_page(self->buffer, self->cpu,
							     &page));
	data = ring_buffer_read_page_data(page);
	/* One event each. */
	for (int i = 0; i < RB_MAP_TEST_EVENTS; i++) {
		KUNIT_EXPECT_EQ(test, 0,
				ring_buffer_read_page(self->buffer, page,
						      BUF_PAGE_HDR_SIZE +
						      RB_MAP_TEST_PAYLOAD + 24,
						      self->cpu, 0));
		KUNIT_EXPECT_EQ(test, i == 0,
				!!(local_read(&data->commit) & RB_MISSED_EVENTS));
	}
	ring_buffer_free_read_page(self->buffer, self->cpu, page);
}

/* So does a boot if the page is the reader page, which no reader swaps in. */
static void d6_reader_page_keeps_its_mark(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	unsigned long lost = 0;

	rb_map_test_begin_persistent(test, 8);
	rb_map_test_write(self, self->cpu_buffer->nr_pages * RB_MAP_TEST_EVENTS);
	KUNIT_ASSERT_NOT_NULL(test, ring_buffer_consume(self->buffer, self->cpu,
							NULL, NULL));
	/* The writer is on the page before the head: nothing to rewind to. */
	rb_map_test_write(self, 1);
	rb_map_test_mark(self->cpu_buffer->reader_page);

	rb_map_test_reboot(test);
	KUNIT_ASSERT_NOT_NULL(test, ring_buffer_consume(self->buffer, self->cpu,
							NULL, &lost));
	KUNIT_EXPECT_EQ(test, lost, ULONG_MAX);
}

/* Only the mark may be above the size. */
static void d6_other_flags_are_none(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	struct buffer_data_page *data;

	if (BITS_PER_LONG == 32)
		kunit_skip(test, "a size is a word of 64 bits");
	rb_map_test_begin_persistent(test, 8);
	rb_map_test_write(self, 3 * RB_MAP_TEST_EVENTS);
	data = rb_map_test_mark(self->cpu_buffer->head_page);
	local_set(&data->commit, local_read(&data->commit) - (1ULL << 40));
	data = self->cpu_buffer->commit_page->page;
	local_set(&data->commit, local_read(&data->commit) + (1ULL << 40));

	rb_map_test_reboot(test);
	KUNIT_EXPECT_EQ(test, RB_MAP_TEST_EVENTS,
			ring_buffer_entries_cpu(self->buffer, self->cpu));
}

/* The validation does not take a discarded event for one that can be read. */
static void d26_discarded_event(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	struct ring_buffer_event *event;

	rb_map_test_begin_persistent(test, 8);
	rb_map_test_write(self, 1);
	/* Such that the discarded event has a time of its own. */
	mdelay(1);
	event = ring_buffer_lock_reserve(self->buffer, 8);
	KUNIT_ASSERT_NOT_NULL(test, event);
	/* It stays on the page, as another one follows. */
	ring_buffer_nest_start(self->buffer);
	rb_map_test_write(self, 1);
	ring_buffer_nest_end(self->buffer);
	ring_buffer_discard_commit(self->buffer, event);
	KUNIT_EXPECT_EQ(test, 2, ring_buffer_entries_cpu(self->buffer, self->cpu));

	rb_map_test_reboot(test);
	KUNIT_EXPECT_EQ(test, 2, ring_buffer_entries_cpu(self->buffer, self->cpu));
}

/*
 * A persistent buffer of which a page does not survive the boot: it is not known
 * how many events that were.
 */
static void d5_unknown_loss(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	unsigned int kept = 3 * RB_MAP_TEST_EVENTS;

	rb_map_test_begin_persistent(test, 16);
	rb_map_test_write(self, 4 * RB_MAP_TEST_EVENTS);
	rb_map_test_damage(self);

	rb_map_test_reboot(test);
	KUNIT_ASSERT_EQ(test, kept,
			ring_buffer_entries_cpu(self->buffer, self->cpu));

	/* A reader looks at the first event behind it before the mapping does. */
	for (int i = 0; i < RB_MAP_TEST_EVENTS; i++)
		ring_buffer_consume(self->buffer, self->cpu, NULL, NULL);
	KUNIT_EXPECT_NOT_NULL(test,
			      ring_buffer_peek(self->buffer, self->cpu, NULL, NULL));
	KUNIT_EXPECT_EQ(test, self->cpu_buffer->lost_events, ULONG_MAX);

	rb_map_test_map(test);
	for (int i = 0; i < 5; i++) {
		KUNIT_EXPECT_EQ(test, 0, rb_map_test_lost(test));
		KUNIT_EXPECT_EQ(test, 0, rb_map_test_get_reader(self));
	}
	KUNIT_EXPECT_EQ(test, 0, rb_map_test_lost(test));
	KUNIT_EXPECT_EQ(test, kept, rb_map_test_meta(test).read);
	rb_map_test_unmap(test);
}

/*
 * The same, but a writer is still on the page that follows. The loss is reported
 * with the first page that can be marked.
 */
static void d5_loss_waits_for_a_page(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	unsigned long commit = 0;

	rb_map_test_begin_persistent(test, 16);
	rb_map_test_write(self, 2 * RB_MAP_TEST_EVENTS + 1);
	rb_map_test_damage(self);

	rb_map_test_reboot(test);
	rb_map_test_map(test);
	rb_map_test_drain(test);
	KUNIT_ASSERT_PTR_EQ(test, self->cpu_buffer->reader_page,
			    self->cpu_buffer->commit_page);
	KUNIT_EXPECT_EQ(test, RB_MAP_TEST_EVENTS + 1,
			rb_map_test_meta(test).read);

	rb_map_test_write(self, 2 * RB_MAP_TEST_EVENTS);
	for (int i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, 0, rb_map_test_get_reader(self));
		commit |= local_read(&self->cpu_buffer->reader_page->page->commit);
	}
	KUNIT_EXPECT_EQ(test, commit & RB_MISSED_MASK, RB_MISSED_EVENTS);
	KUNIT_EXPECT_EQ(test, 0, rb_map_test_meta(test).reader.lost_events);
	rb_map_test_unmap(test);
}

/* A page has its mark from the boot before, and is marked again. */
static void d5_marked_page_is_marked(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	struct buffer_data_page *data;
	unsigned long commit;

	rb_map_test_begin_persistent(test, 8);
	rb_map_test_write(self, 2 * RB_MAP_TEST_EVENTS);
	commit = local_read(&rb_map_test_mark(self->cpu_buffer->head_page)->commit);

	rb_map_test_reboot(test);
	rb_map_test_map(test);
	KUNIT_EXPECT_EQ(test, 0, rb_map_test_get_reader(self));
	data = self->cpu_buffer->reader_page->page;
	KUNIT_EXPECT_EQ(test, (u32)commit, (u32)local_read(&data->commit));
	rb_map_test_unmap(test);
}

/*
 * A write after the boot, before anything resets the buffer, does not replace
 * what is there. The clock of the boot before was ahead.
 */
static void d27_write_after_boot(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	unsigned int entries = 2 * RB_MAP_TEST_EVENTS + 2;
	u64 start, ts = 0;

	rb_map_test_begin_persistent(test, 8);
	rb_map_test_write(self, entries);
	self->cpu_buffer->commit_page->page->time_stamp +=
		3600 * NSEC_PER_SEC;

	rb_map_test_reboot(test);
	KUNIT_ASSERT_EQ(test, entries,
			ring_buffer_entries_cpu(self->buffer, self->cpu));
	start = ring_buffer_time_stamp(self->buffer);
	rb_map_test_write(self, 2);
	for (unsigned int i = 0; i < entries + 2; i++)
		KUNIT_EXPECT_NOT_NULL(test, ring_buffer_consume(self->buffer,
								self->cpu, &ts,
								NULL));
	KUNIT_EXPECT_TRUE(test, ring_buffer_empty_cpu(self->buffer, self->cpu));
	KUNIT_EXPECT_GE(test, ts, start);
	KUNIT_EXPECT_LE(test, ts, ring_buffer_time_stamp(self->buffer));
}

/* The page to write to is the reader page, and all of it is read. */
static void d27_write_after_drain(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	u64 start, ts = 0;

	rb_map_test_begin_persistent(test, 8);
	rb_map_test_write(self, 2);

	rb_map_test_reboot(test);
	rb_map_test_map(test);
	rb_map_test_drain(test);
	KUNIT_EXPECT_EQ(test, 0, ring_buffer_bytes_cpu(self->buffer, self->cpu));
	start = ring_buffer_time_stamp(self->buffer);
	rb_map_test_write(self, 1);
	KUNIT_EXPECT_NOT_NULL(test, ring_buffer_peek(self->buffer, self->cpu, &ts,
						     NULL));
	KUNIT_EXPECT_GE(test, ts, start);
	KUNIT_EXPECT_LE(test, ts, ring_buffer_time_stamp(self->buffer));
	KUNIT_EXPECT_EQ(test, 0, rb_map_test_get_reader(self));
	KUNIT_EXPECT_EQ(test, 3, rb_map_test_meta(test).read);
	rb_map_test_unmap(test);
}

/* The last event ends where no other can begin: the padding would not fit. */
static void d27_unaligned_page_is_discarded(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	struct ring_buffer_event *event;
	struct buffer_data_page *data;

	rb_map_test_begin_persistent(test, 8);
	rb_map_test_write(self, RB_MAP_TEST_EVENTS + 1);
	data = self->cpu_buffer->commit_page->page;
	event = (struct ring_buffer_event *)data->data;
	KUNIT_ASSERT_TRUE(test, event->type_len == 0);
	event->array[0] += 2;
	local_add(2, &data->commit);

	rb_map_test_reboot(test);
	KUNIT_EXPECT_EQ(test, RB_MAP_TEST_EVENTS,
			ring_buffer_entries_cpu(self->buffer, self->cpu));
}

/* The boot has discarded the page to write to. */
static void d27_discarded_page_has_no_bytes(struct kunit *test)
{
	struct rb_map_test *self = test->priv;

	rb_map_test_begin_persistent(test, 8);
	rb_map_test_write(self, RB_MAP_TEST_EVENTS + 1);
	rb_map_test_damage(self);

	rb_map_test_reboot(test);
	rb_map_test_map(test);
	rb_map_test_drain(test);
	KUNIT_EXPECT_EQ(test, RB_MAP_TEST_EVENTS, rb_map_test_meta(test).read);
	KUNIT_EXPECT_EQ(test, 0, ring_buffer_bytes_cpu(self->buffer, self->cpu));
	rb_map_test_write(self, 1);
	rb_map_test_drain(test);
	KUNIT_EXPECT_EQ(test, RB_MAP_TEST_EVENTS + 1, rb_map_test_meta(test).read);
	KUNIT_EXPECT_EQ(test, 0, ring_buffer_bytes_cpu(self->buffer, self->cpu));
	rb_map_test_unmap(test);
}

/*
 * The reader had caught up, so that the page to write to is the reader page. The
 * writers leave it for the ring.
 */
static void d29_writer_leaves_the_reader_page(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	unsigned int entries = 2 + 2 * RB_MAP_TEST_EVENTS;

	rb_map_test_begin_persistent(test, 8);
	rb_map_test_write(self, 2);
	for (int i = 0; i < 2; i++)
		KUNIT_EXPECT_NOT_NULL(test, ring_buffer_consume(self->buffer,
								self->cpu, NULL,
								NULL));

	rb_map_test_reboot(test);
	KUNIT_ASSERT_PTR_EQ(test, self->cpu_buffer->reader_page,
			    self->cpu_buffer->commit_page);
	rb_map_test_write(self, 2 * RB_MAP_TEST_EVENTS);
	KUNIT_EXPECT_EQ(test, entries,
			ring_buffer_entries_cpu(self->buffer, self->cpu));
	for (unsigned int i = 0; i < entries; i++)
		KUNIT_EXPECT_NOT_NULL(test, ring_buffer_consume(self->buffer,
								self->cpu, NULL,
								NULL));
	KUNIT_EXPECT_TRUE(test, ring_buffer_empty_cpu(self->buffer, self->cpu));
}

/*
 * Writes such that the commit of an event takes a page's size to its end and the
 * writer to the next page, one right after the other.
 */
static int rb_map_test_writer(void *data)
{
	struct rb_map_test *self = data;

	while (!kthread_should_stop()) {
		if (ring_buffer_lock_reserve(self->buffer, 8)) {
			ring_buffer_nest_start(self->buffer);
			rb_map_test_write(self, RB_MAP_TEST_EVENTS);
			ring_buffer_nest_end(self->buffer);
			ring_buffer_unlock_commit(self->buffer);
		}
		cond_resched();
	}
	return 0;
}

/*
 * The reader looks at a page while the writer commits to it and leaves it. What
 * was committed must not go with the page.
 */
static void d19_no_event_is_skipped(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	struct task_struct *writer;
	unsigned long end;
	int cpu;

	cpu = cpumask_any_but(cpu_online_mask, raw_smp_processor_id());
	if (cpu >= nr_cpu_ids)
		kunit_skip(test, "needs another CPU");
	rb_map_test_open(test, ring_buffer_alloc(RB_MAP_TEST_SUBBUFS * PAGE_SIZE,
						 0), cpu);
	rb_map_test_map(test);
	writer = kthread_run_on_cpu(rb_map_test_writer, self, cpu,
				    "rb_map_test/%u");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, writer);

	end = jiffies + 5 * HZ;
	while (time_before(jiffies, end)) {
		for (int i = 0; i < 1000; i++)
			ring_buffer_map_get_reader(self->buffer, cpu);
		cond_resched();
	}
	kthread_stop(writer);

	rb_map_test_drain(test);
	KUNIT_EXPECT_GT(test, rb_map_test_meta(test).read, 1000);
	KUNIT_EXPECT_EQ(test, 0, ring_buffer_entries_cpu(self->buffer, cpu));
	rb_map_test_unmap(test);
}

/*
 * Stores the address of each buffer_page in the last bytes of its sub-buffer,
 * which hold no event.
 */
static struct buffer_page **rb_map_test_name_tag(struct buffer_page *page)
{
	return (void *)page->page + PAGE_SIZE - sizeof(page);
}

static void rb_map_test_tag(struct rb_map_test *self)
{
	struct buffer_page *page = self->cpu_buffer->reader_page;

	*rb_map_test_name_tag(page) = page;
	page = self->cpu_buffer->head_page;
	for (unsigned long i = 0; i < self->cpu_buffer->nr_pages; i++) {
		*rb_map_test_name_tag(page) = page;
		rb_inc_page(&page);
	}
}

/* Whether the mapping has the sub-buffer where its id says. */
static bool rb_map_test_is_at_id(struct rb_map_test *self,
				 struct buffer_page *page)
{
	unsigned long addr = self->addr + (page->id + 2) * PAGE_SIZE;
	struct buffer_page *found = NULL;

	if (page->id > self->cpu_buffer->nr_pages)
		return false;
	if (copy_from_user(&found, (void __user *)addr - sizeof(found),
			   sizeof(found)))
		return false;
	return found == page;
}

/* How many sub-buffers the mapping has elsewhere, or not at all. */
static unsigned long rb_map_test_misplaced(struct rb_map_test *self)
{
	struct buffer_page *page = self->cpu_buffer->reader_page;
	unsigned long bad = !rb_map_test_is_at_id(self, page);

	page = self->cpu_buffer->head_page;
	for (unsigned long i = 0; i < self->cpu_buffer->nr_pages; i++) {
		bad += !rb_map_test_is_at_id(self, page);
		rb_inc_page(&page);
	}
	return bad;
}

/*
 * Swaps the reader page again and again, as trace_pipe does, until it is stopped.
 * Some mappings see no swap, some see one, some see many.
 */
static int rb_map_test_taker(void *data)
{
	struct rb_map_test *self = data;

	while (!kthread_should_stop()) {
		udelay(get_random_u32_below(400));
		if (mutex_trylock(&self->taking)) {
			for (int i = 0; i < RB_MAP_TEST_EVENTS; i++)
				ring_buffer_consume(self->buffer, self->cpu, NULL, NULL);
			mutex_unlock(&self->taking);
		}
		cond_resched();
	}
	return 0;
}

static void rb_map_test_stop(void *taker)
{
	kthread_stop(taker);
}

/*
 * A reader swaps sub-buffers while they get their ids, and a reset moves the
 * head page.
 */
static void rb_map_test_number(struct kunit *test, bool reset)
{
	struct rb_map_test *self = test->priv;
	unsigned long pages = 1000, before;
	struct task_struct *taker;
	unsigned int met = 0;
	int cpu;

	cpu = cpumask_any_but(cpu_online_mask, raw_smp_processor_id());
	if (cpu >= nr_cpu_ids)
		kunit_skip(test, "needs another CPU");
	rb_map_test_open(test, ring_buffer_alloc(pages * PAGE_SIZE,
						 RB_FL_OVERWRITE),
			 raw_smp_processor_id());
	taker = kthread_run_on_cpu(rb_map_test_taker, self, cpu,
				   "rb_map_taker/%u");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, taker);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, rb_map_test_stop, taker));

	for (int i = 0; i < 150; i++) {
		/* The writer moves the head page half round the ring. */
		mutex_lock(&self->taking);
		rb_map_test_write(self, pages * RB_MAP_TEST_EVENTS * 3 / 2);
		if (reset && i % 2)
			ring_buffer_reset_cpu(self->buffer, self->cpu);
		mutex_unlock(&self->taking);
		before = READ_ONCE(self->cpu_buffer->cnt);
		rb_map_test_map(test);
		/* There are no swaps once it is mapped. */
		met += READ_ONCE(self->cpu_buffer->cnt) != before;
		/* It would go on swapping the reader page. */
		mutex_lock(&self->taking);
		rb_map_test_tag(self);
		KUNIT_EXPECT_EQ(test, 0, rb_map_test_misplaced(self));
		mutex_unlock(&self->taking);
		rb_map_test_unmap(test);
		/* What is kept for the next mapping is for this size. */
		pages += i % 2 ? -7 : 7;
		KUNIT_EXPECT_LE(test, 0,
				ring_buffer_resize(self->buffer,
						   pages * PAGE_SIZE, self->cpu));
	}
	/* Without these it tests little: some 20 of them. */
	KUNIT_EXPECT_GT(test, met, 0);
}

/*
 * A list without a flag has all sub-buffers nevertheless: mmap() either fails or
 * finds each of them.
 */
static void d15_no_head_page(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	struct list_head *prev, *next;
	unsigned long addr = 0;

	rb_map_test_open_new(test, RB_FL_OVERWRITE);
	rb_map_test_tag(self);
	prev = self->cpu_buffer->head_page->list.prev;
	next = prev->next;
	KUNIT_ASSERT_EQ(test, (unsigned long)next & RB_FLAG_MASK, RB_PAGE_HEAD);
	prev->next = (void *)((unsigned long)next & ~RB_FLAG_MASK);
	kunit_warning_suppress(test)
		addr = rb_map_test_map_pages(self, rb_map_test_pages(self));
	prev->next = next;

	if (IS_ERR_VALUE(addr)) {
		rb_map_test_refused(test, addr);
		rb_map_test_map(test);
	} else {
		self->addr = addr;
	}
	KUNIT_EXPECT_EQ(test, 0, rb_map_test_misplaced(self));
	rb_map_test_unmap(test);
}

/*
 * What one GET_READER call consumes of the sub-buffer being written leaves nothing,
 * and the next event has the time at which it was written.
 */
static void rb_map_test_consumed(struct kunit *test, unsigned long read)
{
	struct rb_map_test *self = test->priv;
	struct trace_buffer_meta meta;
	u64 start, ts = 0;

	KUNIT_EXPECT_EQ(test, 0, rb_map_test_get_reader(self));
	meta = rb_map_test_meta(test);
	KUNIT_EXPECT_EQ(test, read, meta.read);
	KUNIT_EXPECT_EQ(test, meta.entries, meta.overrun + meta.read);
	KUNIT_EXPECT_EQ(test, meta.reader.read,
			rb_page_size(self->cpu_buffer->reader_page));
	KUNIT_EXPECT_TRUE(test, ring_buffer_empty_cpu(self->buffer, self->cpu));

	start = ring_buffer_time_stamp(self->buffer);
	rb_map_test_write(self, 1);
	KUNIT_EXPECT_NOT_NULL(test, ring_buffer_peek(self->buffer, self->cpu, &ts,
						     NULL));
	KUNIT_EXPECT_GE(test, ts, start);
	KUNIT_EXPECT_LE(test, ts, ring_buffer_time_stamp(self->buffer));
	rb_map_test_drain(test);
	KUNIT_EXPECT_EQ(test, read + 1, rb_map_test_meta(test).read);
}

static void live_nested_events(struct kunit *test)
{
	struct rb_map_test *self = test->priv;

	rb_map_test_open_new(test, RB_FL_OVERWRITE);
	rb_map_test_map(test);
	rb_map_test_write(self, 1);
	rb_map_test_begin_write(test, RB_MAP_TEST_PAYLOAD, 1);
	/* The nested event waits for the one being written. */
	KUNIT_EXPECT_EQ(test, 0, rb_map_test_get_reader(self));
	KUNIT_EXPECT_EQ(test, 1, rb_map_test_meta(test).read);
	rb_map_test_end_write(self);
	rb_map_test_consumed(test, 3);
	rb_map_test_unmap(test);
}

/* Discards an event that so many events of an interrupt follow. */
static void rb_map_test_discard(struct kunit *test, int irq_events)
{
	struct rb_map_test *self = test->priv;
	struct ring_buffer_event *event;

	event = rb_map_test_begin_write(test, RB_MAP_TEST_PAYLOAD, irq_events);
	preempt_disable();
	ring_buffer_discard_commit(self->buffer, event);
}

static void live_discarded_event(struct kunit *test)
{
	struct rb_map_test *self = test->priv;

	rb_map_test_open_new(test, RB_FL_OVERWRITE);
	rb_map_test_map(test);
	rb_map_test_write(self, 1);
	rb_map_test_discard(test, 0);
	rb_map_test_consumed(test, 1);
	/* It stays as padding. */
	rb_map_test_discard(test, 1);
	rb_map_test_consumed(test, 3);
	rb_map_test_unmap(test);
}

/* Set for one reservation, which is interrupted as it asks for the time. */
static struct rb_map_test *rb_map_test_reserving;
static int rb_map_test_reserving_read;

static u64 rb_map_test_clock(void)
{
	struct rb_map_test *self = rb_map_test_reserving;

	if (self) {
		rb_map_test_reserving = NULL;
		/* See rb_map_test_begin_write(). */
		preempt_enable();
		rb_map_test_interrupted(self, -1);
		rb_map_test_reserving_read = rb_map_test_get_reader(self);
		preempt_disable();
	}
	return trace_clock_local();
}

/*
 * A writer has looked at the time of the last event, but nothing of its own event
 * can be seen yet. An interrupt discards an event, and then a reader consumes the
 * last one. The time of the new event is still relative to that.
 */
static void live_reservation_begun(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	u64 start, ts = 0;

	rb_map_test_open_new(test, RB_FL_OVERWRITE);
	ring_buffer_set_clock(self->buffer, rb_map_test_clock);
	rb_map_test_map(test);
	rb_map_test_write(self, 1);
	/* A time that is added twice is in the future. */
	mdelay(50);
	start = ring_buffer_time_stamp(self->buffer);
	rb_map_test_reserving_read = -1;
	rb_map_test_reserving = self;
	rb_map_test_write(self, 1);
	KUNIT_EXPECT_EQ(test, 0, rb_map_test_reserving_read);
	KUNIT_EXPECT_EQ(test, 1, rb_map_test_meta(test).read);
	KUNIT_EXPECT_NOT_NULL(test, ring_buffer_peek(self->buffer, self->cpu, &ts,
						     NULL));
	KUNIT_EXPECT_GE(test, ts, start);
	KUNIT_EXPECT_LE(test, ts, ring_buffer_time_stamp(self->buffer));
	rb_map_test_unmap(test);
}

/* An event that did not fit has begun the next sub-buffer. */
static void live_event_past_the_end(struct kunit *test)
{
	struct rb_map_test *self = test->priv;

	rb_map_test_open_new(test, RB_FL_OVERWRITE);
	rb_map_test_map(test);
	rb_map_test_write(self, RB_MAP_TEST_EVENTS - 1);
	rb_map_test_begin_write(test, RB_MAP_TEST_PAYLOAD * 2, 1);
	KUNIT_EXPECT_EQ(test, 0, rb_map_test_get_reader(self));
	KUNIT_EXPECT_EQ(test, RB_MAP_TEST_EVENTS - 1, rb_map_test_meta(test).read);
	rb_map_test_end_write(self);
	rb_map_test_drain(test);
	rb_map_test_consumed(test, RB_MAP_TEST_EVENTS + 1);
	rb_map_test_unmap(test);
}

/* Events that were overwritten are not read. */
static void live_after_overrun(struct kunit *test)
{
	struct rb_map_test *self = test->priv;

	rb_map_test_open_new(test, RB_FL_OVERWRITE);
	rb_map_test_map(test);
	rb_map_test_write(self, 3 * RB_MAP_TEST_SUBBUFS * RB_MAP_TEST_EVENTS);
	rb_map_test_drain(test);
	KUNIT_EXPECT_NE(test, 0, rb_map_test_meta(test).overrun);
	rb_map_test_consumed(test, rb_map_test_meta(test).read);
	rb_map_test_unmap(test);
}

/* Of a persistent buffer, without a writer since the boot. */
static void live_after_boot(struct kunit *test)
{
	struct rb_map_test *self = test->priv;

	rb_map_test_begin_persistent(test, 8);
	rb_map_test_write(self, RB_MAP_TEST_EVENTS + 3);
	rb_map_test_reboot(test);
	rb_map_test_map(test);
	rb_map_test_drain(test);
	rb_map_test_consumed(test, RB_MAP_TEST_EVENTS + 3);
	rb_map_test_unmap(test);
}

static void ids_beside_a_reader(struct kunit *test)
{
	rb_map_test_number(test, false);
}

static void ids_beside_a_reset(struct kunit *test)
{
	rb_map_test_number(test, true);
}

/* Sub-buffers have moved since the buffer was mapped. */
static void ids_of_another_mapping(struct kunit *test)
{
	struct rb_map_test *self = test->priv;

	rb_map_test_open_new(test, RB_FL_OVERWRITE);
	for (int i = 0; i < 20; i++) {
		rb_map_test_write(self, 3 * RB_MAP_TEST_EVENTS + i);
		rb_map_test_map(test);
		rb_map_test_tag(self);
		KUNIT_EXPECT_EQ(test, 0, rb_map_test_misplaced(self));
		KUNIT_EXPECT_EQ(test, 0, rb_map_test_get_reader(self));
		KUNIT_EXPECT_EQ(test, 0, rb_map_test_misplaced(self));
		rb_map_test_unmap(test);
		/* They move while nobody maps them, too. */
		for (int j = 0; j < i; j++)
			ring_buffer_consume(self->buffer, self->cpu, NULL, NULL);
	}
}

/* Maps the buffer, and looks whether each sub-buffer is where its id says. */
static void rb_map_test_map_once(struct kunit *test)
{
	struct rb_map_test *self = test->priv;

	rb_map_test_map(test);
	rb_map_test_tag(self);
	KUNIT_EXPECT_EQ(test, 0, rb_map_test_misplaced(self));
	rb_map_test_unmap(test);
}

/* The buffer has as many sub-buffers as when it was mapped, but other ones. */
static void ids_of_other_sub_buffers(struct kunit *test)
{
	struct rb_map_test *self = test->priv;
	unsigned long pages, size;

	rb_map_test_open_new(test, RB_FL_OVERWRITE);
	pages = self->cpu_buffer->nr_pages;
	size = pages * (PAGE_SIZE - BUF_PAGE_HDR_SIZE);
	rb_map_test_map_once(test);
	KUNIT_EXPECT_LE(test, 0, ring_buffer_resize(self->buffer, 2 * size, self->cpu));
	KUNIT_EXPECT_LE(test, 0, ring_buffer_resize(self->buffer, size, self->cpu));
	KUNIT_EXPECT_EQ(test, pages, self->cpu_buffer->nr_pages);
	rb_map_test_map_once(test);
	KUNIT_EXPECT_EQ(test, 0, ring_buffer_subbuf_order_set(self->buffer, 1));
	KUNIT_EXPECT_EQ(test, 0, ring_buffer_subbuf_order_set(self->buffer, 0));
	rb_map_test_map_once(test);
}

static int rb_map_test_init(struct kunit *test)
{
	struct rb_map_test *self = kunit_kzalloc(test, sizeof(*self), GFP_KERNEL);

	if (!self)
		return -ENOMEM;
	self->irq_work = IRQ_WORK_INIT_HARD(rb_map_test_interrupt);
	mutex_init(&self->taking);
	test->priv = self;

	/* Each case has a thread of its own. */
	return set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id())) ?:
	       kunit_attach_mm();
}

static struct kunit_case rb_map_test_cases[] = {
	KUNIT_CASE(time_on_a_page_without_events),
	KUNIT_CASE(unknown_loss_after_overrun),
	KUNIT_CASE(d4_loss_stays),
	KUNIT_CASE(d4_loss_stays_persistent),
	KUNIT_CASE(d4_loss_reported_by_another_reader),
	KUNIT_CASE(loss_before_a_page_without_events),
	KUNIT_CASE(d5_loss_waits_for_a_page),
	KUNIT_CASE(d5_marked_page_is_marked),
	KUNIT_CASE(d5_unknown_loss),
	KUNIT_CASE(d6_marked_page_is_kept),
	KUNIT_CASE(d6_mark_is_read),
	KUNIT_CASE(d6_other_flags_are_none),
	KUNIT_CASE(d6_reader_page_keeps_its_mark),
	KUNIT_CASE(d7_writer_past_the_end),
	KUNIT_CASE(d12_loss_is_kept),
	KUNIT_CASE(d12_loss_is_reported_once),
	KUNIT_CASE(d12_messages_are_limited),
	KUNIT_CASE(d15_no_head_page),
	KUNIT_CASE(d15_page_missing),
	KUNIT_CASE(d15_pages_missing),
	KUNIT_CASE(d15_page_too_many),
	KUNIT_CASE_SLOW(d19_no_event_is_skipped),
	KUNIT_CASE(d24_no_head_page),
	KUNIT_CASE(d26_discarded_event),
	KUNIT_CASE(d27_write_after_boot),
	KUNIT_CASE(d27_write_after_drain),
	KUNIT_CASE(d27_discarded_page_has_no_bytes),
	KUNIT_CASE(d27_unaligned_page_is_discarded),
	KUNIT_CASE(d29_writer_leaves_the_reader_page),
	KUNIT_CASE_SLOW(ids_beside_a_reader),
	KUNIT_CASE_SLOW(ids_beside_a_reset),
	KUNIT_CASE(ids_of_another_mapping),
	KUNIT_CASE(ids_of_other_sub_buffers),
	KUNIT_CASE(live_nested_events),
	KUNIT_CASE(live_discarded_event),
	KUNIT_CASE(live_reservation_begun),
	KUNIT_CASE(live_event_past_the_end),
	KUNIT_CASE(live_after_overrun),
	KUNIT_CASE(live_after_boot),
	{}
};

static struct kunit_suite rb_map_test_suite = {
	.name		= "trace_buffer_map",
	.init		= rb_map_test_init,
	.test_cases	= rb_map_test_cases,
};

kunit_test_suite(rb_map_test_suite);
